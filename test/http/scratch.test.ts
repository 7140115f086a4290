import { it } from 'vitest'
import { openTestApp, exchangeBytes } from '../support/http.ts'
it('x', async () => {
  const app = await openTestApp()
  app.drain()
  console.log(await exchangeBytes(app.port, 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'))
  await app.close()
})

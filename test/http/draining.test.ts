import { Agent, request } from 'node:http'
import { once } from 'node:events'
import { text as textOf } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type TestApp, openTestApp } from '../support/http.ts'
import { clientOf } from './client.ts'

let app: TestApp
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

beforeAll(async () => {
  app = await openTestApp()
})

afterAll(async () => {
  agent.destroy()
  await app.close()
})

/** Always on the same connection, which was open before the server began to stop. */
async function onOpenConnection(method: string, path: string) {
  const asked = request({ host: '127.0.0.1', port: app.port, method, path, agent })
  asked.end()
  const [response] = await once(asked, 'response')
  const connection = asked.socket?.localPort
  const text = await textOf(response)
  return {
    status: response.statusCode,
    code: text === '' ? undefined : JSON.parse(text).code,
    retry_after: response.headers['retry-after'],
    connection,
  }
}

it('a server that stops says so on connections that are open, and lets nothing new begin', async () => {
  const { run_id } = await clientOf(app).aRun()
  const { status, connection } = await onOpenConnection('GET', '/readyz')
  expect(status).toBe(200)
  app.drain()
  const before = app.writes()
  const refused = { status: 503, code: 'draining', retry_after: '1', connection }
  for (const [method, path] of [
    ['GET', '/readyz'],
    ['GET', `/v1/runs/${run_id}`],
    ['GET', '/v1/events'],
    ['POST', '/v1/runs'],
    ['POST', `/v1/runs/${run_id}/start`],
    ['GET', '/openapi.json'],
    ['GET', '/docs'],
  ] as const) {
    expect({ path, ...(await onOpenConnection(method, path)) }).toEqual({ path, ...refused })
  }
  expect(await onOpenConnection('GET', '/livez')).toMatchObject({ status: 200, connection })
  expect(await onOpenConnection('GET', '/v1/nothing')).toMatchObject({ status: 404, connection })
  expect(app.writes()).toBe(before)
})

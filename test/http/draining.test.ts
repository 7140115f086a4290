import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { text as textOf } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type TestApp, openTestApp } from '../support/http.ts'
import { clientOf } from './client.ts'

let app: TestApp

beforeAll(async () => {
  app = await openTestApp()
})

afterAll(() => app.close())

/** Asks on the connection that the agent keeps. */
async function ask(agent: Agent, method: string, path: string) {
  const asked = request({ host: '127.0.0.1', port: app.port, method, path, agent })
  asked.end()
  const [response] = await once(asked, 'response')
  const connection = asked.socket?.localPort
  const text = await textOf(response)
  const { 'retry-after': retry_after, connection: then } = response.headers
  const code = text === '' ? undefined : JSON.parse(text).code
  return { status: response.statusCode, code, retry_after, then, connection }
}

it('a server that stops says so on connections that are open, and lets nothing new begin', async () => {
  const { run_id } = await clientOf(app).aRun()
  const asks = [
    ['GET', '/readyz'],
    ['GET', `/v1/runs/${run_id}`],
    ['GET', '/v1/events'],
    ['POST', '/v1/runs'],
    ['POST', `/v1/runs/${run_id}/start`],
    ['GET', '/openapi.json'],
    ['GET', '/docs'],
  ] as const
  const open = await Promise.all(
    asks.map(async ([method, path]) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const { status, connection } = await ask(agent, 'GET', '/readyz')
      expect(status).toBe(200)
      return { method, path, agent, connection }
    }),
  )
  app.drain()
  const before = app.writes()
  for (const { method, path, agent, connection } of open) {
    const refused = { status: 503, code: 'draining', retry_after: '1', then: 'close', connection }
    expect({ path, ...(await ask(agent, method, path)) }).toEqual({ path, ...refused })
    expect(await ask(agent, 'GET', '/livez')).toMatchObject({ status: 200 })
    agent.destroy()
  }
  expect(app.writes()).toBe(before)
})

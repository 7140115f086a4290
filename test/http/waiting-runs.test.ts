import { request as httpRequest } from 'node:http'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { type Answer, type Headers, type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { RUN_STATES, type Client, clientOf } from './client.ts'
import { EVENTUALLY, workshopOf } from './dispatch-client.ts'
import { UNKNOWN_ID } from './operations.ts'

let app: TestApp
let client: Client
beforeEach(async () => {
  app = await openTestApp()
  client = clientOf(app)
  return () => {
    app.drain() // who still waits must not keep the server
    return app.close()
  }
})

const pathOf = ({ run_id }: { run_id: string }) => `/v1/runs/${run_id}`
const WAIT: Headers = { prefer: 'wait=60' }

/** Somebody who waits for the end of a run, and whether the answer has come. */
async function waiting(run: { run_id: string }, headers: Headers = {}) {
  const answer = client.get(pathOf(run), { ...WAIT, ...headers })
  const state = { done: false }
  void answer.then(() => (state.done = true))
  for (let i = 0; i < 5; i++) await client.get('/livez') // it is on its way before these
  return { answer, isDone: () => state.done }
}

const shown = ({ status, headers, body }: Answer) => ({ status, state: body?.state, etag: headers['etag'] })

describe('reading a run with Prefer: wait', () => {
  const CLOSED = RUN_STATES.filter((state) => state !== 'pending' && state !== 'running')

  it.each(CLOSED)('answers at once where the run is %s', async (state) => {
    const run = await client.aRun(state)
    const answer = await client.get(pathOf(run), WAIT)
    expect(answer.body).toEqual(run)
    expect(answer.headers).toMatchObject({ 'preference-applied': 'wait=60', etag: `"${run.version}"` })
    const known = await client.get(pathOf(run), { ...WAIT, 'if-none-match': `"${run.version}"` })
    expect(known.status).toBe(304)
  })

  it.each([
    ['complete', { status: 'succeeded' }],
    ['complete', { status: 'failed' }],
    ['cancel', {}],
    ['quarantine', { reason: 'corrupted worktree' }],
  ])('answers when the run is closed by %s %j, to everybody who waits for it', async (command, body) => {
    const [run, other] = [await client.aRun('running'), await client.aRun('running')]
    const many = [await waiting(run), await waiting(run), await waiting(run)]
    const another = await waiting(other)
    await client.post(`${pathOf(run)}/events`, { kind: 'note' })
    await client.patch(pathOf(run), { labels: { team: 'core' } })
    expect(many.map(({ isDone }) => isDone())).toEqual([false, false, false])
    const { body: closed } = await client.post(`${pathOf(run)}/${command}`, body)
    for (const { answer } of many) expect((await answer).body).toEqual(closed)
    expect(another.isDone()).toBe(false)
  })

  it('answers when a run ends by itself, with its last request', async () => {
    const shop = await workshopOf(app)
    const held = await shop.held()
    const { answer } = await waiting(held.execution_request)
    await shop.end(held, 'complete')
    expect((await answer).body).toMatchObject({ state: 'succeeded', completion: 'auto' })
  })

  it('answers with the run as it is when the time is over: 304 to who has that version', async () => {
    const run = await client.aRun()
    const waits = [
      client.get(`${pathOf(run)}?wait_seconds=1`),
      client.get(pathOf(run), { prefer: 'wait=1', 'if-none-match': '"1"' }),
      client.get(pathOf(run), { prefer: 'wait=1', 'if-none-match': '"2"' }),
    ]
    await client.get('/livez')
    await client.post(`${pathOf(run)}/start`)
    const [first, second, third] = await Promise.all(waits)
    expect(shown(first!)).toEqual({ status: 200, state: 'running', etag: '"2"' })
    expect(first!.headers['preference-applied']).toBeUndefined()
    expect(shown(second!)).toEqual({ status: 200, state: 'running', etag: '"2"' })
    expect(second!.headers['preference-applied']).toBe('wait=1')
    expect(shown(third!)).toEqual({ status: 304, state: undefined, etag: '"2"' })
  })

  it('waits for the end, whatever version the client has', async () => {
    const run = await client.aRun('running')
    const { answer, isDone } = await waiting(run, { 'if-none-match': '"1"' })
    expect(isDone()).toBe(false)
    await client.post(`${pathOf(run)}/cancel`)
    expect(shown(await answer)).toEqual({ status: 200, state: 'canceled', etag: '"3"' })
  })

  it('does not wait where it is told 0', async () => {
    const run = await client.aRun()
    for (const answer of [
      await client.get(`${pathOf(run)}?wait_seconds=0`, WAIT),
      await client.get(pathOf(run), { prefer: 'wait=0' }),
      await client.get(pathOf(run), { prefer: 'respond-async' }),
    ]) {
      expect(answer.body).toEqual(run)
    }
  })

  it.each(['wait=61', 'wait=3600'])('refuses to wait longer than a minute: %s', async (prefer) => {
    const run = await client.aRun()
    expect((await client.get(pathOf(run), { prefer })).body.errors).toMatchObject([{ parameter: 'Prefer' }])
    const query = `?wait_seconds=${prefer.slice(5)}`
    expect((await client.get(pathOf(run) + query)).body.errors).toMatchObject([{ parameter: 'wait_seconds' }])
  })

  it('finds nothing at once', async () => {
    expect((await client.get(pathOf({ run_id: UNKNOWN_ID }), WAIT)).status).toBe(404)
  })

  it('goes home at once when the server stops', async () => {
    const run = await client.aRun('running')
    const many = [await waiting(run), await waiting(run)]
    app.drain()
    for (const { answer } of many) expect((await answer).body).toEqual(run)
  })

  it('ends when the client goes away', async () => {
    const run = await client.aRun('running')
    const gone = httpRequest(`http://127.0.0.1:${app.port}${pathOf(run)}?wait_seconds=60`, { agent: false })
    gone.on('error', () => {})
    gone.end()
    const connections = () =>
      new Promise<number>((resolve) => app.app.server.getConnections((_error, count) => resolve(count)))
    const before = await connections()
    await vi.waitFor(async () => expect(await connections()).toBeGreaterThan(before), EVENTUALLY)
    const among = await connections()
    gone.destroy()
    await vi.waitFor(async () => expect(await connections()).toBe(among - 1), EVENTUALLY)
    expect((await client.post(`${pathOf(run)}/cancel`)).status).toBe(200)
  })
})

it('a run of another project is not waited for', async () => {
  const keys = { mine: aKeyFor(['mine'], 'read'), all: aKey('write') }
  const keyed = await openTestApp({ api_keys: Object.values(keys).map(({ entry }) => entry) })
  const theirs: Run = await clientOf(keyed, keys.all.key).aRun('running', { project_id: 'theirs' })
  const refused = await clientOf(keyed, keys.mine.key).get(pathOf(theirs), WAIT)
  expect(refused).toMatchObject({ status: 404, body: { code: 'run_not_found' } })
  await keyed.close()
})

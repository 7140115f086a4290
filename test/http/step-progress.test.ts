import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { LIMITS } from '../../src/contract/limits.ts'
import { START, type TestApp, type TestAppOptions, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { temporaryDirectory } from '../support/process.ts'
import { type Followed, follow } from '../support/streams.ts'
import { type Client, clientOf } from './client.ts'
import { BODIES, type Ending, type Workshop, workshopOf } from './dispatch-client.ts'

let app: TestApp
let client: Client
let shop: Workshop
let open: Followed[]

async function opened(options: TestAppOptions = {}): Promise<void> {
  app = await openTestApp(options)
  client = clientOf(app)
  shop = await workshopOf(app)
  open = []
}

beforeEach(() => opened())
afterEach(async () => {
  for (const { leave } of open) leave()
  await app.close()
})

const pathOf = ({ step_attempt }: ClaimedRequest) => `/v1/steps/${step_attempt.step_attempt_id}`
const live = async (held: ClaimedRequest) => {
  const { progress, output } = (await client.get(pathOf(held))).body
  return { progress, output }
}
const NOTHING = { progress: null, output: null }
const PROGRESS = { done: 12, total: 40, message: 'tests/api' }
const SAID = { progress: PROGRESS, output: 'tests/api ......\n' }

const REFUSED: [pointer: string, body: object][] = [
  ['#/output', { output: 'x'.repeat(LIMITS.live_output_bytes + 1) }],
  ['#/output', { output: 'é'.repeat(LIMITS.live_output_bytes / 2 + 1) }],
  ['#/output', { output: 'a\0b' }],
  ['#/output', { output: 7 }],
  ['#/progress/message', { progress: { message: 'x'.repeat(LIMITS.progress_message_bytes + 1) } }],
  ['#/progress/done', { progress: { done: -1 } }],
  ['#/progress/done', { progress: { done: 0.5 } }],
  ['#/progress/total', { progress: { total: '40' } }],
  ['#/progress/percent', { progress: { percent: 30 } }],
]

describe('what a worker says of its attempt', () => {
  it('is read with the attempt, and takes the place of what was said before', async () => {
    const held = await shop.held()
    expect(await live(held)).toEqual(NOTHING)
    await shop.heartbeat(held, SAID)
    expect(await live(held)).toEqual(SAID)
    await shop.heartbeat(held, { progress: { done: 13 }, output: '' })
    expect(await live(held)).toEqual({ progress: { done: 13, total: null, message: null }, output: '' })
  })

  it('stays where a heartbeat leaves it out, or says null', async () => {
    const held = await shop.held()
    await shop.heartbeat(held, SAID)
    await shop.heartbeat(held)
    await shop.heartbeat(held, { progress: null, output: null })
    expect(await live(held)).toEqual(SAID)
    await shop.heartbeat(held, { output: 'more' })
    expect(await live(held)).toEqual({ ...SAID, output: 'more' })
    await shop.heartbeat(held, { progress: {} })
    expect(await live(held)).toEqual({
      progress: { done: null, total: null, message: null },
      output: 'more',
    })
  })

  it('changes neither the attempt nor the ledger, and is read whatever version the client has', async () => {
    const held = await shop.held()
    const before = await client.get(pathOf(held))
    const known = { 'if-none-match': before.headers['etag']! }
    expect((await client.get(pathOf(held), known)).status).toBe(304)
    const events = (await client.get('/v1/events')).body.items
    await shop.heartbeat(held, SAID)
    const after = await client.get(pathOf(held), known)
    expect(after).toMatchObject({ status: 200, headers: { etag: before.headers['etag'] } })
    expect(after.body).toEqual({ ...before.body, ...SAID })
    expect((await client.get('/v1/events')).body.items).toEqual(events)
  })

  it.each(Object.keys(BODIES) as Ending[])('is over when the worker says %s', async (ending) => {
    const held = await shop.held()
    await shop.heartbeat(held, SAID)
    await shop.end(held, ending)
    expect(await live(held)).toEqual(NOTHING)
  })

  it('is over when the run is canceled, and when the lease has ended, and is not of the next attempt', async () => {
    const canceled = await shop.held()
    await shop.heartbeat(canceled, SAID)
    await client.post(`/v1/runs/${canceled.execution_request.run_id}/cancel`)
    expect(await live(canceled)).toEqual(NOTHING)

    const late = await shop.held()
    await shop.heartbeat(late, SAID)
    app.pass(61_000)
    await app.sweep()
    expect(await live(late)).toEqual(NOTHING)
    app.pass(120_000)
    const next = await shop.claimed()
    expect(next.execution_request.request_id).toBe(late.execution_request.request_id)
    await shop.heartbeat(next, { output: 'again' })
    expect([await live(late), await live(next)]).toEqual([NOTHING, { progress: null, output: 'again' }])
  })

  it('is nothing where the lease is lost', async () => {
    const held = await shop.held()
    app.pass(61_000)
    expect((await shop.heartbeat(held, SAID)).body).toMatchObject({ lease_lost: true })
    expect(await live(held)).toEqual(NOTHING)
  })

  it('is not remembered over a restart: the next heartbeat says it again', async () => {
    await app.close()
    const file = join(temporaryDirectory(), 'signalbox.db')
    await opened({ file })
    const held = await shop.held()
    await shop.heartbeat(held, SAID)
    await app.close()
    app = await openTestApp({ file })
    client = clientOf(app)
    expect(await live(held)).toEqual(NOTHING)
    const { lease_token } = held
    await client.post(`/v1/execution-requests/${held.execution_request.request_id}/heartbeat`, {
      lease_token,
      ...SAID,
    })
    expect(await live(held)).toEqual(SAID)
  })

  it('is refused where it is too long, or of the wrong form, and the lease is as it was', async () => {
    const held = await shop.held()
    app.pass(1_000)
    for (const [pointer, body] of REFUSED) {
      const { status, body: problem } = await shop.heartbeat(held, body)
      const pointers = new Set(problem.errors.map((fault: { pointer: string }) => fault.pointer))
      expect([status, [...pointers]], JSON.stringify(body).slice(0, 60)).toEqual([400, [pointer]])
    }
    expect(await live(held)).toEqual(NOTHING)
    const { holds } = (await client.get('/v1/workers/w1')).body
    expect(holds).toMatchObject([{ heartbeat_at: START }])
  })

  it('may be as long as it may', async () => {
    const held = await shop.held()
    const said = {
      progress: { done: 0, total: LIMITS.integer, message: 'é'.repeat(LIMITS.progress_message_bytes / 2) },
      output: '\u0001'.repeat(LIMITS.live_output_bytes),
    }
    await shop.heartbeat(held, said)
    expect(await live(held)).toEqual(said)
  })
})

async function stream(path = '/v1/events/stream', key?: string): Promise<Followed> {
  const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const followed = await follow(`http://127.0.0.1:${app.port}${path}`, { headers })
  open.push(followed)
  return followed
}

async function heldOf(project_id: string): Promise<ClaimedRequest> {
  await shop.request({ project_id })
  return shop.claimed()
}

/** What streams tell of it. */
const messageOf = ({ execution_request, step_attempt }: ClaimedRequest, said: object, ts = START) => ({
  kind: 'step_progress',
  run_id: execution_request.run_id,
  step_attempt_id: step_attempt.step_attempt_id,
  execution_request_id: execution_request.request_id,
  ts,
  ...NOTHING,
  ...said,
})

const lastSeq = async (): Promise<number> =>
  (await client.get('/v1/events?order=desc&limit=1')).body.items[0].seq

describe('on streams', () => {
  it('it is step_progress, between the events, without an id', async () => {
    const held = await shop.held()
    const followed = await stream()
    await followed.comesTo(await lastSeq())
    await shop.heartbeat(held, SAID)
    expect(await followed.hearsProgress(1)).toEqual([messageOf(held, SAID)])
    await shop.end(held, 'complete')
    const messages = await followed.comesTo(await lastSeq())
    expect(messages.map(({ event }) => event)).toEqual((await client.get('/v1/events')).body.items)
    expect((await client.get('/v1/events?kind=step_progress')).body.items).toEqual([])
  })

  it('comes at most once a second for each attempt, and then with all that was said', async () => {
    const [held, other] = [await shop.held(), await shop.held()]
    const followed = await stream('/v1/events/stream?kind=step_progress')
    const heartbeats = async (ms: number, of: ClaimedRequest, said: object) => {
      app.pass(ms)
      await shop.heartbeat(of, said)
    }
    await heartbeats(0, held, { progress: { done: 1 } })
    await heartbeats(0, other, { output: 'a' })
    await heartbeats(999, held, { progress: { done: 2 } })
    await heartbeats(0, held, { output: 'two' })
    await heartbeats(0, held, {})
    await heartbeats(1, held, { progress: { done: 3 } })
    await heartbeats(999, held, { progress: { done: 4 } })
    await heartbeats(1, other, { progress: { done: 1 } })
    const at = (done: number) => ({ progress: { done, total: null, message: null } })
    expect(await followed.hearsProgress(4)).toEqual([
      messageOf(held, at(1)),
      messageOf(other, { output: 'a' }),
      messageOf(held, { ...at(3), output: 'two' }, '2026-01-05T09:30:01.000Z'),
      messageOf(other, { ...at(1), output: 'a' }, '2026-01-05T09:30:02.000Z'),
    ])
  })

  it('is not told by a heartbeat that says nothing, nor of a lease that is lost', async () => {
    const held = await shop.held()
    const followed = await stream('/v1/events/stream?kind=step_progress')
    await shop.heartbeat(held)
    app.pass(61_000)
    await shop.heartbeat(held, SAID)
    const next = await shop.held()
    await shop.heartbeat(next, { output: 'the first that is told' })
    expect(await followed.hearsProgress(1)).toMatchObject([{ output: 'the first that is told' }])
  })

  it('comes to the streams whose filters admit it', async () => {
    const [held, other] = [await shop.held(), await heldOf('bank')]
    const own = held.execution_request.run_id
    const hearing = await Promise.all(
      [
        '/v1/events/stream?kind=step_progress',
        '/v1/events/stream?kind=note&kind=step_progress&project_id=shop',
        `/v1/runs/${own}/events/stream?after=1`,
        `/v1/runs/${own}/events/stream?kind=step_progress`,
      ].map((path) => stream(path)),
    )
    const deaf = await Promise.all(
      [
        '/v1/events/stream?kind=note',
        '/v1/events/stream?project_id=bank&after=1',
        `/v1/runs/${own}/events/stream?kind=note`,
        `/v1/runs/${other.execution_request.run_id}/events/stream`,
      ].map((path) => stream(path)),
    )
    await shop.heartbeat(held, SAID)
    for (const { hearsProgress } of hearing) expect(await hearsProgress(1)).toEqual([messageOf(held, SAID)])
    for (const of of [held, other]) {
      await client.post(`/v1/runs/${of.execution_request.run_id}/events`, { kind: 'note' })
    }
    // A note that is later shows that nothing else was on its way.
    const last = (followed: Followed) =>
      expect.poll(() => followed.messages.at(-1)?.kind, { timeout: 10_000 }).toBe('note')
    for (const each of deaf) {
      await last(each)
      expect(each.progress).toEqual([])
    }
  })

  it('is left out for a reader that takes nothing, and cuts nobody off', async () => {
    const held = await shop.held()
    const slow = await stream()
    await slow.comesTo(await lastSeq())
    slow.rest()
    const said = { output: '\u0001'.repeat(LIMITS.live_output_bytes) } // six characters each in JSON
    const count = 700 // more than sockets hold
    for (let i = 0; i < count; i++) {
      app.pass(1_000)
      await shop.heartbeat(held, said)
    }
    expect(app.logs.filter(({ msg }) => msg === 'a reader was too slow for its stream')).toEqual([])
    slow.goOn()
    await client.post(`/v1/runs/${held.execution_request.run_id}/events`, { kind: 'note' })
    await slow.comesTo(await lastSeq())
    expect(slow.progress.length).toBeGreaterThan(0)
    expect(slow.progress.length).toBeLessThan(count)
  })

  it('is not told to those who may not see the run', async () => {
    const keys = { mine: aKeyFor(['mine'], 'read'), theirs: aKeyFor(['theirs'], 'read') }
    const all = aKey('admin', 'worker')
    await app.close()
    app = await openTestApp({ api_keys: [keys.mine.entry, keys.theirs.entry, all.entry] })
    client = clientOf(app, all.key)
    shop = await workshopOf(asKey(app, all.key))
    const held = await heldOf('theirs')
    const path = '/v1/events/stream?kind=note&kind=step_progress'
    const [mine, theirs] = [await stream(path, keys.mine.key), await stream(path, keys.theirs.key)]
    await shop.heartbeat(held, SAID)
    expect(await theirs.hearsProgress(1)).toEqual([messageOf(held, SAID)])
    const run = await client.aRun('running', { project_id: 'mine' })
    await client.post(`/v1/runs/${run.run_id}/events`, { kind: 'note' })
    await mine.reaches(1)
    expect(mine.progress).toEqual([])
    expect((await clientOf(app, keys.mine.key).get(pathOf(held))).status).toBe(404)
  })
})

/** The app, asked with a key. */
const asKey = (of: TestApp, key: string): TestApp => ({
  ...of,
  request: (method, path, sent) => of.request(method, path, { ...sent, as: key }),
})

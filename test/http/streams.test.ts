import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import { LIMITS } from '../../src/contract/limits.ts'
import { sqliteStore } from '../../src/store/sqlite/store.ts'
import { bulkEvents } from '../store/contract/many-runs.ts'
import { type TestApp, type TestAppOptions, aKey, aKeyFor, connected, openTestApp } from '../support/http.ts'
import { activate } from '../support/router.ts'
import { type Followed, type Message, follow } from '../support/streams.ts'
import { type Client, RUN_STATES, clientOf } from './client.ts'
import { CONFIG } from './dispatch-client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { UNKNOWN_ID, tagged } from './operations.ts'

let app: TestApp
let client: Client
let open: Followed[]

async function opened(options: TestAppOptions = {}): Promise<void> {
  app = await openTestApp(options)
  client = clientOf(app)
  open = []
}

async function closed(): Promise<void> {
  for (const stream of open) stream.leave()
  await app.close()
}

type How = NonNullable<Parameters<typeof follow>[1]> & { as?: string }

async function stream(path: string, { as, ...how }: How = {}): Promise<Followed> {
  const key = as === undefined ? {} : { authorization: `Bearer ${as}` }
  const followed = await follow(`http://127.0.0.1:${app.port}${path}`, { ...how, headers: { ...key } })
  open.push(followed)
  return followed
}

const ALL = '/v1/events/stream'
const streamOf = ({ run_id }: { run_id: string }) => `/v1/runs/${run_id}/events/stream`

const note = (run: { run_id: string }, payload: object = {}): Promise<{ body: Event }> =>
  client.post(`/v1/runs/${run.run_id}/events`, { kind: 'note', payload })

const listed = async (query = ''): Promise<Event[]> =>
  (await client.get(`/v1/events?limit=500${query}`)).body.items

const idsOf = (messages: readonly Message[]) => messages.map(({ id }) => id)
const eventsOf = (messages: readonly Message[]) => messages.map(({ event }) => event)
const seqsOf = (events: readonly Event[]) => events.map(({ seq }) => seq)

const FILTERS = [
  'kind=note',
  'kind=note&kind=run_created',
  'kind=nothing',
  'project_id=shop',
  'project_id=bank&project_id=nobody',
  'kind=run_created&project_id=bank',
  'kind=config_activated',
]

describe('the stream of all events', () => {
  beforeEach(() => opened())
  afterEach(closed)

  it('says first when to come again, then what there is, as the list shows it', async () => {
    await client.aRun('failed')
    await client.aStep('failed')
    const events = await listed()
    const { response, reaches, asides } = await stream(ALL)
    const messages = await reaches(events.length)
    expect(eventsOf(messages)).toEqual(events)
    expect(messages.map(({ id, kind }) => [id, kind])).toEqual(events.map(({ seq, kind }) => [seq, kind]))
    expect(asides).toEqual(['retry: 3000'])
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
  })

  it('goes on with each event as it is committed', async () => {
    const { reaches } = await stream(ALL)
    const run = await client.aRun('running')
    await reaches(2)
    await note(run, { text: 'two\nlines: and a third\r\n\n' })
    expect(eventsOf(await reaches(3))).toEqual(await listed())
  })

  it('begins behind `after`, or behind Last-Event-ID, which is the later word', async () => {
    await client.aRun('failed')
    expect(idsOf(await (await stream(`${ALL}?after=1`)).reaches(2))).toEqual([2, 3])
    expect(idsOf(await (await stream(ALL, { last_id: 2 })).reaches(1))).toEqual([3])
    expect(idsOf(await (await stream(`${ALL}?after=1`, { last_id: 2 })).reaches(1))).toEqual([3])
  })

  it('has nothing up to an id that is still to come, and everything behind it', async () => {
    const run = await client.aRun()
    const { reaches } = await stream(ALL, { last_id: 3 })
    for (let i = 0; i < 4; i++) await note(run)
    expect(idsOf(await reaches(2))).toEqual([4, 5])
  })

  it('refuses a Last-Event-ID that is none', async () => {
    for (const id of ['', '-1', '1.5', '1e3', 'x', '99999999999999999999']) {
      const { status, body } = await app.request('GET', ALL, { headers: { 'last-event-id': id } })
      expect({ id, status, errors: body.errors }).toMatchObject({
        status: 400,
        errors: [{ parameter: 'Last-Event-ID' }],
      })
    }
  })

  it('has what the list has under the same filters, from the table and live', async () => {
    const happen = async () => {
      const runs = [await client.aRun('running'), await client.aRun('running', { project_id: 'bank' })]
      for (const run of runs) await note(run)
    }
    await happen()
    await activate(app, CONFIG)
    const followed = await Promise.all(FILTERS.map((query) => stream(`${ALL}?${query}`)))
    const everything = await stream(ALL)
    await everything.reaches((await listed()).length)
    await happen()
    await everything.comesTo((await listed()).at(-1)!.seq)
    for (const [i, { reaches, messages }] of followed.entries()) {
      const expected = seqsOf(await listed(`&${FILTERS[i]}`))
      await reaches(expected.length)
      expect(idsOf(messages), FILTERS[i]).toEqual(expected)
    }
  })

  it('is read page by page where there is much, and goes over into what comes meanwhile', async () => {
    const run = await client.aRun()
    const count = 1_000
    await Promise.all(Array.from({ length: count }, () => note(run)))
    const { reaches } = await stream(ALL)
    const more = Promise.all(Array.from({ length: 50 }, () => note(run)))
    const messages = await reaches(count + 51)
    await more
    expect(idsOf(messages)).toEqual(Array.from({ length: count + 51 }, (_, i) => i + 1))
  })

  it('has events that are larger than a page, and than the bound of a reader', async () => {
    const run = await client.aRun('running')
    const error_log = '\u0001'.repeat(LIMITS.error_log_bytes) // six characters each in JSON
    const step = await client.aStepIn(run)
    const live = await stream(ALL)
    await client.post(`/v1/steps/${step.step_attempt_id}/complete`, { status: 'failed', error_log })
    await note(run)
    const behind = await stream(ALL)
    for (const each of [live, behind]) expect(idsOf(await each.reaches(5))).toEqual([1, 2, 3, 4, 5])
    expect(JSON.stringify(live.messages[3]!.event).length).toBeGreaterThan(LIMITS.stream_bytes)
  })

  it('is over where the store cannot be read any more, and the reason is logged', async () => {
    const run = await client.aRun()
    for (let i = 0; i < 200; i++) await note(run, { text: 'x'.repeat(LIMITS.payload_bytes - 100) })
    const { over, messages, rest, goOn } = await stream(ALL)
    rest()
    app.db.close()
    goOn()
    await over
    expect(messages.length).toBeLessThan(201)
    expect(app.logs).toContainEqual(expect.objectContaining({ msg: 'could not read events for streams' }))
  })

  it('is logged when it is over, in one line', async () => {
    const { leave, over } = await stream(ALL)
    app.logs.length = 0
    leave()
    await over
    await vi.waitFor(() => expect(app.logs).toMatchObject([{ msg: 'request', path: ALL, status: 200 }]))
  })
})

describe('a key that is bound to projects', () => {
  const keys = { mine: aKeyFor(['mine'], 'read'), all: aKey('admin', 'worker') }

  beforeEach(async () => {
    await opened({ api_keys: Object.values(keys).map(({ entry }) => entry) })
    client = clientOf(app, keys.all.key)
  })
  afterEach(closed)

  it('is streamed the events of its own runs only, from the table and live', async () => {
    const happen = async () => {
      await client.aRun('running', { project_id: 'theirs' })
      await activate(app, CONFIG, keys.all.key)
      return client.aRun('running', { project_id: 'mine' })
    }
    await happen()
    const [all, theirs] = [
      await stream(ALL, { as: keys.mine.key }),
      await stream(`${ALL}?project_id=theirs&project_id=mine`, { as: keys.mine.key }),
    ]
    await Promise.all([all.reaches(2), theirs.reaches(2)])
    await happen()
    const mine = (await clientOf(app, keys.mine.key).get('/v1/events')).body.items
    expect(mine).toHaveLength(4)
    for (const each of [all, theirs]) expect(eventsOf(await each.reaches(4))).toEqual(mine)
  })

  it('finds no stream of another project’s run, whatever comes with the request', async () => {
    const theirs = await client.aRun('failed', { project_id: 'theirs' })
    const bound = clientOf(app, keys.mine.key)
    for (const last_id of ['0', '77']) {
      const refused = await bound.get(streamOf(theirs), { 'last-event-id': last_id })
      expect(refused).toMatchObject({ status: 404, body: { code: 'run_not_found' } })
    }
  })
})

describe('the stream of a run', () => {
  beforeEach(() => opened())
  afterEach(closed)

  it('has its events and no others, and ends with the last', async () => {
    const run = await client.aRun()
    const { reaches, over, messages } = await stream(streamOf(run))
    await reaches(1)
    await client.aRun('canceled')
    await client.post(`/v1/runs/${run.run_id}/start`)
    await client.aStepIn(run)
    await client.post(`/v1/runs/${run.run_id}/cancel`)
    expect(await over).toBe('ended')
    expect(eventsOf(messages)).toEqual((await client.get(`/v1/runs/${run.run_id}/events`)).body.items)
    expect(messages.at(-1)!.kind).toBe('run_canceled')
  })

  const CLOSED = RUN_STATES.filter((state) => state !== 'pending' && state !== 'running')

  it.each(CLOSED)('delivers a run that is %s whole, and then answers 204', async (state) => {
    await client.aRun('failed') // so that the places of the run are not those of all events
    const run = await client.aRun(state)
    const { over, messages } = await stream(streamOf(run))
    expect(await over).toBe('ended')
    const events = (await client.get(`/v1/runs/${run.run_id}/events`)).body.items
    expect(eventsOf(messages)).toEqual(events)
    for (const id of [events.at(-1).seq, events.at(-1).seq + 100]) {
      const again = await client.get(streamOf(run), { 'last-event-id': String(id) })
      expect([again.status, again.text]).toEqual([204, ''])
    }
    const part = await stream(`${streamOf(run)}?after=${events.at(-2)?.seq ?? 0}`)
    expect(idsOf(await part.reaches(1))).toEqual([events.at(-1).seq])
  })

  it('begins anywhere, at the ids of events of others too', async () => {
    const runs = [await client.aRun(), await client.aRun(), await client.aRun()]
    for (let i = 0; i < 5; i++) for (const run of runs) await note(run)
    const [run] = runs
    const own = seqsOf((await client.get(`/v1/runs/${run!.run_id}/events`)).body.items)
    const last = own.at(-1)!
    for (let after = 0; after < last; after++) {
      const { reaches, leave } = await stream(`${streamOf(run!)}?after=${after}`)
      const expected = own.filter((seq) => seq > after)
      expect(idsOf(await reaches(expected.length)), `behind ${after}`).toEqual(expected)
      leave()
    }
  })

  it('has the kinds that are asked for, and ends with the run all the same', async () => {
    const run = await client.aRun('running')
    await note(run)
    const { over, messages, reaches } = await stream(`${streamOf(run)}?kind=note`)
    await reaches(1)
    await note(run)
    await client.post(`/v1/runs/${run.run_id}/cancel`)
    expect(await over).toBe('ended')
    expect(messages.map(({ kind }) => kind)).toEqual(['note', 'note'])
    const again = await client.get(`${streamOf(run)}?kind=note`, { 'last-event-id': String(messages[1]!.id) })
    expect(again.status).toBe(204)
  })

  it('is over for whoever wants none of the many events that are left', async () => {
    const run = await client.aRun('running')
    const store = sqliteStore(app.db, { write_queue_max: 1 })
    await bulkEvents(store, run.run_id, LIMITS.scanned_rows + 10, [])
    await client.post(`/v1/runs/${run.run_id}/cancel`)
    const answer = await client.get(`${streamOf(run)}?kind=patch_created&after=2`)
    expect([answer.status, answer.text]).toEqual([204, ''])
  })

  it('has what is written after the end of the run, for whoever asks again', async () => {
    const run = await client.aRun('failed')
    const { body } = await note(run)
    const { over, messages } = await stream(streamOf(run), { last_id: body.seq - 1 })
    expect(await over).toBe('ended')
    expect(eventsOf(messages)).toEqual([body])
    await client.post(`/v1/runs/${run.run_id}/quarantine`, { reason: 'corrupted worktree' })
    const later = await stream(streamOf(run), { last_id: body.seq })
    expect(await later.over).toBe('ended')
    expect(later.messages.map(({ kind }) => kind)).toEqual(['run_quarantined'])
  })

  it('of nothing is 404', async () => {
    expect(await client.get(streamOf({ run_id: UNKNOWN_ID }))).toMatchObject({
      status: 404,
      body: { code: 'run_not_found' },
    })
  })
})

describe('a reader', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    return opened({ max_streams: 3 })
  })
  afterEach(async () => {
    await closed()
    vi.useRealTimers()
  })

  const text = 'x'.repeat(LIMITS.payload_bytes - 100)

  it('hears every 15 s that the stream is alive', async () => {
    const { hears } = await stream(ALL)
    for (const times of [1, 2, 3]) {
      vi.advanceTimersByTime(15_000)
      await hears(': still here', times)
    }
  })

  it('that takes nothing is cut off at its bound, with its last id, and misses nothing', async () => {
    const run = await client.aRun()
    const slow = await stream(ALL)
    const quick = await stream(ALL)
    await slow.reaches(1)
    slow.rest()
    const cut = () => app.logs.find(({ msg }) => msg === 'a reader was too slow for its stream')
    let count = 1
    for (; cut() === undefined; count++) await note(run, { text })
    expect(cut()).toMatchObject({ http_request_id: slow.response.headers['x-request-id'] })
    slow.goOn()
    expect(await slow.over).toBe('cut')
    const last = slow.messages.at(-1)!.id
    const waited = cut()!['last_event_id'] - last // the rest had left the server
    expect(waited).toBeGreaterThan(0)
    expect(waited).toBeLessThanOrEqual(LIMITS.stream_bytes / text.length)
    const again = await stream(ALL, { last_id: last })
    await again.comesTo(count)
    const expected = Array.from({ length: count }, (_, i) => i + 1)
    expect([...idsOf(slow.messages), ...idsOf(again.messages)]).toEqual(expected)
    expect(idsOf(await quick.comesTo(count))).toEqual(expected)
  })

  it('that is behind is read for as far as it takes, and cut off when it has taken nothing for 30 s', async () => {
    const run = await client.aRun()
    for (let i = 0; i < 400; i++) await note(run, { text })
    const slow = await stream(ALL)
    slow.rest()
    const cut = () => app.logs.find(({ msg }) => msg === 'a reader was too slow for its stream')
    await settled()
    vi.advanceTimersByTime(30_000)
    expect(cut()).toBeUndefined()
    vi.advanceTimersByTime(15_000)
    expect(cut()!['last_event_id']).toBeLessThan(400)
    slow.goOn()
    expect(await slow.over).toBe('cut')
    const last = slow.messages.at(-1)!.id
    expect(cut()!['last_event_id'] - last).toBeLessThanOrEqual(1) // a page: here one event
    const again = await stream(ALL, { last_id: last })
    await again.comesTo(401)
    expect([...idsOf(slow.messages), ...idsOf(again.messages)]).toEqual(
      Array.from({ length: 401 }, (_, i) => i + 1),
    )
  })

  /** Whatever the server can send without being read, it has sent: its loop has had many turns with nothing else. */
  async function settled(): Promise<void> {
    for (let i = 0; i < 200; i++) await client.get('/livez')
  }

  it('too many is refused, until another one leaves', async () => {
    const three = [await stream(ALL), await stream(ALL), await stream(ALL)]
    expect(await client.get(ALL)).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      body: { code: 'too_many_streams', retryable: true },
    })
    three[1]!.leave()
    await vi.waitFor(async () => expect((await client.get(ALL)).status).toBe(200))
  })

  it('that is gone before it was answered takes no place', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = await connected(app.port)
      socket.write(`GET ${ALL} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      if (i % 2 === 0) await client.get('/livez') // meanwhile it is answered
      socket.resetAndDestroy()
    }
    const three = () => Promise.all([stream(ALL), stream(ALL), stream(ALL)])
    await vi.waitFor(async () => {
      const answers = await three()
      for (const { leave } of answers) leave()
      expect(answers.map(({ response }) => response.statusCode)).toEqual([200, 200, 200])
    })
  })

  it('is let go when the server closes, and so is one that takes nothing', async () => {
    const run = await client.aRun()
    for (let i = 0; i < 200; i++) await note(run, { text })
    const [idle, stuck] = [await stream(`${ALL}?after=201`), await stream(ALL)]
    stuck.rest()
    await settled()
    await app.close()
    expect(await idle.over).toBe('ended')
    stuck.goOn()
    expect(await stuck.over).toBe('cut')
  })
})

describe('every operation', () => {
  const streams = tagged('streams')
  everyOperation(streams)
  let other: TestApp
  beforeAll(async () => {
    other = await openTestApp({ max_streams: 0 })
    const { run_id } = await clientOf(other).aRun('canceled')
    for (const path of [ALL, streamOf({ run_id })]) await other.request('GET', path)
    await other.request('GET', streamOf({ run_id }), { headers: { 'last-event-id': '2' } })
  })
  afterAll(() => other.close())
  meetAllTheyPromise(streams)
})

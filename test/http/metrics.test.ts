import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Scrape, readMetrics } from '../support/metrics.ts'
import { type TestApp, aKey, connected, openTestApp } from '../support/http.ts'
import { type Followed, follow } from '../support/streams.ts'
import { tempDir } from '../support/store.ts'
import { type Client, clientOf } from './client.ts'
import { EVENTUALLY, type Workshop, workshopOf } from './dispatch-client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
let client: Client

async function scrape(): Promise<Scrape> {
  const { status, text } = await client.get('/metrics')
  expect(status, text).toBe(200)
  return readMetrics(text)
}

/** By how much a series has grown. */
const growth = (before: Scrape, after: Scrape, name: string, labels: Record<string, string> = {}): number =>
  (after.value(name, labels) ?? 0) - (before.value(name, labels) ?? 0)

const REQUESTS = 'signalbox_http_request_duration_seconds_count'
const POLLS = 'signalbox_http_long_poll_duration_seconds_count'

describe('the answer', () => {
  beforeAll(async () => {
    app = await openTestApp()
    client = clientOf(app)
  })
  afterAll(() => app.close())

  it('is text for Prometheus that nobody keeps', async () => {
    const { headers } = await client.get('/metrics')
    expect(headers).toMatchObject({
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'cache-control': 'no-store',
    })
  })

  it('explains every family, and names ours by the same prefix', async () => {
    const { families, samples } = await scrape()
    for (const [name, { help, type }] of families) {
      expect(name).toMatch(/^signalbox_[a-z]+(_[a-z]+)*$/)
      expect(help, name).toMatch(/^[A-Z].+\.$/)
      expect(['counter', 'gauge', 'histogram']).toContain(type)
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
    }
    const familyOf = (name: string) => name.replace(/_(bucket|sum|count)$/, '')
    expect(samples.filter(({ name }) => !families.has(name) && !families.has(familyOf(name)))).toEqual([])
  })

  it('is given to all who ask at once, looked up a single time', async () => {
    const before = await scrape()
    const texts = await Promise.all([1, 2, 3].map(async () => (await client.get('/metrics')).text))
    for (const text of texts) expect(readMetrics(text).value('signalbox_store_up')).toBe(1)
    const labels = { method: 'GET', route: '/metrics', status: '200' }
    expect(growth(before, await scrape(), REQUESTS, labels)).toBe(4)
  })
})

describe('requests', () => {
  beforeAll(async () => {
    app = await openTestApp()
    client = clientOf(app)
  })
  afterAll(() => app.close())

  it('are counted by method, template and status, and never by what they are about', async () => {
    const before = await scrape()
    const run = await client.aRun('running')
    await client.aRun()
    await client.post(`/v1/runs/${run.run_id}/start`)
    await client.post('/v1/runs', { project_id: 7 })
    await client.get(`/v1/runs/${run.run_id}?nothing=1`)
    await app.request('HEAD', `/v1/runs/${run.run_id}`)
    const after = await scrape()
    const counted = (method: string, route: string, status: string) =>
      growth(before, after, REQUESTS, { method, route, status })
    expect({
      created: counted('POST', '/v1/runs', '201'),
      malformed: counted('POST', '/v1/runs', '400'),
      started: counted('POST', '/v1/runs/{run_id}/start', '200'),
      refused: counted('POST', '/v1/runs/{run_id}/start', '409'),
      unreadable: counted('GET', '/v1/runs/{run_id}', '400'),
      'HEAD as GET': counted('GET', '/v1/runs/{run_id}', '200'),
    }).toEqual({ created: 2, malformed: 1, started: 1, refused: 1, unreadable: 1, 'HEAD as GET': 1 })
    for (const { labels } of after.samples) expect(JSON.stringify(labels)).not.toMatch(/[0-7][0-9A-Z]{25}/)
  })

  it('that the gate refuses are counted where they were going', async () => {
    const before = await scrape()
    await client.get('/v1/runs', { host: 'rebound.example' })
    await client.get('/v1/runs', { origin: 'https://elsewhere.example' })
    const after = await scrape()
    for (const status of ['421', '403'])
      expect(growth(before, after, REQUESTS, { method: 'GET', route: '/v1/runs', status })).toBe(1)
  })

  it('that no route takes are one series, whatever their path, method or form', async () => {
    const before = await scrape()
    await client.get('/v1/nothing')
    await client.get('/somewhere/else')
    await app.request('DELETE', '/v1/runs')
    const broken = await connected(app.port)
    broken.end('no HTTP\r\n\r\n')
    await new Promise((resolve) => broken.on('close', resolve).resume())
    const after = await scrape()
    const unmatched = (status: string) =>
      growth(before, after, REQUESTS, { method: 'other', route: 'unmatched', status })
    expect([unmatched('404'), unmatched('405'), unmatched('400')]).toEqual([2, 1, 1])
  })

  it('that were willing to wait are apart', async () => {
    const { run_id } = await client.aRun('succeeded')
    const before = await scrape()
    await client.get(`/v1/runs/${run_id}`, { prefer: 'wait=10' })
    await client.get(`/v1/runs/${run_id}?wait_seconds=0`)
    const after = await scrape()
    const labels = { method: 'GET', route: '/v1/runs/{run_id}', status: '200' }
    expect([growth(before, after, POLLS, labels), growth(before, after, REQUESTS, labels)]).toEqual([1, 1])
  })
})

describe('the store', () => {
  it('tells how many writes its commits carried, and how large its files are', async () => {
    app = await openTestApp({ file: `${tempDir()}/signalbox.db`, write_queue_max: 77 })
    client = clientOf(app)
    const before = await scrape()
    for (let i = 0; i < 3; i++) await client.aRun()
    await client.post('/v1/runs', { project_id: 7 })
    const { run_id } = await client.aRun()
    await client.post(`/v1/runs/${run_id}/complete`, { status: 'succeeded' }) // it does not run: refused
    const after = await scrape()
    expect(growth(before, after, 'signalbox_write_group_size_sum')).toBe(4)
    expect(growth(before, after, 'signalbox_write_group_size_count')).toBe(4)
    expect(growth(before, after, 'signalbox_write_group_size_bucket', { le: '1' })).toBe(4)
    expect(growth(before, after, 'signalbox_commit_duration_seconds_count')).toBe(4)
    expect(growth(before, after, 'signalbox_commit_duration_seconds_sum')).toBeGreaterThan(0)
    expect(growth(before, after, 'signalbox_wal_size_bytes')).toBeGreaterThan(0)
    expect(after.value('signalbox_database_size_bytes')).toBeGreaterThan(0)
    expect(after.value('signalbox_write_queue_length')).toBe(0)
    expect(after.value('signalbox_write_queue_limit')).toBe(77)
    await app.close()
  })

  it('may fail: then all else is told, and why is in the log', async () => {
    app = await openTestApp()
    client = clientOf(app)
    app.db.close()
    const after = await scrape()
    expect(after.value('signalbox_store_up')).toBe(0)
    expect(after.series('signalbox_build_info')).toHaveLength(1)
    expect(app.logs.map(({ msg }) => msg)).toContain('could not read queues and tools for the metrics')
    await app.close()
  })
})

describe('tools and their queues', () => {
  let shop: Workshop

  beforeEach(async () => {
    app = await openTestApp()
    client = clientOf(app)
    shop = await workshopOf(app)
    return () => app.close()
  })

  it('are there before anything happened to them', async () => {
    const at = await scrape()
    for (const tool of ['aider', 'pytest']) {
      for (const name of [
        'queue_depth',
        'queue_age_seconds',
        'claims_total',
        'tool_attempts_running',
        'tool_paused',
      ])
        expect(at.value(`signalbox_${name}`, { tool }), name).toBe(0)
      for (const reason of ['lease_expired', 'attempt_timeout', 'request_ended'])
        expect(at.value('signalbox_leases_lost_total', { tool, reason })).toBe(0)
    }
    expect(at.value('signalbox_tool_attempts_limit', { tool: 'aider' })).toBe(500)
  })

  it('tell how much waits, for how long, and how much is under way', async () => {
    await shop.request()
    app.pass(60_000)
    for (let i = 0; i < 4; i++) await shop.request({ classification: { priority: 'critical' } })
    app.pass(30_000)
    await shop.request({ task_kind: 'test' })
    await shop.claimed()
    await shop.claimed()
    const at = await scrape()
    const of = (tool: string) =>
      ['queue_depth', 'queue_age_seconds', 'claims_total', 'tool_attempts_running'].map((name) =>
        at.value(`signalbox_${name}`, { tool }),
      )
    expect({ aider: of('aider'), pytest: of('pytest') }).toEqual({
      aider: [3, 90, 2, 2],
      pytest: [1, 0, 0, 0],
    })
  })

  it('count what cannot be claimed yet, and do not say that it waits', async () => {
    const held = await shop.held()
    await shop.end(held, 'fail', { error: { class: 'tool_error' }, retry_after_ms: 60_000 })
    const at = await scrape()
    expect(at.value('signalbox_queue_depth', { tool: 'aider' })).toBe(1)
    expect(at.value('signalbox_queue_age_seconds', { tool: 'aider' })).toBe(0)
    app.pass(75_000)
    expect((await scrape()).value('signalbox_queue_age_seconds', { tool: 'aider' })).toBe(15)
  })

  it('count claims, also those that come with a completion', async () => {
    const held = await shop.held()
    await shop.request()
    await shop.completeAndGoOn(held)
    await shop.claim()
    expect((await scrape()).value('signalbox_claims_total', { tool: 'aider' })).toBe(2)
  })

  const held = async (task: object) => {
    await shop.request(task)
    return shop.claimed()
  }

  it('count the leases that were lost by why, and none that its worker ended', async () => {
    for (const ending of ['complete', 'fail', 'reject', 'release'] as const) {
      const ended = await shop.held()
      await shop.end(ended, ending, ENDINGS[ending])
      await client.post(`/v1/runs/${ended.execution_request.run_id}/cancel`, {}) // what goes back to the queue is in the way
    }
    const lost = async () => {
      const at = await scrape()
      const of = (reason: string) => at.value('signalbox_leases_lost_total', { tool: 'aider', reason })
      return [of('lease_expired'), of('attempt_timeout'), of('request_ended')]
    }
    expect(await lost()).toEqual([0, 0, 0])

    const closing = await held({ limits: { max_attempts: 1 } })
    await client.post(`/v1/runs/${closing.execution_request.run_id}/cancel`, {})
    expect(await lost()).toEqual([0, 0, 1])

    await held({ limits: { max_attempts: 1, timeout_seconds: 20 } })
    app.pass(20_000)
    await app.sweep()
    expect(await lost()).toEqual([0, 1, 1])

    await held({ limits: { max_attempts: 1 } })
    await held({ limits: { max_attempts: 1 } })
    app.pass(60_000)
    await app.sweep()
    expect(await lost()).toEqual([2, 1, 1])
  })

  it('tell the state of each circuit, and who is paused', async () => {
    const states = async (tool: string) => {
      const at = await scrape()
      return ['closed', 'open', 'half_open'].map((state) =>
        at.value('signalbox_circuit_state', { tool, state }),
      )
    }
    await shop.end(await shop.held(), 'fail', { error: { class: 'auth' } })
    expect([await states('aider'), await states('pytest')]).toEqual([
      [0, 1, 0],
      [1, 0, 0],
    ])
    await client.post('/v1/tools/aider/reset', { reason: 'the key was renewed' })
    expect(await states('aider')).toEqual([1, 0, 0])
    await client.post('/v1/tools/pytest/pause', { reason: 'quota used up' })
    expect((await scrape()).value('signalbox_tool_paused', { tool: 'pytest' })).toBe(1)
  })
})

const ENDINGS = {
  complete: { exit_code: 0 },
  fail: { error: { class: 'invalid_request' }, retryable: false },
  reject: { reason: 'no such file here' },
  release: { reason: 'shutting down' },
}

describe('streams', () => {
  let open: Followed[]

  beforeEach(async () => {
    app = await openTestApp({ max_streams: 3 })
    client = clientOf(app)
    open = []
    return async () => {
      for (const stream of open) stream.leave()
      await app.close()
    }
  })
  const stream = async (): Promise<Followed> => {
    const followed = await follow(`http://127.0.0.1:${app.port}/v1/events/stream`)
    open.push(followed)
    return followed
  }
  const readers = async () => (await scrape()).value('signalbox_stream_readers')

  it('are counted while they are open', async () => {
    await stream()
    const left = await stream()
    await app.request('HEAD', '/v1/events/stream')
    expect(await readers()).toBe(2)
    left.leave()
    await vi.waitFor(async () => expect(await readers()).toBe(1), EVENTUALLY)
    const at = await scrape()
    expect(at.value('signalbox_stream_readers_limit')).toBe(3)
    expect(at.value('signalbox_stream_drops_total')).toBe(0)
    const labels = { method: 'GET', route: '/v1/events/stream', status: '200' }
    expect(at.value(REQUESTS, labels)).toBe(3)
  })

  it('that were cut off are told', async () => {
    const { run_id } = await client.aRun('running')
    const slow = await stream()
    await slow.reaches(1)
    slow.rest()
    const payload = { text: 'x'.repeat(60_000) }
    await vi.waitFor(async () => {
      await client.post(`/v1/runs/${run_id}/events`, { kind: 'note', payload })
      expect((await scrape()).value('signalbox_stream_drops_total')).toBe(1)
    }, EVENTUALLY)
    expect(await readers()).toBe(0)
  })
})

describe('who may ask', () => {
  const reader = aKey('read')
  const worker = aKey('worker')

  it('needs a key that may read, and is answered while the server stops', async () => {
    app = await openTestApp({ api_keys: [reader.entry, worker.entry] })
    const ask = async (as?: string) =>
      (await app.request('GET', '/metrics', as === undefined ? {} : { as })).status
    expect([await ask(), await ask(reader.key), await ask(worker.key)]).toEqual([401, 200, 200])
    app.drain()
    expect(await ask(reader.key)).toBe(200)
    await app.close()
  })
})

const operations = tagged('health').filter(({ operation_id }) => operation_id === 'getMetrics')
everyOperation(operations)
meetAllTheyPromise(operations, {
  'getMetrics 500 internal_error': 'it answers whatever happens to the store',
})

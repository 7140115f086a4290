import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import type { Statistics } from '../../src/contract/statistics.ts'
import { copyRow } from '../support/copies.ts'
import { START, type TestApp, type TestAppOptions, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { tempDir } from '../support/store.ts'
import { type Client, clientOf } from './client.ts'
import { workshopOf } from './dispatch-client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

const STATS = '/v1/stats'
const SECOND = 1_000
const HOUR = 3_600 * SECOND
const UNKNOWN = { count: 0, p50_ms: null, p90_ms: null, p99_ms: null, max_ms: null }

async function opened(options: TestAppOptions = {}): Promise<{ app: TestApp; client: Client }> {
  const app = await openTestApp(options)
  onTestFinished(() => app.close())
  return { app, client: clientOf(app) }
}

async function statsOf(client: Client, query: string | Record<string, string> = ''): Promise<Statistics> {
  const { status, text, body } = await client.get(`${STATS}?${new URLSearchParams(query).toString()}`)
  expect(status, text).toBe(200)
  return body
}

describe('statistics', () => {
  it('know nothing of an empty window, and say so with null', async () => {
    const { app, client } = await opened()
    app.pass(HOUR)
    const stats = await statsOf(client, { from: START, to: START, bucket_seconds: '60', by: 'tool' })
    const unused = { sum: null, attempts: 0 }
    expect(stats).toEqual({
      from: START,
      to: START,
      bucket_seconds: 60,
      by: 'tool',
      total: {
        runs: {
          ...{ total: 0, pending: 0, running: 0, succeeded: 0, failed: 0, quarantined: 0, canceled: 0 },
          success_rate: null,
          durations: UNKNOWN,
        },
        execution_requests: {
          ...{ total: 0, blocked: 0, queued: 0, claimed: 0, succeeded: 0, failed: 0, canceled: 0 },
          success_rate: null,
          attempts_per_success: null,
          queue: UNKNOWN,
        },
        step_attempts: {
          ...{ total: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 },
          success_rate: null,
          durations: UNKNOWN,
          ...{ tokens_input: unused, tokens_output: unused, cost_usd_micros: unused },
        },
      },
      buckets: [],
      groups: [],
      other: null,
    } satisfies Statistics)
  })

  it('are of the last 24 hours unless the query says otherwise', async () => {
    const { app, client } = await opened()
    await client.aRun()
    app.pass(24 * HOUR)
    await client.aRun()
    app.pass(1)
    const stats = await statsOf(client)
    expect(stats).toMatchObject({
      from: '2026-01-05T09:30:00.001Z',
      to: '2026-01-06T09:30:00.001Z',
      total: { runs: { total: 1 } },
    })
    const earlier = await statsOf(client, { to: '2026-01-06T09:30:00Z' })
    expect(earlier).toMatchObject({ from: START, total: { runs: { total: 1 } } })
  })

  it('begin with the first instant of the window, and end before the last', async () => {
    const { app, client } = await opened()
    await client.aRun()
    app.pass(SECOND)
    const inside = (from: string, to: string) =>
      statsOf(client, { from, to }).then(({ total }) => total.runs?.total)
    expect(await inside(START, '2026-01-05T09:30:00.001Z')).toBe(1)
    expect(await inside('2026-01-05T09:30:00.001Z', '2026-01-05T09:31:00Z')).toBe(0)
    expect(await inside('2026-01-05T09:00:00Z', START)).toBe(0)
    expect(await inside('2026-01-05T10:00:00+00:30', '2026-01-05T12:00:01+02:30')).toBe(1)
  })

  it('count a run where it was created, whole, however many buckets it spans', async () => {
    const { app, client } = await opened()
    app.pass(20 * SECOND)
    const run = await client.aRun('running')
    app.pass(130 * SECOND)
    await client.post(`/v1/runs/${run.run_id}/complete`, { status: 'succeeded' })
    const stats = await statsOf(client, {
      ...{ from: '2026-01-05T09:29:30Z', to: '2026-01-05T09:32:15Z', bucket_seconds: '60' },
    })
    expect(stats.buckets.map(({ from, to, runs }) => [from, to, runs?.succeeded])).toEqual([
      ['2026-01-05T09:29:30.000Z', '2026-01-05T09:30:00.000Z', 0],
      ['2026-01-05T09:30:00.000Z', '2026-01-05T09:31:00.000Z', 1],
      ['2026-01-05T09:31:00.000Z', '2026-01-05T09:32:00.000Z', 0],
      ['2026-01-05T09:32:00.000Z', '2026-01-05T09:32:15.000Z', 0],
    ])
    const took = { count: 1, p50_ms: 130_000, p90_ms: 130_000, p99_ms: 130_000, max_ms: 130_000 }
    expect(stats.buckets[1]?.runs?.durations).toEqual(took)
    expect(stats.total.runs?.durations).toEqual(took)
  })

  it('tell how requests waited, how many attempts a success took, and what was used up', async () => {
    const { app, client } = await opened()
    const workshop = await workshopOf(app)
    await workshop.request()
    app.pass(3 * SECOND)
    await workshop.end(await workshop.claimed(), 'fail', {
      error: { class: 'tool_error' },
      retry_after_ms: 1,
    })
    app.pass(HOUR)
    const usage = { tokens_input: 5, cost_usd_micros: 70 }
    await workshop.end(await workshop.claimed(), 'complete', { exit_code: 0, usage })
    const rejected = await workshop.held()
    await workshop.end(rejected, 'reject')
    app.pass(1)
    expect((await statsOf(client)).total).toMatchObject({
      execution_requests: {
        ...{ total: 2, succeeded: 1, queued: 1, success_rate: 1, attempts_per_success: 2 },
        queue: { count: 2, p50_ms: 0, max_ms: 3_000 },
      },
      step_attempts: {
        ...{ total: 3, succeeded: 1, failed: 1, canceled: 1, success_rate: 0.5 },
        tokens_input: { sum: 5, attempts: 1 },
        tokens_output: { sum: null, attempts: 0 },
        cost_usd_micros: { sum: 70, attempts: 1 },
      },
    })
  })

  it('have no runs by tool, and what no tool is assigned to last', async () => {
    const { app, client } = await opened()
    const workshop = await workshopOf(app)
    const { run_id } = await client.aRun()
    const task = (task_id: string, ...depends_on: string[]) => ({
      task_id,
      name: task_id,
      kind: 'edit',
      depends_on,
    })
    await client.post(`/v1/runs/${run_id}/tasks`, { tasks: [task('edit'), task('more', 'edit')] })
    await workshop.claimed()
    await client.aStep('failed')
    app.pass(1)
    const { total, groups, other } = await statsOf(client, { by: 'tool' })
    expect(
      groups.map(({ tool_id, runs, execution_requests, step_attempts }) => [
        ...[tool_id, runs, execution_requests.total, step_attempts.total],
      ]),
    ).toEqual([
      ['aider', null, 1, 1],
      ['pytest', null, 0, 1],
      [null, null, 1, 0],
    ])
    expect([total.runs?.total, other]).toEqual([2, null])
    const ofOne = await statsOf(client, { tool_id: 'aider' })
    expect(ofOne.total).toMatchObject({
      runs: null,
      execution_requests: { total: 1 },
      step_attempts: { total: 1 },
    })
  })

  it('show a key that is bound to projects nothing of the others', async () => {
    const [all, bound] = [aKey('write'), aKeyFor(['shop'], 'read')]
    const { app } = await opened({ api_keys: [all.entry, bound.entry] })
    const [writer, viewer] = [clientOf(app, all.key), clientOf(app, bound.key)]
    for (const project_id of ['shop', 'bank', 'bank']) {
      const run = await writer.aRun('running', { project_id })
      await writer.aStepIn(run)
    }
    app.pass(1)
    const counted = async (client: Client, query = '') => {
      const { total, groups } = await statsOf(client, query)
      const names = groups.map(({ project_id }) => project_id)
      return [total.runs?.total, total.step_attempts.total, ...names]
    }
    expect(await counted(writer, 'by=project')).toEqual([3, 3, 'bank', 'shop'])
    expect(await counted(viewer, 'by=project')).toEqual([1, 1, 'shop'])
    expect(await counted(viewer, 'project_id=bank')).toEqual([0, 0])
    expect(await counted(writer, 'project_id=bank')).toEqual([2, 2])
    expect(await counted(writer, 'project_id=bank&project_id=shop')).toEqual([3, 3])
  })
})

describe('a query of statistics', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await openTestApp()
  })
  afterAll(() => app.close())

  it.each([
    ['from=2026-01-05T09:30:00.001Z&to=2026-01-05T09:30:00Z', 'from'],
    ['from=2026-01-05T09:30:00.001Z', 'from'],
    ['from=2025-01-04T00:00:00Z&to=2026-01-05T09:30:00Z', 'from'],
    ['from=yesterday', 'from'],
    ['bucket_seconds=0', 'bucket_seconds'],
    ['bucket_seconds=1.5', 'bucket_seconds'],
    [`bucket_seconds=${LIMITS.statistics_seconds_max + 1}`, 'bucket_seconds'],
    ['bucket_seconds=172', 'bucket_seconds'],
    ['bucket_seconds=1700&by=project', 'bucket_seconds'],
    ['by=phase', 'by'],
    ['tool_id=', 'tool_id'],
    ['limit=5', 'limit'],
  ])('is refused: %s', async (query, parameter) => {
    const { body } = await clientOf(app).get(`${STATS}?${query}`)
    expect(body).toMatchObject({ status: 400, code: 'validation_failed', errors: [{ parameter }] })
  })

  it.each([
    'from=0000-01-01T00:00:00Z&to=0000-01-02T00:00:00Z',
    'from=9999-12-31T23:00:00-05:00&to=9999-12-31T23:30:00-05:00',
    'to=0000-01-01T00:00:00Z',
  ])('is answered at the ends of time: %s', async (query) => {
    expect((await statsOf(clientOf(app), `${query}&bucket_seconds=3600`)).total.runs?.total).toBe(0)
  })
})

const STORES = {
  'in a file': () => ({ file: join(tempDir(), 'signalbox.db') }),
  'in memory': () => ({}),
} satisfies Record<string, () => TestAppOptions>

describe.each(Object.entries(STORES))('statistics of many attempts %s', (_where, where) => {
  async function openedWith(attempts: number) {
    const { app, client } = await opened(where())
    const { step_attempt_id: id } = await client.aStep('failed')
    const copied = { table: 'step_attempts', key: 'step_attempt_id', id, copies: attempts - 1 } as const
    copyRow(app.db, { ...copied, own: { sequence: 'number + 1' } })
    app.pass(1)
    return { app, client }
  }

  it('let the server answer others while they are computed, at most two at once', async () => {
    const { app, client } = await openedWith(100_000)
    let ended = false
    const long = [client.get(STATS), client.get(STATS)]
    void Promise.race(long).then(() => (ended = true))
    await client.get('/livez')
    const refused = await client.get(STATS)
    expect(refused.body).toMatchObject({ status: 503, code: 'overloaded', retryable: true })
    expect(refused.headers['retry-after']).toBe('1')
    for (let others = 0; others < 10; others++) {
      await client.aRun()
      expect(ended).toBe(false)
    }
    for (const { body } of await Promise.all(long))
      expect(body.total.step_attempts).toMatchObject({ total: 100_000, failed: 100_000, success_rate: 0 })
    expect((await app.request('GET', STATS)).status).toBe(200)
  })

  it('end when their client goes away', async () => {
    const { app, client } = await openedWith(60_000)
    await Promise.all([hangUp(app), hangUp(app)])
    await vi.waitFor(() => expect(app.logs.filter(({ status }) => status === 408)).toHaveLength(2), 5_000)
    expect((await client.get(`${STATS}?to=${START}`)).status).toBe(200)
  })

  it('are answered with a problem if they fail, and the server serves on', async () => {
    const { app, client } = await opened(where())
    app.db.exec('ALTER TABLE step_attempts RENAME COLUMN tokens_input TO torn')
    const { body } = await client.get(STATS)
    expect(body).toMatchObject({ status: 500, code: 'internal_error' })
    expect((await client.get('/readyz')).status).toBe(200)
  })
})

/** Asks, and hangs up when the server has begun. */
async function hangUp({ port, app }: TestApp): Promise<void> {
  const asked = once(app.server, 'request')
  const request = httpRequest({ host: '127.0.0.1', port, path: STATS })
  request.on('error', () => {})
  request.end()
  await asked
  setTimeout(() => request.destroy(), 20)
}

const operations = tagged('statistics')
everyOperation(operations)
meetAllTheyPromise(operations, {
  'getStatistics 422 window_too_large':
    'half a million rows take too long: test/store/sqlite/statistics.test.ts',
})

import { describe, expect, it } from 'vitest'
import { RunAttention } from '../../src/contract/attention.ts'
import { LIMITS } from '../../src/contract/limits.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { Run } from '../../src/contract/run.ts'
import { appendRunEvent } from '../../src/domain/event.ts'
import type { Attention, RunFilters, Store } from '../../src/store/store.ts'
import { randomFrom } from '../support/client.ts'
import { type Desk, openDesk } from '../support/dispatch.ts'
import { ANYBODY } from '../support/given.ts'
import { type OpenedTestStore, eventsOf, openMemoryStore, pagesOf, requestsOf } from '../support/store.ts'
import { bulk, ids } from './contract/many-runs.ts'

const REASONS = RunAttention.enum as readonly RunAttention[]
const STALLED_FOR = 60

/** Every set of reasons but the empty one. */
const SETS = Array.from({ length: 2 ** REASONS.length - 1 }, (_, i) =>
  REASONS.filter((_reason, bit) => ((i + 1) >> bit) & 1),
)

describe('the runs that need attention', () => {
  it.each(SETS)('are those that show it, page by page, in both orders: %s %s %s %s', async (...given) => {
    const reasons = given.filter((reason) => typeof reason === 'string')
    const { store, db } = openMemoryStore()
    const desk = await aBusyDesk(store)
    const attention = { reasons, stalled_for: STALLED_FOR, now: desk.now }
    const all = (await store.listRuns({ limit: 500, order: 'asc' }, ANYBODY)).items
    expect(all.length).toBeGreaterThan(50)
    const shows = await Promise.all(all.map((run) => reasonsOf({ store, db }, run, desk.now)))
    const expected = ids(all.filter((_run, i) => shows[i]!.some((reason) => reasons.includes(reason))))
    expect(expected.length).toBeGreaterThan(2)
    expect(expected.length).toBeLessThan(all.length)
    const listed = async (query: RunFilters) =>
      ids((await pagesOf((cursor) => store.listRuns({ ...query, attention, ...cursor }, ANYBODY))).flat())
    expect(await listed({ order: 'asc', limit: 3 })).toEqual(expected)
    expect(await listed({ order: 'desc', limit: 2 })).toEqual(expected.toReversed())
    expect(await listed({ project_id: ['bank'], limit: 1 })).toEqual(
      expected.filter((id) => all.find(({ run_id }) => run_id === id)!.project_id === 'bank').toReversed(),
    )
  })

  it('are looked for among a bounded number of rows, and none is left out', async () => {
    const { store, db } = openMemoryStore()
    const COUNT = LIMITS.scanned_rows + 500
    await bulk(store, COUNT, [0, COUNT - 1])
    const running = "UPDATE runs SET state = 'running', started_at = created_at"
    db.exec(`${running} WHERE run_id IN (SELECT run_id FROM runs ORDER BY run_id LIMIT ${COUNT - 250})`)
    db.exec('UPDATE runs SET requests_failed = 1 WHERE rowid % 2 = 0')
    const attention: Attention = {
      reasons: ['failed_requests', 'stalled', 'circuit_open'],
      stalled_for: 1,
      now: '2027-01-01T00:00:00.000Z',
    }
    const query = { attention, phase_id: ['needle'], limit: 10 }
    const first = await store.listRuns({ ...query, order: 'asc' }, ANYBODY)
    expect([first.items.length, first.next_cursor]).toEqual([1, expect.any(String)])
    const pages = await pagesOf((cursor) => store.listRuns({ ...query, order: 'asc', ...cursor }, ANYBODY))
    expect(pages.map((page) => page.length)).toEqual([1, 1])
    const everything = await pagesOf((cursor) =>
      store.listRuns({ attention, limit: 500, ...cursor }, ANYBODY),
    )
    expect(new Set(everything.flat().map(({ run_id }) => run_id)).size).toBe(COUNT - 125)
    expect(everything.flat()).toHaveLength(COUNT - 125)
  })
})

/** Forty runs in which everything happens, at different times. */
async function aBusyDesk(store: Store): Promise<Desk> {
  const desk = await openDesk(store)
  const random = randomFrom(11)
  const draw = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  for (let i = 0; i < 40; i++) {
    const project_id = draw(['shop', 'bank'])
    const { run_id } = await desk.run({ project_id })
    desk.pass(Math.floor(random() * 8_000))
    if (random() < 0.2) continue
    await desk.request({ run_id, project_id, limits: { max_attempts: 2, timeout_seconds: 3_600 } })
    const held = await desk.claimOne({ lease_seconds: 3_600 })
    const later = () => desk.fail(held, 'tool_error', { retry_after_ms: LIMITS.retry_after_ms })
    await draw<() => Promise<unknown>>([
      later,
      later,
      () => desk.fail(held, 'invalid_request'),
      () => desk.fail(held, 'invalid_request').then(() => desk.succeedRun(run_id)),
      () => desk.complete(held),
      () => desk.complete(held).then(() => desk.succeedRun(run_id)),
      () => Promise.resolve(),
      async () => {
        await desk.release(held)
        await desk.cancel(held.execution_request)
      },
    ])()
    if (i % 3 === 0) await happens(desk, held.execution_request.run_id)
  }
  await pytestBreaks(desk)
  return desk
}

/** In runs of every kind something waits for pytest, in some besides other work, when its circuit opens. */
async function pytestBreaks(desk: Desk): Promise<void> {
  for (let i = 0; i < 12; i++) {
    const { run_id } = await desk.run({ project_id: i % 2 === 0 ? 'shop' : 'bank' })
    const project_id = i % 2 === 0 ? 'shop' : 'bank'
    const testing = await desk.request({ run_id, project_id, task_kind: 'test' })
    if (i % 6 > 1) {
      const limits = { queue_timeout_seconds: 1, timeout_seconds: 3_600 }
      const beside = await desk.request({ run_id, project_id, limits })
      if (i % 6 > 3) await desk.claimOne({ lease_seconds: 3_600 })
      else await desk.expire(passing(desk, beside)) // failed, and never started
    }
    if (i === 5) await desk.cancel(testing)
  }
  await desk.request({ task_kind: 'test' })
  const first = await desk.claimOne({ tools: ['pytest'] })
  await desk.fail(first, 'rate_limited', { retry_after_ms: LIMITS.retry_after_ms })
}

const passing = (desk: Desk, request: ExecutionRequest): ExecutionRequest => {
  desk.pass(1_000)
  return request
}

/** Something happens in a run, though nothing of its row moves. */
const happens = (desk: Desk, run_id: string) => {
  desk.pass(2_000)
  return desk.write({ run_id }, (before, given) => appendRunEvent(before, given, { kind: 'note' }))
}

/** The same reasons, from what the lists say. */
async function reasonsOf({ store, db }: OpenedTestStore, run: Run, now: string): Promise<RunAttention[]> {
  const requests = await requestsOf(store, run.run_id)
  const events = await eventsOf(store, run.run_id)
  const beats = db
    .prepare<[string], string>('SELECT heartbeat_at FROM leases WHERE run_id = ?')
    .pluck()
    .all(run.run_id)
  const tools = (await store.listTools({}, now)).items
  const broken = tools.filter(({ circuit }) => circuit.state === 'open' && circuit.open_until! > now)
  expect(broken.map(({ tool_id }) => tool_id)).toEqual(['pytest'])
  const quiet_ms = Date.parse(now) - Math.max(...[events.at(-1)!.ts, ...beats].map((at) => Date.parse(at)))
  const shows: Record<RunAttention, boolean> = {
    retrying: requests.some(({ state, attempts }) => state === 'queued' && attempts > 0),
    stalled: run.state === 'running' && quiet_ms >= STALLED_FOR * 1_000,
    failed_requests: requests.some(({ state }) => state === 'failed'),
    circuit_open: requests.some(
      ({ state, assignment }) => state === 'queued' && assignment!.tool_id === broken[0]!.tool_id,
    ),
  }
  return REASONS.filter((reason) => shows[reason])
}

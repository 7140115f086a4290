import { expect, vi } from 'vitest'
import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type { ClaimResult } from '../../src/contract/dispatch.ts'
import type { Event } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { Run } from '../../src/contract/run.ts'
import { type Connection, bodyOf, inLanes, readAll } from '../support/client.ts'
import { after } from '../support/given.ts'
import { type LeaseTold, type LeasesTold, msBetween } from '../support/leases.ts'
import { aConfig } from '../support/routing.ts'
import { CLAIM, LEASE_SECONDS, type Word } from './claimer.ts'
import { readWholeHistory } from './history.ts'

// What claimers are given to do, and what the ledger must say of it.

/** How much each tool does at once: one is ever full, one now and then, and one never; one is apart from the load. */
export const MAX_PARALLEL = { narrow: 3, middle: 16, wide: 200, apart: 1 }
export const LOADED = ['narrow', 'middle', 'wide']
const TOOLS = Object.entries(MAX_PARALLEL)
/** One attempt in nine fails, by chance: sooner or later five in a row, which must not stop the tool for a minute. */
const UNBROKEN = { failures_in_row: 1_000, failure_rate: 1 }
export const CONFIG: RouterConfig = aConfig({
  apps: Object.fromEntries(
    TOOLS.map(([tool_id, max]) => [tool_id, { kinds: [tool_id], max, circuit: UNBROKEN }]),
  ),
})

/** Requests of one shared run; one request in five has a run of its own. */
const SHARED = 100

/** Brings the work, in runs of its own and in shared ones. */
export async function submitAll(
  lanes: readonly Connection[],
  count: number,
  random: () => number,
): Promise<void> {
  const place = { project_id: 'load', phase_id: 'build' }
  const shared: string[] = []
  for (let i = 0; i < count; i += SHARED) {
    shared.push(bodyOf<Run>(await lanes[0]!.post('/v1/runs', place)).run_id)
  }
  const tasks = Array.from({ length: count }, (_, i) => {
    const dice = random()
    const task_kind = dice < 0.06 ? 'narrow' : dice < 0.4 ? 'middle' : 'wide'
    const run = i % 5 === 0 ? {} : { run_id: shared[i % shared.length] }
    return { task_kind, ...place, ...run, limits: { max_attempts: 100 } }
  })
  await inLanes(lanes, tasks, async (lane, task) => {
    bodyOf(await lane.post('/v1/execution-requests', task))
  })
}

/** A request whose first claimer dies, and goes to the one that waits for it: nothing else can wake that one. */
export async function handOn([lane, waiting]: readonly Connection[]): Promise<void> {
  const task = { task_kind: 'apart', project_id: 'load', phase_id: 'build' }
  bodyOf(await lane!.post('/v1/execution-requests', task))
  const terms = { tools: ['apart'], lease_seconds: LEASE_SECONDS }
  bodyOf<ClaimResult>(await lane!.post(CLAIM, { worker_id: 'dead', ...terms }))
  const { items } = bodyOf<ClaimResult>(await waiting!.post(CLAIM, { worker_id: 'waiting', ...terms }))
  const { execution_request, lease_token } = items[0]!
  const path = `/v1/execution-requests/${execution_request.request_id}/complete`
  bodyOf(await waiting!.post(path, { lease_token }))
}

/** Reads the events as they come, until so many requests have ended. */
export async function eventsUntilAllEnded(
  lane: Connection,
  requests: number,
  timeout: number,
): Promise<Event[]> {
  const events: Event[] = []
  let ended = 0
  const look = async () => {
    for (let more: Event[] = []; ;) {
      const path = `/v1/events?limit=500&after=${events.at(-1)?.seq ?? 0}`
      more = bodyOf<{ items: Event[] }>(await lane.get(path)).items
      if (more.length === 0) break
      events.push(...more)
      ended += more.filter(({ kind }) => kind === 'request_completed').length
    }
    expect(ended).toBeGreaterThanOrEqual(requests)
  }
  await vi.waitFor(look, { timeout, interval: 100 })
  return events
}

/** Every run is whole, and its rows are what its events fold to; every request is there, and ended as it was told. */
export async function expectRowsAsTold(
  lanes: readonly Connection[],
  events: readonly Event[],
  { requests }: LeasesTold,
): Promise<void> {
  const run_ids = new Set(events.flatMap(({ run_id }) => run_id ?? []))
  await inLanes(lanes, [...run_ids], async (lane, run_id) => void (await readWholeHistory(lane, run_id)))
  const rows = await readAll<ExecutionRequest>(lanes[0]!, '/v1/execution-requests?limit=500&order=asc')
  expect(new Map(rows.map(({ request_id, state }) => [request_id, state]))).toEqual(requests)
  expect(new Set(requests.values())).toEqual(new Set(['succeeded', 'failed']))
}

/** The clock stepped: it never read what is between these two. */
export interface Step {
  from: string
  to: string
}

/**
 * How long after its end each lease was ended that time ended, by the ledger's clock, in milliseconds. Those are left out
 * whose last heartbeat may have been heard or not.
 */
export function delaysOf(
  { leases }: LeasesTold,
  words: readonly Word[],
  steps: readonly Step[] = [],
): { lease: LeaseTold; delay_ms: number }[] {
  const ends = knownEnds(words)
  return leases.flatMap((lease) => {
    if (lease.ended_by !== 'time') return []
    const { request_id, fence, claimed_at, ended_at } = lease
    const known = ends.get(`${request_id} ${fence}`)
    if (known === null) return []
    const end = known ?? after(claimed_at, LEASE_SECONDS * 1_000)
    return [{ lease, delay_ms: msBetween(end, ended_at!) - steppedBetween(end, ended_at!, steps) }]
  })
}

/** How much of a span the clock stepped over: in it, no time passed. */
function steppedBetween(start: string, end: string, steps: readonly Step[]): number {
  const within = steps.map(({ from, to }) => msBetween(from < start ? start : from, to < end ? to : end))
  return within.reduce((sum, ms) => sum + Math.max(0, ms), 0)
}

/** When the leases end that had heartbeats; null where one may have come that nobody heard of. */
function knownEnds(words: readonly Word[]): Map<string, string | null> {
  const beats = words.flatMap((word) => (word.did === 'beat' ? [word] : []))
  return new Map(beats.map((word) => [`${word.request_id} ${word.fence}`, word.lease_expires_at]))
}

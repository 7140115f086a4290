import { expect } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'

/** One claim of a request, as the events tell it. */
export interface LeaseTold {
  request_id: string
  tool_id: string
  fence: number
  worker_id: string
  claimed_at: string
  /** Null while it is live, in these three. */
  ended_at: string | null
  ended_by: 'worker' | 'time' | null
  /** From when on the request could be claimed again; null also where it had ended. */
  available_at: string | null
}

export interface LeasesTold {
  leases: LeaseTold[]
  /** Every request that was created, and in which state it ended. */
  requests: Map<string, ExecutionRequest['state'] | null>
  /** The most live leases that each tool ever had. */
  peaks: Record<string, number>
}

/**
 * Folds the events of all runs, and fails at the first one after which a request has two leases or ends twice, a tool
 * has more leases than it may, or time fell.
 */
export function foldLeases(events: readonly Event[], max_parallel: Record<string, number>): LeasesTold {
  const told: LeasesTold = { leases: [], requests: new Map(), peaks: {} }
  const tools = new Map<string, string>()
  const live = new Map<string, LeaseTold>()
  const counts: Record<string, number> = {}

  const claimed = ({ ts, seq }: Event, request: ExecutionRequest): void => {
    const { request_id, fence } = request
    const tool_id = tools.get(request_id)!
    expect(live.get(request_id), `event ${seq}: a second lease of ${request_id}`).toBeUndefined()
    expect(
      told.requests.get(request_id),
      `event ${seq}: a claim of ${request_id}, which has ended`,
    ).toBeNull()
    const count = (counts[tool_id] ?? 0) + 1
    expect(count, `event ${seq}: leases of ${tool_id}`).toBeLessThanOrEqual(max_parallel[tool_id] ?? 0)
    counts[tool_id] = count
    told.peaks[tool_id] = Math.max(told.peaks[tool_id] ?? 0, count)
    const open = { ended_at: null, ended_by: null, available_at: null }
    const lease = { request_id, tool_id, fence, worker_id: request.worker_id!, claimed_at: ts, ...open }
    live.set(request_id, lease)
    told.leases.push(lease)
  }
  const ended = (
    { ts, actor }: Event,
    { request_id }: ExecutionRequest,
    available_at: string | null,
  ): void => {
    const lease = live.get(request_id)
    if (lease === undefined) return // it was queued
    const ended_by = actor.type === 'system' ? 'time' : 'worker'
    Object.assign(lease, { ended_at: ts, ended_by, available_at })
    live.delete(request_id)
    counts[lease.tool_id] = counts[lease.tool_id]! - 1
  }

  let last: Event | undefined
  for (const event of events) {
    if (last !== undefined) expect(event.ts >= last.ts, `the time of event ${event.seq}`).toBe(true)
    last = event
    const request = event.payload?.['execution_request'] as ExecutionRequest | undefined
    if (request === undefined) continue
    const { request_id } = request
    if (event.kind === 'request_created') {
      tools.set(request_id, request.assignment!.tool_id)
      told.requests.set(request_id, null)
    } else if (event.kind === 'request_claimed') claimed(event, request)
    else if (event.kind === 'request_queued') ended(event, request, request.available_at)
    else if (event.kind === 'request_completed') {
      ended(event, request, null)
      expect(told.requests.get(request_id), `event ${event.seq}: another end of ${request_id}`).toBeNull()
      told.requests.set(request_id, request.state)
    }
  }
  return told
}

export const msBetween = (from: string, to: string): number => Date.parse(to) - Date.parse(from)

import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { Decision, Given, LeaseLoss, RunBook, Snapshot } from './decision.ts'
import { unchanged } from './decision.ts'
import { taskOf, unblocked } from './dependents.ts'
import { endedAs, requestTold } from './ending.ts'
import { stop, tryAgain } from './lease-end.ts'
import { requestMachine } from './request-machine.ts'
import { queueEnd } from './retry.ts'
import { type Placed, routeSeries } from './route-series.ts'
import { type Entry, entered, joined, still } from './run-entry.ts'
import { endCounted } from './run-moves.ts'
import { settledWith } from './settlement.ts'
import type { AttemptResult } from './step.ts'
import { placeValidator } from './validation-round.ts'

// How time ends what is claimed, and what waits. The scope is that of the end of a lease.

/** The attempt has ended by itself: its lease, or its time, is over. Something else may have come first. */
export function expireRequest(before: Snapshot, given: Given): Decision<ExecutionRequest | null> {
  const { request, run: book, lease, step_attempt: step } = before
  if (request === null || book === null) return unchanged(null)
  if (request.state === 'claimed') {
    if (lease === null || step === null) throw new Error('a claimed request has a lease and an attempt')
    const isTimeout = lease.attempt_expires_at <= given.now
    if (!isTimeout && lease.lease_expires_at > given.now) return unchanged(null)
    const lost: LeaseLoss = isTimeout ? 'attempt_timeout' : 'lease_expired'
    const work = { book, request, lease, step, lost }
    const error_class = isTimeout ? 'timeout' : 'lease_expired'
    const attempt: AttemptResult = { status: 'failed', error_class, error_log: EXPIRED[error_class] }
    if (request.cancel_requested_at !== null)
      return stop(before, given, work, { ...attempt, status: 'canceled' })
    return tryAgain(before, given, work, attempt, { error_class, retryable: true, retry_after_ms: null })
  }
  const due = request.queue_expires_at
  if (due !== null && due <= given.now)
    return expireWaiting(before, given, { book, request }, waitedFor(request, given))
  return isStranded(before, request) ? secondChance(before, given, { book, request }) : unchanged(null)
}

/** All that it needs has succeeded, and there was no tool for it then. What has one waits for its validators. */
const isStranded = ({ plan }: Snapshot, { state, assignment }: ExecutionRequest): boolean =>
  state === 'blocked' && plan.waiting_for === 0 && assignment === null

/** It is routed once more, with a decision that is kept in any case: it says why there is no tool. */
function secondChance(
  before: Snapshot,
  given: Given,
  { book, request }: Waiting,
): Decision<ExecutionRequest> {
  const placed =
    request.validates === null
      ? routed(before, given, { book, request })
      : placeValidator(before, given, request)
  const { entry, after } = unblocked(book, given, request, placed)
  if (after === null) return expireWaiting(before, given, { book, request }, 'unroutable', entry)
  return { result: () => after, ...entered(book, entry, given) }
}

/** Whose turn it is moves only if somebody has it. */
function routed(before: Snapshot, given: Given, { book, request }: Waiting): Placed {
  const series = routeSeries(before, given)
  const placed = series.route(taskOf(request), book.run, request.request_id)
  if (placed.assignment === null) return placed
  return { ...placed, changes: [...placed.changes, ...series.turns()] }
}

const EXPIRED = {
  timeout: 'The attempt took longer than its timeout_seconds; the server ended it.',
  lease_expired: 'The worker sent no heartbeat until its lease ended.',
} as const

interface Waiting {
  book: RunBook
  request: ExecutionRequest
}

function waitedFor(request: ExecutionRequest, { now }: Given): string {
  const routing = { ...request.routing, queue_timeout_seconds: null }
  const end = queueEnd({ ...request, routing }, now)
  return end !== null && end <= now ? 'total_timeout' : 'queue_timeout'
}

function expireWaiting(
  before: Snapshot,
  given: Given,
  { book, request }: Waiting,
  stop_reason: string,
  first: Entry = still(book),
): Decision<ExecutionRequest> {
  const edge = requestMachine.edge(request.state, 'expire')
  const after = endedAs(request, given, edge.to, stop_reason)
  const expired: Entry = {
    book: endCounted(book, after),
    changes: [{ record: 'request_progress', before: request, after }],
    drafts: [requestTold(edge, request, after)],
  }
  const entry = settledWith(joined(first, expired), before, given, after, null)
  return { result: () => after, ...entered(book, entry, given) }
}

import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { Decision, Given, RunBook, Snapshot } from './decision.ts'
import { unchanged } from './decision.ts'
import { endedAs, requestTold } from './ending.ts'
import { counting } from './execution-request.ts'
import { settledWith, stop, tryAgain } from './lease-end.ts'
import { requestMachine } from './request-machine.ts'
import { queueEnd } from './retry.ts'
import { type Entry, entered } from './run-entry.ts'
import type { AttemptResult } from './step.ts'

// How time ends what is claimed, and what waits. The scope is that of the end of a lease.

/** The attempt has ended by itself: its lease, or its time, is over. Something else may have come first. */
export function expireRequest(before: Snapshot, given: Given): Decision<ExecutionRequest | null> {
  const { request, run: book, lease, step_attempt: step } = before
  if (request === null || book === null) return unchanged(null)
  if (request.state === 'claimed') {
    if (lease === null || step === null) throw new Error('a claimed request has a lease and an attempt')
    const isTimeout = lease.attempt_expires_at <= given.now
    if (!isTimeout && lease.lease_expires_at > given.now) return unchanged(null)
    const work = { book, request, lease, step }
    const error_class = isTimeout ? 'timeout' : 'lease_expired'
    const attempt: AttemptResult = { status: 'failed', error_class, error_log: EXPIRED[error_class] }
    if (request.cancel_requested_at !== null)
      return stop(before, given, work, { ...attempt, status: 'canceled' })
    return tryAgain(before, given, work, attempt, { error_class, retryable: true, retry_after_ms: null })
  }
  const due = request.queue_expires_at
  if (due === null || due > given.now) return unchanged(null)
  return expireWaiting(before, given, book, request)
}

const EXPIRED = {
  timeout: 'The attempt took longer than its timeout_seconds; the server ended it.',
  lease_expired: 'The worker sent no heartbeat until its lease ended.',
} as const

function expireWaiting(
  before: Snapshot,
  given: Given,
  book: RunBook,
  request: ExecutionRequest,
): Decision<ExecutionRequest> {
  const edge = requestMachine.edge(request.state, 'expire')
  const waited = queueEnd(
    { ...request, routing: { ...request.routing, queue_timeout_seconds: null } },
    given.now,
  )
  const stop_reason = waited !== null && waited <= given.now ? 'total_timeout' : 'queue_timeout'
  const after = endedAs(request, given, edge.to, stop_reason)
  const entry: Entry = {
    book: counting(book, { open: -1, failed: 1 }),
    changes: [{ record: 'request_progress', before: request, after }],
    drafts: [requestTold(edge, request, after)],
  }
  return { result: () => after, ...entered(book, settledWith(entry, before, given, after), given) }
}

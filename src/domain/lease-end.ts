import type {
  FailExecutionRequest,
  RejectExecutionRequest,
  ReleaseExecutionRequest,
} from '../contract/dispatch.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import type { StepAttempt } from '../contract/step.ts'
import { asWorker } from './claim.ts'
import type { Change, Decision, Given, Lease, LeaseLoss, RunBook, Snapshot, ToolBook } from './decision.ts'
import { endedAs, leaseEnd, requestTold } from './ending.ts'
import { type Again, type End, endsAs, handedBack, nextTry } from './fallback.ts'
import { visibleRequest } from './guard.ts'
import { holds, leaseLost } from './lease.ts'
import { type RequestCommand, requestMachine } from './request-machine.ts'
import { type Failure, queueEnd } from './retry.ts'
import { type Entry, entered, joined, still } from './run-entry.ts'
import { endCounted } from './run-moves.ts'
import { settledWith } from './settlement.ts'
import { type AttemptResult, attemptEnd } from './step.ts'
import { toolsKnown, unknownTool } from './tool.ts'
import { isVerdict } from './validation-facts.ts'
import { newRound } from './validation-round.ts'

// How the work of a lease ends without success, by its worker; by time: expiry.ts. The scope of each must load the
// request with its lease, what is open in its run, and what needs it.

export interface Held {
  book: RunBook
  request: ExecutionRequest
  lease: Lease
  step: StepAttempt
  /** Why the worker has lost it; null while it is the one that ends it. */
  lost: LeaseLoss | null
}

/** @throws LedgerError `lease_lost` where the token is not that of the lease, or its time is over */
export function held(before: Snapshot, given: Given, lease_token: string): Held {
  const { book, request } = visibleRequest(before, given)
  const { lease, step_attempt: step } = before
  if (!holds(lease, lease_token, given.now) || step === null) throw leaseLost()
  return { book, request, lease, step, lost: null }
}

export function failRequest(
  before: Snapshot,
  given: Given,
  { lease_token, error, retryable, retry_after_ms, ...result }: FailExecutionRequest,
): Decision<ExecutionRequest> {
  const work = held(before, given, lease_token)
  const canceled = error.class === 'canceled' || work.request.cancel_requested_at !== null
  const attempt: AttemptResult = {
    status: canceled ? 'canceled' : 'failed',
    error_class: error.class,
    error_code: error.code ?? null,
    error_log: error.message ?? null,
    ...result,
    retry_after_ms: retry_after_ms ?? null,
    is_verdict: isVerdict(work.request, error.class),
  }
  const by = asWorker(given, work.lease.worker_id)
  const failure = {
    error_class: error.class,
    retryable: retryable ?? true,
    retry_after_ms: retry_after_ms ?? null,
  }
  return canceled ? stop(before, by, work, attempt) : tryAgain(before, by, work, attempt, failure)
}

/** Its worker will not be offered it again; nobody is blamed. */
export function rejectRequest(
  before: Snapshot,
  given: Given,
  { lease_token, reason }: RejectExecutionRequest,
): Decision<ExecutionRequest> {
  const work = held(before, given, lease_token)
  const by = asWorker(given, work.lease.worker_id)
  const attempt: AttemptResult = { status: 'canceled', state_reason: `rejected: ${reason}` }
  if (work.request.cancel_requested_at !== null) return stop(before, by, work, attempt)
  const rejected_by = [...new Set([...work.request.rejected_by, work.lease.worker_id])]
  const rejected = { ...work, request: { ...work.request, rejected_by } }
  if (rejected_by.length > LIMITS.rejects) {
    return finalFailure(before, by, rejected, attempt, 'rejected')
  }
  return handBack(before, by, rejected, attempt)
}

export function releaseRequest(
  before: Snapshot,
  given: Given,
  { lease_token, reason }: ReleaseExecutionRequest,
): Decision<ExecutionRequest> {
  const work = held(before, given, lease_token)
  const by = asWorker(given, work.lease.worker_id)
  const attempt: AttemptResult = { status: 'canceled', state_reason: `released: ${reason}` }
  if (work.request.cancel_requested_at !== null) return stop(before, by, work, attempt)
  return handBack(before, by, work, attempt)
}

export function tryAgain(
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
  failure: Failure,
): Decision<ExecutionRequest> {
  const tried = { ...work, request: counted(work.request) }
  const step = attemptEnd(before, given, work, attempt)
  const tool = toolOf(before, step.entry, work)
  const next = nextTry(before, given, tried.request, failure, { tool, ended: tool })
  if ('moved' in next) return requeue(before, given, tried, step, next)
  return finish(before, given, tried, attempt, 'fail', next)
}

function handBack(
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
): Decision<ExecutionRequest> {
  const step = attemptEnd(before, given, work, attempt)
  const next = handedBack(before, given, work.request, toolOf(before, step.entry, work))
  return requeue(before, given, work, step, next)
}

/** The tool of the lease, as the end of its attempt leaves it. */
const toolOf = (before: Snapshot, ended: Entry, { lease: { tool_id } }: Held): ToolBook =>
  toolsKnown(before, ended).get(tool_id) ?? unknownTool(tool_id)

function requeue(
  before: Snapshot,
  given: Given,
  { request, book, lost }: Held,
  step: ReturnType<typeof attemptEnd>,
  next: Again,
): Decision<ExecutionRequest> {
  const edge = requestMachine.edge(request.state, 'requeue')
  const moved = { ...request, ...next.moved }
  const after: ExecutionRequest = {
    ...moved,
    state: edge.to,
    queue_expires_at: queueEnd(moved, moved.available_at),
    updated_at: given.now,
    version: request.version + 1,
  }
  const progress = { record: 'request_progress' as const, before: before.request!, after }
  const queued: Entry = {
    book: step.entry.book,
    changes: [...next.changes, progress, ...leaseEnd(before.request!, lost)],
    drafts: [...next.drafts, requestTold(edge, request, after)],
  }
  const told = entered(book, joined(step.entry, queued), given, before.system)
  const failed = step.after.state === 'failed' ? { failed: 1 } : {}
  return { ...told, changes: [...told.changes, ...tallied(before, given, failed)], result: () => after }
}

const finalFailure = (
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
  stop_reason: string,
): Decision<ExecutionRequest> => finish(before, given, work, attempt, 'fail', endsAs(stop_reason))

/** Its worker has stopped as it was asked. */
export const stop = (
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
): Decision<ExecutionRequest> =>
  finish(before, given, work, attempt, 'confirm_cancel', endsAs(work.request.cancel_reason ?? 'canceled'))

function finish(
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
  command: RequestCommand,
  end: End,
): Decision<ExecutionRequest> {
  const { entry, after } = ended(before, given, work, attempt, command, end)
  const told = entered(work.book, entry, given, before.system)
  return {
    ...told,
    changes: [...told.changes, ...tallied(before, given, failedBy(attempt))],
    result: () => after,
  }
}

/** The attempt and its request end together, and with them perhaps the run. */
export function ended(
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
  command: RequestCommand,
  { stop_reason, changes, drafts }: End,
): { entry: Entry; after: ExecutionRequest } {
  const request = command === 'succeed' ? counted(work.request) : work.request
  const edge = requestMachine.edge(request.state, command)
  const step = attemptEnd(before, given, work, attempt)
  const round =
    command === 'succeed' ? newRound(before, given, step.entry.book, request) : still(step.entry.book)
  const after = endedAs(request, given, edge.to, stop_reason)
  const progress = { record: 'request_progress' as const, before: before.request!, after }
  const entry: Entry = {
    book: endCounted(round.book, after),
    changes: [...changes, progress, ...leaseEnd(before.request!, work.lost)],
    drafts: [...drafts, requestTold(edge, request, after)],
  }
  return {
    after,
    entry: settledWith(joined(joined(step.entry, round), entry), before, given, after, step.after),
  }
}

export const counted = (request: ExecutionRequest): ExecutionRequest => ({
  ...request,
  attempts: request.attempts + 1,
  tool_attempts: request.tool_attempts + 1,
  validation_error: null,
})

const failedBy = ({ status }: AttemptResult) => (status === 'failed' ? { failed: 1 } : {})

/** What the worker of the lease has done; it was seen just now, unless the server speaks for it. */
export function tallied(before: Snapshot, given: Given, more: { done?: number; failed?: number }): Change[] {
  const { worker } = before
  if (worker === null) return []
  const after = {
    ...worker,
    done: worker.done + (more.done ?? 0),
    failed: worker.failed + (more.failed ?? 0),
    last_seen_at: given.caller.actor.type === 'system' ? worker.last_seen_at : given.now,
  }
  return [{ record: 'worker', before: worker, after }]
}

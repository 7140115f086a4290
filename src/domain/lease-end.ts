import type {
  ClaimedRequest,
  CompleteExecutionRequest,
  CompletedRequest,
  FailExecutionRequest,
  RejectExecutionRequest,
  ReleaseExecutionRequest,
} from '../contract/dispatch.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import type { StepAttempt } from '../contract/step.ts'
import { type Entries, asWorker, enteredAll, takeFrom } from './claim.ts'
import type {
  Change,
  Decision,
  Given,
  Lease,
  RequestCounts,
  RunBook,
  Snapshot,
  ToolBook,
} from './decision.ts'
import { consequences, stillOpen } from './dependents.ts'
import { endedAs, leaseEnd, requestTold } from './ending.ts'
import { type Again, type End, endsAs, handedBack, nextTry } from './fallback.ts'
import { requireAgreement, visibleRequest } from './guard.ts'
import { holds, leaseLost } from './lease.ts'
import { type RequestCommand, requestMachine } from './request-machine.ts'
import { type Failure, queueEnd } from './retry.ts'
import { type Entry, entered, joined } from './run-entry.ts'
import { NOTHING_OPEN, counting, settled } from './run-moves.ts'
import { type AttemptResult, attemptEnd } from './step.ts'
import { unknownTool } from './tool.ts'

// How the work of a lease ends, by its worker; by time: expiry.ts. The scope of each must load the
// request with its lease, what is open in its run, and what needs it.

export interface Held {
  book: RunBook
  request: ExecutionRequest
  lease: Lease
  step: StepAttempt
}

/** @throws LedgerError `lease_lost` where the token is not that of the lease, or its time is over */
function held(before: Snapshot, given: Given, lease_token: string): Held {
  const { book, request } = visibleRequest(before, given)
  const { lease, step_attempt: step } = before
  if (!holds(lease, lease_token, given.now) || step === null) throw leaseLost()
  return { book, request, lease, step }
}

/** `next` is on which terms to claim the next request, for the same worker; the scope must load its queue. */
export function completeRequest(
  before: Snapshot,
  given: Given,
  { lease_token, ...result }: CompleteExecutionRequest,
  next: boolean,
): Decision<CompletedRequest> {
  const work = held(before, given, lease_token)
  requireAgreement({ status: 'succeeded', ...result })
  const by = asWorker(given, work.lease.worker_id)
  const attempt: AttemptResult = { status: 'succeeded', ...result }
  const { entry, after } = ended(before, by, work, attempt, 'succeed', endsAs('succeeded'))
  const { lease } = work
  const entries: Entries = new Map([[lease.run_id, { before: work.book, entry }]])
  const terms = { worker_id: lease.worker_id, lease_seconds: lease.lease_seconds }
  const taken = next ? takeFrom(before, by, terms, entries, lease) : NOTHING
  const told = enteredAll(entries, by, before.system)
  const result_ = { execution_request: after, next: taken.items[0] ?? null }
  return {
    events: told.events,
    changes: [...told.changes, ...taken.changes, ...tallied(before, given, { done: 1 })],
    result: () => result_,
  }
}

const NOTHING: { items: ClaimedRequest[]; changes: Change[] } = { items: [], changes: [] }

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
  const next = nextTry(before, given, tried.request, failure, toolOf(before, step.entry, work))
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
  { request, book }: Held,
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
    changes: [...next.changes, progress, ...leaseEnd(before.request!)],
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

const COUNTS = {
  succeed: { open: -1, succeeded: 1 },
  fail: { open: -1, failed: 1 },
  confirm_cancel: { open: -1, canceled: 1 },
} as const satisfies Partial<Record<RequestCommand, Partial<RequestCounts>>>

/** The attempt and its request end together, and with them perhaps the run. */
function ended(
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
  const after = endedAs(request, given, edge.to, stop_reason)
  const progress = { record: 'request_progress' as const, before: before.request!, after }
  const entry: Entry = {
    book: counting(step.entry.book, COUNTS[command as keyof typeof COUNTS]),
    changes: [...changes, progress, ...leaseEnd(before.request!)],
    drafts: [...drafts, requestTold(edge, request, after)],
  }
  return { after, entry: settledWith(joined(step.entry, entry), before, given, after) }
}

const counted = (request: ExecutionRequest): ExecutionRequest => ({
  ...request,
  attempts: request.attempts + 1,
  tool_attempts: request.tool_attempts + 1,
})

/** What the end of this request means to those that need it, and to its run, which may end with it. */
export function settledWith(ended: Entry, before: Snapshot, given: Given, after: ExecutionRequest): Entry {
  const entry = consequences(ended, before, given, after)
  if (after.state === 'succeeded') return settled(entry, given, NOTHING_OPEN) // it ends the run only as the last
  const open = {
    tools: toolsKnown(before, entry),
    running: before.running.filter(({ step_attempt_id }) => step_attempt_id !== after.step_attempt_id),
    open_requests: stillOpen(before, entry),
  }
  const because = `Execution request ${after.request_id} ended ${after.state}: ${after.stop_reason}.`
  return settled(entry, given, open, because)
}

/** The tools as the entry leaves them: the end of a run may move one of them once more. */
function toolsKnown({ tools }: Snapshot, { changes }: Entry): Snapshot['tools'] {
  const moved = changes.flatMap((change) => (change.record === 'tool' ? [change.after] : []))
  return new Map([...tools, ...moved.map((tool) => [tool.record.tool_id, tool] as const)])
}

const failedBy = ({ status }: AttemptResult) => (status === 'failed' ? { failed: 1 } : {})

/** What the worker of the lease has done; it was seen just now, unless the server speaks for it. */
function tallied(before: Snapshot, given: Given, more: { done?: number; failed?: number }): Change[] {
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

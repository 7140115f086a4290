import type { ClaimedRequest, CompleteExecutionRequest, CompletedRequest } from '../contract/dispatch.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import { type Entries, asWorker, enteredAll, takeFrom } from './claim.ts'
import type { Change, Decision, Given, Snapshot } from './decision.ts'
import { leaseEnd, requestTold } from './ending.ts'
import { endsAs } from './fallback.ts'
import { requireAgreement } from './guard.ts'
import { type Held, counted, ended, held, tallied } from './lease-end.ts'
import { requestMachine } from './request-machine.ts'
import { totalEnd } from './retry.ts'
import { type Entry, joined } from './run-entry.ts'
import { type AttemptResult, attemptEnd } from './step.ts'
import { newRound } from './validation-round.ts'

// How the work of a lease is done. The scope must load the request with its lease, what needs it, and for what is
// validated the active configuration with the decision that named the validators.

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
  const { entry, after } = done(before, by, work, attempt)
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

/** It has succeeded, unless somebody has to agree. Who only reports is asked all the same. */
function done(
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
): { entry: Entry; after: ExecutionRequest } {
  const { assignment } = work.request
  return assignment?.validators.some(({ required }) => required) === true
    ? underValidation(before, given, work, attempt)
    : ended(before, given, work, attempt, 'succeed', endsAs('succeeded'))
}

function underValidation(
  before: Snapshot,
  given: Given,
  work: Held,
  attempt: AttemptResult,
): { entry: Entry; after: ExecutionRequest } {
  const request = counted(work.request)
  const edge = requestMachine.edge(request.state, 'validate')
  const step = attemptEnd(before, given, work, attempt)
  const after: ExecutionRequest = {
    ...request,
    state: edge.to,
    queue_expires_at: totalEnd(request),
    updated_at: given.now,
    version: request.version + 1,
  }
  const waiting: Entry = {
    book: step.entry.book,
    changes: [{ record: 'request_progress', before: work.request, after }, ...leaseEnd(work.request, null)],
    drafts: [requestTold(edge, work.request, after)],
  }
  const begun = joined(step.entry, waiting)
  return { after, entry: joined(begun, newRound(before, given, begun.book, after)) }
}

import type { ExecutionRequest } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import type { StepAttempt } from '../contract/step.ts'
import { VALIDATION_FAILED, type ValidationError } from '../contract/validation.ts'
import type { Given, Snapshot, ToolBook } from './decision.ts'
import { consequences, withoutValidators } from './dependents.ts'
import { endedAs, requestTold } from './ending.ts'
import { type Again, type End, endsAs, nextTry } from './fallback.ts'
import { type RequestCommand, requestMachine } from './request-machine.ts'
import { queueEnd } from './retry.ts'
import { type Entry, joined } from './run-entry.ts'
import { endCounted } from './run-moves.ts'
import { toolsKnown, unknownTool } from './tool.ts'
import type { WorkFacts } from './validation-facts.ts'

// What the end of a validator means to the work that it looked at.

/** What the verdict made of the work: `work` is null where it goes on waiting, or never waited for this validator. */
export interface Verdict {
  entry: Entry
  work: ExecutionRequest | null
}

/** A validator as it ended, and the attempt that ended with it, if one did. */
export interface EndedValidator {
  validator: ExecutionRequest
  attempt: StepAttempt | null
}

/**
 * The first required validator that ends without success decides, and so does the last one that succeeds. The scope
 * must have loaded the work, its validators and what needs it.
 */
export function verdictOf(ended: Entry, before: Snapshot, given: Given, by: EndedValidator): Verdict {
  const { work, open } = before.validation
  const { validator } = by
  if (work === null) throw new Error('the scope must load the work that the validator looks at')
  if (validator.validates?.required !== true) return { entry: ended, work: null }
  if (validator.state !== 'succeeded') return rejected(ended, before, given, work, by)
  const isLast = !open.some((other) => other.validates!.required && other.request_id !== validator.request_id)
  return isLast ? accepted(ended, before, given, work) : { entry: ended, work: null }
}

const accepted = (ended: Entry, before: Snapshot, given: Given, work: WorkFacts): Verdict =>
  workEnded(ended, before, given, work, {
    command: 'accept',
    request: work.request,
    end: endsAs('succeeded'),
  })

function rejected(
  ended: Entry,
  before: Snapshot,
  given: Given,
  work: WorkFacts,
  by: EndedValidator,
): Verdict {
  const request: ExecutionRequest = { ...work.request, validation_error: errorOf(by) }
  if (request.cancel_requested_at !== null) {
    const end = endsAs(request.cancel_reason ?? 'canceled')
    return workEnded(ended, before, given, work, { command: 'cancel', request, end })
  }
  const next = tryAfter(ended, before, given, { ...work, request }, by)
  if ('moved' in next) return sentBack(ended, before, given, work.request, request, next)
  return workEnded(ended, before, given, work, { command: 'refuse', request, end: next })
}

/** As after a failed attempt. Where nobody is there to look, another try would not be looked at either. */
function tryAfter(
  ended: Entry,
  before: Snapshot,
  given: Given,
  { request, fallback }: WorkFacts,
  { validator, attempt }: EndedValidator,
): Again | End {
  const failure = {
    error_class: VALIDATION_FAILED,
    retryable: validator.stop_reason !== 'unroutable',
    retry_after_ms: null,
  }
  const known = toolsKnown(before, ended)
  const of = (tool_id: string | undefined): ToolBook | undefined => known.get(tool_id ?? '')
  const { tool_id } = request.assignment! // work has a tool
  const tool = of(tool_id) ?? fallback?.tool ?? unknownTool(tool_id)
  return nextTry({ fallback }, given, request, failure, { tool, ended: of(attempt?.tool_id) })
}

function sentBack(
  ended: Entry,
  before: Snapshot,
  given: Given,
  work: ExecutionRequest,
  request: ExecutionRequest,
  { moved, changes, drafts }: Again,
): Verdict {
  const edge = requestMachine.edge(work.state, 'send_back')
  const waiting = { ...request, ...moved }
  const after: ExecutionRequest = {
    ...waiting,
    state: edge.to,
    queue_expires_at: queueEnd(waiting, waiting.available_at),
    updated_at: given.now,
    version: work.version + 1,
  }
  const alone = withoutValidators(ended, before, given, after)
  const queued: Entry = {
    book: alone.book,
    changes: [...changes, { record: 'request_progress', before: work, after }],
    drafts: [...drafts, requestTold(edge, work, after)],
  }
  return { entry: joined(alone, queued), work: after }
}

interface WorkEnd {
  command: RequestCommand
  request: ExecutionRequest
  end: End
}

function workEnded(
  ended: Entry,
  before: Snapshot,
  given: Given,
  work: WorkFacts,
  { command, request, end }: WorkEnd,
): Verdict {
  const edge = requestMachine.edge(request.state, command)
  const after = endedAs(request, given, edge.to, end.stop_reason)
  const moved: Entry = {
    book: endCounted(ended.book, after),
    changes: [...end.changes, { record: 'request_progress', before: work.request, after }],
    drafts: [...end.drafts, requestTold(edge, work.request, after)],
  }
  const entry = consequences(joined(ended, moved), { ...before, plan: work.plan }, given, after)
  return { entry, work: after }
}

function errorOf({ validator, attempt }: EndedValidator): ValidationError {
  const { request_id, routing, stop_reason } = validator
  const printed = [attempt?.stdout_tail, attempt?.stderr_tail].filter((tail) => tail != null && tail !== '')
  const text = printed.length > 0 ? printed.join('\n') : (attempt?.error_log ?? stop_reason)
  return {
    class: VALIDATION_FAILED,
    code: routing.allowed_tools![0]!, // it is for one tool alone
    // What is cut in two at the beginning would not be text.
    message: text?.slice(-LIMITS.error_message_bytes).toWellFormed() ?? null,
    execution_request_id: request_id,
  }
}

import type { CreateExecutionRequest, ExecutionRequest } from '../contract/execution-request.ts'
import type { RequestValidator } from '../contract/assignment.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import type { Given, RunBook, Snapshot } from './decision.ts'
import { taskOf } from './dependents.ts'
import { newProgress, newRequest } from './new-request.ts'
import { assignmentOf, requestDocument } from './request.ts'
import { queueEnd, totalEnd } from './retry.ts'
import { factsAt, requireRouting, taskRouted } from './route-decision.ts'
import type { Placed } from './route-series.ts'
import { type Entry, joined, still } from './run-entry.ts'
import { counting } from './run-moves.ts'
import { wholeTask } from './task.ts'
import { decideValidator } from './validator-decision.ts'

// How a validation begins: each validator is an execution request in the run of the work.

/**
 * The validators of an attempt that has just succeeded. The scope must load the decision that named them, and the
 * active configuration. A run that has used up its places takes them all the same: work that is done must be reported.
 */
export function newRound(before: Snapshot, given: Given, book: RunBook, work: ExecutionRequest): Entry {
  const validators = work.assignment?.validators ?? []
  return validators.reduce(
    (entry, validator) => joined(entry, newValidator(before, given, entry.book, { work, validator })),
    still(book),
  )
}

interface Named {
  work: ExecutionRequest
  validator: RequestValidator
}

function newValidator(before: Snapshot, given: Given, book: RunBook, { work, validator }: Named): Entry {
  const { router } = requireRouting(before)
  const { now } = given
  const request_id = given.newId()
  const task = taskToLook(work, validator)
  const document = requestDocument(
    task,
    {
      strategy: 'fixed',
      max_attempts: router.max_attempts,
      timeout_seconds:
        router.apps[router.places.get(validator.tool_id) ?? -1]?.timeout_seconds ?? router.timeout_seconds,
    },
    { execution_request_id: request_id, created_by: work.origin.created_by, created_at: now },
  )
  const fixed = { ...document, run_id: work.run_id, created_at: now }
  const placed = placeValidator(before, given, fixed)
  const { assignment } = placed
  const { request, change, draft } = newRequest(document, {
    run_id: work.run_id,
    plan: null,
    validates: {
      execution_request_id: work.request_id,
      step_attempt_id: work.step_attempt_id!, // it was done in an attempt
      required: validator.required,
    },
    created_at: now,
    // A tool that is not there any more has its second chance in the sweep, which can end the work too.
    ...newProgress(assignment === null ? 'blocked' : 'queued', given),
    assignment,
    queue_expires_at: assignment === null ? totalEnd(fixed) : queueEnd(fixed, now),
  })
  const decided = assignment === null ? { changes: [], drafts: [] } : placed
  return {
    book: counting(book, { open: 1 }),
    changes: [...decided.changes, change],
    drafts: [...decided.drafts, draft],
    queued: assignment === null ? [] : [request],
  }
}

/**
 * The task of the work, with its input, for the validator alone. How long the work may wait for a worker holds for it as
 * well; its other bounds are those of its tool and of the configuration.
 */
function taskToLook(work: ExecutionRequest, { tool_id }: RequestValidator): CreateExecutionRequest {
  const { project_id, phase_id } = work
  const limits = { queue_timeout_seconds: work.routing.queue_timeout_seconds }
  const asked = { ...taskOf(work), task_id: null, allowed_tools: [tool_id], excluded_tools: null, limits }
  return { ...asked, project_id, phase_id }
}

type Asked = Parameters<typeof taskOf>[0] & Pick<ExecutionRequest, 'request_id'>

/** Gives a validator to its tool; without one the active configuration does not have it. */
export function placeValidator(before: Snapshot, given: Given, request: Asked): Placed {
  const routing = requireRouting(before)
  const { router } = routing
  const decision = decideValidator(
    { task: taskAsked(request), ...namedBy(before), run_id: request.run_id },
    router,
    factsAt(routing, given.now).tools,
    { route_decision_id: given.newId(), created_at: given.now },
  )
  const execution_request_id = decision.tool_id === null ? null : request.request_id
  return {
    assignment: decision.tool_id === null ? null : assignmentOf(decision, router),
    changes: [
      { record: 'route_decision', after: { decision, project_id: request.project_id, execution_request_id } },
    ],
    drafts: [taskRouted(decision)],
  }
}

const taskAsked = (request: Asked): Task => wholeTask(taskOf(request))

function namedBy({
  validation,
}: Snapshot): Pick<RouteDecision, 'rule_id'> & { validated_decision_id: string } {
  const { named_by } = validation
  if (named_by === null) throw new Error('the scope must load the decision that named the validators')
  return { rule_id: named_by.rule_id, validated_decision_id: named_by.route_decision_id }
}

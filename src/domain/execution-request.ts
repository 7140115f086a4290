import type {
  CancelExecutionRequest,
  CreateExecutionRequest,
  ExecutionRequest,
} from '../contract/execution-request.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { Decision, Given, RunBook, Snapshot } from './decision.ts'
import { openAfter } from './dependents.ts'
import { endedRequest, requestTold } from './ending.ts'
import { LedgerError } from './error.ts'
import { requireMatch, visibleRequest } from './guard.ts'
import { newProgress, newRequest } from './new-request.ts'
import { queueEnd } from './retry.ts'
import { buildRequest } from './request.ts'
import { requestMachine } from './request-machine.ts'
import { checkScope } from './resource-scope.ts'
import { projectOf, requireOpen, requireRouting, route, runOf, taskRouted } from './route-decision.ts'
import { type Entry, entered, joined } from './run-entry.ts'
import { counting, endCounted, newRun, settled } from './run-moves.ts'
import { outcomeOf } from './settlement.ts'
import { sentencesFor } from './route-sentences.ts'
import { requirePlaces } from './step.ts'
import { toolsKnown } from './tool.ts'

/** The scope must load the active configuration with its tools, and the run that the task names. */
export function createExecutionRequest(
  before: Snapshot,
  given: Given,
  task: CreateExecutionRequest,
): Decision<ExecutionRequest> {
  const known = runOf(before, given, task)
  const project_id = projectOf(known, given, task)
  if (known !== null) requireOpen(known)
  requireScope(task)
  const execution_request_id = given.newId()
  const begun: Entry =
    known === null ? ownRun(given, task, execution_request_id) : { book: known, changes: [], drafts: [] }
  const { run_id } = begun.book.run
  const { decision, changes } = route(before, given, task, { run_id, project_id, execution_request_id })
  if (decision.tool_id === null) throw noRoutableTool(decision)
  const { router } = requireRouting(before)
  const { document, assignment } = buildRequest(task, decision, router, {
    execution_request_id,
    created_by: createdBy(given),
    created_at: given.now,
  })
  const { request, change, draft } = newRequest(document, {
    run_id,
    plan: null,
    validates: null,
    created_at: given.now,
    ...newProgress('queued', given),
    assignment,
    queue_expires_at: queueEnd({ ...document, created_at: given.now }, given.now),
  })
  const book = counting(begun.book, { open: 1 })
  requirePlaces(book)
  const entry: Entry = { book, changes: [...changes, change], drafts: [taskRouted(decision), draft] }
  return { result: () => request, ...entered(known, joined(begun, entry), given) }
}

/** The `stop_reason` where nobody gave one. */
const CANCELED = 'canceled'

/** The scope must load the request, what is open in its run, and all that needs it. */
export function cancelExecutionRequest(
  before: Snapshot,
  given: Given,
  body: CancelExecutionRequest,
): Decision<ExecutionRequest> {
  const { book, request } = visibleRequest(before, given)
  requireMatch(given, request.version)
  if (request.state === 'claimed') return askToStop(book, request, given, body.reason ?? CANCELED)
  const ended = endedRequest(request, given, body.reason ?? CANCELED)
  const after = { ...request, ...ended.after }
  const canceled: Entry = { book: endCounted(book, after), changes: ended.changes, drafts: [ended.draft] }
  const { entry } = outcomeOf(canceled, before, given, after, null)
  const open = { tools: toolsKnown(before, entry), ...openAfter(before, entry) }
  return { result: () => after, ...entered(book, settled(entry, given, open), given) }
}

/** A worker has it: it is asked to stop, and if it completes first, that counts. */
function askToStop(
  book: RunBook,
  request: ExecutionRequest,
  given: Given,
  cancel_reason: string,
): Decision<ExecutionRequest> {
  if (request.cancel_requested_at !== null) throw stopping()
  const edge = requestMachine.edge(request.state, 'cancel')
  const after: ExecutionRequest = {
    ...request,
    cancel_requested_at: given.now,
    cancel_reason,
    updated_at: given.now,
    version: request.version + 1,
  }
  const entry: Entry = {
    book,
    changes: [{ record: 'request_progress', before: request, after }],
    drafts: [requestTold(edge, request, after)],
  }
  return { result: () => after, ...entered(book, entry, given) }
}

const stopping = () =>
  new LedgerError('transition_refused', 'Its worker was asked to stop already. Wait until it has.', {
    state: 'claimed',
    command: 'cancel',
    allowed_commands: requestMachine.allowed('claimed').filter((command) => command !== 'cancel'),
  })

/** The run of a request that names none: it ends with its requests. */
const ownRun = (given: Given, task: CreateExecutionRequest, execution_request_id: string): Entry =>
  newRun(
    given,
    {
      project_id: task.project_id,
      phase_id: task.phase_id,
      workstream_id: task.workstream_id ?? null,
      execution_request_id,
      labels: task.labels ?? {},
      completion: 'auto',
    },
    null,
  )

export const createdBy = ({ caller: { actor } }: Given): string => actor.id ?? actor.type

function requireScope({ resource_scope }: CreateExecutionRequest): void {
  const errors = checkScope(resource_scope ?? null, 'resource_scope')
  if (errors.length === 0) return
  throw new LedgerError('resource_scope_invalid', 'The resource scope cannot be kept to: see errors.', {
    errors,
  })
}

function noRoutableTool(decision: RouteDecision): LedgerError {
  const { candidates, rules } = decision
  return new LedgerError(
    'no_routable_tool',
    `${sentencesFor(decision).summary} Nothing was stored. candidates says why each tool was passed over.`,
    {
      candidates: candidates.map(({ tool_id, reason_codes }) => ({ tool_id, reason_codes })),
      rules,
    },
  )
}

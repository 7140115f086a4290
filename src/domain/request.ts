import type { Assignment, RequestValidator } from '../contract/assignment.ts'
import type { CreateExecutionRequest, ExecutionRequestDocument } from '../contract/execution-request.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { CompiledApp, CompiledRouter } from './compiled-router.ts'

/** What a request may not find out by itself. */
export interface RequestGiven {
  execution_request_id: string
  created_by: string
  created_at: string
}

/** A unit of work: what never changes, and beside it who is to do it. */
export interface BuiltRequest {
  document: ExecutionRequestDocument
  assignment: Assignment
}

/**
 * The request for a task that was routed, under the configuration that the decision was made under.
 * The task's scope must have passed `checkScope`.
 */
export function buildRequest(
  task: CreateExecutionRequest,
  decision: RouteDecision,
  router: CompiledRouter,
  given: RequestGiven,
): BuiltRequest {
  const app = appOf(decision, router)
  const { max_attempts } = router
  const timeout_seconds = app.timeout_seconds ?? router.timeout_seconds
  const document = requestDocument(
    task,
    { strategy: decision.strategy, max_attempts, timeout_seconds },
    given,
  )
  return { document, assignment: assignmentOf(decision, router) }
}

function appOf({ tool_id }: RouteDecision, { apps, places }: CompiledRouter): CompiledApp {
  const app = apps[places.get(tool_id ?? '') ?? -1]
  if (app === undefined) throw new Error('a request needs a decision for a tool of this configuration')
  return app
}

/** Who is to do it, by a decision of the configuration. */
export function assignmentOf(decision: RouteDecision, router: CompiledRouter): Assignment {
  const { tool_id, command, args } = appOf(decision, router)
  const validators = validatorsOf(decision, router)
  return { route_decision_id: decision.route_decision_id, tool_id, command, args: [...args], validators }
}

/** Each once. What the configuration does not have is required: to leave it out would let work pass unseen. */
const validatorsOf = (
  { validate_with }: RouteDecision,
  { apps, places }: CompiledRouter,
): RequestValidator[] =>
  [...new Set(validate_with)].map((tool_id) => ({
    tool_id,
    required: apps[places.get(tool_id) ?? -1]?.kind !== 'analyzer',
  }))

/** What holds where the task says nothing. */
export type Bounds = Pick<
  ExecutionRequestDocument['routing'],
  'strategy' | 'max_attempts' | 'timeout_seconds'
>

export const requestDocument = (
  task: CreateExecutionRequest,
  bounds: Bounds,
  given: RequestGiven,
): ExecutionRequestDocument => ({
  request_id: given.execution_request_id,
  project_id: task.project_id,
  phase_id: task.phase_id,
  workstream_id: task.workstream_id ?? null,
  task_kind: task.task_kind,
  task_id: task.task_id ?? null,
  origin: { created_by: given.created_by, created_at: given.created_at },
  classification: {
    ...known(task.classification ?? {}),
    priority: task.classification?.priority ?? 'normal',
  },
  labels: task.labels ?? {},
  resource_scope: scopeOf(task),
  constraints: known(task.constraints ?? {}),
  routing: routingOf(task, bounds),
  input: inputOf(task),
})

type Known<T> = { [K in keyof T]?: Exclude<T[K], null | undefined> }

/** The fields that are there: the document leaves out what is unknown. */
function known<T extends object>(fields: T): Known<T> {
  const entries = Object.entries(fields).filter(([, value]) => value != null)
  return Object.fromEntries(entries) as Known<T> // the same fields, of which the nulls are gone
}

const scopeOf = ({
  resource_scope: scope,
}: CreateExecutionRequest): ExecutionRequestDocument['resource_scope'] => ({
  read: scope?.read ?? [],
  write: scope?.write ?? [],
  create: scope?.create ?? [],
  forbidden: scope?.forbidden ?? [],
})

const inputOf = ({ input }: CreateExecutionRequest): ExecutionRequestDocument['input'] =>
  input == null
    ? null
    : { prompt: input.prompt ?? null, files: input.files ?? null, data: input.data ?? null }

/** The task's bounds, else those that are given: the tool's, the configuration's. */
function routingOf(
  { allowed_tools, excluded_tools, limits }: CreateExecutionRequest,
  { strategy, max_attempts, timeout_seconds }: Bounds,
): ExecutionRequestDocument['routing'] {
  return {
    strategy,
    ...(allowed_tools == null ? {} : { allowed_tools }),
    excluded_tools: excluded_tools ?? [],
    max_attempts: limits?.max_attempts ?? max_attempts,
    timeout_seconds: limits?.timeout_seconds ?? timeout_seconds,
    queue_timeout_seconds: limits?.queue_timeout_seconds ?? null,
    total_timeout_seconds: limits?.total_timeout_seconds ?? null,
  }
}

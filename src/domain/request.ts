import type {
  Assignment,
  CreateExecutionRequest,
  ExecutionRequestDocument,
} from '../contract/execution-request.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { CompiledApp, CompiledRouter } from './compiled-router.ts'
import { contentHash } from './router-config.ts'

/** What a request may not find out by itself. */
export interface RequestGiven {
  execution_request_id: string
  created_by: string
  created_at: string
}

/** A unit of work: what never changes and its hash, and beside it who is to do it. */
export interface NewRequest {
  document: ExecutionRequestDocument
  content_hash: string
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
): NewRequest {
  const app = router.apps[router.places.get(decision.tool_id ?? '') ?? -1]
  if (app === undefined) throw new Error('a request needs a decision for a tool of this configuration')
  const document: ExecutionRequestDocument = {
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
    routing: routingOf(task, decision, app, router),
    input: inputOf(task),
  }
  const { route_decision_id } = decision
  const { tool_id, command, args } = app
  return {
    document,
    content_hash: contentHash(document),
    assignment: { route_decision_id, tool_id, command, args: [...args] },
  }
}

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

/** The task's bounds, else the tool's, else the configuration's, which has the rest. */
function routingOf(
  { allowed_tools, excluded_tools, limits }: CreateExecutionRequest,
  { strategy }: RouteDecision,
  app: CompiledApp,
  router: CompiledRouter,
): ExecutionRequestDocument['routing'] {
  return {
    strategy,
    ...(allowed_tools == null ? {} : { allowed_tools }),
    excluded_tools: excluded_tools ?? [],
    max_attempts: limits?.max_attempts ?? router.max_attempts,
    timeout_seconds: limits?.timeout_seconds ?? app.timeout_seconds ?? router.timeout_seconds,
    queue_timeout_seconds: limits?.queue_timeout_seconds ?? null,
    total_timeout_seconds: limits?.total_timeout_seconds ?? null,
  }
}

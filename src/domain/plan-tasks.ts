import type { CreateExecutionRequest } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import {
  PlanClassification,
  PlanConstraints,
  type PlanDefaults,
  PlanExecution,
  PlanScope,
  type PlanTask,
  PlanTemplate,
  type PlanWarning,
  type SubmitTasks,
} from '../contract/plan.ts'
import type { Fault } from '../contract/problem.ts'
import type { Run } from '../contract/run.ts'
import { pointerTo } from './pointer.ts'
import { checkScope } from './resource-scope.ts'

// What each task of a submission asks for: the defaults, over them the template of the task, over that the task.

/** The task as if it had been sent alone. */
export function taskOf(
  task: PlanTask,
  defaults: PlanDefaults | null,
  run: Pick<Run, 'run_id' | 'project_id' | 'phase_id' | 'workstream_id'>,
): CreateExecutionRequest {
  const template = task.execution_request_template ?? null
  const { execution } = task
  return {
    task_kind: task.kind,
    task_id: task.task_id,
    project_id: run.project_id,
    phase_id: run.phase_id,
    workstream_id: run.workstream_id,
    run_id: run.run_id,
    classification: layered(
      CLASSIFICATION,
      defaults?.classification,
      template?.classification,
      task.classification,
    ),
    labels: { ...defaults?.labels, ...template?.labels },
    allowed_tools: template?.allowed_tools ?? defaults?.allowed_tools ?? null,
    excluded_tools: template?.excluded_tools ?? defaults?.excluded_tools ?? null,
    resource_scope: layered(
      SCOPE,
      defaults?.resource_scope,
      template?.resource_scope,
      task.resource_scope_delta,
    ),
    constraints: layered(CONSTRAINTS, defaults?.constraints, template?.constraints, task.constraints_delta),
    input: layered(INPUT, defaults?.input, template?.input),
    limits: layered<Part<'limits'>>(LIMITED, defaults?.limits, template?.limits, execution),
  }
}

type Part<K extends keyof CreateExecutionRequest> = NonNullable<CreateExecutionRequest[K]>

const keysOf = <T extends object>(properties: T) => Object.keys(properties) as (keyof T)[]

const CLASSIFICATION = keysOf(PlanClassification.properties)
const SCOPE = keysOf(PlanScope.properties)
const CONSTRAINTS = keysOf(PlanConstraints.properties)
const INPUT: (keyof Part<'input'>)[] = ['prompt', 'files', 'data']
const LIMITED: (keyof Part<'limits'>)[] = [
  'max_attempts',
  'timeout_seconds',
  'queue_timeout_seconds',
  'total_timeout_seconds',
]

/** Field by field: a later layer wins where it has a value, and null takes one away (RFC 7396). Null if none has any. */
function layered<T extends object>(
  keys: readonly (keyof T)[],
  ...layers: readonly (Partial<T> | null | undefined)[]
): T | null {
  if (layers.every((layer) => layer == null)) return null
  const merged: Partial<T> = {}
  for (const layer of layers) {
    for (const key of keys) if (layer?.[key] !== undefined) merged[key] = layer[key]
  }
  return merged as T // every field of these parts is optional
}

/** What is wrong with the scopes and labels, where it was said. */
export function faultsOfTasks({ tasks, defaults }: SubmitTasks): Fault[] {
  const own = tasks.flatMap((task, place) => {
    const at = ['tasks', String(place)]
    const template = task.execution_request_template
    return [
      ...checkScope(template?.resource_scope ?? null, ...at, 'execution_request_template', 'resource_scope'),
      ...checkScope(task.resource_scope_delta ?? null, ...at, 'resource_scope_delta'),
      ...labelFaults({ ...defaults?.labels, ...template?.labels }, at),
    ]
  })
  return [...checkScope(defaults?.resource_scope ?? null, 'defaults', 'resource_scope'), ...own]
}

const labelFaults = (labels: object, at: readonly string[]): Fault[] =>
  Object.keys(labels).length <= LIMITS.labels
    ? []
    : [{ pointer: pointerTo(...at), detail: `has with the defaults more than ${LIMITS.labels} labels` }]

/** Whether the defaults, written into every task, make too much of it. */
export function faultOfLength({ tasks, defaults }: SubmitTasks): Fault[] {
  const length = JSON.stringify(tasks).length + tasks.length * JSON.stringify(defaults ?? {}).length
  if (length <= LIMITS.plan_length) return []
  const detail = `makes, written into each of the tasks, more than ${LIMITS.plan_length} characters in all`
  return [{ pointer: '#/defaults', detail }]
}

/** What a task says and nobody here looks at. */
export function warningsOf({ tasks }: SubmitTasks): PlanWarning[] {
  return tasks.flatMap((task, place) => {
    const fields = Object.entries(WITHOUT_EFFECT).flatMap(([field, why]) =>
      task[field as keyof typeof WITHOUT_EFFECT] == null
        ? []
        : [{ pointer: pointerTo('tasks', place, field), detail: `has no effect: ${why}` }],
    )
    const parts = PARTS.flatMap(([field, { properties }]) =>
      Object.keys(task[field] ?? {})
        .filter((key) => !(key in properties))
        .map((key) => ({ pointer: pointerTo('tasks', place, field, key), detail: 'has no effect here' })),
    )
    return [...fields, ...parts]
  })
}

const WITHOUT_EFFECT = {
  allow_parallel: 'tasks are under way at the same time unless one depends on the other',
  prompt_template_ref: 'the prompt is execution_request_template.input.prompt',
  prompt_overrides: 'the prompt is execution_request_template.input.prompt',
  error_handling: 'what a failure means is the on_failure of the run',
  acceptance: 'a task is done when its worker says so; put the checks into a task that depends on it',
} as const satisfies Partial<Record<keyof PlanTask, string>>

const PARTS = [
  ['classification', PlanClassification],
  ['resource_scope_delta', PlanScope],
  ['constraints_delta', PlanConstraints],
  ['execution', PlanExecution],
  ['execution_request_template', PlanTemplate],
] as const

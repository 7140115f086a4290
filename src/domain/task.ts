import type { Task } from '../contract/task.ts'

/**
 * The task as answers show it: every key is there, null where the client left it out. So the same task has the
 * same text, however it was sent.
 */
export const wholeTask = (task: Task): Task => ({
  task_kind: task.task_kind,
  task_id: task.task_id ?? null,
  project_id: task.project_id ?? null,
  phase_id: task.phase_id ?? null,
  workstream_id: task.workstream_id ?? null,
  run_id: task.run_id ?? null,
  classification: wholeClassification(task.classification),
  labels: task.labels ?? null,
  allowed_tools: task.allowed_tools ?? null,
  excluded_tools: task.excluded_tools ?? null,
  resource_scope: wholeScope(task.resource_scope),
  constraints: wholeConstraints(task.constraints),
  input: wholeInput(task.input),
  limits: wholeLimits(task.limits),
})

type Whole<Part extends keyof Task> = NonNullable<Task[Part]> | null

const wholeClassification = (given: Task['classification']): Whole<'classification'> =>
  given == null
    ? null
    : {
        complexity: given.complexity ?? null,
        risk_tier: given.risk_tier ?? null,
        domain: given.domain ?? null,
        priority: given.priority ?? null,
      }

const wholeScope = (given: Task['resource_scope']): Whole<'resource_scope'> =>
  given == null
    ? null
    : {
        read: given.read ?? null,
        write: given.write ?? null,
        create: given.create ?? null,
        forbidden: given.forbidden ?? null,
      }

const wholeConstraints = (given: Task['constraints']): Whole<'constraints'> =>
  given == null
    ? null
    : {
        patch_only: given.patch_only ?? null,
        tests_must_pass: given.tests_must_pass ?? null,
        max_lines_changed: given.max_lines_changed ?? null,
      }

const wholeInput = (given: Task['input']): Whole<'input'> =>
  given == null
    ? null
    : { prompt: given.prompt ?? null, files: given.files ?? null, data: given.data ?? null }

const wholeLimits = (given: Task['limits']): Whole<'limits'> =>
  given == null
    ? null
    : {
        max_attempts: given.max_attempts ?? null,
        timeout_seconds: given.timeout_seconds ?? null,
        queue_timeout_seconds: given.queue_timeout_seconds ?? null,
        total_timeout_seconds: given.total_timeout_seconds ?? null,
      }

import { type Static, type TProperties, Type } from '@sinclair/typebox'
import { Ulid, count, name } from './common.ts'
import { ExecutionRequestState } from './execution-request.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref } from './named.ts'
import { Classification, Constraints, ResourceScope, TaskLimits, taskFields } from './task.ts'

// A task of a plan has the fields of the document `task_spec.v1` (documents/task-spec.ts), with our bounds. As in the
// document its parts take other fields too: other programs read those, and a warning says that this one does not.

const open = <P extends TProperties>(properties: P, description: string) =>
  Type.Object(properties, { description, additionalProperties: true })

const anything = (description: string) =>
  optional(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, description }))

const { labels, allowed_tools, excluded_tools, classification, resource_scope, constraints, input, limits } =
  taskFields

/** What tasks have in common, and what the template of one may say. */
const startFields = {
  classification,
  labels,
  allowed_tools,
  excluded_tools,
  resource_scope,
  constraints,
  input,
  limits,
}

export const PlanDefaults = named(
  'PlanDefaults',
  closed(startFields, {
    description:
      'What holds for every task of the submission that does not say otherwise. Objects are merged field by field, lists are replaced.',
    examples: [{ labels: { team: 'core' }, resource_scope: { read: ['src/**'] } }],
  }),
)
export type PlanDefaults = Static<typeof PlanDefaults>

export const PlanTemplate = named(
  'PlanTemplate',
  open(
    startFields,
    'What the execution request of a task starts from: merged over the defaults, and the fields of the task over it.',
  ),
)

export const PlanClassification = named(
  'PlanClassification',
  open(Classification.properties, 'What kind of work it is; merged over the defaults.'),
)

export const PlanScope = named(
  'PlanScope',
  open(
    ResourceScope.properties,
    'What differs from the resource scope of the defaults: a list replaces theirs, null removes it.',
  ),
)

export const PlanConstraints = named(
  'PlanConstraints',
  open(Constraints.properties, 'What differs from the constraints of the defaults; null removes one.'),
)

const { max_attempts, timeout_seconds } = TaskLimits.properties

export const PlanExecution = named(
  'PlanExecution',
  open({ max_attempts, timeout_seconds }, 'How often and how long it may be tried.'),
)

const planTaskExample = {
  task_id: 'test',
  name: 'Run the tests',
  kind: 'test_run',
  depends_on: ['edit'],
  execution: { max_attempts: 2 },
}

export const PlanTask = named(
  'PlanTask',
  closed(
    {
      task_id: name('The name of the task, unique in its run; `depends_on` uses it.'),
      name: name('What people call it.'),
      kind: name('The `task_kind` of its execution request; tools list the kinds that they can do.'),
      depends_on: optional(
        Type.Array(name('A task of this submission, or an earlier one of the run.'), {
          maxItems: LIMITS.plan_tasks,
          description: 'The tasks that must succeed before.',
        }),
      ),
      allow_parallel: optional(
        Type.Boolean({ description: 'Without effect: only `depends_on` makes a task wait.' }),
      ),
      classification: optional(ref(PlanClassification)),
      resource_scope_delta: optional(ref(PlanScope)),
      constraints_delta: optional(ref(PlanConstraints)),
      execution: optional(ref(PlanExecution)),
      prompt_template_ref: optional(
        Type.String({ description: 'Without effect: the prompt stands in `execution_request_template`.' }),
      ),
      prompt_overrides: anything('Without effect, as `prompt_template_ref`.'),
      execution_request_template: optional(ref(PlanTemplate)),
      error_handling: anything('Without effect: what a failure means is the `on_failure` of the run.'),
      acceptance: anything('Without effect: a task is done when its worker says so.'),
    },
    {
      description:
        'A task of a plan: a document `task_spec.v1`. What has no effect is warned of, never refused.',
      examples: [planTaskExample],
    },
  ),
)
export type PlanTask = Static<typeof PlanTask>

export const SubmitTasks = named(
  'SubmitTasks',
  closed(
    {
      tasks: Type.Array(ref(PlanTask), {
        minItems: 1,
        maxItems: LIMITS.plan_tasks,
        description: 'The tasks, in any order.',
      }),
      defaults: optional(ref(PlanDefaults)),
    },
    {
      description: 'Tasks that belong together. All of them are stored, or none.',
      examples: [
        { tasks: [{ task_id: 'edit', name: 'Reject an empty basket', kind: 'code_edit' }, planTaskExample] },
      ],
    },
  ),
)
export type SubmitTasks = Static<typeof SubmitTasks>

export const SubmittedTask = named(
  'SubmittedTask',
  closed(
    {
      task_id: name('The task.'),
      execution_request_id: ref(Ulid),
      state: ref(ExecutionRequestState),
      tool_id: nullable(name('The tool.'), {
        description: 'The tool that it was assigned to; null while it waits for other tasks.',
      }),
      level: count('0 if it needs nothing; else one more than the highest level of what it needs.'),
    },
    { description: 'What became of a task.' },
  ),
)
export type SubmittedTask = Static<typeof SubmittedTask>

export const PlanWarning = named(
  'PlanWarning',
  closed(
    {
      pointer: Type.String({ description: 'Where in the body, as a JSON pointer.' }),
      detail: Type.String({ description: 'What is hardly meant so.' }),
    },
    { description: 'Something that is allowed, and has no effect.' },
  ),
)
export type PlanWarning = Static<typeof PlanWarning>

const ids = ['01JD8Z6V5NC4X8Y2Z6A0B4C8D2', '01JD8Z6V5NC4X8Y2Z6A0B4C8D3']

export const SubmittedTasks = named(
  'SubmittedTasks',
  closed(
    {
      tasks: Type.Array(ref(SubmittedTask), { description: 'The tasks, in the order of the submission.' }),
      warnings: Type.Array(ref(PlanWarning), {
        description: `What has no effect: the first ${LIMITS.plan_warnings}, and then how many more.`,
      }),
    },
    {
      description: 'The execution requests that were made of the tasks.',
      examples: [
        {
          tasks: [
            { task_id: 'edit', execution_request_id: ids[0], state: 'queued', tool_id: 'aider', level: 0 },
            { task_id: 'test', execution_request_id: ids[1], state: 'blocked', tool_id: null, level: 1 },
          ],
          warnings: [],
        },
      ],
    },
  ),
)
export type SubmittedTasks = Static<typeof SubmittedTasks>

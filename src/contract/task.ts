import { type Static, Type } from '@sinclair/typebox'
import { Complexity, Priority, RiskTier } from './classification.ts'
import { Labels, Ulid, name, text } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, optional, ref } from './named.ts'

// The same schemas stand in requests and in answers: a client leaves out what it likes, an answer carries every
// key. So the task of a stored decision can be sent again as it is.

export const Classification = named(
  'Classification',
  closed(
    {
      complexity: optional(ref(Complexity)),
      risk_tier: optional(ref(RiskTier)),
      domain: optional(name('The field that the work belongs to, in a word of yours: `backend`, `docs` …')),
      priority: optional(ref(Priority, { description: 'An execution request without one is `normal`.' })),
    },
    {
      description:
        'What kind of work it is. A rule that asks for something that is left out here does not match.',
      examples: [{ complexity: 'moderate', risk_tier: 'medium', domain: 'backend', priority: 'high' }],
    },
  ),
)
export type Classification = Static<typeof Classification>

const patterns = (description: string) =>
  optional(
    Type.Array(
      Type.String({
        minLength: 1,
        maxLength: LIMITS.scope_pattern_length,
        description: 'A glob relative to the project: `src/**/*.ts`.',
      }),
      { maxItems: LIMITS.scope_patterns, description },
    ),
  )

export const ResourceScope = named(
  'ResourceScope',
  closed(
    {
      read: patterns('What may be read.'),
      write: patterns('What may be changed.'),
      create: patterns('What may be made anew.'),
      forbidden: patterns('What may not be touched, nor what lies in it, whatever the other lists say.'),
    },
    {
      description:
        'Which files the work may touch, as globs that are relative to the project and stay inside it. `*` and `?` stand for what is not a slash, `**` for any number of directories, `{a,b}` for one of several; every other character stands for itself. What no list names is out of bounds: an empty scope means nothing.',
      examples: [{ read: ['src/**', 'test/**'], write: ['src/basket.ts'], forbidden: ['**/*.pem'] }],
    },
  ),
)
export type ResourceScope = Static<typeof ResourceScope>

export const Constraints = named(
  'Constraints',
  closed(
    {
      patch_only: optional(Type.Boolean({ description: 'Whether files may be changed by patches only.' })),
      tests_must_pass: optional(Type.Boolean({ description: 'Whether the tests must pass afterwards.' })),
      max_lines_changed: optional(
        Type.Integer({
          minimum: 1,
          maximum: LIMITS.lines_changed,
          description: 'The most lines that may be changed.',
        }),
      ),
    },
    { description: 'What the work must keep to.', examples: [{ patch_only: true, max_lines_changed: 200 }] },
  ),
)
export type Constraints = Static<typeof Constraints>

export const TaskData = named(
  'TaskData',
  Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    'x-max-bytes': LIMITS.task_data_bytes,
    description: `Any JSON object for the tool, at most ${LIMITS.task_data_bytes} bytes as JSON.`,
    examples: [{ ticket: 'SHOP-7' }],
  }),
)

export const TaskInput = named(
  'TaskInput',
  closed(
    {
      prompt: optional(text(LIMITS.input_prompt_bytes, 'What the tool is asked, in full.')),
      files: optional(
        Type.Array(text(LIMITS.path_bytes, 'A path relative to the project.'), {
          maxItems: LIMITS.task_files,
          description: 'The files that the work is about.',
        }),
      ),
      data: optional(ref(TaskData)),
    },
    {
      description: 'What the tool is given. Routing does not look at it.',
      examples: [{ prompt: 'Reject an empty basket', files: ['src/basket.ts'] }],
    },
  ),
)
export type TaskInput = Static<typeof TaskInput>

const seconds = (maximum: number, description: string) =>
  optional(Type.Integer({ minimum: 1, maximum, description }))

export const TaskLimits = named(
  'TaskLimits',
  closed(
    {
      max_attempts: optional(
        Type.Integer({ minimum: 1, maximum: LIMITS.attempts, description: 'How often it may be tried.' }),
      ),
      timeout_seconds: seconds(LIMITS.timeout_seconds, 'How long one try may take.'),
      queue_timeout_seconds: seconds(LIMITS.total_timeout_seconds, 'How long it may wait for a worker.'),
      total_timeout_seconds: seconds(
        LIMITS.total_timeout_seconds,
        'How long it may take in all, from its creation.',
      ),
    },
    {
      description: "Bounds of the work. What is left out is the tool's, else the configuration's default.",
      examples: [{ max_attempts: 2, timeout_seconds: 300 }],
    },
  ),
)
export type TaskLimits = Static<typeof TaskLimits>

const tools = (description: string) =>
  optional(Type.Array(name('A tool.'), { maxItems: LIMITS.task_tools, description }))

/** Without what makes a task routable as it stands: an execution request requires more of it. */
export const taskFields = {
  task_kind: name('What is to be done: `code_edit`, `test_run` … Tools list the kinds that they can do.'),
  task_id: optional(name('Your name for the task.')),
  project_id: optional(name('The project that it belongs to.')),
  phase_id: optional(name('The phase of the project.')),
  workstream_id: optional(name('The workstream within the phase.')),
  run_id: optional(ref(Ulid, { description: 'The run that it belongs to.' })),
  classification: optional(ref(Classification)),
  labels: optional(ref(Labels)),
  allowed_tools: tools('Only these tools may do it; left out is any, an empty list none.'),
  excluded_tools: tools('These tools may not do it.'),
  resource_scope: optional(ref(ResourceScope)),
  constraints: optional(ref(Constraints)),
  input: optional(ref(TaskInput)),
  limits: optional(ref(TaskLimits)),
}

export const taskExample = {
  task_kind: 'code_edit',
  project_id: 'shop',
  phase_id: 'build',
  classification: { complexity: 'moderate', risk_tier: 'medium', domain: 'backend' },
  input: { prompt: 'Reject an empty basket', files: ['src/basket.ts'] },
}

export const Task = named(
  'Task',
  closed(taskFields, { description: 'What someone wants done.', examples: [taskExample] }),
)
export type Task = Static<typeof Task>

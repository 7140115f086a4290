import { Type } from '@sinclair/typebox'
import { Complexity, Priority, RiskTier } from '../classification.ts'
import { DEFAULTS } from '../defaults.ts'
import { named, ref } from '../named.ts'
import { document } from './document.ts'
import { anyObject, filled, flag, integer, open, strings, text } from './fields.ts'

/** What routing rules look at, in tasks and in execution requests. */
export const classification = open(
  {
    complexity: Type.Optional(ref(Complexity, { description: 'How hard the task is.' })),
    risk_tier: Type.Optional(ref(RiskTier, { description: 'How much it could break.' })),
    domain: Type.Optional(text('The field that it belongs to, in a word of yours: backend, docs …')),
    priority: Type.Optional(ref(Priority, { description: 'How urgent it is; absent is `normal`.' })),
  },
  'What kind of task it is, for choosing a tool.',
)

const execution = open(
  {
    max_attempts: Type.Optional(
      integer('How often it may be tried.', { minimum: 1, default: DEFAULTS.max_attempts }),
    ),
    timeout_seconds: Type.Optional(
      integer('How long one try may take.', { minimum: 1, default: DEFAULTS.timeout_seconds }),
    ),
    retry_strategy: Type.Optional(text('How long to wait between tries.')),
    background: Type.Optional(flag('Whether nobody waits for it.')),
  },
  'How it is carried out.',
)

const errorHandling = open(
  { on_failure: Type.Optional(text('What happens when it has finally failed.')) },
  'What happens when something goes wrong.',
)

const acceptance = open(
  { checks: Type.Optional(Type.Array(anyObject('A check.'), { description: 'What is checked.' })) },
  'When the task is done.',
)

/** Named, because a workstream refers to it. */
export const TaskSpec = named(
  'TaskSpec',
  document(
    {
      title: 'Task specification',
      description: 'One task of a workstream: what is to be done, after which others, and how.',
      example: {
        task_id: 'edit',
        name: 'Reject an empty basket',
        kind: 'code_edit',
        depends_on: ['read-up'],
        allow_parallel: false,
        classification: { complexity: 'simple', risk_tier: 'low', domain: 'backend', priority: 'high' },
        resource_scope_delta: { write: ['src/basket.ts'] },
        execution: { max_attempts: 2, timeout_seconds: 300 },
        prompt_template_ref: 'code-edit',
        error_handling: { on_failure: 'continue' },
        acceptance: { checks: [{ id: 'tests', type: 'command', command: 'npm test' }] },
      },
    },
    {
      task_id: filled('The name of the task, unique in its workstream; `depends_on` uses it.'),
      name: filled('What people call it.'),
      kind: text('The kind of task; tools list the kinds that they can do.'),
      depends_on: Type.Optional(strings('The `task_id`s of the tasks that must be done before.')),
      allow_parallel: Type.Optional(
        flag('Whether other tasks may be under way at the same time.', { default: false }),
      ),
      classification: Type.Optional(classification),
      resource_scope_delta: Type.Optional(anyObject("What differs from the workstream's `resource_scope`.")),
      constraints_delta: Type.Optional(anyObject("What differs from the workstream's `constraints`.")),
      execution: Type.Optional(execution),
      prompt_template_ref: Type.Optional(text('The template that its prompt is made from.')),
      prompt_overrides: Type.Optional(
        anyObject('Sections of the prompt that replace those of the template.'),
      ),
      execution_request_template: Type.Optional(anyObject('Fields that its execution request starts from.')),
      error_handling: Type.Optional(errorHandling),
      acceptance: Type.Optional(acceptance),
    },
  ),
)

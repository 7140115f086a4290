import { Type } from '@sinclair/typebox'
import { DEFAULTS } from '../defaults.ts'
import { ref } from '../named.ts'
import { document } from './document.ts'
import { anyObject, filled, integer, oneOf, open, strings, text } from './fields.ts'
import { acceptanceMode } from './phase-spec.ts'
import { TaskSpec } from './task-spec.ts'

const concurrency = open(
  {
    max_parallel: Type.Optional(
      integer('How many tasks may be under way at once.', { minimum: 1, default: DEFAULTS.max_parallel }),
    ),
  },
  'What may happen at the same time.',
)

const errorHandling = open(
  {
    strategy: Type.Optional(
      oneOf(
        ['fail_fast', 'continue', 'escalate'],
        'Whether a task that fails ends the workstream, lets the others go on, or is given to somebody.',
      ),
    ),
  },
  'What happens when a task has finally failed.',
)

const acceptance = open(
  {
    mode: Type.Optional(acceptanceMode),
    checks: Type.Optional(Type.Array(anyObject('A check.'), { description: 'What is checked.' })),
  },
  'When the workstream is done.',
)

export const WorkstreamSpec = document(
  {
    title: 'Workstream specification',
    description: 'Several tasks that reach one objective together, and the order that they need.',
    example: {
      workstream_id: 'checkout',
      project_id: 'shop',
      phase_id: 'build',
      name: 'Checkout',
      objective: 'Customers cannot check out an empty basket.',
      tags: ['payments'],
      concurrency: { max_parallel: 2 },
      error_handling: { strategy: 'fail_fast' },
      acceptance: { mode: 'all', checks: [{ id: 'tests', type: 'command', command: 'npm test' }] },
      tasks: [
        { task_id: 'edit', name: 'Reject an empty basket', kind: 'code_edit' },
        { task_id: 'test', name: 'Run the tests', kind: 'test_run', depends_on: ['edit'] },
      ],
    },
  },
  {
    workstream_id: filled('The id of the workstream; runs name it.'),
    project_id: filled('The project that it belongs to.'),
    phase_id: filled('The phase that it belongs to.'),
    name: filled('What people call it.'),
    objective: text('What shall be reached.'),
    tags: Type.Optional(strings('Words to find it by.')),
    resource_scope: Type.Optional(anyObject('Which resources its tasks may touch.')),
    constraints: Type.Optional(anyObject('What its tasks must keep to.')),
    concurrency: Type.Optional(concurrency),
    error_handling: Type.Optional(errorHandling),
    acceptance: Type.Optional(acceptance),
    tasks: Type.Array(ref(TaskSpec), { description: 'What is to be done.' }),
  },
)

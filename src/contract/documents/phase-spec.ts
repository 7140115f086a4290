import { Type } from '@sinclair/typebox'
import { document } from './document.ts'
import { filled, flag, integer, oneOf, open, strings, text } from './fields.ts'
import { scopePatterns } from './resource-scope.ts'

const patchConstraints = open(
  {
    patch_required: Type.Optional(flag('Whether files may be changed by patches only.')),
    max_lines_changed: Type.Optional(integer('The most lines that one patch may change.')),
    max_files_changed: Type.Optional(integer('The most files that one patch may change.')),
  },
  'What patches must keep to.',
)

const testConstraints = open(
  {
    tests_must_run: Type.Optional(flag('Whether the tests must be run.')),
    tests_must_pass: Type.Optional(flag('Whether the tests must pass.')),
    test_command: Type.Optional(text('The command that runs them.')),
  },
  'What is asked of the tests.',
)

const behaviorConstraints = open(
  {
    ascii_only: Type.Optional(flag('Whether files may hold ASCII characters only.')),
    require_doc_update: Type.Optional(flag('Whether a change must come with its documentation.')),
  },
  'What is asked of the way of working.',
)

const check = open(
  {
    id: text('The id of the check within the phase.'),
    type: text('What kind of check it is: a command, a review …'),
    description: Type.Optional(text('What it looks at.')),
    command: Type.Optional(text('The command that decides it.')),
    required: Type.Optional(flag('Whether the phase fails with it.')),
    severity: Type.Optional(text('How bad a failure is.')),
  },
  'Something that is checked at the end.',
)

/** How the checks of a phase or workstream count together. */
export const acceptanceMode = oneOf(
  ['all', 'any', 'custom'],
  'Whether all checks must hold, or any, or something else decides.',
)

const acceptance = open(
  {
    mode: acceptanceMode,
    checks: Type.Array(check, { description: 'What is checked.' }),
    post_actions: Type.Optional(strings('What is done once the phase is accepted.')),
  },
  'When the phase is done.',
)

export const PhaseSpec = document(
  {
    title: 'Phase specification',
    description: 'A phase of a project: what it may touch, what it must keep to, and when it is done.',
    example: {
      phase_id: 'build',
      name: 'Build and test',
      category: 'implementation',
      description: 'Changes code until the tests pass.',
      resource_scope: { type: 'files', read: ['**'], write: ['src/**', 'test/**'], forbidden: ['infra/**'] },
      constraints: {
        patch: { patch_required: true, max_lines_changed: 400 },
        tests: { tests_must_run: true, tests_must_pass: true, test_command: 'npm test' },
        behavior: { ascii_only: false },
      },
      acceptance: {
        mode: 'all',
        checks: [{ id: 'tests', type: 'command', command: 'npm test', required: true }],
        post_actions: ['tag'],
      },
    },
  },
  {
    phase_id: filled('The id of the phase; runs name it.'),
    name: filled('What people call it.'),
    category: text('What kind of phase it is.'),
    description: Type.Optional(text('What happens in it.')),
    resource_scope: open(
      { type: text('What kind of resources these are: files, tables, services …'), ...scopePatterns },
      'Which resources the phase may touch.',
    ),
    constraints: open(
      {
        patch: Type.Optional(patchConstraints),
        tests: Type.Optional(testConstraints),
        behavior: Type.Optional(behaviorConstraints),
      },
      'What the work of the phase must keep to.',
    ),
    acceptance,
  },
)

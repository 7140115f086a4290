import { Type } from '@sinclair/typebox'
import { document } from './document.ts'
import { filled, flag, integer, oneOf, open, semver, strings, text } from './fields.ts'

const resourceType = open(
  {
    type: text('The name of the kind of resource.'),
    scope_format: text('How its resources are written in scopes: globs, table names …'),
    operations: Type.Array(
      oneOf(['read', 'write', 'create', 'delete', 'execute'], 'Something that can be done.'),
      { description: 'What can be done with its resources.' },
    ),
  },
  'A kind of resource that the profile adds.',
)

const changeType = open(
  {
    kind: text('The name of the kind of change.'),
    format: text('How such a change is written.'),
    validation: Type.Optional(strings('How such a change is checked.')),
  },
  'A kind of change that the profile adds.',
)

const constraints = open(
  {
    patch_only: Type.Optional(flag('Whether files may be changed by patches only.')),
    max_lines_changed: Type.Optional(integer('The most lines that one patch may change.')),
    max_files_changed: Type.Optional(integer('The most files that one patch may change.')),
    tests_must_pass: Type.Optional(flag('Whether the tests must pass after a change.')),
    ascii_only: Type.Optional(flag('Whether files may hold ASCII characters only.')),
  },
  'What all work under the profile must keep to.',
)

const validationType = open(
  {
    type: text('The name of the kind of check.'),
    command: text('The command that decides it.'),
  },
  'A kind of check that the profile adds.',
)

const phaseTemplate = open(
  {
    phase_id: Type.Optional(text('The id of the phase.')),
    name: Type.Optional(text('What people call it.')),
    category: Type.Optional(text('What kind of phase it is.')),
    template_path: Type.Optional(text('Where its template is.')),
  },
  'A phase that projects of this profile start with.',
)

export const ProfileExtension = document(
  {
    title: 'Profile extension',
    description: 'What a profile adds to the framework for one kind of project.',
    example: {
      profile_id: 'node-service',
      profile_version: '1.0.0',
      domain: 'software-dev',
      description: 'Services that run on Node.',
      extends_core: ['PHASE_SPEC_MASTER', 'TASK_ROUTING_SPEC'],
      adds_resource_types: [
        { type: 'npm_package', scope_format: 'package name', operations: ['read', 'write'] },
      ],
      adds_change_types: [
        { kind: 'lockfile_update', format: 'unified_diff', validation: ['npm ci succeeds'] },
      ],
      adds_task_kinds: ['dependency_update'],
      adds_constraints: { tests_must_pass: true, max_files_changed: 10 },
      adds_validation_types: [{ type: 'types', command: 'tsc --noEmit' }],
      phase_templates: [{ phase_id: 'build', name: 'Build', template_path: 'phases/build.json' }],
    },
  },
  {
    profile_id: filled('The id of the profile.'),
    profile_version: semver('The version of the profile: major.minor.patch.'),
    domain: Type.Optional(text('What kind of work it is for.')),
    description: Type.Optional(text('What it is for, in words.')),
    extends_core: Type.Array(
      oneOf(
        [
          'COOPERATION_SPEC',
          'PHASE_SPEC_MASTER',
          'WORKSTREAM_SPEC',
          'TASK_ROUTING_SPEC',
          'PROMPT_RENDERING_SPEC',
          'PATCH_MANAGEMENT_SPEC',
        ],
        'A specification of the framework.',
      ),
      { description: 'The specifications that it adds to.' },
    ),
    adds_resource_types: Type.Array(resourceType, { description: 'Kinds of resources that it adds.' }),
    adds_change_types: Type.Optional(
      Type.Array(changeType, { description: 'Kinds of changes that it adds.' }),
    ),
    adds_task_kinds: Type.Optional(strings('Kinds of tasks that it adds.')),
    adds_constraints: Type.Optional(constraints),
    adds_validation_types: Type.Optional(
      Type.Array(validationType, { description: 'Kinds of checks that it adds.' }),
    ),
    phase_templates: Type.Optional(
      Type.Array(phaseTemplate, { description: 'The phases that projects start with.' }),
    ),
  },
)

import { Type } from '@sinclair/typebox'
import { closed, nullable } from '../named.ts'
import { document } from './document.ts'
import { distinct, filled, flag, integer, oneOf, text, ulid } from './fields.ts'

const scope = closed(
  {
    level: oneOf(['global', 'project', 'phase', 'doc'], 'How far the policy reaches, widest first.'),
    project_id: Type.Optional(nullable(text('The project that it holds for.'))),
    phase_id: Type.Optional(nullable(text('The phase that it holds for.'))),
    doc_ulid: Type.Optional(nullable(ulid('The document that it holds for.'))),
  },
  { description: 'What the policy holds for.' },
)

const constraints = closed(
  {
    allowed_formats: Type.Optional(distinct('Formats that patches may have, none twice.')),
    patch_required: Type.Optional(flag('Whether files may be changed by patches only.', { default: true })),
    max_lines_changed: Type.Optional(integer('The most lines that one patch may change.', { minimum: 1 })),
    max_files_changed: Type.Optional(integer('The most files that one patch may change.', { minimum: 1 })),
    forbid_binary_patches: Type.Optional(
      flag('Whether patches of binary files are refused.', { default: true }),
    ),
    forbid_touching_paths: Type.Optional(distinct('Paths that no patch may change, none twice.')),
    require_tests_for_paths: Type.Optional(distinct('Paths whose changes must come with tests, none twice.')),
    require_issue_ref: Type.Optional(
      flag('Whether each patch must name the issue that asked for it.', { default: true }),
    ),
    min_reviewers: Type.Optional(
      integer('How many people must have approved a patch.', { minimum: 0, default: 1 }),
    ),
    oscillation_window: Type.Optional(
      integer('How many patches back are looked at for changes that undo each other.', { minimum: 1 }),
    ),
    oscillation_threshold: Type.Optional(
      integer('How many changes that undo each other are too many within that window.', { minimum: 1 }),
    ),
  },
  { description: 'What a patch must keep to.' },
)

export const PatchPolicy = document(
  {
    title: 'Patch policy',
    description: 'The rules that patches must keep to, for everything or for a part.',
    example: {
      patch_policy_id: 'shop-default',
      scope: { level: 'project', project_id: 'shop' },
      constraints: {
        allowed_formats: ['unified_diff'],
        max_lines_changed: 400,
        max_files_changed: 10,
        forbid_touching_paths: ['infra/**'],
        require_tests_for_paths: ['src/**'],
        min_reviewers: 1,
        oscillation_window: 6,
        oscillation_threshold: 2,
      },
    },
  },
  {
    patch_policy_id: filled('The id of the policy.'),
    scope,
    constraints,
  },
)

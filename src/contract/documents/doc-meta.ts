import { Type } from '@sinclair/typebox'
import { closed, nullable } from '../named.ts'
import { document } from './document.ts'
import {
  dateTime,
  distinctFilled,
  distinctUlids,
  filled,
  flag,
  integer,
  oneOf,
  semver,
  text,
  ulid,
} from './fields.ts'

const patchPolicy = closed(
  {
    patch_required: Type.Optional(
      flag('Whether the document may be changed by patches only.', { default: true }),
    ),
    require_issue_ref: Type.Optional(
      flag('Whether each change must name the issue that asked for it.', { default: true }),
    ),
    min_reviewers: Type.Optional(
      integer('How many people must have approved a change.', { minimum: 0, default: 1 }),
    ),
  },
  { description: 'How the document may be changed.' },
)

export const DocMeta = document(
  {
    title: 'Document metadata',
    description: 'What a document of the framework says about itself, whatever it is about.',
    example: {
      meta_version: 'doc-meta.v1',
      doc_ulid: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
      doc_type: 'workstream_spec',
      doc_layer: 'project',
      title: 'Checkout workstream',
      summary: 'What has to be done so that customers can pay by invoice.',
      version: '1.2.0',
      status: 'active',
      schema_ref: 'workstream_spec.v1.json',
      created_at: '2026-01-05T09:30:00Z',
      updated_at: '2026-01-06T14:00:00Z',
      author_type: 'mixed',
      owner: 'team-checkout',
      security_tier: 'internal',
      project_id: 'shop',
      tags: ['checkout', 'payments'],
      patch_policy: { patch_required: true, min_reviewers: 2 },
      ascii_only: false,
      max_line_length: 120,
    },
  },
  {
    meta_version: Type.Literal('doc-meta.v1', { description: 'The version of this metadata itself.' }),
    doc_ulid: ulid('The id of the document; it stays through all of its versions.'),
    doc_type: oneOf(
      [
        'global_spec',
        'core_spec',
        'project_profile',
        'phase_spec_master',
        'phase_spec_instance',
        'workstream_spec',
        'error_pipeline_spec',
        'tool_profile',
        'capability_card',
        'run_artifact',
        'other',
      ],
      'What kind of document it is.',
    ),
    doc_layer: oneOf(
      ['global', 'framework', 'project', 'module', 'run'],
      'How far the document reaches, widest first.',
    ),
    title: filled('What the document is called.'),
    summary: Type.String({
      minLength: 1,
      maxLength: 512,
      description: 'What the document says, in a few sentences.',
    }),
    version: semver('The version of the document: major.minor.patch.'),
    status: oneOf(
      ['draft', 'active', 'deprecated', 'superseded', 'experimental'],
      'Whether the document is to be followed.',
    ),
    schema_ref: filled('The schema that the document follows.'),
    created_at: dateTime('When the document was first written.'),
    updated_at: dateTime('When it was last changed.'),
    author_type: oneOf(['human', 'ai', 'mixed'], 'Who wrote it.'),
    owner: filled('Who answers for it.'),
    security_tier: oneOf(
      ['public', 'internal', 'confidential', 'restricted'],
      'Who may read it, most open first.',
    ),
    project_id: Type.Optional(nullable(text('The project that it belongs to.'))),
    module_id: Type.Optional(nullable(text('The module that it belongs to.'))),
    phase_id: Type.Optional(nullable(text('The phase that it belongs to.'))),
    workstream_id: Type.Optional(nullable(text('The workstream that it belongs to.'))),
    spec_refs: Type.Optional(distinctUlids('Ids of the documents that it builds on, none twice.')),
    tags: Type.Optional(distinctFilled('Words to find it by, none twice.')),
    patch_policy: Type.Optional(patchPolicy),
    ascii_only: Type.Optional(flag('Whether it holds ASCII characters only.', { default: true })),
    max_line_length: Type.Optional(
      integer('The most characters that a line of it may have.', { minimum: 40 }),
    ),
    last_validated_at: Type.Optional(dateTime('When it was last found to follow its schema.')),
    checksum: Type.Optional(text('A checksum of its content.')),
  },
)

import { type Static, Type } from '@sinclair/typebox'
import { name } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, ref } from './named.ts'

export const SchemaEntry = named(
  'SchemaEntry',
  closed(
    {
      name: Type.String({ description: 'The name of the document: `run_record.v1`.' }),
      title: Type.String({ description: 'What the document is.' }),
      href: Type.String({ description: 'Where its schema is.' }),
    },
    { description: 'A document that has a schema.' },
  ),
)
export type SchemaEntry = Static<typeof SchemaEntry>

export const SchemaList = named(
  'SchemaList',
  closed(
    { items: Type.Array(ref(SchemaEntry), { description: 'Every document, in a fixed order.' }) },
    {
      description: 'The documents that have a schema.',
      examples: [
        { items: [{ name: 'run_record.v1', title: 'Run record', href: '/v1/schemas/run_record.v1.json' }] },
      ],
    },
  ),
)
export type SchemaList = Static<typeof SchemaList>

export const JsonSchema = named(
  'JsonSchema',
  Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    description: 'A JSON Schema (2020-12) that refers to nothing outside itself.',
    // Without its $schema and $id: what publishes the API would take the example for a schema of its own.
    examples: [
      {
        title: 'Run record',
        type: 'object',
        required: ['run_id'],
        properties: { run_id: { type: 'string' } },
      },
    ],
  }),
)

export const AnyDocument = named(
  'AnyDocument',
  Type.Unknown({
    description: 'Any JSON value; what is not an object is a document that is not valid.',
    examples: [
      {
        run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
        project_id: 'shop',
        created_at: '2026-01-05T09:30:00Z',
        state: 'runing',
      },
    ],
  }),
)

export const DocumentFault = named(
  'DocumentFault',
  closed(
    {
      pointer: Type.String({
        description: 'Where in the document, as a JSON pointer: `#/origin/trigger_type`. `#` is the whole.',
      }),
      detail: Type.String({ description: 'What is wrong there.' }),
    },
    { description: 'One thing that is wrong with a document.' },
  ),
)

export const DocumentVerdict = named(
  'DocumentVerdict',
  closed(
    {
      valid: Type.Boolean({ description: 'Whether the document follows its schema.' }),
      errors: Type.Array(ref(DocumentFault), { description: 'Every fault, with its place.' }),
      complete: Type.Boolean({
        description: `Whether \`errors\` names every fault. False where there are more than ${LIMITS.document_faults}, or more than fit into the answer: correct these and ask again.`,
      }),
    },
    {
      description: 'Whether a document is valid, and all that is wrong with it.',
      examples: [
        {
          valid: false,
          errors: [
            { pointer: '#/phase_id', detail: 'is missing' },
            {
              pointer: '#/state',
              detail: 'must be one of pending, running, succeeded, failed, quarantined, canceled',
            },
          ],
          complete: true,
        },
      ],
    },
  ),
)
export type DocumentVerdict = Static<typeof DocumentVerdict>

export const SchemaParams = closed(
  { name: name('The name of the document, with or without `.json`.') },
  { description: 'Which document.' },
)

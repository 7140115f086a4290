import { type TSchema, Type } from '@sinclair/typebox'
import { LABEL_KEY_PATTERN, LIMITS } from './limits.ts'
import { closed, named, nullable, ref, words } from './named.ts'

export const Ulid = named(
  'Ulid',
  Type.String({
    pattern: '^[0-7][0-9A-HJKMNP-TV-Z]{25}$',
    description: 'A ULID in upper case. Ids sort by creation.',
    examples: ['01JD8Z6V3QK0T2M4N6P8R0S2T4'],
  }),
)

export const Timestamp = named(
  'Timestamp',
  Type.String({
    format: 'date-time',
    description:
      'An instant in UTC: RFC 3339 with exactly three decimals and `Z`, so that text order is time order.',
    examples: ['2026-01-05T09:30:00.000Z'],
  }),
)

/** SHA-256 as 64 lower-case hexadecimal characters. */
export const Sha256 = named(
  'Sha256',
  Type.String({
    pattern: '^[0-9a-f]{64}$',
    description: 'SHA-256 as 64 lower-case hexadecimal characters.',
  }),
)

export const name = (description: string) =>
  Type.String({ minLength: 1, maxLength: LIMITS.name_length, description })

/** Text bounded in UTF-8 bytes, which is what the disk and the socket count. */
export const text = (bytes: number, description: string) =>
  Type.String({ maxLength: bytes, 'x-max-bytes': bytes, description })

export const integer = (description: string) =>
  Type.Integer({ minimum: -LIMITS.integer, maximum: LIMITS.integer, description })

export const count = (description: string) =>
  Type.Integer({ minimum: 0, maximum: LIMITS.integer, description })

export const Metadata = named(
  'Metadata',
  Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    'x-max-bytes': LIMITS.metadata_bytes,
    description: `Any JSON object of yours, at most ${LIMITS.metadata_bytes} bytes as JSON. Signalbox stores it and never looks inside.`,
    examples: [{ commit: '9fceb02', branch: 'main' }],
  }),
)

export const Labels = named(
  'Labels',
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    propertyNames: { pattern: LABEL_KEY_PATTERN },
    additionalProperties: { type: 'string', maxLength: LIMITS.label_value_length },
    maxProperties: LIMITS.labels,
    description: `Up to ${LIMITS.labels} short words to find runs by: \`label=team:core\` in lists.`,
    examples: [{ team: 'core', env: 'ci' }],
  }),
)

export const Order = words('Order', ['asc', 'desc'], 'The direction of a list, by id: `asc` is oldest first.')

/** The parameters that every list has. */
export const page = (order: 'asc' | 'desc') => ({
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.page_max,
      default: LIMITS.page_default,
      description: 'The most items on one page.',
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: LIMITS.cursor_length,
      description:
        'The `next_cursor` of the page before, unchanged. It holds only for the same filters and order.',
    }),
  ),
  order: Type.Optional(ref(Order, { description: `Default \`${order}\`.` })),
})

export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export const pageOf = <T extends TSchema>(pageName: string, item: T, of: string) =>
  named(
    pageName,
    closed(
      {
        items: Type.Array(ref(item), { description: `The ${of} of this page.` }),
        next_cursor: nullable(Type.String(), {
          description:
            'Where the next page begins; null at the end. A page may hold fewer items than `limit`, even none, while this is not null: go on until it is null.',
        }),
      },
      {
        description: `One page of ${of}.`,
        examples: [{ items: item.examples as unknown, next_cursor: null }],
      },
    ),
  )

/** A filter that may be repeated: any of its values passes. */
export const anyOf = <T extends TSchema>(value: T, description: string) =>
  Type.Optional(Type.Array(value, { minItems: 1, maxItems: LIMITS.filter_values, description }))

export const instant = (description: string) =>
  Type.String({ format: 'date-time', maxLength: 64, description })

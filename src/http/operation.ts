import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { Problem } from '../contract/problem.ts'
import { PROBLEMS, type ProblemCode } from '../contract/problems.ts'
import { closed, ref } from '../contract/named.ts'
import { LIMITS } from '../contract/limits.ts'
import { StepProgressMessage } from '../contract/step-progress.ts'
import { LedgerError } from '../domain/error.ts'
import { problemOf } from './problem.ts'

export type Tag =
  | 'runs'
  | 'steps'
  | 'events'
  | 'streams'
  | 'routing'
  | 'requests'
  | 'plans'
  | 'dispatch'
  | 'tools'
  | 'statistics'
  | 'machines'
  | 'schemas'
  | 'health'

interface Description {
  operationId: string
  tag: Tag
  summary: string
  description: string
  /** What can go wrong here, beside what can go wrong everywhere. */
  problems?: ProblemCode[]
  /** The status of a problem that names the current version too. */
  tells_version?: 404
}

interface Parts {
  params?: TSchema
  querystring?: TSchema
  body?: TSchema
}

const GATE: ProblemCode[] = ['misdirected_request', 'origin_refused', 'internal_error']
const KEYED: ProblemCode[] = ['unauthenticated', 'forbidden', 'draining', 'store_unavailable']
const TAKING_BODIES: ProblemCode[] = ['malformed_json', 'body_too_large', 'unsupported_media_type']
const WRITING: ProblemCode[] = [...TAKING_BODIES, 'idempotency_key_reused', 'overloaded', 'disk_full']

const header = (name: string, description: string) => ({ [name]: Type.String({ description }) })

const etag = header('ETag', 'The version of the resource, in quotes; for `If-Match`.')
const location = header('Location', 'Where the new resource is.')
const replayed = header(
  'Idempotency-Replayed',
  '`true`, only when this answer was given before, for the same key.',
)
const link = header('Link', 'The next page, `rel="next"`; absent at the end (RFC 8288).')

/** What comes with a problem of that status. */
const PROBLEM_HEADERS: Partial<Record<number, object>> = {
  401: header('WWW-Authenticate', '`Bearer`.'),
  412: header('ETag', 'The current version of the resource.'),
  428: header('ETag', 'The current version of the resource.'),
  503: header('Retry-After', 'Seconds after which another try is worth it.'),
}

const idempotencyKey = Type.Optional(
  Type.String({
    description: `Makes a repeat safe: the same key and body get the first answer again, for 24 hours. 1–${LIMITS.idempotency_key_length} visible ASCII characters, quoted or bare; a ULID is best.`,
    examples: ['01JD8Z6V3QK0T2M4N6P8R0S2T4'],
  }),
)
const ifMatch = (what: string) =>
  Type.Optional(
    Type.String({
      description: `Only if ${what} is still at this version (its \`ETag\`); 412 otherwise.`,
      examples: ['"3"'],
    }),
  )
const ifNoneMatch = Type.Optional(
  Type.String({ description: 'A version that you have (an `ETag`): 304 if it is the current one.' }),
)

// Other headers than those that are documented pass: proxies and browsers add their own.
const headers = (known: Record<string, TSchema>) => Type.Object(known)

type Answers = Record<
  number,
  { description: string; schema?: TSchema; headers?: object; media_type?: string }
>

/** A read of one versioned resource; `more` are further headers of the answer. */
export const readsOne = <P extends Parts>(
  description: Description,
  schema: TSchema,
  parts: P,
  more: object = {},
) =>
  operation(
    description,
    { ...parts, headers: headers({ 'If-None-Match': ifNoneMatch }) },
    {
      200: { description: 'The resource.', schema, headers: { ...etag, ...more } },
      304: { description: 'The client has the current version.', headers: { ...etag, ...more } },
    },
    KEYED,
  )

/** A read of something that has no version of its own. */
export const reads = <P extends Parts>(
  description: Description,
  schema: TSchema,
  parts: P,
  media_type = 'application/json',
) => operation(description, parts, { 200: { description: 'The answer.', schema, media_type } }, KEYED)

/** A question that needs a body: sent with POST, but it writes nothing, so it is safe to repeat without a key. */
export const asks = <P extends Parts>(description: Description, schema: TSchema, parts: P) =>
  operation(description, parts, { 200: { description: 'The answer.', schema } }, [...KEYED, ...TAKING_BODIES])

const progressFields = Object.keys(StepProgressMessage.properties).map((field) => `\`${field}\``)

const STREAM = [
  'Server-sent events (WHATWG HTML): `id` is the `seq`, `event` the `kind` and `data` an `Event` as JSON in one line.',
  `A \`step_progress\` has no \`id\`: it is no event and not repeated, and its \`data\` are ${progressFields.join(', ')}.`,
  'A comment every 15 seconds shows that the stream is alive.',
].join(' ')

const lastEventId = Type.Optional(
  Type.String({
    description:
      'The `id` of the last event that you have: begin behind it. Browsers send it when they come again.',
    examples: ['42'],
  }),
)

/** Server-sent events. `nothing` is what it means to answer 204. */
export const streams = <P extends Parts>(
  description: Description,
  parts: P,
  { nothing }: { nothing?: string } = {},
) =>
  operation(
    description,
    { ...parts, headers: headers({ 'Last-Event-ID': lastEventId }) },
    {
      200: {
        description: 'Events as they happen.',
        schema: Type.String({
          description: STREAM,
        }),
        media_type: 'text/event-stream',
      },
      ...(nothing === undefined ? {} : { 204: { description: nothing } }),
    },
    [...KEYED, 'too_many_streams'],
  )

export const lists = <P extends Parts>(description: Description, schema: TSchema, parts: P) =>
  operation(
    { ...description, problems: [...(description.problems ?? []), 'invalid_cursor'] },
    parts,
    { 200: { description: 'One page.', schema, headers: link } },
    KEYED,
  )

/** A write. `matches` names the resource whose version `If-Match` is about; none has no such condition. */
export function writes<P extends Parts>(
  description: Description,
  answer: {
    status: 200 | 201
    schema: TSchema
    versioned?: boolean
    located?: boolean
    matches?: string
    /** Whether `If-Match` must be sent. */
    guarded?: boolean
    /** What it means to answer 204. */
    nothing?: string
    /** Further headers of the answer. */
    headers?: object
  },
  parts: P,
) {
  const { status, schema, versioned = true, located = false, matches, guarded = false, nothing } = answer
  const { headers: more = {} } = answer
  const answered = { ...(versioned ? etag : {}), ...(located ? location : {}), ...replayed, ...more }
  const conditions = matches === undefined ? {} : { 'If-Match': ifMatch(matches) }
  const refusals: ProblemCode[] = matches === undefined ? WRITING : [...WRITING, 'precondition_failed']
  if (guarded) refusals.push('precondition_required')
  return operation(
    description,
    { ...parts, headers: headers({ 'Idempotency-Key': idempotencyKey, ...conditions }) },
    {
      [status]: { description: status === 201 ? 'Created.' : 'Done.', schema, headers: answered },
      ...(nothing === undefined ? {} : { 204: { description: nothing, headers: more } }),
    },
    [...KEYED, ...refusals],
  )
}

/** A write whose body is a JSON merge patch (RFC 7396), under either of its two names. */
export const patches: typeof writes = (...given) => ({
  ...writes(...given),
  consumes: ['application/json', 'application/merge-patch+json'],
})

/** A write whose body may be YAML too. */
export const takesYaml: typeof writes = (...given) => ({
  ...writes(...given),
  consumes: ['application/json', 'application/yaml'],
})

/** Something that does not need the store, nor a key unless it says so. */
export const serves = <P extends Parts>(
  description: Description,
  answers: Answers,
  parts: P,
  { needs_key = false } = {},
) => ({
  ...operation(description, parts, answers, needs_key ? ['unauthenticated', 'forbidden'] : []),
  ...(needs_key ? {} : { security: [] }),
})

const NO_QUERY = closed({}, { description: 'No parameters.' })

function operation<P extends Parts & { headers?: TSchema }>(
  { operationId, tag, summary, description, problems = [], tells_version }: Description,
  parts: P,
  answers: Answers,
  usual: ProblemCode[],
): FastifySchema & P {
  return {
    operationId,
    tags: [tag],
    summary,
    description,
    querystring: NO_QUERY, // a route without a schema for its query would accept any
    ...parts,
    response: {
      ...answersOf(answers),
      ...problemsOf(['validation_failed', ...usual, ...problems, ...GATE], tells_version),
    },
  } // operationId and tags are @fastify/swagger's
}

const answersOf = (answers: Answers) =>
  Object.fromEntries(
    Object.entries(answers).map(
      ([status, { description, schema, headers, media_type = 'application/json' }]) => [
        status,
        {
          description,
          ...(headers === undefined ? {} : { headers }),
          ...(schema === undefined ? { type: 'null' } : { content: { [media_type]: { schema } } }),
        },
      ],
    ),
  )

/** The problems of an operation by status: each status names its codes. */
function problemsOf(codes: ProblemCode[], tells_version?: number) {
  const byStatus = new Map<number, Set<ProblemCode>>()
  for (const code of codes) {
    const { status } = PROBLEMS[code]
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: [...codes].map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
        headers: status === tells_version ? etag : PROBLEM_HEADERS[status],
        content: { 'application/problem+json': { schema: ref(Problem), example: exampleOf([...codes][0]!) } },
      },
    ]),
  )
}

const [refusedTransition] = Problem.examples as [Problem] // contract/problem.ts gives it one

const exampleOf = (code: ProblemCode): Problem =>
  code === refusedTransition.code
    ? refusedTransition
    : problemOf(new LedgerError(code, PROBLEMS[code].help), refusedTransition)

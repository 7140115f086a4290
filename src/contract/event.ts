import { type Static, Type } from '@sinclair/typebox'
import { Sha256, Timestamp, Ulid, anyOf, count, name, page, pageOf } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref, words } from './named.ts'

export const EventKind = named(
  'EventKind',
  Type.String({
    pattern: '^[a-z][a-z0-9_]{0,63}$',
    description:
      'What happened, in the past tense: `run_started`, `patch_created`, `note` … An open set: accept kinds that you do not know.',
    examples: ['note'],
  }),
)

export const ActorType = words(
  'ActorType',
  ['key', 'worker', 'system', 'anonymous'],
  'Who caused an event: the holder of an API key, a worker, the server itself, or a client of a server without keys.',
)

export const Actor = named(
  'Actor',
  closed(
    {
      type: ref(ActorType),
      id: nullable(Type.String(), { description: 'The id of the key or worker.' }),
    },
    { description: 'Who caused an event.' },
  ),
)
export type Actor = Static<typeof Actor>

export const EventPayload = named(
  'EventPayload',
  Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    'x-max-bytes': LIMITS.payload_bytes,
    description: `A JSON object, at most ${LIMITS.payload_bytes} bytes. Of an event that the server wrote: the after-values of every field that the change set, under \`run\` and \`step_attempt\`.`,
  }),
)

const eventExample = {
  event_id: '01JD8Z6V3RT7W9Y1A3C5E7G9J1',
  seq: 42,
  run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
  run_seq: 2,
  step_attempt_id: null,
  ts: '2026-01-05T09:30:01.250Z',
  kind: 'run_started',
  payload: {
    run: {
      started_at: '2026-01-05T09:30:01.250Z',
      state: 'running',
      updated_at: '2026-01-05T09:30:01.250Z',
      version: 2,
    },
  },
  payload_salt: '000102030405060708090a0b0c0d0e0f',
  payload_hash: '5f0c3a1d9be27c4486a0f4e2d1c3b5a7980716253443526170819a2b3c4d5e6f',
  from: 'pending',
  to: 'running',
  actor: { type: 'anonymous', id: null },
  http_request_id: '01JD8Z6V3RB2D4F6H8K0M2P4R6',
  hash: '0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e',
}

export const Event = named(
  'Event',
  closed(
    {
      event_id: ref(Ulid),
      seq: Type.Integer({ minimum: 1, description: 'Its place among all events. Grows, and may have gaps.' }),
      run_id: nullable(ref(Ulid), { description: 'Null for what belongs to no run.' }),
      run_seq: Type.Integer({
        minimum: 1,
        description:
          'Its place in its run: 1, 2, 3 … without a gap. Events without a run count on their own.',
      }),
      step_attempt_id: nullable(ref(Ulid)),
      ts: ref(Timestamp, {
        description: 'When it happened, by the server. Never falls from one event to the next.',
      }),
      kind: ref(EventKind),
      payload: nullable(ref(EventPayload), { description: 'What changed; null once it was erased.' }),
      payload_salt: nullable(Type.String({ pattern: '^[0-9a-f]{32}$' }), {
        description: 'What `payload_hash` is salted with; null once the payload was erased.',
      }),
      payload_hash: ref(Sha256, {
        description: 'SHA-256 of `payload_salt` followed by the canonical (RFC 8785) text of the payload.',
      }),
      from: nullable(Type.String(), { description: 'The state before, if the event is a change of state.' }),
      to: nullable(Type.String(), { description: 'The state after, if the event is a change of state.' }),
      actor: ref(Actor),
      http_request_id: nullable(Type.String(), {
        description: 'The `X-Request-Id` of the request behind it.',
      }),
      hash: ref(Sha256, { description: "Binds this event to all that came before it in its run's chain." }),
    },
    {
      description: 'An immutable fact, written in the transaction of the change that it tells of.',
      examples: [eventExample],
    },
  ),
)
export type Event = Static<typeof Event>

export const AppendRunEvent = named(
  'AppendRunEvent',
  closed(
    {
      kind: ref(EventKind, {
        description:
          '`note`, `patch_created`, `tool_call_started` …, or a word of yours. Kinds that the server writes (`run_…`, `step_…` …) are refused.',
      }),
      payload: optional(ref(EventPayload)),
      step_attempt_id: optional(ref(Ulid)),
    },
    {
      description: 'Something that happened during the run.',
      examples: [{ kind: 'note', payload: { text: 'flaky test seen' } }],
    },
  ),
)
export type AppendRunEvent = Static<typeof AppendRunEvent>

const kinds = anyOf(ref(EventKind), 'Events of these kinds.')

export const RunEventsQuery = closed({ kind: kinds, ...page('asc') }, { description: 'Filters of the list.' })
export type RunEventsQuery = Static<typeof RunEventsQuery>

export const EventsQuery = closed(
  {
    kind: kinds,
    project_id: anyOf(name('A project.'), 'Events of runs of these projects.'),
    after: Type.Optional(
      count('Events with a higher `seq` than this. Not together with `cursor` or `order=desc`.'),
    ),
    ...page('asc'),
  },
  { description: 'Filters of the list of all events.' },
)
export type EventsQuery = Static<typeof EventsQuery>

const after = Type.Optional(
  count(
    'Begin behind the event with this `seq`; 0, the default, is the beginning. `Last-Event-ID` wins over it.',
  ),
)

export const EventStreamQuery = closed(
  { kind: kinds, project_id: EventsQuery.properties.project_id, after },
  { description: 'Filters of the stream of all events.' },
)

export const RunEventStreamQuery = closed(
  { kind: kinds, after },
  { description: 'Filters of the stream of the events of a run.' },
)

export const EventPage = pageOf('EventPage', Event, 'events')

export const ChainFault = words(
  'ChainFault',
  ['gap', 'payload_hash', 'hash', 'head'],
  'What is wrong: a missing or repeated `run_seq`, a payload that does not fit its hash, an event that does not fit the one before, or events that do not end where the run says.',
)
export type ChainFault = Static<typeof ChainFault>

export const BadEvent = named(
  'BadEvent',
  closed(
    {
      run_seq: Type.Integer({ minimum: 1, description: 'Its place in the run.' }),
      event_id: nullable(ref(Ulid), { description: 'Null where an event is missing.' }),
      fault: ref(ChainFault),
      detail: Type.String({ description: 'The fault in words.' }),
    },
    { description: 'The first event that does not hold.' },
  ),
)
export type BadEvent = Static<typeof BadEvent>

export const EventVerification = named(
  'EventVerification',
  closed(
    {
      run_id: ref(Ulid),
      valid: Type.Boolean({ description: 'True if every event holds and none is missing.' }),
      events_checked: count('How many events were read.'),
      last_hash: ref(Sha256, { description: 'The hash that the chain ends with, recomputed.' }),
      first_bad: nullable(ref(BadEvent)),
    },
    {
      description: "The result of recomputing a run's hash chain.",
      examples: [
        {
          run_id: eventExample.run_id,
          valid: true,
          events_checked: 6,
          last_hash: eventExample.hash,
          first_bad: null,
        },
      ],
    },
  ),
)
export type EventVerification = Static<typeof EventVerification>

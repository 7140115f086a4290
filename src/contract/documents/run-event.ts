import { Type } from '@sinclair/typebox'
import { Event, EventKind } from '../event.ts'
import { nullable, ref } from '../named.ts'
import { document, supersetOf } from './document.ts'
import { anyObject, dateTime, ulid } from './fields.ts'

export const RunEvent = supersetOf(
  Event,
  document(
    {
      title: 'Run event',
      description:
        'An immutable fact. An event as the API answers it is one; beyond the fields of the document nothing is required.',
      example: {
        event_id: '01JD8Z6V3RT7W9Y1A3C5E7G9J1',
        run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
        step_attempt_id: '01JD8Z6W9ZC4X8Y2Z6A0B4C8D2',
        ts: '2026-01-05T09:31:09.870Z',
        kind: 'patch_created',
        payload: { patch_id: '01JD8Z6X1AC4X8Y2Z6A0B4C8D2' },
      },
    },
    {
      event_id: ulid('The id of the event.'),
      run_id: nullable(ulid('The run that it belongs to; null for what belongs to no run.')),
      step_attempt_id: Type.Optional(nullable(ulid('The step attempt that it is about, if any.'))),
      ts: dateTime('When it happened.'),
      kind: ref(EventKind, {
        description:
          'What happened: `run_created`, `tool_call_started`, `patch_created`, `note` … An open set.',
      }),
      payload: Type.Optional(nullable(anyObject('What there is to know of it; null once it was erased.'))),
    },
  ),
)

import { type Static, Type } from '@sinclair/typebox'
import { Ulid } from './common.ts'
import { named, ref } from './named.ts'
import { PROBLEMS } from './problems.ts'

export const Fault = named(
  'Fault',
  Type.Object(
    {
      pointer: Type.Optional(
        Type.String({ description: 'Where in the body, as a JSON pointer: `#/labels/team`.' }),
      ),
      parameter: Type.Optional(Type.String({ description: 'Which path or query parameter, or header.' })),
      detail: Type.String({ description: 'What is wrong with it.' }),
    },
    { description: 'One thing that is wrong with a request.' },
  ),
)
export type Fault = Static<typeof Fault>

export const Problem = named(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'A page of this server that explains the code.' }),
      title: Type.String({ description: 'The code in words.' }),
      status: Type.Integer({ description: 'The HTTP status.' }),
      detail: Type.String({ description: 'What is wrong with this request, and what to do.' }),
      instance: Type.String({ description: 'The path that was asked.' }),
      code: Type.String({ description: 'What programs should look at. Never renamed.' }),
      http_request_id: Type.String({ description: 'The `X-Request-Id` of the request; also in the log.' }),
      retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
      errors: Type.Optional(Type.Array(ref(Fault), { description: 'Every fault, with its place.' })),
      state: Type.Optional(Type.String({ description: 'With 409: the state of the resource.' })),
      command: Type.Optional(Type.String({ description: 'With 409: what was asked.' })),
      allowed_commands: Type.Optional(
        Type.Array(Type.String(), { description: 'With 409: what the state allows.' }),
      ),
      step_attempt_ids: Type.Optional(
        Type.Array(ref(Ulid), { description: 'With `steps_running`: the first of them.' }),
      ),
      steps_running: Type.Optional(
        Type.Integer({ description: 'With `steps_running`: how many there are.' }),
      ),
      newest_step_attempt_id: Type.Optional(ref(Ulid)),
      execution_request_ids: Type.Optional(
        Type.Array(ref(Ulid), { description: 'With `requests_open`: the first of them.' }),
      ),
      requests_open: Type.Optional(
        Type.Integer({ description: 'With `requests_open`: how many there are.' }),
      ),
    },
    {
      additionalProperties: true,
      description: 'Why a request was not carried out (RFC 9457).',
      examples: [
        {
          type: '/problems/transition-refused',
          title: PROBLEMS.transition_refused.title,
          status: 409,
          detail: 'A succeeded run does not take start; it takes no command.',
          instance: '/v1/runs/01JD8Z6V3QK0T2M4N6P8R0S2T4/start',
          code: 'transition_refused',
          http_request_id: '01JD8Z6V3RB2D4F6H8K0M2P4R6',
          retryable: false,
          state: 'succeeded',
          command: 'start',
          allowed_commands: [],
        },
      ],
    },
  ),
)
export type Problem = Static<typeof Problem>

import { type Static, Type } from '@sinclair/typebox'
import { Ulid, name } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, ref } from './named.ts'

// How work is validated: by execution requests of their own, each of which looks at one attempt.

export const ValidatedWork = named(
  'ValidatedWork',
  closed(
    {
      execution_request_id: ref(Ulid, { description: 'The execution request whose work it looks at.' }),
      step_attempt_id: ref(Ulid, {
        description: 'The attempt that did the work; its `outputs` name the patches.',
      }),
      required: Type.Boolean({ description: 'Whether the work succeeds only if this one does.' }),
    },
    {
      description: 'What a validator looks at. It never changes.',
      examples: [
        {
          execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
          step_attempt_id: '01JD8Z6W9ZC4X8Y2Z6A0B4C8D2',
          required: true,
        },
      ],
    },
  ),
)
export type ValidatedWork = Static<typeof ValidatedWork>

/** The class of the failure of work that a validator found fault with. */
export const VALIDATION_FAILED = 'validation_failed'

export const ValidationError = named(
  'ValidationError',
  closed(
    {
      class: Type.String({ description: `\`${VALIDATION_FAILED}\`.` }),
      code: name('The tool that found fault, or could not look.'),
      message: nullable(Type.String({ maxLength: LIMITS.error_message_bytes }), {
        description:
          'The end of what it printed, standard output before standard error; all that is kept of it stands with its attempt.',
      }),
      execution_request_id: ref(Ulid, { description: 'The execution request of the validator.' }),
    },
    {
      description: 'Why work did not count although its attempt succeeded.',
      examples: [
        {
          class: VALIDATION_FAILED,
          code: 'pytest',
          message: '1 failed, 41 passed',
          execution_request_id: '01JD8Z6WB1C4X8Y2Z6A0B4C8D2',
        },
      ],
    },
  ),
)
export type ValidationError = Static<typeof ValidationError>

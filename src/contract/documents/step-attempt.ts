import { Type } from '@sinclair/typebox'
import { closed, nullable, ref } from '../named.ts'
import { StepAttempt, StepAttemptState } from '../step.ts'
import { document, supersetOf } from './document.ts'
import { dateTime, distinctUlids, filled, integer, text, ulid } from './fields.ts'

const outputs = closed(
  {
    patch_ids: Type.Optional(distinctUlids('Patches that the attempt made, none twice.')),
    logs_path: Type.Optional(nullable(text('Where its logs are.'))),
    raw_response_path: Type.Optional(nullable(text("Where the tool's unprocessed answer is."))),
  },
  { description: 'What the attempt left behind.' },
)

export const StepAttemptDocument = supersetOf(
  StepAttempt,
  document(
    {
      title: 'Step attempt',
      description:
        'One invocation of a tool within a run. A step attempt as the API answers it is one; beyond the fields of the document nothing is required.',
      example: {
        step_attempt_id: '01JD8Z6W9ZC4X8Y2Z6A0B4C8D2',
        run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
        sequence: 1,
        tool_id: 'aider',
        prompt_id: '01JD8Z6W9ZC4X8Y2Z6A0B4C8D3',
        started_at: '2026-01-05T09:30:02.000Z',
        ended_at: '2026-01-05T09:31:10.123Z',
        state: 'succeeded',
        outputs: { patch_ids: ['01JD8Z6X1AC4X8Y2Z6A0B4C8D2'], logs_path: 'logs/aider.log' },
      },
    },
    {
      step_attempt_id: ulid('The id of the attempt.'),
      run_id: ulid('The run that it belongs to.'),
      sequence: integer("The step's place in its run, from 1.", { minimum: 1 }),
      tool_id: filled('The tool that is invoked.'),
      tool_run_id: Type.Optional(nullable(text("The tool's own name for this invocation."))),
      execution_request_id: Type.Optional(nullable(ulid('The execution request that it carries out.'))),
      prompt_id: Type.Optional(nullable(ulid('The prompt instance that the tool was given.'))),
      started_at: dateTime('When the tool was invoked.'),
      ended_at: Type.Optional(nullable(dateTime('When it was done; null while it is running.'))),
      state: ref(StepAttemptState, { description: 'Where the attempt is in its life.' }),
      state_reason: Type.Optional(nullable(text('Why it is in this state, in words.'))),
      outputs: Type.Optional(outputs),
    },
  ),
)

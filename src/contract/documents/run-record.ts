import { Type } from '@sinclair/typebox'
import { closed, nullable, ref } from '../named.ts'
import { Run, RunState, TriggerType } from '../run.ts'
import { document, supersetOf } from './document.ts'
import { count, dateTime, filled, text, ulid } from './fields.ts'

const origin = closed(
  {
    trigger_type: Type.Optional(ref(TriggerType, { description: 'What made the run.' })),
    trigger_ref: Type.Optional(nullable(text('Where it came from: a commit, a pull request, a schedule.'))),
    requested_by: Type.Optional(nullable(text('Who or what asked for the run.'))),
  },
  { description: 'Where the run came from.' },
)

const counters = closed(
  {
    step_attempts: Type.Optional(count('Step attempts recorded, retries included.')),
    patches_created: Type.Optional(count('Patches that were made.')),
    patches_applied: Type.Optional(count('Patches that were applied.')),
    errors: Type.Optional(count('What went wrong: failed step attempts and failed tool calls.')),
  },
  { description: 'Totals of the run.' },
)

export const RunRecord = supersetOf(
  Run,
  document(
    {
      title: 'Run record',
      description:
        'One execution of a phase or workstream. A run as the API answers it is one; beyond the fields of the document nothing is required.',
      example: {
        run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
        project_id: 'shop',
        phase_id: 'build',
        workstream_id: null,
        created_at: '2026-01-05T09:30:00.000Z',
        started_at: '2026-01-05T09:30:01.250Z',
        ended_at: null,
        state: 'running',
        origin: { trigger_type: 'ci', trigger_ref: 'refs/pull/42' },
        counters: { step_attempts: 1, errors: 0 },
      },
    },
    {
      run_id: ulid('The id of the run.'),
      project_id: filled('The project that the run belongs to.'),
      phase_id: filled('The phase of the project that is executed.'),
      workstream_id: Type.Optional(nullable(text('The workstream within the phase.'))),
      execution_request_id: Type.Optional(nullable(ulid('The execution request that made the run.'))),
      created_at: dateTime('When the run was recorded.'),
      started_at: Type.Optional(nullable(dateTime('When it started; null before.'))),
      ended_at: Type.Optional(nullable(dateTime('When it was closed; null while it is open.'))),
      state: ref(RunState, { description: 'Where the run is in its life.' }),
      state_reason: Type.Optional(nullable(text('Why it is in this state, in words.'))),
      origin: Type.Optional(origin),
      counters: Type.Optional(counters),
    },
  ),
)

import { type Static, Type } from '@sinclair/typebox'
import { attentionFilter } from './attention.ts'
import {
  Labels,
  Metadata,
  Timestamp,
  Ulid,
  anyOf,
  count,
  instant,
  integer,
  name,
  page,
  pageOf,
  text,
} from './common.ts'
import { LABEL_KEY_PATTERN, LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref, words } from './named.ts'

export const RunState = words(
  'RunState',
  ['pending', 'running', 'succeeded', 'failed', 'quarantined', 'canceled'],
  'Where a run is in its life. Succeeded, quarantined and canceled are final; a failed run is closed and may still be quarantined.',
)
export type RunState = Static<typeof RunState>

export const TriggerType = words(
  'TriggerType',
  ['manual', 'ci', 'error_pipeline', 'scheduled', 'other'],
  'What made the run.',
)

export const Completion = words(
  'Completion',
  ['manual', 'auto'],
  '`manual`: a client completes the run. `auto`: it ends with its last execution request.',
)

export const OnFailure = words(
  'OnFailure',
  ['fail', 'quarantine', 'continue'],
  'What a run with `completion: auto` does when an execution request has finally failed.',
)

export const RunOrigin = named(
  'RunOrigin',
  closed(
    {
      trigger_type: ref(TriggerType),
      trigger_ref: nullable(name('Where it came from: a commit, a pull request, a schedule.')),
      requested_by: nullable(name('Who or what asked for the run.')),
    },
    { description: 'Where a run came from.' },
  ),
)

export const RunCounters = named(
  'RunCounters',
  closed(
    {
      step_attempts: count('Step attempts recorded, retries included.'),
      patches_created: count('Events `patch_created`.'),
      patches_applied: count('Events `patch_apply_succeeded`.'),
      errors: count('Step attempts that failed, and events `tool_call_error`.'),
    },
    { description: 'Totals, kept in the transaction of the change that moves them.' },
  ),
)

const runExample = {
  run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
  project_id: 'shop',
  phase_id: 'build',
  workstream_id: null,
  execution_request_id: null,
  state: 'running',
  state_reason: null,
  origin: { trigger_type: 'ci', trigger_ref: 'refs/pull/42', requested_by: 'ci@shop' },
  counters: { step_attempts: 1, patches_created: 0, patches_applied: 0, errors: 0 },
  exit_code: null,
  error_message: null,
  labels: { team: 'core' },
  metadata: { commit: '9fceb02' },
  completion: 'manual',
  on_failure: 'fail',
  traceparent: null,
  created_at: '2026-01-05T09:30:00.000Z',
  started_at: '2026-01-05T09:30:01.250Z',
  ended_at: null,
  updated_at: '2026-01-05T09:30:02.000Z',
  version: 3,
}

export const Run = named(
  'Run',
  closed(
    {
      run_id: ref(Ulid),
      project_id: name('The project that the run belongs to.'),
      phase_id: name('The phase of the project that is executed.'),
      workstream_id: nullable(name('The workstream within the phase.')),
      execution_request_id: nullable(ref(Ulid), {
        description: 'The execution request that made the run, or any ULID that the client gave.',
      }),
      state: ref(RunState),
      state_reason: nullable(Type.String(), {
        description: 'Why the run was canceled or quarantined, in words.',
      }),
      origin: ref(RunOrigin),
      counters: ref(RunCounters),
      exit_code: nullable(integer('The exit code that the run ended with.')),
      error_message: nullable(Type.String(), { description: 'Why the run failed, in words.' }),
      labels: ref(Labels),
      metadata: ref(Metadata),
      completion: ref(Completion),
      on_failure: ref(OnFailure),
      traceparent: nullable(Type.String(), {
        description: 'W3C Trace Context of the request that created the run, for joining traces.',
      }),
      created_at: ref(Timestamp),
      started_at: nullable(ref(Timestamp)),
      ended_at: nullable(ref(Timestamp), { description: 'When the run was closed; null while it is open.' }),
      updated_at: ref(Timestamp),
      version: Type.Integer({
        minimum: 1,
        description: 'Grows by one with every change; the `ETag` is this number in quotes.',
      }),
    },
    { description: 'One execution of a phase or workstream.', examples: [runExample] },
  ),
)
export type Run = Static<typeof Run>

export const CreateRunOrigin = named(
  'CreateRunOrigin',
  closed(
    {
      trigger_type: optional(ref(TriggerType, { description: 'Default `other`.' })),
      trigger_ref: optional(name('Where it came from: a commit, a pull request, a schedule.')),
      requested_by: optional(name('Who or what asks for the run.')),
    },
    { description: 'Where the run comes from.' },
  ),
)

export const CreateRun = named(
  'CreateRun',
  closed(
    {
      project_id: name('The project that the run belongs to.'),
      phase_id: name('The phase of the project that is executed.'),
      workstream_id: optional(name('The workstream within the phase.')),
      execution_request_id: optional(ref(Ulid)),
      origin: optional(ref(CreateRunOrigin)),
      labels: optional(ref(Labels)),
      metadata: optional(ref(Metadata)),
      completion: optional(ref(Completion, { description: 'Default `manual`.' })),
      on_failure: optional(ref(OnFailure, { description: 'Default `fail`.' })),
    },
    {
      description: 'What is known of a run before it starts.',
      examples: [
        {
          project_id: 'shop',
          phase_id: 'build',
          origin: { trigger_type: 'ci', trigger_ref: 'refs/pull/42' },
          labels: { team: 'core' },
        },
      ],
    },
  ),
)
export type CreateRun = Static<typeof CreateRun>

export const LabelsPatch = named(
  'LabelsPatch',
  Type.Unsafe<Record<string, string | null>>({
    type: 'object',
    propertyNames: { pattern: LABEL_KEY_PATTERN },
    additionalProperties: { type: ['string', 'null'], maxLength: LIMITS.label_value_length },
    description: 'Labels to set; null removes one.',
    examples: [{ team: 'core', env: null }],
  }),
)

export const UpdateRun = named(
  'UpdateRun',
  closed(
    {
      labels: Type.Optional(
        nullable(ref(LabelsPatch), { description: 'Labels to set, null removes one; null for all empties.' }),
      ),
      metadata: Type.Optional(
        nullable(ref(Metadata), {
          description: 'Merged into the metadata (RFC 7396): null removes a field; null for all empties.',
        }),
      ),
    },
    {
      description: 'A JSON merge patch (RFC 7396) of labels and metadata. Allowed in every state.',
      examples: [{ labels: { triaged: 'yes' }, metadata: { ticket: 'SHOP-7' } }],
    },
  ),
)
export type UpdateRun = Static<typeof UpdateRun>

export const RunOutcome = words('RunOutcome', ['succeeded', 'failed'], 'How a run ended.')

export const CompleteRun = named(
  'CompleteRun',
  closed(
    {
      status: ref(RunOutcome),
      exit_code: optional(integer('With `succeeded` it must be 0 or absent.')),
      error_message: optional(text(LIMITS.error_message_bytes, 'Why it failed, in words.')),
    },
    {
      description: 'How the run ended.',
      examples: [{ status: 'failed', exit_code: 2, error_message: 'two tests failed' }],
    },
  ),
)
export type CompleteRun = Static<typeof CompleteRun>

const reason = (description: string) =>
  Type.String({ minLength: 1, maxLength: LIMITS.reason_length, description })

export const QuarantineRun = named(
  'QuarantineRun',
  closed(
    { reason: reason('Why nobody should build on this run; kept as `state_reason`.') },
    {
      description: 'Sets a run aside. What it failed with stays as it is.',
      examples: [{ reason: 'corrupted worktree' }],
    },
  ),
)
export type QuarantineRun = Static<typeof QuarantineRun>

export const CancelRun = named(
  'CancelRun',
  closed(
    { reason: optional(reason('Why; kept as `state_reason`.')) },
    { description: 'Ends a run that is no longer wanted.', examples: [{ reason: 'superseded' }] },
  ),
)
export type CancelRun = Static<typeof CancelRun>

export const RunParams = closed({ run_id: ref(Ulid) }, { description: 'Which run.' })

export const RunsQuery = closed(
  {
    project_id: anyOf(name('A project.'), 'Runs of these projects.'),
    phase_id: anyOf(name('A phase.'), 'Runs of these phases.'),
    workstream_id: anyOf(name('A workstream.'), 'Runs of these workstreams.'),
    state: anyOf(ref(RunState), 'Runs in these states.'),
    label: anyOf(
      Type.String({
        pattern: `${LABEL_KEY_PATTERN.slice(0, -1)}:`,
        maxLength: 63 + 1 + LIMITS.label_value_length,
        description: '`key:value`.',
      }),
      'Runs with one of these labels, each written `key:value`.',
    ),
    trigger_type: anyOf(ref(TriggerType), 'Runs made by these triggers.'),
    ...attentionFilter,
    created_after: Type.Optional(instant('Created at this instant or later.')),
    created_before: Type.Optional(instant('Created before this instant.')),
    ...page('desc'),
  },
  { description: 'Filters of the list of runs. Different filters must all pass.' },
)
export type RunsQuery = Static<typeof RunsQuery>

export const RunPage = pageOf('RunPage', Run, 'runs')

export const StartRun = named(
  'StartRun',
  closed({}, { description: 'Nothing is needed to start a run.', examples: [{}] }),
)

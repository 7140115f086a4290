import { type Static, Type } from '@sinclair/typebox'
import { Metadata, Timestamp, Ulid, count, integer, name, page, pageOf, text } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref, words } from './named.ts'

export const StepAttemptState = words(
  'StepAttemptState',
  ['running', 'succeeded', 'failed', 'canceled'],
  'Where a step attempt is in its life. All but running are final.',
)
export type StepAttemptState = Static<typeof StepAttemptState>

const path = (description: string) => text(LIMITS.path_bytes, description)
// The pattern itself, because ajv compares items that are references pair by pair: 35 000 of them for 12 s.
const patchId = Type.String({ pattern: Ulid.pattern!, description: 'A patch, by its ULID.' })
const patchIds = Type.Array(patchId, {
  maxItems: LIMITS.patch_ids,
  uniqueItems: true,
  description: 'Patches that the attempt made.',
})

export const StepOutputs = named(
  'StepOutputs',
  closed(
    {
      patch_ids: patchIds,
      logs_path: nullable(path('Where its logs are.')),
      raw_response_path: nullable(path("Where the tool's unprocessed answer is.")),
    },
    { description: 'What a step attempt left behind.' },
  ),
)

export const StepUsage = named(
  'StepUsage',
  closed(
    {
      tokens_input: nullable(count('Tokens read by a model.')),
      tokens_output: nullable(count('Tokens written by a model.')),
      cost_usd_micros: nullable(count('Cost in millionths of a US dollar.')),
      duration_ms: nullable(count('How long the tool itself worked.')),
    },
    { description: 'What a step attempt used up. Null is unknown.' },
  ),
)

export const stepExample = {
  step_attempt_id: '01JD8Z6W9ZC4X8Y2Z6A0B4C8D2',
  run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
  sequence: 1,
  attempt: 1,
  retry_of: null,
  tool_id: 'pytest',
  tool_run_id: null,
  execution_request_id: null,
  route_decision_id: null,
  prompt_id: null,
  input_prompt: null,
  state: 'succeeded',
  state_reason: null,
  exit_code: 0,
  signal: null,
  error_class: null,
  error_code: null,
  error_log: null,
  stdout_tail: '42 passed',
  stderr_tail: null,
  outputs: { patch_ids: [], logs_path: null, raw_response_path: null },
  usage: { tokens_input: null, tokens_output: null, cost_usd_micros: null, duration_ms: 8123 },
  metadata: {},
  started_at: '2026-01-05T09:30:02.000Z',
  ended_at: '2026-01-05T09:30:10.123Z',
  version: 2,
}

export const StepAttempt = named(
  'StepAttempt',
  closed(
    {
      step_attempt_id: ref(Ulid),
      run_id: ref(Ulid),
      sequence: Type.Integer({ minimum: 1, description: "The step's place in its run." }),
      attempt: Type.Integer({ minimum: 1, description: "Counts the step's tries from 1." }),
      retry_of: nullable(ref(Ulid), { description: 'The attempt that this one repeats.' }),
      tool_id: name('The tool that is invoked.'),
      tool_run_id: nullable(name("The tool's own name for this invocation.")),
      execution_request_id: nullable(ref(Ulid), {
        description: 'The execution request that it carries out.',
      }),
      route_decision_id: nullable(ref(Ulid), { description: 'The decision that chose the tool.' }),
      prompt_id: nullable(ref(Ulid), { description: 'The prompt instance that the tool was given.' }),
      input_prompt: nullable(Type.String(), { description: 'What the tool was asked, in full.' }),
      state: ref(StepAttemptState),
      state_reason: nullable(Type.String(), {
        description: 'Why it is in this state, where its command does not say it: `run_canceled` …',
      }),
      exit_code: nullable(integer('The exit code of its program.')),
      signal: nullable(Type.String(), {
        description: 'The signal that ended its program, such as `SIGKILL`.',
      }),
      error_class: nullable(Type.String(), {
        description:
          'What kind of failure it was: `invalid_request`, `auth`, `rate_limited`, `timeout`, `tool_error`, `canceled` … (an open set).',
      }),
      error_code: nullable(Type.String(), { description: "The tool's own code for the failure." }),
      error_log: nullable(Type.String(), { description: 'What there is to read about the failure.' }),
      stdout_tail: nullable(Type.String(), { description: 'The end of its standard output.' }),
      stderr_tail: nullable(Type.String(), { description: 'The end of its standard error.' }),
      outputs: ref(StepOutputs),
      usage: ref(StepUsage),
      metadata: ref(Metadata),
      started_at: ref(Timestamp),
      ended_at: nullable(ref(Timestamp)),
      version: Type.Integer({
        minimum: 1,
        description: 'Grows by one with every change; the `ETag` is this number in quotes.',
      }),
    },
    { description: 'One invocation of a tool within a run.', examples: [stepExample] },
  ),
)
export type StepAttempt = Static<typeof StepAttempt>

const inputPrompt = text(LIMITS.input_prompt_bytes, 'What the tool is asked, in full.')

export const CreateStepAttempt = named(
  'CreateStepAttempt',
  closed(
    {
      tool_id: name('The tool that is invoked.'),
      sequence: optional(
        Type.Integer({
          minimum: 1,
          maximum: LIMITS.sequence,
          description: "The step's place in its run; absent is one after the highest so far.",
        }),
      ),
      tool_run_id: optional(name("The tool's own name for this invocation.")),
      prompt_id: optional(ref(Ulid)),
      input_prompt: optional(inputPrompt),
      metadata: optional(ref(Metadata)),
    },
    {
      description: 'A tool that has just been invoked.',
      examples: [{ tool_id: 'pytest', input_prompt: 'run the unit tests' }],
    },
  ),
)
export type CreateStepAttempt = Static<typeof CreateStepAttempt>

export const StepOutcome = words(
  'StepOutcome',
  ['succeeded', 'failed', 'canceled'],
  'How a step attempt ended.',
)

const shortText = (description: string) =>
  Type.String({ minLength: 1, maxLength: LIMITS.name_length, description })

export const StepOutputsInput = named(
  'StepOutputsInput',
  closed(
    {
      patch_ids: optional(patchIds),
      logs_path: optional(path('Where its logs are.')),
      raw_response_path: optional(path("Where the tool's unprocessed answer is.")),
    },
    { description: 'What the attempt left behind.' },
  ),
)

export const StepUsageInput = named(
  'StepUsageInput',
  closed(
    {
      tokens_input: optional(count('Tokens read by a model.')),
      tokens_output: optional(count('Tokens written by a model.')),
      cost_usd_micros: optional(count('Cost in millionths of a US dollar.')),
      duration_ms: optional(count('How long the tool itself worked.')),
    },
    { description: 'What the attempt used up.' },
  ),
)

/** What the program of an attempt left, however it ended. */
export const programFields = {
  exit_code: optional(integer('What the program answered; after a success it must be 0 or absent.')),
  signal: optional(shortText('The signal that ended the program.')),
  stdout_tail: optional(text(LIMITS.tail_bytes, 'The end of standard output.')),
  stderr_tail: optional(text(LIMITS.tail_bytes, 'The end of standard error.')),
  outputs: optional(ref(StepOutputsInput)),
  usage: optional(ref(StepUsageInput)),
}

export const errorClass = shortText('What kind of failure it was.')
export const errorCode = shortText("The tool's own code for the failure.")

export const CompleteStepAttempt = named(
  'CompleteStepAttempt',
  closed(
    {
      status: ref(StepOutcome),
      ...programFields,
      error_class: optional(errorClass),
      error_code: optional(errorCode),
      error_log: optional(text(LIMITS.error_log_bytes, 'What there is to read about the failure.')),
    },
    {
      description: 'How the attempt ended.',
      examples: [{ status: 'succeeded', exit_code: 0, usage: { duration_ms: 8123 } }],
    },
  ),
)
export type CompleteStepAttempt = Static<typeof CompleteStepAttempt>

export const RetryStepAttempt = named(
  'RetryStepAttempt',
  closed(
    {
      tool_id: optional(name('Another tool; absent is the same again.')),
      input_prompt: optional(inputPrompt),
      metadata: optional(ref(Metadata)),
    },
    {
      description: 'What the new attempt does differently; the rest is copied.',
      examples: [{ tool_id: 'vitest' }],
    },
  ),
)
export type RetryStepAttempt = Static<typeof RetryStepAttempt>

export const StepParams = closed({ step_attempt_id: ref(Ulid) }, { description: 'Which step attempt.' })

export const StepsQuery = closed(page('asc'), { description: 'Paging.' })
export type StepsQuery = Static<typeof StepsQuery>

export const StepAttemptPage = pageOf('StepAttemptPage', StepAttempt, 'step attempts')

import { type Static, Type } from '@sinclair/typebox'
import { Timestamp, count, name, text } from './common.ts'
import { ExecutionRequest, requestExample } from './execution-request.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref } from './named.ts'
import { StepProgressInput } from './step-progress.ts'
import { StepAttempt, errorClass, errorCode, programFields, stepExample } from './step.ts'

export const ClaimExecutionRequests = named(
  'ClaimExecutionRequests',
  closed(
    {
      worker_id: name('Your name; the same for as long as the worker lives.'),
      tools: Type.Array(name('A tool.'), {
        minItems: 1,
        maxItems: LIMITS.claim_tools,
        description: 'The tools that you can run.',
      }),
      max: optional(
        Type.Integer({
          minimum: 1,
          maximum: LIMITS.claim_items,
          description: 'The most requests that you take; 1 if left out.',
        }),
      ),
      lease_seconds: optional(
        Type.Integer({
          minimum: LIMITS.lease_seconds_min,
          maximum: LIMITS.lease_seconds_max,
          description: `How long they are yours without a heartbeat; ${LIMITS.lease_seconds} if left out.`,
        }),
      ),
    },
    {
      description: 'Who asks for work, and for which.',
      examples: [{ worker_id: 'builder-1', tools: ['pytest', 'eslint'], max: 2, lease_seconds: 60 }],
    },
  ),
)
export type ClaimExecutionRequests = Static<typeof ClaimExecutionRequests>

const leaseToken = Type.String({
  pattern: '^[0-9a-f]{32}$',
  description: 'What proves that the request is yours. Keep it to yourself.',
})

const claimedExample = {
  execution_request: {
    ...requestExample,
    state: 'claimed',
    fence: 1,
    worker_id: 'builder-1',
    sequence: 1,
    step_attempt_id: stepExample.step_attempt_id,
  },
  step_attempt: stepExample,
  lease_token: '0123456789abcdef0123456789abcdef',
  fence: 1,
  lease_expires_at: '2026-01-05T09:31:00.500Z',
}

export const ClaimedRequest = named(
  'ClaimedRequest',
  closed(
    {
      execution_request: ref(ExecutionRequest),
      step_attempt: ref(StepAttempt),
      lease_token: leaseToken,
      fence: count('The number of this claim; it grows with each claim of the request.'),
      lease_expires_at: ref(Timestamp, { description: 'Yours until then, and longer with heartbeats.' }),
    },
    {
      description: 'A request that is yours to carry out, and its attempt, which is running.',
      examples: [claimedExample],
    },
  ),
)
export type ClaimedRequest = Static<typeof ClaimedRequest>

export const ClaimResult = named(
  'ClaimResult',
  closed(
    { items: Type.Array(ref(ClaimedRequest), { description: 'What is yours now.' }) },
    { description: 'Requests that were claimed.', examples: [{ items: [claimedExample] }] },
  ),
)
export type ClaimResult = Static<typeof ClaimResult>

export const Heartbeat = named(
  'Heartbeat',
  closed(
    {
      lease_token: leaseToken,
      progress: optional(
        ref(StepProgressInput, { description: 'How far you are; left out, it stays as it was.' }),
      ),
      output: optional(
        text(
          LIMITS.live_output_bytes,
          'The end of what the program has printed so far; left out, it stays as it was.',
        ),
      ),
    },
    {
      description: 'You are still at it.',
      examples: [
        {
          lease_token: '0123456789abcdef0123456789abcdef',
          progress: { done: 12, total: 40, message: 'tests/api' },
          output: 'tests/api/test_runs.py ......\n',
        },
      ],
    },
  ),
)
export type Heartbeat = Static<typeof Heartbeat>

export const HeartbeatResult = named(
  'HeartbeatResult',
  closed(
    {
      lease_expires_at: nullable(ref(Timestamp), { description: 'Yours until then; null if it is not.' }),
      cancel_requested: Type.Boolean({
        description: 'Whether to stop: end the program and report `fail` with the class `canceled`.',
      }),
      lease_lost: Type.Boolean({
        description: 'Whether the request is no longer yours: end the program and report nothing.',
      }),
    },
    {
      description: 'What became of the lease.',
      examples: [
        { lease_expires_at: '2026-01-05T09:31:00.500Z', cancel_requested: false, lease_lost: false },
      ],
    },
  ),
)
export type HeartbeatResult = Static<typeof HeartbeatResult>

export const CompleteExecutionRequest = named(
  'CompleteExecutionRequest',
  closed(
    { lease_token: leaseToken, ...programFields },
    {
      description: 'The work is done.',
      examples: [{ lease_token: '0123456789abcdef0123456789abcdef', exit_code: 0 }],
    },
  ),
)
export type CompleteExecutionRequest = Static<typeof CompleteExecutionRequest>

export const ClaimNextQuery = closed(
  {
    claim_next: Type.Optional(
      Type.Boolean({ description: 'Also claim the next request, for the same tools and as long as before.' }),
    ),
  },
  { description: 'Whether to go on.' },
)

export const CompletedRequest = named(
  'CompletedRequest',
  closed(
    {
      execution_request: ref(ExecutionRequest),
      next: nullable(ref(ClaimedRequest), {
        description: 'With `claim_next`: the next one, or null if there is none.',
      }),
    },
    {
      description: 'The request as it ended, or waits for its validators (`blocked`).',
      examples: [
        {
          execution_request: {
            ...claimedExample.execution_request,
            state: 'succeeded',
            stop_reason: 'succeeded',
            attempts: 1,
            ended_at: '2026-01-05T09:30:40.000Z',
            updated_at: '2026-01-05T09:30:40.000Z',
            version: 3,
          },
          next: null,
        },
      ],
    },
  ),
)
export type CompletedRequest = Static<typeof CompletedRequest>

export const RequestError = named(
  'RequestError',
  closed(
    {
      class: errorClass,
      code: optional(errorCode),
      message: optional(text(LIMITS.error_log_bytes, 'What there is to read about it.')),
    },
    {
      description:
        'What went wrong. `invalid_request` and `canceled` are never tried again, `auth` only with another tool; `auth` and `rate_limited` open the circuit of the tool at once, `timeout` and `worker_error`, the trouble of a worker and not of the tool, never do. Other classes are yours to name, such as `tool_error`.',
    },
  ),
)

export const FailExecutionRequest = named(
  'FailExecutionRequest',
  closed(
    {
      lease_token: leaseToken,
      error: ref(RequestError),
      retryable: optional(
        Type.Boolean({
          description:
            'False: no other try would do better, with whichever tool; it ends at once. Left out is true.',
        }),
      ),
      retry_after_ms: optional(
        Type.Integer({
          minimum: 0,
          maximum: LIMITS.retry_after_ms,
          description:
            'Wait this long before the next attempt, instead of the usual back-off. With `auth` and `rate_limited` nobody else uses the tool until then either.',
        }),
      ),
      ...programFields,
    },
    {
      description: 'The attempt failed.',
      examples: [
        { lease_token: '0123456789abcdef0123456789abcdef', error: { class: 'tool_error' }, exit_code: 1 },
      ],
    },
  ),
)
export type FailExecutionRequest = Static<typeof FailExecutionRequest>

const handBack = (schemaName: string, description: string) =>
  named(
    schemaName,
    closed(
      {
        lease_token: leaseToken,
        reason: Type.String({
          minLength: 1,
          maxLength: LIMITS.reason_length,
          description: 'Why; kept with the attempt.',
        }),
      },
      {
        description,
        examples: [{ lease_token: '0123456789abcdef0123456789abcdef', reason: 'no such file here' }],
      },
    ),
  )

export const RejectExecutionRequest = handBack(
  'RejectExecutionRequest',
  'You cannot do it, and do not want to be offered it again. It does not count as an attempt.',
)
export type RejectExecutionRequest = Static<typeof RejectExecutionRequest>

export const ReleaseExecutionRequest = handBack(
  'ReleaseExecutionRequest',
  'You give it back, for anybody to take. It does not count as an attempt.',
)
export type ReleaseExecutionRequest = Static<typeof ReleaseExecutionRequest>

import { type Static, Type } from '@sinclair/typebox'
import { Assignment } from './assignment.ts'
import { Complexity, Priority, RiskTier } from './classification.ts'
import { Labels, Sha256, Timestamp, Ulid, count, name, pageOf } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref, words } from './named.ts'
import { PlanPlace } from './plan-place.ts'
import { Strategy } from './strategy.ts'
import { TaskInput, taskExample, taskFields } from './task.ts'
import { ValidatedWork, ValidationError } from './validation.ts'

export const ExecutionRequestState = words(
  'ExecutionRequestState',
  ['blocked', 'queued', 'claimed', 'succeeded', 'failed', 'canceled'],
  'Where an execution request is in its life. Blocked is what waits for other tasks, or, with its work done, for its validators. Succeeded, failed and canceled are final.',
)
export type ExecutionRequestState = Static<typeof ExecutionRequestState>

// The parts of the document `execution_request.v1`. What is unknown is left out there, never null.

export const RequestOrigin = named(
  'RequestOrigin',
  closed(
    {
      created_by: Type.String({ description: 'Who asked for it.' }),
      created_at: ref(Timestamp),
    },
    { description: 'Where an execution request came from.' },
  ),
)

export const RequestClassification = named(
  'RequestClassification',
  closed(
    {
      complexity: Type.Optional(ref(Complexity)),
      risk_tier: Type.Optional(ref(RiskTier)),
      domain: Type.Optional(name('The field that the work belongs to.')),
      priority: ref(Priority),
    },
    { description: 'What kind of work it is. What is unknown is left out.' },
  ),
)

const globs = (description: string) =>
  Type.Array(Type.String({ description: 'A glob relative to the project.' }), { description })

export const RequestScope = named(
  'RequestScope',
  closed(
    {
      read: globs('What may be read.'),
      write: globs('What may be changed.'),
      create: globs('What may be made anew.'),
      forbidden: globs('What may not be touched, nor what lies in it, whatever the other lists say.'),
    },
    { description: 'Which files the work may touch. What no list names is out of bounds.' },
  ),
)

export const RequestConstraints = named(
  'RequestConstraints',
  closed(
    {
      patch_only: Type.Optional(
        Type.Boolean({ description: 'Whether files may be changed by patches only.' }),
      ),
      tests_must_pass: Type.Optional(
        Type.Boolean({ description: 'Whether the tests must pass afterwards.' }),
      ),
      max_lines_changed: Type.Optional(
        Type.Integer({ minimum: 1, description: 'The most lines that may be changed.' }),
      ),
    },
    { description: 'What the work must keep to. What was not asked is left out.' },
  ),
)

const seconds = (description: string) => Type.Integer({ minimum: 1, description })

export const RequestRouting = named(
  'RequestRouting',
  closed(
    {
      strategy: ref(Strategy, { description: 'How the tool was chosen.' }),
      allowed_tools: Type.Optional(
        Type.Array(name('A tool.'), { description: 'Only these tools may do it; left out is any.' }),
      ),
      excluded_tools: Type.Array(name('A tool.'), { description: 'These tools may not do it.' }),
      max_attempts: Type.Integer({ minimum: 1, description: 'How often each tool may try it.' }),
      timeout_seconds: seconds('How long one try may take.'),
      queue_timeout_seconds: nullable(seconds('How long it may wait for a worker.'), {
        description: 'How long it may wait for a worker; null is without end.',
      }),
      total_timeout_seconds: nullable(seconds('How long it may take in all.'), {
        description: 'How long it may take in all, from its creation; null is without end.',
      }),
    },
    { description: 'Which tools may do it, how often and how long. All bounds are resolved.' },
  ),
)

/** What is immutable and hashed: the document `execution_request.v1`. */
export const requestDocumentFields = {
  request_id: ref(Ulid),
  project_id: name('The project that it belongs to.'),
  phase_id: name('The phase of the project.'),
  workstream_id: nullable(name('The workstream within the phase.')),
  task_kind: name('What is to be done.'),
  task_id: nullable(name("The client's name for the task.")),
  origin: ref(RequestOrigin),
  classification: ref(RequestClassification),
  labels: ref(Labels),
  resource_scope: ref(RequestScope),
  constraints: ref(RequestConstraints),
  routing: ref(RequestRouting),
  input: nullable(ref(TaskInput), { description: 'What the tool is given.' }),
}

export const ExecutionRequestDocument = closed(requestDocumentFields, {
  description: 'The immutable part of an execution request.',
})
export type ExecutionRequestDocument = Static<typeof ExecutionRequestDocument>

export const requestExample = {
  request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
  project_id: 'shop',
  phase_id: 'build',
  workstream_id: null,
  task_kind: 'code_edit',
  task_id: null,
  origin: { created_by: 'ci', created_at: '2026-01-05T09:30:00.500Z' },
  classification: { complexity: 'moderate', risk_tier: 'medium', domain: 'backend', priority: 'normal' },
  labels: {},
  resource_scope: { read: ['src/**'], write: ['src/basket.ts'], create: [], forbidden: ['**/*.pem'] },
  constraints: { patch_only: true },
  routing: {
    strategy: 'fixed',
    excluded_tools: [],
    max_attempts: 3,
    timeout_seconds: 900,
    queue_timeout_seconds: null,
    total_timeout_seconds: null,
  },
  input: { prompt: 'Reject an empty basket', files: ['src/basket.ts'], data: null },
  content_hash: '3b1f5d7a9c0e2b4d6f8a1c3e5b7d9f0a2c4e6b8d0f1a3c5e7b9d1f3a5c7e9b0d',
  run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
  plan: null,
  validates: null,
  created_at: '2026-01-05T09:30:00.500Z',
  state: 'queued',
  stop_reason: null,
  assignment: {
    route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5W',
    tool_id: 'aider',
    command: 'aider',
    args: ['--message', '{prompt}', '--yes-always'],
    validators: [],
  },
  attempts: 0,
  tool_attempts: 0,
  fence: 0,
  worker_id: null,
  rejected_by: [],
  sequence: null,
  step_attempt_id: null,
  available_at: '2026-01-05T09:30:00.500Z',
  queue_expires_at: null,
  cancel_requested_at: null,
  cancel_reason: null,
  validation_error: null,
  updated_at: '2026-01-05T09:30:00.500Z',
  ended_at: null,
  version: 1,
}

/** What the machine changes of a request. */
const progressFields = {
  state: ref(ExecutionRequestState),
  stop_reason: nullable(Type.String(), {
    description:
      'Why it ended, or null while it has not: `dependency_failed` where a task that it needs did not succeed, `unroutable` where no tool was there when it became ready; of a validator `validation_failed` where it found fault, `validation_ended` where the work was decided without it.',
  }),
  assignment: nullable(ref(Assignment), { description: 'Null while nobody was chosen.' }),
  attempts: count('Attempts in all. Those that were rejected or released do not count.'),
  tool_attempts: count(
    'Those of them that its present tool made. At `max_attempts` the next tool of the rule takes over.',
  ),
  fence: count('Grows with every claim. What a worker sends for an earlier one is refused.'),
  worker_id: nullable(name('The worker that holds it, or had it last.')),
  rejected_by: Type.Array(name('A worker.'), {
    description: 'Workers that rejected it, and are not offered it again.',
  }),
  sequence: nullable(Type.Integer({ minimum: 1 }), {
    description: 'The place of its attempts in the run; null before the first claim.',
  }),
  step_attempt_id: nullable(ref(Ulid), { description: 'Its newest attempt; null before the first claim.' }),
  available_at: ref(Timestamp, { description: 'No worker gets it before this instant.' }),
  queue_expires_at: nullable(ref(Timestamp), {
    description: 'When it fails unless a worker has claimed it by then; null is never.',
  }),
  cancel_requested_at: nullable(ref(Timestamp), {
    description: 'When its worker was asked to stop; null if it was not.',
  }),
  cancel_reason: nullable(Type.String(), {
    description:
      'Why its worker was asked to stop; it becomes the `stop_reason` once the worker has stopped.',
  }),
  validation_error: nullable(ref(ValidationError), {
    description: 'Why its last attempt did not count although it succeeded; null where it did, or failed.',
  }),
  updated_at: ref(Timestamp),
  ended_at: nullable(ref(Timestamp)),
  version: Type.Integer({
    minimum: 1,
    description: 'Grows by one with every change; the `ETag` is this number in quotes.',
  }),
}

export const ExecutionRequest = named(
  'ExecutionRequest',
  closed(
    {
      ...requestDocumentFields,
      content_hash: ref(Sha256, {
        description:
          'SHA-256 of the canonical (RFC 8785) text of all fields before this one: those never change.',
      }),
      run_id: ref(Ulid, { description: 'The run that it belongs to.' }),
      plan: nullable(ref(PlanPlace), {
        description: 'Its place in the plan of the run; null if it was not submitted as a task of one.',
      }),
      validates: nullable(ref(ValidatedWork), {
        description: 'Of a validator: the work that it looks at; null if it is work of its own.',
      }),
      created_at: ref(Timestamp),
      ...progressFields,
    },
    { description: 'A unit of work that a worker will carry out.', examples: [requestExample] },
  ),
)
export type ExecutionRequest = Static<typeof ExecutionRequest>

/** A request without what never changes of it, which may be large. */
export type RequestProgress = Pick<
  ExecutionRequest,
  'request_id' | 'run_id' | 'validates' | keyof typeof progressFields
>

export const ExecutionRequestPage = pageOf('ExecutionRequestPage', ExecutionRequest, 'execution requests')

export const CreateExecutionRequest = named(
  'CreateExecutionRequest',
  closed(
    {
      ...taskFields,
      project_id: name('The project that it belongs to.'),
      phase_id: name('The phase of the project.'),
    },
    {
      description: 'A task that is to be done. Without `run_id` a run is made for it.',
      examples: [taskExample],
    },
  ),
)
export type CreateExecutionRequest = Static<typeof CreateExecutionRequest>

export const CancelExecutionRequest = named(
  'CancelExecutionRequest',
  closed(
    {
      reason: optional(
        Type.String({
          minLength: 1,
          maxLength: LIMITS.reason_length,
          description: 'Why; kept as `stop_reason`.',
        }),
      ),
    },
    { description: 'Ends a request that is no longer wanted.', examples: [{ reason: 'superseded' }] },
  ),
)
export type CancelExecutionRequest = Static<typeof CancelExecutionRequest>

export const ExecutionRequestParams = closed(
  { execution_request_id: ref(Ulid) },
  { description: 'Which execution request.' },
)

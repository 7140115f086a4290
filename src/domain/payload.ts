import type { RequestProgress } from '../contract/execution-request.ts'
import type { Run } from '../contract/run.ts'
import type { StepAttempt } from '../contract/step.ts'
import { canonicalText } from './canonical.ts'

/**
 * The payloads of the events that the server writes, as RFC 8785 text: keys stand in the order of their
 * UTF-16 code units. They are written out because a general canonicaliser costs several times as much on the
 * hottest path; a test compares the two. Only what clients may shape freely goes through the general one.
 */
export const payloadText = (after: {
  execution_request?: string
  run?: string
  step_attempt?: string
}): string => {
  const { execution_request, run, step_attempt } = after
  const parts: string[] = []
  if (execution_request !== undefined) parts.push(`"execution_request":${execution_request}`)
  if (run !== undefined) parts.push(`"run":${run}`)
  if (step_attempt !== undefined) parts.push(`"step_attempt":${step_attempt}`)
  return `{${parts.join()}}`
}

const { stringify } = JSON
/** The members of an object's text without its braces. */
export const members = (object: object): string => stringify(object).slice(1, -1)

export const countersOf = ({ counters }: Run): Run['counters'] => ({
  errors: counters.errors,
  patches_applied: counters.patches_applied,
  patches_created: counters.patches_created,
  step_attempts: counters.step_attempts,
})

export const runText = (run: Run): string => {
  const start = {
    completion: run.completion,
    counters: countersOf(run),
    created_at: run.created_at,
    ended_at: run.ended_at,
    error_message: run.error_message,
    execution_request_id: run.execution_request_id,
    exit_code: run.exit_code,
  }
  const end = {
    on_failure: run.on_failure,
    origin: {
      requested_by: run.origin.requested_by,
      trigger_ref: run.origin.trigger_ref,
      trigger_type: run.origin.trigger_type,
    },
    phase_id: run.phase_id,
    project_id: run.project_id,
    run_id: run.run_id,
    started_at: run.started_at,
    state: run.state,
    state_reason: run.state_reason,
    traceparent: run.traceparent,
    updated_at: run.updated_at,
    version: run.version,
    workstream_id: run.workstream_id,
  }
  const free = `"labels":${canonicalText(run.labels)},"metadata":${canonicalText(run.metadata)}`
  return `{${members(start)},${free},${members(end)}}`
}

const outputsOf = ({ outputs }: StepAttempt): StepAttempt['outputs'] => ({
  logs_path: outputs.logs_path,
  patch_ids: outputs.patch_ids,
  raw_response_path: outputs.raw_response_path,
})

const usageOf = ({ usage }: StepAttempt): StepAttempt['usage'] => ({
  cost_usd_micros: usage.cost_usd_micros,
  duration_ms: usage.duration_ms,
  tokens_input: usage.tokens_input,
  tokens_output: usage.tokens_output,
})

export const stepText = (step: StepAttempt): string => {
  const start = {
    attempt: step.attempt,
    ended_at: step.ended_at,
    error_class: step.error_class,
    error_code: step.error_code,
    error_log: step.error_log,
    execution_request_id: step.execution_request_id,
    exit_code: step.exit_code,
    input_prompt: step.input_prompt,
  }
  const end = {
    outputs: outputsOf(step),
    prompt_id: step.prompt_id,
    retry_of: step.retry_of,
    route_decision_id: step.route_decision_id,
    run_id: step.run_id,
    sequence: step.sequence,
    signal: step.signal,
    started_at: step.started_at,
    state: step.state,
    state_reason: step.state_reason,
    stderr_tail: step.stderr_tail,
    stdout_tail: step.stdout_tail,
    step_attempt_id: step.step_attempt_id,
    tool_id: step.tool_id,
    tool_run_id: step.tool_run_id,
    usage: usageOf(step),
    version: step.version,
  }
  return `{${members(start)},"metadata":${canonicalText(step.metadata)},${members(end)}}`
}

/** What the end of an attempt set. */
export const stepEndText = (step: StepAttempt): string =>
  stringify({
    ended_at: step.ended_at,
    error_class: step.error_class,
    error_code: step.error_code,
    error_log: step.error_log,
    exit_code: step.exit_code,
    outputs: outputsOf(step),
    signal: step.signal,
    state: step.state,
    state_reason: step.state_reason,
    stderr_tail: step.stderr_tail,
    stdout_tail: step.stdout_tail,
    usage: usageOf(step),
    version: step.version,
  })

/** What the machine changes of an execution request. */
export const progressText = (request: RequestProgress): string =>
  stringify({
    assignment: assignmentOf(request),
    attempts: request.attempts,
    available_at: request.available_at,
    cancel_reason: request.cancel_reason,
    cancel_requested_at: request.cancel_requested_at,
    ended_at: request.ended_at,
    fence: request.fence,
    queue_expires_at: request.queue_expires_at,
    rejected_by: request.rejected_by,
    request_id: request.request_id,
    sequence: request.sequence,
    state: request.state,
    step_attempt_id: request.step_attempt_id,
    stop_reason: request.stop_reason,
    tool_attempts: request.tool_attempts,
    updated_at: request.updated_at,
    validation_error: validationErrorOf(request),
    version: request.version,
    worker_id: request.worker_id,
  })

export const assignmentOf = ({ assignment }: RequestProgress) =>
  assignment === null
    ? null
    : {
        args: assignment.args,
        command: assignment.command,
        route_decision_id: assignment.route_decision_id,
        tool_id: assignment.tool_id,
        validators: assignment.validators.map(({ tool_id, required }) => ({ required, tool_id })),
      }

export const validationErrorOf = ({ validation_error }: RequestProgress) =>
  validation_error === null
    ? null
    : {
        class: validation_error.class,
        code: validation_error.code,
        execution_request_id: validation_error.execution_request_id,
        message: validation_error.message,
      }

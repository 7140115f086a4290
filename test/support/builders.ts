import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import type { ChainHead, RunBook, Snapshot } from '../../src/domain/decision.ts'
import { chainStart } from '../../src/domain/event-chain.ts'
import { NO_PLAN } from '../../src/domain/plan-facts.ts'
import { NO_VALIDATION } from '../../src/domain/validation-facts.ts'
import { ulid } from './given.ts'

export const CREATED_AT = '2026-01-05T09:00:00.000Z'
export const STARTED_AT = '2026-01-05T09:10:00.000Z'
export const ENDED_AT = '2026-01-05T09:20:00.000Z'

export const RUN_ID = ulid(CREATED_AT, 1)
export const STEP_ID = ulid(STARTED_AT, 2)
/** An id that nothing has. */
export const NO_ID = ulid(CREATED_AT, 999)

type RunFacts = Partial<Run> & Partial<Omit<RunBook, 'run'>>

/** A run as it is after the shortest way into its state: its instants, version and events fit the state. */
export function aRun({
  event_count,
  last_hash,
  sequence_max,
  steps_running,
  requests,
  ...facts
}: RunFacts = {}): RunBook {
  const state = facts.state ?? 'pending'
  const way = WAYS[state]
  const run: Run = {
    run_id: RUN_ID,
    project_id: 'shop',
    phase_id: 'build',
    workstream_id: null,
    execution_request_id: null,
    state,
    state_reason: null,
    origin: { trigger_type: 'other', trigger_ref: null, requested_by: null },
    counters: { step_attempts: steps_running ?? 0, patches_created: 0, patches_applied: 0, errors: 0 },
    exit_code: null,
    error_message: null,
    labels: {},
    metadata: {},
    completion: 'manual',
    on_failure: 'fail',
    traceparent: null,
    created_at: CREATED_AT,
    started_at: null,
    ended_at: null,
    updated_at: way.ended_at ?? way.started_at ?? CREATED_AT,
    ...way,
    ...facts,
  }
  return {
    run,
    event_count: event_count ?? run.version,
    last_hash: last_hash ?? chainStart(run.run_id).last_hash,
    sequence_max: sequence_max ?? run.counters.step_attempts,
    steps_running: steps_running ?? 0,
    requests: { open: 0, succeeded: 0, failed: 0, canceled: 0, ...requests },
  }
}

const started = { started_at: STARTED_AT, version: 2 }
const ended = { started_at: STARTED_AT, ended_at: ENDED_AT, version: 3 }

const WAYS: Record<Run['state'], Partial<Run> & { version: number }> = {
  pending: { version: 1 },
  running: started,
  succeeded: { ...ended, exit_code: 0 },
  failed: { ...ended, exit_code: 2, error_message: 'two tests failed' },
  quarantined: { ...ended, state_reason: 'corrupted worktree' },
  canceled: { ...ended, state_reason: 'superseded' },
}

/** The first attempt at the first step of a run, running unless the test says more. */
export function aStep(facts: Partial<StepAttempt> = {}): StepAttempt {
  const state = facts.state ?? 'running'
  const attempt = facts.attempt ?? 1
  return {
    step_attempt_id: STEP_ID,
    run_id: RUN_ID,
    sequence: 1,
    attempt,
    retry_of: attempt === 1 ? null : ulid(STARTED_AT, 1),
    tool_id: 'pytest',
    tool_run_id: null,
    execution_request_id: null,
    route_decision_id: null,
    prompt_id: null,
    input_prompt: null,
    state,
    state_reason: null,
    exit_code: null,
    signal: null,
    error_class: null,
    error_code: null,
    error_log: null,
    stdout_tail: null,
    stderr_tail: null,
    outputs: { patch_ids: [], logs_path: null, raw_response_path: null },
    usage: { tokens_input: null, tokens_output: null, cost_usd_micros: null, duration_ms: null },
    metadata: {},
    started_at: STARTED_AT,
    ended_at: state === 'running' ? null : ENDED_AT,
    version: state === 'running' ? 1 : 2,
    ...facts,
  }
}

/** What is true: nothing, but for what the test says. */
export const aSnapshot = (facts: Partial<Snapshot> = {}): Snapshot => ({
  run: null,
  step_attempt: null,
  request: null,
  lease: null,
  worker: null,
  queue: null,
  surroundings: null,
  fallback: null,
  running: [],
  open_requests: [],
  plan: NO_PLAN,
  validation: NO_VALIDATION,
  newest: null,
  system: null,
  tools: new Map(),
  thresholds: null,
  activation: null,
  config_version_max: 0,
  config: null,
  route: null,
  routing: null,
  remembered: null,
  ...facts,
})

/** An empty chain of the events that belong to no run. */
export const systemStart = (): ChainHead => chainStart(null)

/** The least that a client says of a run and of a step. */
export const RUN_BODY = { project_id: 'shop', phase_id: 'build' }
export const STEP_BODY = { tool_id: 'pytest' }

/** Text that has broken stores before. */
export const AWKWARD = `'"\\\n\t%_;-- Grüße 日本語 \u{1f6a6} \u2028 \u00a0 é e\u0301`

import type { Run } from '../contract/run.ts'
import type {
  CompleteStepAttempt,
  CreateStepAttempt,
  RetryStepAttempt,
  StepAttempt,
} from '../contract/step.ts'
import { LIMITS } from '../contract/limits.ts'
import type { CircuitAttempt } from './circuit.ts'
import type { Decision, Given, RunBook, Snapshot } from './decision.ts'
import { LedgerError } from './error.ts'
import type { EventDraft } from './event-chain.ts'
import { requireAgreement, requireMatch, visibleRun, visibleStep } from './guard.ts'
import { countersOf, payloadText, stepEndText, stepText } from './payload.ts'
import { type Entry, entered } from './run-entry.ts'
import { NOTHING_OPEN, settled } from './run-moves.ts'
import { type StepCommand, stepMachine } from './step-machine.ts'
import { toolsAfter } from './tool.ts'

/** The scope must load the newest attempt at `body.sequence`, where it names one. */
export function createStepAttempt(
  before: Snapshot,
  given: Given,
  body: CreateStepAttempt,
): Decision<StepAttempt> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  requireRunning(book)
  return recordStart(book, given, {
    run_id: book.run.run_id,
    sequence: freeSequence(before, book, body),
    attempt: 1,
    retry_of: null,
    tool_id: body.tool_id,
    tool_run_id: body.tool_run_id ?? null,
    prompt_id: body.prompt_id ?? null,
    input_prompt: body.input_prompt ?? null,
    metadata: body.metadata ?? {},
  })
}

/** A retry is a new row: the old attempt stays as it ended. The scope must load the newest attempt. */
export function retryStepAttempt(
  before: Snapshot,
  given: Given,
  body: RetryStepAttempt,
): Decision<StepAttempt> {
  const { book, step: old } = visibleStep(before, given)
  requireMatch(given, old.version)
  requireRunning(book)
  requireFree(old)
  stepMachine.edge(old.state, 'retry')
  requireNewest(before, old)
  return recordStart(book, given, {
    run_id: old.run_id,
    sequence: old.sequence,
    attempt: old.attempt + 1,
    retry_of: old.step_attempt_id,
    tool_id: body.tool_id ?? old.tool_id,
    tool_run_id: null,
    prompt_id: old.prompt_id,
    input_prompt: body.input_prompt ?? old.input_prompt,
    metadata: body.metadata ?? old.metadata,
  })
}

const COMMANDS = { succeeded: 'succeed', failed: 'fail', canceled: 'cancel' } as const satisfies Record<
  CompleteStepAttempt['status'],
  StepCommand
>

export function completeStepAttempt(
  before: Snapshot,
  given: Given,
  body: CompleteStepAttempt,
): Decision<StepAttempt> {
  const { book, step } = visibleStep(before, given)
  requireMatch(given, step.version)
  requireFree(step)
  requireAgreement(body)
  const { entry, after } = attemptEnd(before, given, { book, step }, body)
  return { result: () => after, ...entered(book, settled(entry, given, NOTHING_OPEN), given, before.system) }
}

export type AttemptResult = CompleteStepAttempt & {
  state_reason?: string
  /** Whether its failure is what a validator has to say. */
  is_verdict?: boolean
} & Pick<CircuitAttempt, 'retry_after_ms'>

/** How a running attempt ends, whoever says so. The snapshot must hold what is known of its tool. */
export function attemptEnd(
  before: Pick<Snapshot, 'tools' | 'thresholds'>,
  given: Given,
  { book, step }: { book: RunBook; step: StepAttempt },
  body: AttemptResult,
): { entry: Entry; after: StepAttempt } {
  const edge = stepMachine.edge(step.state, COMMANDS[body.status])
  const after: StepAttempt = {
    ...step,
    state: edge.to,
    state_reason: body.state_reason ?? null,
    exit_code: body.exit_code ?? null,
    signal: body.signal ?? null,
    error_class: body.error_class ?? null,
    error_code: body.error_code ?? null,
    error_log: body.error_log ?? null,
    stdout_tail: body.stdout_tail ?? null,
    stderr_tail: body.stderr_tail ?? null,
    outputs: {
      patch_ids: body.outputs?.patch_ids ?? [],
      logs_path: body.outputs?.logs_path ?? null,
      raw_response_path: body.outputs?.raw_response_path ?? null,
    },
    usage: {
      tokens_input: body.usage?.tokens_input ?? null,
      tokens_output: body.usage?.tokens_output ?? null,
      cost_usd_micros: body.usage?.cost_usd_micros ?? null,
      duration_ms: body.usage?.duration_ms ?? null,
    },
    ended_at: given.now,
    version: step.version + 1,
  }
  const failed = edge.to === 'failed' ? 1 : 0
  const counters = { ...book.run.counters, errors: book.run.counters.errors + failed }
  const draft = {
    kind: edge.event,
    from: step.state,
    to: edge.to,
    step_attempt_id: step.step_attempt_id,
    text: stepEndText(after),
  }
  const run = { counters, steps_running: book.steps_running - 1 }
  const entry = record(book, given, { before: step, after }, run, draft)
  const { retry_after_ms = null, is_verdict = false } = body
  const ended = { ...after, ended_at: given.now, retry_after_ms, is_verdict }
  const { changes, system } = toolsAfter(before, [ended])
  return { after, entry: { ...entry, changes: [...entry.changes, ...changes], system } }
}

export type StepStart = Pick<
  StepAttempt,
  | 'run_id'
  | 'sequence'
  | 'attempt'
  | 'retry_of'
  | 'tool_id'
  | 'tool_run_id'
  | 'prompt_id'
  | 'input_prompt'
  | 'metadata'
> &
  Partial<Pick<StepAttempt, 'execution_request_id' | 'route_decision_id'>>

function startedStep(given: Given, start: StepStart): StepAttempt {
  return {
    step_attempt_id: given.newId(),
    run_id: start.run_id,
    sequence: start.sequence,
    attempt: start.attempt,
    retry_of: start.retry_of,
    tool_id: start.tool_id,
    tool_run_id: start.tool_run_id,
    execution_request_id: start.execution_request_id ?? null,
    route_decision_id: start.route_decision_id ?? null,
    prompt_id: start.prompt_id,
    input_prompt: start.input_prompt,
    state: 'running',
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
    metadata: start.metadata,
    started_at: given.now,
    ended_at: null,
    version: 1,
  }
}

function recordStart(book: RunBook, given: Given, start: StepStart): Decision<StepAttempt> {
  const { entry, step } = attemptStart(book, given, start)
  return { result: () => step, ...entered(book, entry, given) }
}

export function attemptStart(
  book: RunBook,
  given: Given,
  start: StepStart,
): { entry: Entry; step: StepAttempt } {
  const { run } = book
  const step = startedStep(given, start)
  const counters = { ...run.counters, step_attempts: run.counters.step_attempts + 1 }
  const draft = {
    kind: 'step_started',
    to: step.state,
    step_attempt_id: step.step_attempt_id,
    text: stepText(step),
  }
  const moved = {
    counters,
    sequence_max: Math.max(book.sequence_max, step.sequence),
    steps_running: book.steps_running + 1,
  }
  return { step, entry: record(book, given, { before: null, after: step }, moved, draft) }
}

interface RunMoved {
  counters: Run['counters']
  sequence_max?: number
  steps_running: number
}

/** A step's change and what it moves in its run, told by one event. */
function record(
  book: RunBook,
  given: Given,
  step: { before: StepAttempt | null; after: StepAttempt },
  { counters, ...moved }: RunMoved,
  { text, ...draft }: Omit<EventDraft, 'payload_text'> & { text: string },
): Entry {
  const run: Run = { ...book.run, counters, updated_at: given.now, version: book.run.version + 1 }
  const runChanged = { counters: countersOf(run), updated_at: run.updated_at, version: run.version }
  const payload_text = payloadText({ run: JSON.stringify(runChanged), step_attempt: text })
  return {
    book: { ...book, ...moved, run },
    changes: [{ record: 'step_attempt', ...step }],
    drafts: [{ ...draft, payload_text }],
  }
}

function requireRunning({ run }: RunBook): void {
  if (run.state === 'running') return
  const todo = run.state === 'pending' ? 'Start it first.' : 'It takes no more step attempts.'
  throw new LedgerError('run_not_running', `The run is ${run.state}. ${todo}`, { state: run.state })
}

/** What a claim began, a worker ends, and the server tries again. */
function requireFree({ execution_request_id }: StepAttempt): void {
  if (execution_request_id === null) return
  throw new LedgerError(
    'attempt_leased',
    `The attempt belongs to the execution request ${execution_request_id}: its worker completes it, and the server retries it.`,
    { execution_request_id },
  )
}

function freeSequence({ newest }: Snapshot, book: RunBook, body: CreateStepAttempt): number {
  const sequence = body.sequence ?? book.sequence_max + 1
  if (newest !== null) {
    throw new LedgerError(
      'sequence_taken',
      `The run has a step at sequence ${sequence}. Leave sequence out, or retry the attempt that is there.`,
      { sequence, errors: [{ pointer: '#/sequence', detail: 'is taken' }] },
    )
  }
  requirePlaces({ ...book, sequence_max: Math.max(book.sequence_max, sequence) })
  return sequence
}

/**
 * Claims put their attempts behind the highest place, so each request that is open needs one there.
 * @throws LedgerError `sequence_taken`
 */
export function requirePlaces({ sequence_max, requests }: Pick<RunBook, 'sequence_max' | 'requests'>): void {
  const last = LIMITS.sequence - requests.open
  if (sequence_max <= last) return
  const detail =
    requests.open === 0
      ? `The run has used up its ${LIMITS.sequence} places; give a free one.`
      : `The run needs the places behind ${last} for its ${requests.open} open execution requests.`
  throw new LedgerError('sequence_taken', detail, { sequence: sequence_max })
}

function requireNewest({ newest }: Snapshot, step: StepAttempt): void {
  if (newest === null || newest.step_attempt_id === step.step_attempt_id) return
  throw new LedgerError(
    'already_retried',
    `This attempt was retried already; the newest attempt of the step is ${newest.step_attempt_id}.`,
    { newest_step_attempt_id: newest.step_attempt_id },
  )
}

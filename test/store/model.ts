import { RUN_EDGES } from '../support/edges.ts'

/**
 * What a ledger is, without a database, a hash or an id: the rules once more, as plainly as they can be said.
 * Every operation answers as the real one should, and moves the model only where it succeeds.
 */
export interface Model {
  runs: ModelRun[]
  /** What was answered under each idempotency key. */
  keys: Map<string, { fingerprint: string; expected: Expected }>
}

export interface ModelRun {
  run_id: string
  project_id: string
  state: string
  version: number
  events: number
  counters: { step_attempts: number; patches_created: number; patches_applied: number; errors: number }
  labels: Record<string, string>
  exit_code: number | null
  state_reason: string | null
  steps: ModelStep[]
}

export interface ModelStep {
  step_attempt_id: string
  sequence: number
  attempt: number
  state: string
  state_reason: string | null
  version: number
}

/** What is expected of a real answer: some of its fields, or the code of a refusal. */
export type Expected = { fields: object } | { refused: string }

const refused = (code: string): Expected => ({ refused: code })

/** Who asks, and for which version. A version is said relative to the one that there is. */
export interface Asked {
  projects: string[] | null
  if_match: 'none' | 'any' | 'current' | 'stale'
}

/** One of them by its number; two times of three one that suits, if there is such a one; none below 0. */
export function chosen<T>(all: readonly T[], number: number, suits: (one: T) => boolean): T | undefined {
  if (number < 0 || all.length === 0) return undefined
  const suited = number % 3 === 0 ? [] : all.filter(suits)
  const pool = suited.length === 0 ? all : suited
  return pool[Math.floor(number / 3) % pool.length]
}

export interface Attempted {
  run: ModelRun
  step: ModelStep
}

export const attempts = ({ runs }: Model): Attempted[] =>
  runs.flatMap((run) => run.steps.map((step) => ({ run, step })))

const sees = ({ projects }: Asked, run: ModelRun) => projects?.includes(run.project_id) ?? true
const isClosed = ({ state }: ModelRun) => state !== 'pending' && state !== 'running'
const runningOf = ({ steps }: ModelRun) => steps.filter(({ state }) => state === 'running')
const moved = (run: ModelRun, events = 1): void => {
  run.version += 1
  run.events += events
}

export function createRun(
  model: Model,
  asked: Asked,
  body: { project_id: string; labels: Record<string, string> },
) {
  if (asked.projects?.includes(body.project_id) === false) return refused('forbidden')
  const counters = { step_attempts: 0, patches_created: 0, patches_applied: 0, errors: 0 }
  const run = {
    ...body,
    state: 'pending',
    version: 1,
    events: 1,
    counters,
    exit_code: null,
    state_reason: null,
  }
  model.runs.push({ ...run, run_id: '', steps: [] })
  return { fields: { ...body, state: 'pending', version: 1, counters: { ...counters } } }
}

interface RunCommand {
  command: 'start' | 'succeed' | 'fail' | 'quarantine' | 'cancel'
  exit_code: number | null
  reason: string
}

export function commandRun(run: ModelRun | undefined, asked: Asked, body: RunCommand): Expected {
  const { command, exit_code, reason } = body
  if (run === undefined || !sees(asked, run)) return refused('run_not_found')
  if (asked.if_match === 'stale') return refused('precondition_failed')
  if (command === 'succeed' && (exit_code ?? 0) !== 0) return refused('exit_code_contradicts')
  const edge = RUN_EDGES.find(([from, on]) => from === run.state && on === command)
  if (edge === undefined) return refused('transition_refused')
  const running = runningOf(run)
  if (command === 'succeed' && running.length > 0) return refused('steps_running')

  run.state = edge[2]
  if (command === 'succeed' || command === 'fail') run.exit_code = exit_code
  if (command === 'quarantine' || command === 'cancel') run.state_reason = reason
  const ended = isClosed(run) ? running : []
  for (const step of ended) {
    Object.assign(step, { state: 'canceled', state_reason: `run_${run.state}`, version: step.version + 1 })
  }
  moved(run, ended.length + 1)
  return { fields: { state: run.state, version: run.version, exit_code: run.exit_code } }
}

export function updateRun(
  run: ModelRun | undefined,
  asked: Asked,
  labels: Record<string, string | null>,
): Expected {
  if (run === undefined || !sees(asked, run)) return refused('run_not_found')
  if (asked.if_match === 'stale') return refused('precondition_failed')
  const next = { ...run.labels }
  for (const [key, value] of Object.entries(labels)) {
    if (value === null) delete next[key]
    else next[key] = value
  }
  const keys = new Set([...Object.keys(next), ...Object.keys(run.labels)])
  if ([...keys].some((key) => next[key] !== run.labels[key])) {
    run.labels = next
    moved(run)
  }
  return { fields: { labels: next, version: run.version } }
}

export function createStep(run: ModelRun | undefined, asked: Asked, sequence: number | null): Expected {
  if (run === undefined || !sees(asked, run)) return refused('run_not_found')
  if (asked.if_match === 'stale') return refused('precondition_failed')
  if (run.state !== 'running') return refused('run_not_running')
  if (run.steps.some((step) => step.sequence === sequence)) return refused('sequence_taken')
  return begun(run, { sequence: sequence ?? highest(run) + 1, attempt: 1 })
}

export const highest = ({ steps }: ModelRun): number => Math.max(0, ...steps.map(({ sequence }) => sequence))

function begun(run: ModelRun, place: { sequence: number; attempt: number }): Expected {
  const step = { ...place, state: 'running', version: 1 }
  run.steps.push({ ...step, step_attempt_id: '', state_reason: null })
  run.counters.step_attempts += 1
  moved(run)
  return { fields: step }
}

export function completeStep(
  target: Attempted | undefined,
  asked: Asked,
  { status, exit_code }: { status: string; exit_code: number | null },
): Expected {
  if (target === undefined || !sees(asked, target.run)) return refused('step_attempt_not_found')
  const { run, step } = target
  if (asked.if_match === 'stale') return refused('precondition_failed')
  if (status === 'succeeded' && (exit_code ?? 0) !== 0) return refused('exit_code_contradicts')
  if (step.state !== 'running') return refused('transition_refused')
  step.state = status
  step.version += 1
  if (status === 'failed') run.counters.errors += 1
  moved(run)
  return { fields: { state: status, exit_code, version: step.version } }
}

export function retryStep(target: Attempted | undefined, asked: Asked): Expected {
  if (target === undefined || !sees(asked, target.run)) return refused('step_attempt_not_found')
  const { run, step } = target
  if (asked.if_match === 'stale') return refused('precondition_failed')
  if (run.state !== 'running') return refused('run_not_running')
  if (step.state !== 'failed' && step.state !== 'canceled') return refused('transition_refused')
  const { sequence, attempt } = step
  const isNewest = run.steps.every((each) => each.sequence !== sequence || each.attempt <= attempt)
  return isNewest ? begun(run, { sequence, attempt: attempt + 1 }) : refused('already_retried')
}

const COUNTERS: Record<string, keyof ModelRun['counters']> = {
  patch_created: 'patches_created',
  patch_apply_succeeded: 'patches_applied',
  tool_call_error: 'errors',
}

export function appendEvent(
  run: ModelRun | undefined,
  asked: Asked,
  { kind, step_attempt_id }: { kind: string; step_attempt_id: string | null },
): Expected {
  if (run === undefined || !sees(asked, run)) return refused('run_not_found')
  if (asked.if_match === 'stale') return refused('precondition_failed')
  if (kind.startsWith('run_')) return refused('reserved_kind')
  const isOwn = step_attempt_id === null || run.steps.some((step) => step.step_attempt_id === step_attempt_id)
  if (!isOwn) return refused('unknown_reference')
  if (isClosed(run) && kind !== 'note') return refused('run_not_running')
  run.events += 1
  const counter = COUNTERS[kind]
  if (counter !== undefined) {
    run.counters[counter] += 1
    run.version += 1
  }
  return { fields: { kind, run_seq: run.events } }
}

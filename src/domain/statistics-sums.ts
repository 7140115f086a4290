import type { ExecutionRequestState } from '../contract/execution-request.ts'
import type { RunState } from '../contract/run.ts'
import type {
  AttemptStatistics,
  DurationStatistics,
  RequestStatistics,
  RunStatistics,
  UsageSum,
} from '../contract/statistics.ts'
import type { StepAttemptState } from '../contract/step.ts'
import { msBetween, plus } from './run-summary.ts'
import type { AttemptFacts, RequestFacts, RunFacts } from './statistics.ts'

// What is kept of the things in one cell, and what is told of it. Percentiles need every duration.

export interface RunSums extends Record<RunState, number> {
  total: number
  durations: number[]
}

export interface RequestSums extends Record<ExecutionRequestState, number> {
  total: number
  attempts_of_succeeded: number
  queue: number[]
}

const USAGE = ['tokens_input', 'tokens_output', 'cost_usd_micros'] as const

export interface AttemptSums
  extends
    Record<StepAttemptState, number>,
    Record<(typeof USAGE)[number], { sum: number; attempts: number }> {
  total: number
  durations: number[]
}

export const noRuns = (): RunSums => ({
  total: 0,
  pending: 0,
  running: 0,
  succeeded: 0,
  failed: 0,
  quarantined: 0,
  canceled: 0,
  durations: [],
})

export const noRequests = (): RequestSums => ({
  total: 0,
  blocked: 0,
  queued: 0,
  claimed: 0,
  succeeded: 0,
  failed: 0,
  canceled: 0,
  attempts_of_succeeded: 0,
  queue: [],
})

export const noAttempts = (): AttemptSums => ({
  total: 0,
  running: 0,
  succeeded: 0,
  failed: 0,
  canceled: 0,
  durations: [],
  tokens_input: { sum: 0, attempts: 0 },
  tokens_output: { sum: 0, attempts: 0 },
  cost_usd_micros: { sum: 0, attempts: 0 },
})

export function addRunTo(sums: RunSums, { state, started_at, ended_at }: RunFacts): void {
  sums.total++
  sums[state]++
  if (started_at !== null && ended_at !== null) sums.durations.push(msBetween(started_at, ended_at))
}

export function addRequestTo(sums: RequestSums, request: RequestFacts): void {
  const { state, attempts, created_at, first_claimed_at } = request
  sums.total++
  sums[state]++
  if (state === 'succeeded') sums.attempts_of_succeeded += attempts
  if (first_claimed_at !== null) sums.queue.push(msBetween(created_at, first_claimed_at))
}

export function addAttemptTo(sums: AttemptSums, attempt: AttemptFacts): void {
  const { state, started_at, ended_at } = attempt
  sums.total++
  sums[state]++
  if (ended_at !== null) sums.durations.push(msBetween(started_at, ended_at))
  for (const kind of USAGE) {
    const used = attempt[kind]
    if (used !== null) addUsage(sums[kind], { sum: used, attempts: 1 })
  }
}

function addUsage(into: AttemptSums['tokens_input'], { sum, attempts }: AttemptSums['tokens_input']): void {
  into.sum = plus(into.sum, sum)
  into.attempts += attempts
}

const RUN_COUNTS = ['total', 'pending', 'running', 'succeeded', 'failed', 'quarantined', 'canceled'] as const

export function plusRuns(into: RunSums, more: RunSums): void {
  for (const each of RUN_COUNTS) into[each] += more[each]
  append(into.durations, more.durations)
}

const REQUEST_COUNTS = [
  'total',
  'blocked',
  'queued',
  'claimed',
  'succeeded',
  'failed',
  'canceled',
  'attempts_of_succeeded',
] as const

export function plusRequests(into: RequestSums, more: RequestSums): void {
  for (const each of REQUEST_COUNTS) into[each] += more[each]
  append(into.queue, more.queue)
}

const ATTEMPT_COUNTS = ['total', 'running', 'succeeded', 'failed', 'canceled'] as const

export function plusAttempts(into: AttemptSums, more: AttemptSums): void {
  for (const each of ATTEMPT_COUNTS) into[each] += more[each]
  for (const kind of USAGE) addUsage(into[kind], more[kind])
  append(into.durations, more.durations)
}

/** One by one: there may be more than a call takes as arguments. */
function append(into: number[], more: readonly number[]): void {
  for (const each of more) into.push(each)
}

export function runFigures({ durations, ...counts }: RunSums): RunStatistics {
  const { succeeded, failed, quarantined } = counts
  return {
    ...counts,
    success_rate: ratio(succeeded, succeeded + failed + quarantined),
    durations: durationFigures(durations),
  }
}

export function requestFigures({ attempts_of_succeeded, queue, ...counts }: RequestSums): RequestStatistics {
  const { succeeded, failed } = counts
  return {
    ...counts,
    success_rate: ratio(succeeded, succeeded + failed),
    attempts_per_success: ratio(attempts_of_succeeded, succeeded),
    queue: durationFigures(queue),
  }
}

export function attemptFigures(sums: AttemptSums): AttemptStatistics {
  const { durations, tokens_input, tokens_output, cost_usd_micros, ...counts } = sums
  const { succeeded, failed } = counts
  return {
    ...counts,
    success_rate: ratio(succeeded, succeeded + failed),
    durations: durationFigures(durations),
    tokens_input: usageFigure(tokens_input),
    tokens_output: usageFigure(tokens_output),
    cost_usd_micros: usageFigure(cost_usd_micros),
  }
}

const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole)

const usageFigure = ({ sum, attempts }: AttemptSums['tokens_input']): UsageSum => ({
  sum: attempts === 0 ? null : sum,
  attempts,
})

function durationFigures(durations: readonly number[]): DurationStatistics {
  const sorted = Float64Array.from(durations).sort() // by value, where a list would be sorted as text
  const nearest = (percent: number): number | null =>
    sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? null
  return {
    count: sorted.length,
    p50_ms: nearest(50),
    p90_ms: nearest(90),
    p99_ms: nearest(99),
    max_ms: nearest(100),
  }
}

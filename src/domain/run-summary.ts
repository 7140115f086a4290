import { LIMITS } from '../contract/limits.ts'
import type { RunSummary, ToolTotals } from '../contract/run-summary.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { RunBook } from './decision.ts'

// A run may have a million attempts, so its summary is added up from them one by one, in batches.

/** What a summary needs of an attempt. */
export interface AttemptFacts extends Pick<
  StepAttempt,
  'step_attempt_id' | 'attempt' | 'tool_id' | 'state' | 'started_at' | 'ended_at'
> {
  usage: Pick<StepAttempt['usage'], 'tokens_input' | 'tokens_output' | 'cost_usd_micros'>
  /** The tool of the attempt before, at the same place; null for the first. */
  earlier_tool_id: string | null
  /** When its execution request was created, if this was the first claim of one. */
  requested_at: string | null
}

/** What holds of a run at the moment at which the last of its attempts was read. */
export interface SummaryEnd {
  book: RunBook
  blocked: number
  claimed: number
  /** As they are now: the attempts that were still running when they were read. */
  attempts: readonly AttemptFacts[]
}

type Totals = Omit<ToolTotals, 'tool_id'>

/** The sums so far. */
export interface Tally {
  all: Totals
  by_tool: Map<string, Totals>
  /** The tools for which there was no room: a client may name as many as it likes. */
  other: Totals
  retries: number
  fallbacks: number
  queue_ms: number
  queue_requests: number
}

export const emptyTally = (): Tally => ({
  all: noTotals(),
  by_tool: new Map(),
  other: noTotals(),
  retries: 0,
  fallbacks: 0,
  queue_ms: 0,
  queue_requests: 0,
})

const noTotals = (): Totals => ({
  attempts: 0,
  running: 0,
  succeeded: 0,
  failed: 0,
  canceled: 0,
  duration_ms: 0,
  tokens_input: 0,
  tokens_output: 0,
  cost_usd_micros: 0,
})

/** Adds an attempt, in place: a copy for each of a million would cost more than the sums. */
export function addAttempt(tally: Tally, attempt: AttemptFacts, now: string): void {
  addTo(tally.all, attempt, now)
  addTo(totalsOf(tally, attempt.tool_id), attempt, now)
  if (attempt.attempt > 1) tally.retries++
  if (attempt.earlier_tool_id !== null && attempt.earlier_tool_id !== attempt.tool_id) tally.fallbacks++
  if (attempt.requested_at !== null) {
    tally.queue_ms = plus(tally.queue_ms, msBetween(attempt.requested_at, attempt.started_at))
    tally.queue_requests++
  }
}

function totalsOf(tally: Tally, tool_id: string): Totals {
  const known = tally.by_tool.get(tool_id)
  if (known !== undefined) return known
  if (tally.by_tool.size >= LIMITS.summary_tools) return tally.other
  const totals = noTotals()
  tally.by_tool.set(tool_id, totals)
  return totals
}

function addTo(totals: Totals, { state, usage, started_at, ended_at }: AttemptFacts, now: string): void {
  totals.attempts++
  totals[state]++
  totals.duration_ms = plus(totals.duration_ms, msBetween(started_at, ended_at ?? now))
  totals.tokens_input = plus(totals.tokens_input, usage.tokens_input)
  totals.tokens_output = plus(totals.tokens_output, usage.tokens_output)
  totals.cost_usd_micros = plus(totals.cost_usd_micros, usage.cost_usd_micros)
}

/** Exact up to the largest integer that JSON carries, and that from there on. */
export const plus = (sum: number, more: number | null): number => Math.min(sum + (more ?? 0), LIMITS.integer)

export const msBetween = (from: string, to: string): number => Math.max(0, Date.parse(to) - Date.parse(from))

/** The tally must hold every attempt that had ended, and none of those that the end brings. */
export function summaryOf(
  tally: Tally,
  { book, blocked, claimed, attempts }: SummaryEnd,
  now: string,
): RunSummary {
  for (const attempt of attempts) addAttempt(tally, attempt, now)
  const { run, requests } = book
  const { attempts: total, running, succeeded, failed, canceled, duration_ms, ...usage } = tally.all
  const { retries, fallbacks, queue_ms, queue_requests, other } = tally
  return {
    run_id: run.run_id,
    state: run.state,
    as_of: now,
    step_attempts: { total, running, succeeded, failed, canceled, retries, fallbacks },
    execution_requests: {
      blocked,
      queued: requests.open - blocked - claimed,
      claimed,
      succeeded: requests.succeeded,
      failed: requests.failed,
      canceled: requests.canceled,
    },
    durations: {
      run_ms: run.started_at === null ? null : msBetween(run.started_at, run.ended_at ?? now),
      attempts_ms: duration_ms,
      queue_ms,
      queue_requests,
    },
    usage,
    by_tool: [...tally.by_tool]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([tool_id, totals]) => ({ tool_id, ...totals })),
    other_tools: other.attempts === 0 ? null : other,
  }
}

import type { StepAttempt } from '../contract/step.ts'
import type { Rotation, ToolInputs } from '../contract/routing.ts'
import type { Tool, ToolPause } from '../contract/tool.ts'
import { type Circuit, circuitInput, shownCircuit } from './circuit.ts'
import type { CompiledApp, CompiledRouter } from './compiled-router.ts'
import { type Facts, neverUsed } from './routing.ts'
import { median } from './scores.ts'

/** An outcome of an hour ago counts half. */
export const HALF_LIFE_MS = 3_600_000
/** How many durations are remembered. */
export const DURATIONS = 50

/** What the ledger keeps of a tool, in the transactions that start and end its attempts. */
export interface ToolRecord {
  tool_id: string
  /** Its attempts in the state running. */
  running: number
  /** Decayed, as of `outcomes_at`. */
  successes: number
  failures: number
  outcomes_at: string | null
  /** Of the last attempts that succeeded, oldest first. */
  durations_ms: readonly number[]
  median_duration_ms: number | null
  last_used_at: string | null
}

export const newToolRecord = (tool_id: string): ToolRecord => ({
  tool_id,
  running: 0,
  successes: 0,
  failures: 0,
  outcomes_at: null,
  durations_ms: [],
  median_duration_ms: null,
  last_used_at: null,
})

export type EndedAttempt = Pick<StepAttempt, 'state' | 'error_class' | 'started_at'> & { ended_at: string }

/** An attempt with the tool has ended. What was canceled, or badly asked, says nothing about the tool. */
export function attemptEnded(record: ToolRecord, attempt: EndedAttempt): ToolRecord {
  const { state, error_class, started_at, ended_at } = attempt
  const last_used_at = started_at > (record.last_used_at ?? '') ? started_at : record.last_used_at
  const after = { ...record, running: record.running - 1, last_used_at }
  if (state === 'succeeded') {
    const duration_ms = Math.max(0, Date.parse(ended_at) - Date.parse(started_at))
    const durations_ms = [...record.durations_ms, duration_ms].slice(-DURATIONS)
    const outcomes = outcomesPlus(record, ended_at, { successes: 1, failures: 0 })
    return { ...after, ...outcomes, durations_ms, median_duration_ms: median(durations_ms) }
  }
  if (state !== 'failed' || error_class === 'invalid_request') return after
  return { ...after, ...outcomesPlus(record, ended_at, { successes: 0, failures: 1 }) }
}

type Outcomes = Pick<ToolRecord, 'successes' | 'failures'>

function outcomesPlus(record: ToolRecord, at: string, more: Outcomes) {
  const { successes, failures } = decayed(record, at)
  return { successes: successes + more.successes, failures: failures + more.failures, outcomes_at: at }
}

/** The outcomes as they count at an instant. Powers differ in their last bit between engines: record the result. */
export function decayed({ successes, failures, outcomes_at }: ToolRecord, at: string): Outcomes {
  if (outcomes_at === null) return { successes: 0, failures: 0 }
  const elapsed = Math.max(0, Date.parse(at) - Date.parse(outcomes_at))
  const share = 2 ** (-elapsed / HALF_LIFE_MS)
  return { successes: successes * share, failures: failures * share }
}

/** A pause ends by itself at `until`. Instants are compared as texts: contract/common.ts. */
export const isPaused = (pause: ToolPause | null, now: string): boolean =>
  pause !== null && (pause.until === null || pause.until > now)

/** A tool that the ledger knows something of. */
export interface KnownTool {
  record: ToolRecord
  pause: ToolPause | null
  circuit: Circuit
}

/** What a decision at this instant goes by. */
export function factsOf(
  router: CompiledRouter,
  known: ReadonlyMap<string, KnownTool>,
  rotations: readonly Rotation[],
  now: string,
): Facts {
  const tools = router.apps.map(({ tool_id }): ToolInputs => {
    const tool = known.get(tool_id)
    if (tool === undefined) return neverUsed(tool_id)
    const { running, median_duration_ms } = tool.record
    const paused = isPaused(tool.pause, now)
    const circuit = circuitInput(tool.circuit, now)
    return { tool_id, running, paused, ...circuit, ...decayed(tool.record, now), median_duration_ms }
  })
  return { tools, rotations }
}

/** The tool as the API shows it. */
export function shownTool(
  app: CompiledApp,
  { config_version, timeout_seconds }: CompiledRouter,
  { record, pause, circuit }: KnownTool,
  now: string,
): Tool {
  return {
    tool_id: app.tool_id,
    kind: app.kind,
    command: app.command,
    args: [...app.args],
    description: app.description,
    capabilities: { task_kinds: [...app.task_kinds], domains: [...(app.domains ?? [])] },
    limits: { max_parallel: app.max_parallel, timeout_seconds: app.timeout_seconds ?? timeout_seconds },
    safety_tier: app.safety_tier,
    cost_per_call_usd_micros: app.cost_per_call_usd_micros,
    config_version,
    running: record.running,
    outcomes: shownOutcomes(decayed(record, now)),
    durations: shownDurations(record),
    last_used_at: record.last_used_at,
    pause: isPaused(pause, now) ? pause : null,
    circuit: shownCircuit(circuit),
  }
}

function shownOutcomes({ successes, failures }: Outcomes): Tool['outcomes'] {
  const all = successes + failures
  return { successes, failures, success_rate: all === 0 ? null : successes / all }
}

function shownDurations({ durations_ms, median_duration_ms }: ToolRecord): Tool['durations'] {
  const sorted = durations_ms.toSorted((a, b) => a - b)
  return {
    samples: sorted.length,
    p50_ms: median_duration_ms,
    p90_ms: percentile(sorted, 90),
    p99_ms: percentile(sorted, 99),
  }
}

/** The smallest value that this many percent do not exceed (nearest rank); null of nothing. */
export function percentile(sorted: readonly number[], percent: number): number | null {
  return sorted[Math.max(0, Math.ceil((percent * sorted.length) / 100) - 1)] ?? null
}

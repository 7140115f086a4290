import type { CircuitInput, CircuitReason, CircuitState, ToolCircuit } from '../contract/circuit.ts'
import { CIRCUIT_DEFAULTS } from '../contract/defaults.ts'
import type { StepAttempt } from '../contract/step.ts'
import { canonicalText } from './canonical.ts'
import { type CircuitCommand, circuitMachine } from './circuit-machine.ts'
import type { EventDraft } from './event-chain.ts'
import type { Edge } from './machine.ts'
import { plus } from './retry.ts'

// What keeps work away from a tool that is broken. It stands in the tool's row, so that a restart changes nothing.

/** When a circuit opens, and for how long. */
export interface CircuitThresholds {
  failures_in_row: number
  /** It opens above this share of the window's attempts. */
  failure_rate: number
  min_attempts: number
  window_seconds: number
  open_seconds: number
  max_open_seconds: number
}

/** How many attempts ended, and failed, in one part of the window, which began at that millisecond. */
export type WindowCount = readonly [start_ms: number, attempts: number, failures: number]

export interface Circuit {
  state: CircuitState
  reason: CircuitReason | null
  opened_at: string | null
  /** From then on one attempt is let through. Kept while half-open: only what began later says anything. */
  open_until: string | null
  open_seconds: number | null
  failures_in_row: number
  /** Oldest first; empty unless closed. */
  window: readonly WindowCount[]
  /** The attempt that a half-open circuit has let through, while it runs. */
  probe: string | null
}

export const CLOSED: Circuit = {
  state: 'closed',
  reason: null,
  opened_at: null,
  open_until: null,
  open_seconds: null,
  failures_in_row: 0,
  window: [],
  probe: null,
}

/** A circuit as it is now, and what it did on the way there. */
export interface CircuitMoved {
  circuit: Circuit
  moves: readonly CircuitMove[]
}

interface CircuitMove {
  edge: Edge<CircuitState, CircuitCommand>
  after: Circuit
}

const still = (circuit: Circuit): CircuitMoved => ({ circuit, moves: [] })

function moved(before: Circuit, command: CircuitCommand, fields: Omit<Circuit, 'state'>): CircuitMoved {
  const edge = circuitMachine.edge(before.state, command)
  const circuit = { ...fields, state: edge.to }
  return { circuit, moves: [{ edge, after: circuit }] }
}

const then = ({ circuit, moves }: CircuitMoved, next: (circuit: Circuit) => CircuitMoved): CircuitMoved => {
  const last = next(circuit)
  return { circuit: last.circuit, moves: [...moves, ...last.moves] }
}

/** An attempt that has ended; `retry_after_ms` is what its worker was told to wait. */
export type CircuitAttempt = Pick<StepAttempt, 'step_attempt_id' | 'state' | 'error_class' | 'started_at'> & {
  ended_at: string
  retry_after_ms?: number | null
}

/**
 * What says nothing of whether a tool is broken: a request that was wrong, a change of mind, slowness, and trouble of a
 * worker's own. An attempt that runs out of time may have had too much to do, a lease ends when its worker dies, and a
 * worker may have a full disk, whatever the tool.
 */
const UNCOUNTED: ReadonlySet<string | null> = new Set([
  'invalid_request',
  'canceled',
  'timeout',
  'lease_expired',
  'worker_error',
])

/** The tool itself says that no other attempt will do better for now. */
const AT_ONCE: ReadonlySet<string | null> = new Set<CircuitReason>(['auth', 'rate_limited'])

function outcomeOf({ state, error_class }: CircuitAttempt): 'success' | 'failure' | null {
  if (state === 'succeeded') return 'success'
  return state === 'failed' && !UNCOUNTED.has(error_class) ? 'failure' : null
}

/**
 * An attempt with the tool has ended. `thresholds` is null for a tool that the active configuration does not have:
 * nothing is routed to it, so nothing opens its circuit; one that is open goes by what is usual.
 */
export function circuitAfter(
  before: Circuit,
  attempt: CircuitAttempt,
  thresholds: CircuitThresholds | null,
): CircuitMoved {
  const circuit = before.probe === attempt.step_attempt_id ? { ...before, probe: null } : before
  const outcome = outcomeOf(attempt)
  if (outcome === null) return still(circuit)
  if (circuit.state === 'closed')
    return thresholds === null ? still(circuit) : counted(circuit, attempt, outcome, thresholds)
  // What began before says what the tool was, not what it is.
  if (attempt.started_at < circuit.open_until!) return still(circuit)
  // Over the steps API tools are tried without a claim.
  const probed = circuit.state === 'open' ? halfOpened(circuit, null) : still(circuit)
  return then(probed, (half_open) =>
    outcome === 'success'
      ? moved(half_open, 'recover', CLOSED)
      : tripped(half_open, attempt, thresholds ?? CIRCUIT_DEFAULTS, 'probe_failed'),
  )
}

function counted(
  before: Circuit,
  attempt: CircuitAttempt,
  outcome: 'success' | 'failure',
  thresholds: CircuitThresholds,
): CircuitMoved {
  const failed = outcome === 'failure' ? 1 : 0
  const window = windowPlus(before.window, attempt.ended_at, failed, thresholds)
  const circuit = { ...before, window, failures_in_row: failed === 0 ? 0 : before.failures_in_row + 1 }
  if (failed === 0) return still(circuit)
  const reason = reasonToOpen(circuit, thresholds)
  if (reason === null && !AT_ONCE.has(attempt.error_class)) return still(circuit)
  return tripped(before, attempt, thresholds, reason)
}

function reasonToOpen(
  { failures_in_row, window }: Circuit,
  thresholds: CircuitThresholds,
): CircuitReason | null {
  if (failures_in_row >= thresholds.failures_in_row) return 'failures_in_row'
  const attempts = window.reduce((sum, [, count]) => sum + count, 0)
  const failures = window.reduce((sum, [, , count]) => sum + count, 0)
  const isTooMuch = attempts >= thresholds.min_attempts && failures > attempts * thresholds.failure_rate
  return isTooMuch ? 'failure_rate' : null
}

/** It opens with a failure, which counts; what the failure says of itself is the better reason. */
function tripped(
  before: Circuit,
  { ended_at, error_class, retry_after_ms }: CircuitAttempt,
  { open_seconds: first_seconds, max_open_seconds }: CircuitThresholds,
  reason: CircuitReason | null,
): CircuitMoved {
  const isAtOnce = AT_ONCE.has(error_class)
  const open_seconds =
    before.open_seconds === null ? first_seconds : Math.min(before.open_seconds * 2, max_open_seconds)
  const open_ms = (isAtOnce ? retry_after_ms : null) ?? open_seconds * 1_000
  return moved(before, 'trip', {
    reason: isAtOnce ? (error_class as CircuitReason) : reason, // AT_ONCE holds reasons
    opened_at: ended_at,
    open_until: plus(ended_at, open_ms),
    open_seconds,
    failures_in_row: before.failures_in_row + 1,
    window: [],
    probe: null,
  })
}

const halfOpened = (circuit: Circuit, probe: string | null): CircuitMoved =>
  moved(circuit, 'probe', { ...circuit, probe })

/** In so many parts the window is counted, so that a row stays small: it forgets a part at a time. */
const WINDOW_PARTS = 12

function windowPlus(
  window: readonly WindowCount[],
  at: string,
  failed: number,
  { window_seconds }: CircuitThresholds,
): WindowCount[] {
  const now = Date.parse(at)
  const part_ms = Math.ceil((window_seconds * 1_000) / WINDOW_PARTS)
  const start = now - (now % part_ms)
  const kept = window.filter(([start_ms]) => start_ms > now - window_seconds * 1_000)
  const [last_start, attempts, failures] = kept.at(-1) ?? [-1, 0, 0]
  if (last_start >= start) return [...kept.slice(0, -1), [last_start, attempts + 1, failures + failed]]
  return [...kept, [start, 1, failed]]
}

/** Whether the tool gets no attempt now: its circuit is open, or it has one to show that it works. */
export function isBarred({ state, open_until, probe }: Circuit, now: string): boolean {
  if (state === 'closed') return false
  return state === 'open' ? open_until! > now : probe !== null
}

/** An attempt begins; of a circuit that is not closed it is the one that is let through. */
export function circuitWith(circuit: Circuit, step_attempt_id: string): CircuitMoved {
  if (circuit.state === 'closed') return still(circuit)
  return circuit.state === 'open'
    ? halfOpened(circuit, step_attempt_id)
    : still({ ...circuit, probe: step_attempt_id })
}

/** @throws LedgerError `transition_refused` for a circuit that is closed */
export const circuitReset = (circuit: Circuit): CircuitMoved => moved(circuit, 'reset', CLOSED)

/** What a decision goes by; nothing is said of a closed one. */
export const circuitInput = (circuit: Circuit, now: string): { circuit?: CircuitInput } =>
  circuit.state === 'closed'
    ? {}
    : {
        circuit: {
          state: circuit.state,
          open_until: circuit.open_until!,
          takes_probe: !isBarred(circuit, now),
        },
      }

/** The circuit as the API shows it. */
export const shownCircuit = (circuit: Circuit): ToolCircuit => ({
  state: circuit.state,
  reason: circuit.reason,
  failures_in_row: circuit.failures_in_row,
  opened_at: circuit.opened_at,
  open_until: circuit.open_until,
  open_seconds: circuit.open_seconds,
})

/**
 * The events of its moves, for the chain of what belongs to no run. They hold what the machine sets; the counts follow
 * from the events of the attempts, as the outcomes of a tool do. `reason` is why somebody reset it.
 */
export const circuitDrafts = (
  tool_id: string,
  moves: readonly CircuitMove[],
  reason: { reason?: string } = {},
): EventDraft[] =>
  moves.map(({ edge, after }) => ({
    kind: edge.event,
    from: edge.from,
    to: edge.to,
    payload_text: canonicalText({ ...reason, tool: { tool_id, circuit: toldCircuit(after) } }),
  }))

const toldCircuit = (circuit: Circuit) => {
  const { state, reason, opened_at, open_until, open_seconds } = circuit
  return { state, reason, opened_at, open_until, open_seconds }
}

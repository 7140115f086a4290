import type { CircuitState } from '../../src/contract/circuit.ts'
import type { ExecutionRequestState } from '../../src/contract/execution-request.ts'
import type { RunState } from '../../src/contract/run.ts'
import type { StepAttemptState } from '../../src/contract/step.ts'
import type { CircuitCommand } from '../../src/domain/circuit-machine.ts'
import type { RequestCommand } from '../../src/domain/request-machine.ts'
import type { RunCommand } from '../../src/domain/run-machine.ts'
import type { StepCommand } from '../../src/domain/step-machine.ts'

type Row<S, C> = readonly [from: S, command: C, to: S, event: string]

/** What a run may do. Written by hand, once, and on purpose not read from the code; all else is refused. */
export const RUN_EDGES: readonly Row<RunState, RunCommand>[] = [
  ['pending', 'start', 'running', 'run_started'],
  ['pending', 'cancel', 'canceled', 'run_canceled'],
  ['running', 'succeed', 'succeeded', 'run_completed'],
  ['running', 'fail', 'failed', 'run_completed'],
  ['running', 'quarantine', 'quarantined', 'run_quarantined'],
  ['running', 'cancel', 'canceled', 'run_canceled'],
  ['failed', 'quarantine', 'quarantined', 'run_quarantined'],
]

/** What a step attempt may do. A retry leaves the attempt as it is, and makes a new one. */
export const STEP_EDGES: readonly Row<StepAttemptState, StepCommand>[] = [
  ['running', 'succeed', 'succeeded', 'step_completed'],
  ['running', 'fail', 'failed', 'step_completed'],
  ['running', 'cancel', 'canceled', 'step_completed'],
  ['failed', 'retry', 'failed', 'step_started'],
  ['canceled', 'retry', 'canceled', 'step_started'],
]

/** What an execution request may do. Two ways lead in: it is created blocked or queued. */
export const REQUEST_EDGES: readonly Row<ExecutionRequestState, RequestCommand>[] = [
  ['blocked', 'unblock', 'queued', 'request_queued'],
  ['blocked', 'expire', 'failed', 'request_completed'],
  ['blocked', 'cancel', 'canceled', 'request_completed'],
  ['blocked', 'accept', 'succeeded', 'request_completed'],
  ['blocked', 'send_back', 'queued', 'request_queued'],
  ['blocked', 'refuse', 'failed', 'request_completed'],
  ['queued', 'reassign', 'queued', 'request_queued'],
  ['queued', 'claim', 'claimed', 'request_claimed'],
  ['queued', 'expire', 'failed', 'request_completed'],
  ['queued', 'cancel', 'canceled', 'request_completed'],
  ['claimed', 'validate', 'blocked', 'request_blocked'],
  ['claimed', 'succeed', 'succeeded', 'request_completed'],
  ['claimed', 'requeue', 'queued', 'request_queued'],
  ['claimed', 'fail', 'failed', 'request_completed'],
  ['claimed', 'cancel', 'claimed', 'request_cancel_requested'],
  ['claimed', 'confirm_cancel', 'canceled', 'request_completed'],
]

/** What a circuit may do. */
export const CIRCUIT_EDGES: readonly Row<CircuitState, CircuitCommand>[] = [
  ['closed', 'trip', 'open', 'circuit_opened'],
  ['open', 'probe', 'half_open', 'circuit_half_opened'],
  ['open', 'reset', 'closed', 'circuit_closed'],
  ['half_open', 'trip', 'open', 'circuit_opened'],
  ['half_open', 'recover', 'closed', 'circuit_closed'],
  ['half_open', 'reset', 'closed', 'circuit_closed'],
]

/** Every state with every command, and the edge where there is one. */
export function cells<S extends string, C extends string>(
  states: readonly S[],
  commands: readonly C[],
  rows: readonly Row<S, string>[],
) {
  return states.flatMap((from) =>
    commands.map((command) => {
      const row = rows.find((each) => each[0] === from && each[1] === command)
      const edge = row === undefined ? undefined : { from, command, to: row[2], event: row[3] }
      return { from, command, edge }
    }),
  )
}

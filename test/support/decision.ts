import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import type { Decision, RunBook } from '../../src/domain/decision.ts'

/** What the caller of a decision gets; its events have the `seq` 1, 2, 3 … */
export const resultOf = <T>(decision: Decision<T>): T => decision.result(decision.events.map((_, i) => i + 1))

export const payloadsOf = <T>({ events }: Decision<T>): unknown[] =>
  events.map(({ payload_text }) => JSON.parse(payload_text!) as unknown)

/** The run as the decision leaves it, with what its guards need. */
export function bookAfter<T>({ changes }: Decision<T>): RunBook {
  const change = changes.find(({ record }) => record === 'run')
  if (change?.record !== 'run') throw new Error('the decision leaves the run alone')
  return change.after
}

export const runAfter = <T>(decision: Decision<T>): Run => bookAfter(decision).run

/** The attempts that the decision makes or moves. */
export const stepsAfter = <T>({ changes }: Decision<T>): StepAttempt[] =>
  changes.flatMap((change) => (change.record === 'step_attempt' ? [change.after] : []))

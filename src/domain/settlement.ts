import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { Given, Snapshot } from './decision.ts'
import { consequences, openAfter } from './dependents.ts'
import type { Entry } from './run-entry.ts'
import { NOTHING_OPEN, settled } from './run-moves.ts'
import { toolsKnown } from './tool.ts'
import { verdictOf } from './validation.ts'

// What the end of a request means: to those that need it, to the work that it looked at, and to its run.

/** `decided` is what ended with it as work of the run; null if nothing did. */
export function outcomeOf(
  ended: Entry,
  before: Snapshot,
  given: Given,
  after: ExecutionRequest,
  attempt: StepAttempt | null,
): { entry: Entry; decided: ExecutionRequest | null } {
  if (after.validates === null) return { entry: consequences(ended, before, given, after), decided: after }
  const { entry, work } = verdictOf(ended, before, given, { validator: after, attempt })
  return { entry, decided: work?.ended_at == null ? null : work }
}

/** The run may end with it. `attempt` is what ended with the request, null if nothing did. */
export function settledWith(
  ended: Entry,
  before: Snapshot,
  given: Given,
  after: ExecutionRequest,
  attempt: StepAttempt | null,
): Entry {
  const { entry, decided } = outcomeOf(ended, before, given, after, attempt)
  if (after.state === 'succeeded') return settled(entry, given, NOTHING_OPEN) // it ends the run only as the last
  const open = { tools: toolsKnown(before, entry), ...openAfter(before, entry) }
  const because =
    decided === null
      ? undefined
      : `Execution request ${decided.request_id} ended ${decided.state}: ${decided.stop_reason}.`
  return settled(entry, given, open, because)
}

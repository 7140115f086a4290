import type { Change, Decision, Scope } from '../../domain/decision.ts'
import { LedgerError } from '../../domain/error.ts'
import { writeDispatch } from './dispatch.ts'
import { writeRouter } from './router.ts'
import type { Tables } from './tables.ts'

/** How many records and events may be written in one turn of the event loop: a few milliseconds' worth. */
const SHORT_MAX = 256

export const isLong = ({ changes, events }: Decision<unknown>): boolean =>
  changes.length + events.length > SHORT_MAX

/** All of it inside a transaction that is open; each step is one record or event. */
export function* writing<T>(tables: Tables, { claim }: Scope, decision: Decision<T>): Generator<void, T> {
  for (const change of decision.changes) {
    apply(tables, change)
    yield
  }
  const { events, keys } = tables
  const seqs: number[] = []
  for (const event of decision.events) {
    seqs.push(events.append(event))
    yield
  }
  const result = decision.result(seqs)
  const remembered = decision.remember?.(result) ?? null
  if (remembered !== null && claim != null) keys.write(claim.key, remembered)
  return result
}

/** @throws Error for a refusal that comes now: the group would commit it with what was written before it */
export function atOnce<T>(steps: Generator<void, T>): T {
  try {
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
    }
  } catch (error) {
    if (error instanceof LedgerError) throw new Error('refused after the first write', { cause: error })
    throw error
  }
}

function apply({ runs, steps, requests, needs, router, dispatch }: Tables, change: Change): void {
  switch (change.record) {
    case 'run':
      return runs.write(change.before, change.after)
    case 'step_attempt':
      return steps.write(change.before, change.after)
    case 'execution_request':
      return requests.insert(change.after, change.document, change.waiting_for ?? 0)
    case 'request_progress':
      return requests.write(change.before, change.after)
    case 'task_waits':
      return needs.wait(change.execution_request_id, change)
    case 'lease':
    case 'lease_ended':
    case 'worker':
      return writeDispatch(dispatch, change)
    default:
      return writeRouter(router, change)
  }
}

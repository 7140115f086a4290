import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { ChainHead, Change, Decision, Given, NewEvent, RunBook } from './decision.ts'
import { type EventDraft, chain, chainStart } from './event-chain.ts'

/** What one transaction does in a run: the run as it is then, the other rows, and the events in their order. */
export interface Entry {
  /** Still with the head of the chain before the events. */
  book: RunBook
  changes: readonly Change[]
  drafts: readonly EventDraft[]
  /** Events that belong to no run: what the circuits of tools did. */
  system?: readonly EventDraft[]
  /** What it put into the queue: whoever goes on in the same transaction may claim it. */
  queued?: readonly ExecutionRequest[]
}

/** Nothing so far. */
export const still = (book: RunBook): Entry => ({ book, changes: [], drafts: [] })

/** One entry after another; each began with the book that the one before it left. */
export const joined = (first: Entry, second: Entry): Entry => ({
  book: second.book,
  changes: [...first.changes, ...second.changes],
  drafts: [...first.drafts, ...second.drafts],
  system: [...(first.system ?? []), ...(second.system ?? [])],
  queued: [...(first.queued ?? []), ...(second.queued ?? [])],
})

/**
 * Chains the events of an entry and changes the run once, however much happened in it. Where circuits may move,
 * `system` is the end of the chain of what belongs to no run.
 */
export function entered(
  before: RunBook | null,
  { book, changes, drafts, system: own = [] }: Entry,
  given: Given,
  system: ChainHead | null = null,
): Pick<Decision<never>, 'changes' | 'events'> {
  const { run_id } = book.run
  const { events, head } = chain(run_id, before ?? chainStart(run_id), drafts, given)
  const runChange: Change = { record: 'run', before, after: { ...book, ...head } }
  // A new run is there before what belongs to it.
  return {
    changes: before === null ? [runChange, ...changes] : [...changes, runChange],
    events: [...events, ...systemEvents(system, own, given)],
  }
}

export function systemEvents(
  head: ChainHead | null,
  drafts: readonly EventDraft[],
  given: Given,
): readonly NewEvent[] {
  if (drafts.length === 0) return []
  if (head === null) throw new Error('the scope must load the system chain')
  return chain(null, head, drafts, given).events
}

import type { Change, Decision, Given, RunBook } from './decision.ts'
import { type EventDraft, chain, chainStart } from './event-chain.ts'

/** What one transaction does in a run: the run as it is then, the other rows, and the events in their order. */
export interface Entry {
  /** Still with the head of the chain before the events. */
  book: RunBook
  changes: readonly Change[]
  drafts: readonly EventDraft[]
}

/** One entry after another; each began with the book that the one before it left. */
export const joined = (first: Entry, second: Entry): Entry => ({
  book: second.book,
  changes: [...first.changes, ...second.changes],
  drafts: [...first.drafts, ...second.drafts],
})

/** Chains the events of an entry and changes the run once, however much happened in it. */
export function entered(
  before: RunBook | null,
  { book, changes, drafts }: Entry,
  given: Given,
): Pick<Decision<never>, 'changes' | 'events'> {
  const { run_id } = book.run
  const { events, head } = chain(run_id, before ?? chainStart(run_id), drafts, given)
  const runChange: Change = { record: 'run', before, after: { ...book, ...head } }
  // A new run is there before what belongs to it.
  return { changes: before === null ? [runChange, ...changes] : [...changes, runChange], events }
}

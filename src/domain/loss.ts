import { canonicalText } from './canonical.ts'
import type { Decision, Given, Snapshot } from './decision.ts'
import { chain } from './event-chain.ts'

/** What a store once held, by its anchor, and does no more. */
export interface Loss {
  seq: number
  count: number
  hash: string
}

/** An operator went on with a store that is shorter than its anchor: the ledger itself says so. */
export function recordLoss(before: Snapshot, given: Given, anchor: Loss): Decision<void> {
  if (before.system === null) throw new Error('the scope must load the system chain')
  const draft = { kind: 'audit_loss_accepted', payload_text: canonicalText({ anchor }) }
  const { events } = chain(null, before.system, [draft], given)
  return { changes: [], events, result: () => undefined }
}

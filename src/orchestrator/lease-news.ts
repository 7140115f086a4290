import type { Change, LeaseLoss } from '../domain/decision.ts'

/** A lease began, or its worker lost it. */
export interface LeaseNews {
  tool_id: string
  what: 'claimed' | LeaseLoss
}

/** Tells what changes mean for leases. One that its worker has ended, or kept, is no news. */
export function tellLeases(changes: readonly Change[], listener: (news: LeaseNews) => void): void {
  for (const change of changes) {
    if (change.record === 'lease' && change.before === null)
      listener({ tool_id: change.after.tool_id, what: 'claimed' })
    if (change.record === 'lease_ended' && change.lost !== null)
      listener({ tool_id: change.lease.tool_id, what: change.lost })
  }
}

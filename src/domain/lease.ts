import { hash } from 'node:crypto'
import type { Heartbeat, HeartbeatResult } from '../contract/dispatch.ts'
import type { Decision, Given, Lease, Snapshot } from './decision.ts'
import { unchanged } from './decision.ts'
import { LedgerError } from './error.ts'
import { visibleRequest } from './guard.ts'
import { plus } from './retry.ts'

export const tokenHash = (lease_token: string): string => hash('sha256', lease_token, 'hex')

export const leaseLost = () =>
  new LedgerError('lease_lost', 'The request is no longer yours. End its program and report nothing more.')

/** Whether the token is that of the lease, and its time is not over: a late worker has lost it. */
export function holds(lease: Lease | null, lease_token: string, now: string): lease is Lease {
  return lease !== null && lease.token_hash === tokenHash(lease_token) && now < endOfLease(lease)
}

/** When a lease is over, by its own end or by that of the attempt. */
export const endOfLease = ({ lease_expires_at, attempt_expires_at }: Lease): string =>
  lease_expires_at < attempt_expires_at ? lease_expires_at : attempt_expires_at

const LOST = { lease_expires_at: null, cancel_requested: false, lease_lost: true }

/** The scope must load the request with its lease. A lease that is lost is told, and nothing is written. */
export function heartbeat(
  before: Snapshot,
  given: Pick<Given, 'now' | 'caller'>,
  { lease_token }: Heartbeat,
): Decision<HeartbeatResult> {
  const { request } = visibleRequest(before, given)
  const { lease } = before
  const { now } = given
  if (!holds(lease, lease_token, now)) return unchanged<HeartbeatResult>(LOST)
  const after: Lease = {
    ...lease,
    heartbeat_at: now,
    lease_expires_at: plus(now, lease.lease_seconds * 1_000),
  }
  return {
    changes: [{ record: 'lease', before: lease, after }],
    events: [],
    result: () => ({
      lease_expires_at: endOfLease(after),
      cancel_requested: request.cancel_requested_at !== null,
      lease_lost: false,
    }),
  }
}

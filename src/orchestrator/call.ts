import type { Answer, Caller, Claim, Decision, Given, IfMatch, Scope, Snapshot } from '../domain/decision.ts'
import type { Outcome } from '../domain/idempotency.ts'

/** Who asks, under which conditions, and how the answer to them looks. */
export interface Call<T> {
  caller: Caller
  http_request_id: string | null
  if_match: IfMatch | null
  claim: Claim | null
  present: (record: T) => Answer
}

export type Write<B, T> = (call: Call<T>, id: string, body: B) => Promise<Outcome<T>>

/** Time is read once for each operation. */
export type GivenFor = (call: Pick<Call<unknown>, 'caller' | 'http_request_id' | 'if_match'>) => Given

export type WriteOnce = <T>(
  call: Call<T>,
  scope: Scope,
  decide: (before: Snapshot, given: Given) => Decision<T>,
) => Promise<Outcome<T>>

const SYSTEM: Caller = { actor: { type: 'system', id: null }, projects: null }

/** The call of the server itself. */
export const OWN_CALL = { caller: SYSTEM, http_request_id: null, if_match: null }

/** A write of the server itself, which nobody repeats and nobody is answered. */
export const OWN_WRITE = {
  ...OWN_CALL,
  claim: null,
  present: () => ({ status: 200, body: '', etag: null, location: null }),
}

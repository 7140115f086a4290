// Without a store of any kind: the server that has none loads this too.
import type { Caller } from '../src/domain/decision.ts'
import type { Outcome } from '../src/domain/idempotency.ts'
import type { Call } from '../src/orchestrator/call.ts'

const ANONYMOUS: Caller = { actor: { type: 'anonymous', id: null }, projects: null }

/** A write as the bench itself makes it: nobody asks, nothing is kept for a repeat. */
export const plainCall: Call<unknown> = {
  caller: ANONYMOUS,
  http_request_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
  if_match: null,
  claim: null,
  present: () => ({ status: 200, body: '', etag: null, location: null }),
}

export function recordOf<T>(outcome: Outcome<T>): T {
  if ('replayed' in outcome) throw new Error('a write without a key was replayed')
  return outcome.record
}

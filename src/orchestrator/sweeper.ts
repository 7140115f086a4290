import type { Clock } from '../clock.ts'
import type { Store } from '../store/store.ts'

const INTERVAL_MS = 60_000
const BATCH = 500

/** Forgets idempotency keys whose time is over, in batches, so that no write waits long behind it. */
export function startSweeper(deps: {
  store: Store
  clock: Clock
  idempotency_ttl_hours: number
  onError: (error: unknown) => void
}): { stop: () => void } {
  const { store, clock, idempotency_ttl_hours, onError } = deps
  const timer = setInterval(() => {
    const older_than = new Date(clock().ms - idempotency_ttl_hours * 3_600_000).toISOString()
    forgetAll(store, older_than).catch(onError)
  }, INTERVAL_MS).unref()
  return { stop: () => clearInterval(timer) }
}

export async function forgetAll(store: Store, older_than: string): Promise<number> {
  let forgotten = 0
  for (;;) {
    const batch = await store.forgetKeys(older_than, BATCH)
    forgotten += batch
    if (batch < BATCH) return forgotten
  }
}

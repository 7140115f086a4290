import { createClock } from '../src/clock.ts'
import type { Caller } from '../src/domain/decision.ts'
import type { Outcome } from '../src/domain/idempotency.ts'
import { createEntropy } from '../src/entropy.ts'
import type { Call } from '../src/orchestrator/call.ts'
import { createOrchestrator } from '../src/orchestrator/orchestrator.ts'
import { openWriter } from '../src/store/sqlite/connection.ts'
import { applyMigrations, readMigrations } from '../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../src/store/sqlite/store.ts'
import type { Records } from './no-op.ts'
import { MIGRATIONS } from './paths.ts'
import { createBodies, runEndBody, stepBody, stepEndBody } from './scenario.ts'

const ANONYMOUS: Caller = { actor: { type: 'anonymous', id: null }, projects: null }

/** A write as the bench itself makes it: nobody asks, nothing is kept for a repeat. */
export const plainCall: Call<unknown> = {
  caller: ANONYMOUS,
  http_request_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
  if_match: null,
  claim: null,
  present: () => ({ status: 200, body: '', etag: null, location: null }),
}

/** Lives one run through the real code, in memory, and keeps what each step answered. */
export async function recordLifecycle(): Promise<Records> {
  const clock = createClock(null)
  const db = openWriter(':memory:')
  applyMigrations(db, readMigrations(MIGRATIONS), clock().text)
  const store = sqliteStore(db, { write_queue_max: 1 })
  const ledger = createOrchestrator({ store, clock, entropy: createEntropy() })

  const created = recordOf(await ledger.createRun(plainCall, createBodies[0]!, null))
  const started = recordOf(await ledger.startRun(plainCall, created.run_id))
  const step = recordOf(await ledger.createStepAttempt(plainCall, created.run_id, stepBody))
  const stepEnd = recordOf(await ledger.completeStepAttempt(plainCall, step.step_attempt_id, stepEndBody))
  const completed = recordOf(await ledger.completeRun(plainCall, created.run_id, runEndBody))
  await store.close()
  return {
    create: created,
    start: started,
    'create step': step,
    'complete step': stepEnd,
    'complete run': completed,
    read: completed,
  }
}

function recordOf<T>(outcome: Outcome<T>): T {
  if ('replayed' in outcome) throw new Error('a write without a key was replayed')
  return outcome.record
}

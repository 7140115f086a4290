import { createClock } from '../src/clock.ts'
import type { ClaimedRequest } from '../src/contract/dispatch.ts'
import { createEntropy } from '../src/entropy.ts'
import { type Orchestrator, createOrchestrator } from '../src/orchestrator/orchestrator.ts'
import { openWriter } from '../src/store/sqlite/connection.ts'
import { applyMigrations, readMigrations } from '../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../src/store/sqlite/store.ts'
import { plainCall, recordOf } from './calls.ts'
import type { Records } from './no-op.ts'
import { MIGRATIONS } from './paths.ts'
import { enqueue } from './queue.ts'
import { recordDecision } from './router.ts'
import { createBodies, requestBodies, runEndBody, stepBody, stepEndBody } from './scenario.ts'
import { claimBody, completionBody } from './work.ts'

/** Lives one run through the real code, in memory, routes tasks, and keeps what each step answered. */
export async function recordAnswers(): Promise<Records> {
  const clock = createClock(null)
  const db = openWriter(':memory:')
  applyMigrations(db, readMigrations(MIGRATIONS), clock().text)
  const store = sqliteStore(db, { write_queue_max: 256 })
  const ledger = createOrchestrator({ store, clock, entropy: createEntropy() })

  const created = recordOf(await ledger.createRun(plainCall, createBodies[0]!, null))
  const started = recordOf(await ledger.startRun(plainCall, created.run_id))
  const step = recordOf(await ledger.createStepAttempt(plainCall, created.run_id, stepBody))
  const stepEnd = recordOf(await ledger.completeStepAttempt(plainCall, step.step_attempt_id, stepEndBody))
  const completed = recordOf(await ledger.completeRun(plainCall, created.run_id, runEndBody))
  const route = await recordDecision(ledger)
  const work = await recordWork(ledger)
  await store.close()
  return {
    create: created,
    start: started,
    'create step': step,
    'complete step': stepEnd,
    'complete run': completed,
    read: completed,
    route,
    ...work,
  }
}

const NEVER = { wait_ms: 0, signal: AbortSignal.timeout(0) }

/** One worker claims and completes. */
async function recordWork(
  ledger: Orchestrator,
): Promise<Pick<Records, 'claim' | 'complete' | 'complete and claim'>> {
  await enqueue(ledger, requestBodies.length)
  const claim = recordOf(await ledger.claimExecutionRequests(plainCall, claimBody(0), NEVER))
  const complete = async ({ execution_request, lease_token }: ClaimedRequest, claim_next: boolean) => {
    const body = completionBody(lease_token)
    const { request_id } = execution_request
    return recordOf(await ledger.completeExecutionRequest(plainCall, request_id, body, claim_next))
  }
  const chained = await complete(claim.items[0]!, true)
  return { claim, 'complete and claim': chained, complete: await complete(chained.next!, false) }
}

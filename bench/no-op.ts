import type { ClaimResult, CompletedRequest } from '../src/contract/dispatch.ts'
import type { RouteDecision } from '../src/contract/routing.ts'
import type { Run } from '../src/contract/run.ts'
import type { StepAttempt } from '../src/contract/step.ts'
import type { Clock } from '../src/clock.ts'
import type { Entropy } from '../src/entropy.ts'
import type { Outcome } from '../src/domain/idempotency.ts'
import { type Orchestrator, createOrchestrator } from '../src/orchestrator/orchestrator.ts'
import type { Store } from '../src/store/store.ts'
import type { StepName } from './scenario.ts'

/** What a real store answered to each step of the scenario, and to a task, as JSON. */
export type Records = Record<StepName, Run | StepAttempt> & {
  route: RouteDecision
  claim: ClaimResult
} & Record<'complete' | 'complete and claim', CompletedRequest>

type Written = Records[keyof Records]

/**
 * A store that does nothing: the most that the HTTP server could do over any. It ignores the decision and gives
 * what a real one once gave, so that everything above the port has its full work to do.
 */
export function noOpStore(written: Written, read: Run): Store {
  const outcome: Outcome<unknown> = Object.freeze({ record: deepFrozen(written), answer: null })
  const page = { items: [], next_cursor: null }
  return {
    change: <T>() => Promise.resolve(outcome as T), // every change of the orchestrator asks for an outcome
    view: () => Promise.reject(new Error('the no-op store has no snapshots')),
    getRun: () => Promise.resolve(read),
    getStepAttempt: () => Promise.resolve(null),
    listRuns: () => Promise.resolve(page),
    listStepAttempts: () => Promise.resolve(page),
    listRunEvents: () => Promise.resolve(page),
    listEvents: () => Promise.resolve(page),
    readFeed: () => Promise.reject(new Error('the no-op store has no events')),
    readRunFeed: () => Promise.resolve(null),
    getExecutionRequest: () => Promise.resolve(null),
    listExecutionRequests: () => Promise.resolve(page),
    getWorker: () => Promise.resolve(null),
    listWorkers: () => Promise.resolve(page),
    getRouterConfig: () => Promise.resolve(null),
    getActiveRouterConfig: () => Promise.resolve({ activations: 0, config: null }),
    listRouterConfigs: () => Promise.resolve(page),
    getRouteDecision: () => Promise.resolve(null),
    listRouteDecisions: () => Promise.resolve(page),
    backtest: () => Promise.resolve(null),
    listTools: () => Promise.resolve(page),
    readChain: () => Promise.resolve([]),
    readSummary: () => Promise.reject(new Error('the no-op store has no attempts')),
    statistics: () => Promise.reject(new Error('the no-op store has no rows')),
    dueRequests: () => Promise.resolve([]),
    availableTools: () => Promise.resolve([]),
    recoveringTools: () => Promise.resolve([]),
    resumedTools: () => Promise.resolve([]),
    hasQueued: () => Promise.resolve(false),
    queuedTools: () => Promise.resolve([]),
    countQueued: () => Promise.resolve({ queued: 0, next: null }),
    queuedSince: () => Promise.resolve(null),
    openCircuits: () => Promise.resolve([]),
    waitingBehind: () => Promise.resolve({ items: [], next: null }),
    nextDue: () => Promise.resolve(null),
    forgetKeys: () => Promise.resolve(0),
    lastInstant: () => Promise.resolve(null),
    figures: () => ({ writes_waiting: 0, database_bytes: 0, wal_bytes: 0 }),
    ping: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}

/** The product's orchestrator, each operation over a store that gives the record of that operation. */
export function noOpLedger(
  records: Records,
  deps: { clock: Clock; entropy: Entropy },
): { orchestrator: Orchestrator; store: Store } {
  const read = deepFrozen(records.read as Run)
  const over = (name: keyof Records) => createOrchestrator({ ...deps, store: noOpStore(records[name], read) })
  const claiming = over('complete and claim')
  const completing = over('complete')
  const orchestrator: Orchestrator = {
    ...over('create'),
    startRun: over('start').startRun,
    createStepAttempt: over('create step').createStepAttempt,
    completeStepAttempt: over('complete step').completeStepAttempt,
    completeRun: over('complete run').completeRun,
    createRouteDecision: over('route').createRouteDecision,
    claimExecutionRequests: over('claim').claimExecutionRequests,
    completeExecutionRequest: (call, id, body, claim_next) =>
      (claim_next ? claiming : completing).completeExecutionRequest(call, id, body, claim_next),
  }
  return { orchestrator, store: noOpStore(read, read) }
}

function deepFrozen<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFrozen(member as object)
  }
  return Object.freeze(value)
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import type { AppendRunEvent, Event, EventVerification } from '../contract/event.ts'
import type {
  CancelExecutionRequest,
  CreateExecutionRequest,
  ExecutionRequest,
} from '../contract/execution-request.ts'
import type { RunTransitions } from '../contract/machine.ts'
import type { CancelRun, CompleteRun, CreateRun, QuarantineRun, Run, UpdateRun } from '../contract/run.ts'
import type {
  CompleteStepAttempt,
  CreateStepAttempt,
  RetryStepAttempt,
  StepAttempt,
} from '../contract/step.ts'
import type { Caller, Change, ChainHead, Scope } from '../domain/decision.ts'
import { appendRunEvent } from '../domain/event.ts'
import { type ChainCheck, chainStart, checkChain, checkHead } from '../domain/event-chain.ts'
import { cancelExecutionRequest, createExecutionRequest } from '../domain/execution-request.ts'
import { visibleRun } from '../domain/guard.ts'
import { type Outcome, once } from '../domain/idempotency.ts'
import { type Loss, recordLoss } from '../domain/loss.ts'
import { cancelRun, completeRun, createRun, listTransitions, quarantineRun, startRun } from '../domain/run.ts'
import { updateRun } from '../domain/run-update.ts'
import type { StepNews } from '../domain/step-report.ts'
import { completeStepAttempt, createStepAttempt, retryStepAttempt } from '../domain/step.ts'
import { traceparentOf } from '../domain/traceparent.ts'
import type { Entropy } from '../entropy.ts'
import { type Call, type GivenFor, OWN_CALL, type Write, type WriteOnce } from './call.ts'
import { type DispatchCases, dispatchCases } from './dispatch.ts'
import { type FigureCases, figureCases } from './figures.ts'
import { createHub } from './hub.ts'
import { type LeaseNews, tellLeases } from './lease-news.ts'
import { type PlanCases, planCases } from './plans.ts'
import { type RunReadCases, runReadCases } from './run-reads.ts'
import { type RouterCases, routeScope, routerCases } from './router.ts'
import type { Store } from '../store/store.ts'

/** The use cases: every write, and the reads that decide something. */
export interface Orchestrator extends RunReadCases, RouterCases, DispatchCases, PlanCases, FigureCases {
  /** Is told whenever time will end something: at that instant `sweep` has work. */
  onDue(listener: (instant: string) => void): void
  /** Is told after each commit that may have written events, before whoever asked for it is answered: be quick. */
  onCommitted(listener: () => void): void
  /** Is told what workers say of running attempts, which is no event. */
  onReported(listener: (news: StepNews) => void): void
  /** Is told of each lease that began or was lost, after the commit. */
  onLease(listener: (news: LeaseNews) => void): void
  /** Nobody waits for anything any longer: the server stops. */
  endWaiting(): void
  createRun(call: Call<Run>, body: CreateRun, traceparent: string | null): Promise<Outcome<Run>>
  updateRun: Write<UpdateRun, Run>
  startRun(call: Call<Run>, run_id: string): Promise<Outcome<Run>>
  completeRun: Write<CompleteRun, Run>
  quarantineRun: Write<QuarantineRun, Run>
  cancelRun: Write<CancelRun, Run>
  listRunTransitions(caller: Caller, run_id: string): Promise<RunTransitions>
  createStepAttempt: Write<CreateStepAttempt, StepAttempt>
  completeStepAttempt: Write<CompleteStepAttempt, StepAttempt>
  retryStepAttempt: Write<RetryStepAttempt, StepAttempt>
  createExecutionRequest(
    call: Call<ExecutionRequest>,
    task: CreateExecutionRequest,
  ): Promise<Outcome<ExecutionRequest>>
  cancelExecutionRequest: Write<CancelExecutionRequest, ExecutionRequest>
  appendRunEvent: Write<AppendRunEvent, Event>
  verifyRunEvents(caller: Caller, run_id: string): Promise<EventVerification>
  /** Writes into the ledger that an operator accepted the loss of its end. */
  recordLoss(loss: Loss): Promise<void>
  /** @throws LedgerError `store_unavailable` */
  ping(): Promise<void>
}

/** How many events a verification reads before it lets others have a turn. */
const VERIFY_BATCH = 500

export function createOrchestrator(deps: { store: Store; clock: Clock; entropy: Entropy }): Orchestrator {
  const { store, clock, entropy } = deps

  const givenFor: GivenFor = ({ caller, http_request_id, if_match }) => {
    const { ms, text } = clock()
    const newId = () => entropy.newId(ms)
    return { now: text, newId, randomHex: entropy.hex, caller, http_request_id, if_match }
  }
  const hub = createHub()
  let leased: (news: LeaseNews) => void = () => {}
  const write: WriteOnce = async (call, scope, decide) => {
    const given = givenFor(call)
    const { claim, present } = call
    const repeatable = once({ claim, present, now: given.now }, (before) => decide(before, given))
    let changes: readonly Change[] = []
    const outcome = await store.change({ ...scope, claim }, (before) => {
      const decision = repeatable(before)
      changes = decision.changes
      return decision
    })
    hub.published(changes, clock().text) // later than `now`: what became available meanwhile counts
    tellLeases(changes, leased)
    return outcome
  }
  return {
    ...runWrites(write),
    ...stepWrites(write),
    ...requestWrites(write),
    ...runReadCases({ store, givenFor, hub }),
    ...routerCases({ store, givenFor, write }),
    ...dispatchCases({ store, givenFor, write, hub }),
    ...planCases({ store, givenFor, write }),
    onDue: hub.onDue,
    ...figureCases({ store, givenFor }),
    onCommitted: hub.onCommitted,
    onReported: hub.onReported,
    onLease: (listener) => void (leased = listener),
    endWaiting() {
      hub.waiters.close()
      hub.closings.close()
    },
    appendRunEvent: (call, run_id, body) =>
      write(call, { run_id, ...stepOf(body.step_attempt_id) }, (before, given) =>
        appendRunEvent(before, given, body),
      ),
    listRunTransitions: (caller, run_id) =>
      store.view({ run_id, open: true }, (before) => listTransitions(before, { caller })),
    verifyRunEvents: (caller, run_id) => verifyRunEvents(store, caller, run_id),
    recordLoss(loss) {
      const given = givenFor(OWN_CALL)
      return store.change({ system: true }, (before) => recordLoss(before, given, loss))
    },
    ping: () => store.ping(),
  }
}

const runWrites = (write: WriteOnce) =>
  ({
    createRun: (call, body, header) =>
      write(call, {}, (before, given) =>
        createRun(before, given, body, traceparentOf(header, given.randomHex)),
      ),
    updateRun: (call, run_id, body) =>
      write(call, { run_id }, (before, given) => updateRun(before, given, body)),
    startRun: (call, run_id) => write(call, { run_id }, startRun),
    completeRun: (call, run_id, body) =>
      write(call, { run_id, open: true }, (before, given) => completeRun(before, given, body)),
    quarantineRun: (call, run_id, body) =>
      write(call, { run_id, open: true }, (before, given) => quarantineRun(before, given, body)),
    cancelRun: (call, run_id, body) =>
      write(call, { run_id, open: true }, (before, given) => cancelRun(before, given, body)),
  }) satisfies Partial<Orchestrator>

const requestWrites = (write: WriteOnce) =>
  ({
    createExecutionRequest: (call, task) =>
      write(call, routeScope(task), (before, given) => createExecutionRequest(before, given, task)),
    cancelExecutionRequest: (call, execution_request_id, body) =>
      write(call, { execution_request_id, open: true, dependents: 'all' }, (before, given) =>
        cancelExecutionRequest(before, given, body),
      ),
  }) satisfies Partial<Orchestrator>

const stepWrites = (write: WriteOnce) =>
  ({
    createStepAttempt: (call, run_id, body) =>
      write(call, { run_id, ...newestAt(body.sequence) }, (before, given) =>
        createStepAttempt(before, given, body),
      ),
    completeStepAttempt: (call, step_attempt_id, body) =>
      write(call, { step_attempt_id, system: body.status === 'failed' || 'circuits' }, (before, given) =>
        completeStepAttempt(before, given, body),
      ),
    retryStepAttempt: (call, step_attempt_id, body) =>
      write(call, { step_attempt_id, newest_at: 'step' }, (before, given) =>
        retryStepAttempt(before, given, body),
      ),
  }) satisfies Partial<Orchestrator>

/**
 * Reads all events, then the head that they must add up to: both are committed together, so events that come
 * meanwhile show as a head that has moved on, and a forged event behind the head shows as one too many.
 */
async function verifyRunEvents(store: Store, caller: Caller, run_id: string): Promise<EventVerification> {
  const readHead = () => store.view({ run_id }, (before) => visibleRun(before, { caller }))
  let check: ChainCheck = { head: chainStart(run_id), first_bad: null }
  let expected: ChainHead = await readHead()
  for (let moved = true; moved && check.first_bad === null;) {
    check = await checkToEnd(store, run_id, check)
    const head = await readHead()
    moved = head.event_count > expected.event_count
    expected = head
  }
  const { head, first_bad } = checkHead(check, expected)
  const { event_count: events_checked, last_hash } = head
  return { run_id, valid: first_bad === null, events_checked, last_hash, first_bad }
}

/** In batches with a turn for others between them: a run may have a million events. */
async function checkToEnd(store: Store, run_id: string, start: ChainCheck): Promise<ChainCheck> {
  let check = start
  for (;;) {
    const after = { run_seq: check.head.event_count, limit: VERIFY_BATCH }
    const events = await store.readChain(run_id, after)
    check = checkChain(check, events)
    if (check.first_bad !== null || events.length < VERIFY_BATCH) return check
    await nextTurn()
  }
}

const newestAt = (sequence: number | null | undefined): Pick<Scope, 'newest_at'> =>
  sequence == null ? {} : { newest_at: sequence }

const stepOf = (step_attempt_id: string | null | undefined): Pick<Scope, 'step_attempt_id'> =>
  step_attempt_id == null ? {} : { step_attempt_id }

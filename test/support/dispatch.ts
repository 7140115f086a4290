import { expect } from 'vitest'
import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type {
  CompleteExecutionRequest,
  FailExecutionRequest,
  ClaimExecutionRequests,
  ClaimedRequest,
} from '../../src/contract/dispatch.ts'
import type { CreateExecutionRequest, ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { PlanDefaults, PlanTask, SubmittedTasks } from '../../src/contract/plan.ts'
import type { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import type { CreateRun } from '../../src/contract/run.ts'
import type { RunPlan } from '../../src/contract/run-plan.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { claimRequests } from '../../src/domain/claim.ts'
import { completeRequest } from '../../src/domain/completion.ts'
import { installRouterConfig, soundConfig } from '../../src/domain/configuration.ts'
import type { Caller, Decision, Given, Scope, Snapshot } from '../../src/domain/decision.ts'
import { diagnose } from '../../src/domain/diagnosis.ts'
import { cancelExecutionRequest, createExecutionRequest } from '../../src/domain/execution-request.ts'
import { expireRequest } from '../../src/domain/expiry.ts'
import { fallBackQueued } from '../../src/domain/fallback.ts'
import { heartbeat } from '../../src/domain/lease.ts'
import { failRequest, rejectRequest, releaseRequest } from '../../src/domain/lease-end.ts'
import { getPlan } from '../../src/domain/plan.ts'
import { namesOf, submitTasks } from '../../src/domain/plan-submission.ts'
import { cancelRun, completeRun, createRun, quarantineRun } from '../../src/domain/run.ts'
import { completeStepAttempt, createStepAttempt, retryStepAttempt } from '../../src/domain/step.ts'
import { pauseTool, resumeTool } from '../../src/domain/tool.ts'
import type { Connection } from '../../src/store/sqlite/connection.ts'
import type { Store } from '../../src/store/store.ts'
import { RUN_BODY, STEP_BODY } from './builders.ts'
import { fold } from './fold.ts'
import { ANYBODY, NOW, after, countingEntropy } from './given.ts'
import { aConfig } from './routing.ts'
import { eventsOf, expectSound, pagesOf } from './store.ts'
import { expectValidationsSound } from './validations.ts'

/** Two tools, of which one takes two things at a time. */
export const CONFIG = aConfig({
  apps: { aider: { kinds: ['edit'], max: 1_000 }, pytest: { kinds: ['test'], max: 2 } },
})

const SYSTEM: Caller = { actor: { type: 'system', id: null }, projects: null }

/** Half of what the back-off allows. */
export const HALF = '80000000'

type Claiming = Partial<ClaimExecutionRequests> & { projects?: readonly string[] }
type Held = Pick<ClaimedRequest, 'lease_token' | 'execution_request'>

/** Who wants work done and who does it, at the store's own port. Time stands still until it is moved. */
export class Desk {
  now = NOW
  /** The next random numbers of four bytes; then all are the half. */
  chances: string[] = []
  readonly store: Store
  readonly #entropy = countingEntropy()

  constructor(store: Store) {
    this.store = store
  }

  pass(ms: number): void {
    this.now = after(this.now, ms)
  }

  given(caller: Caller = ANYBODY): Given {
    const { now } = this
    const { newId, hex } = this.#entropy
    const randomHex = (bytes: number) => (bytes === 4 ? (this.chances.shift() ?? HALF) : hex(bytes))
    const ms = Date.parse(now)
    return { now, newId: () => newId(ms), randomHex, caller, http_request_id: null, if_match: null }
  }

  write<T>(
    scope: Scope,
    decide: (before: Snapshot, given: Given) => Decision<T>,
    caller?: Caller,
  ): Promise<T> {
    const given = this.given(caller)
    return this.store.change(scope, (before) => decide(before, given))
  }

  install(document: RouterConfig = CONFIG) {
    const sound = soundConfig(document, [])
    const { content_hash } = sound
    return this.write({ config: { content_hash }, activation: true, system: true }, (before, given) =>
      installRouterConfig(before, given, sound),
    )
  }

  run(body: Partial<CreateRun> = {}) {
    return this.write({}, (before, given) => createRun(before, given, { ...RUN_BODY, ...body }, null))
  }

  /** An edit, unless the test says otherwise. */
  request(task: Partial<CreateExecutionRequest> = {}): Promise<ExecutionRequest> {
    const run = task.run_id == null ? {} : { run_id: task.run_id }
    return this.write({ routing: 'active', ...run }, (before, given) =>
      createExecutionRequest(before, given, { task_kind: 'edit', ...RUN_BODY, ...task }),
    )
  }

  submit(run_id: string, tasks: PlanTask[], defaults: PlanDefaults = {}): Promise<SubmittedTasks> {
    const body = { tasks, defaults }
    return this.write({ run_id, routing: 'active', tasks_named: namesOf(body) }, (before, given) =>
      submitTasks(before, given, body),
    )
  }

  plan(run_id: string): Promise<RunPlan> {
    const given = { now: this.now, caller: ANYBODY }
    return this.store.view({ run_id, tasks: true }, (before) => getPlan(before, given))
  }

  claim({ projects, ...given_body }: Claiming = {}) {
    const body = { worker_id: 'w1', tools: ['aider'], ...given_body }
    const { worker_id, tools } = body
    const limit = body.max ?? 1
    const queue = { worker_id, tools, limit, now: this.now, projects: projects ?? null }
    return this.write(
      { worker_id, queue, system: 'circuits' },
      (before, given) => claimRequests(before, given, body),
      {
        ...ANYBODY,
        projects: projects ?? null,
      },
    )
  }

  /** The one request that is there for the worker. */
  async claimOne(claiming: Claiming = {}): Promise<ClaimedRequest> {
    const { items } = await this.claim(claiming)
    expect(items).toHaveLength(1)
    return items[0]!
  }

  heartbeat({ execution_request, lease_token }: Held) {
    const execution_request_id = execution_request.request_id
    return this.write({ execution_request_id, lease: true }, (before, given) =>
      heartbeat(before, given, { lease_token }),
    )
  }

  complete(held: Held, body: Partial<CompleteExecutionRequest> = {}, claim_next = false) {
    const next = claim_next ? { next: { now: this.now, projects: null } } : {}
    const scope = {
      ...this.#leased(held),
      open: false,
      fallback: false,
      dependents: 'next',
      system: 'circuits',
      ...next,
    } as const
    return this.write(scope, (before, given) =>
      completeRequest(before, given, { ...tokenOf(held), ...body }, claim_next),
    )
  }

  fail(held: Held, error_class = 'tool_error', body: Partial<FailExecutionRequest> = {}) {
    return this.write({ ...this.#leased(held), system: true }, (before, given) =>
      failRequest(before, given, { ...tokenOf(held), error: { class: error_class }, ...body }),
    )
  }

  reject(held: Held, reason = 'no such file here') {
    return this.write(this.#leased(held), (before, given) =>
      rejectRequest(before, given, { ...tokenOf(held), reason }),
    )
  }

  release(held: Held, reason = 'shutting down') {
    return this.write(this.#leased(held), (before, given) =>
      releaseRequest(before, given, { ...tokenOf(held), reason }),
    )
  }

  /** What the sweep does for what is due. */
  expire({ request_id }: Pick<ExecutionRequest, 'request_id'>) {
    return this.write(this.#ending(request_id), expireRequest, SYSTEM)
  }

  cancel({ request_id }: Pick<ExecutionRequest, 'request_id'>, reason?: string) {
    const body = reason === undefined ? {} : { reason }
    return this.write({ ...this.#ending(request_id), lease: false }, (before, given) =>
      cancelExecutionRequest(before, given, body),
    )
  }

  failRun(run_id: string) {
    return this.write({ run_id, open: true }, (before, given) =>
      completeRun(before, given, { status: 'failed' }),
    )
  }

  succeedRun(run_id: string) {
    return this.write({ run_id, open: true }, (before, given) =>
      completeRun(before, given, { status: 'succeeded' }),
    )
  }

  cancelRun(run_id: string) {
    return this.write({ run_id, open: true }, (before, given) => cancelRun(before, given, {}))
  }

  quarantineRun(run_id: string) {
    return this.write({ run_id, open: true }, (before, given) =>
      quarantineRun(before, given, { reason: 'corrupted worktree' }),
    )
  }

  createStep(run_id: string) {
    return this.write({ run_id }, (before, given) => createStepAttempt(before, given, STEP_BODY))
  }

  completeStep({ step_attempt_id }: Pick<StepAttempt, 'step_attempt_id'>, status: 'succeeded' | 'failed') {
    return this.write({ step_attempt_id, system: true }, (before, given) =>
      completeStepAttempt(before, given, { status }),
    )
  }

  retryStep({ step_attempt_id }: Pick<StepAttempt, 'step_attempt_id'>) {
    return this.write({ step_attempt_id, newest_at: 'step' }, (before, given) =>
      retryStepAttempt(before, given, {}),
    )
  }

  async requestNow({ request_id }: Pick<ExecutionRequest, 'request_id'>): Promise<ExecutionRequest> {
    const {
      decisions: _,
      step_attempts: __,
      validations: ___,
      ...request
    } = await this.storyOf({ request_id })
    return request
  }

  async storyOf({ request_id }: Pick<ExecutionRequest, 'request_id'>): Promise<ExecutionRequestStory> {
    return (await this.store.getExecutionRequest(request_id, ANYBODY))!
  }

  /** Why nothing is happening with it. */
  diagnosis({ request_id: execution_request_id }: Pick<ExecutionRequest, 'request_id'>) {
    const { now } = this
    const scope = { execution_request_id, lease: true, surroundings: { now }, obstacles: true }
    return this.store.view(scope, (before) => diagnose(before, { now, caller: ANYBODY }))
  }

  /** What the sweep does for what waits for a tool whose circuit has opened. */
  fallBack({ request_id }: Pick<ExecutionRequest, 'request_id'>, tool_id = 'aider') {
    const scope = { execution_request_id: request_id, fallback: true }
    return this.write(scope, (before, given) => fallBackQueued(before, given, tool_id), SYSTEM)
  }

  pause(tool_id: string, reason = 'updating') {
    return this.write({ routing: 'active', system: true }, (before, given) =>
      pauseTool(before, given, tool_id, { reason }),
    )
  }

  resume(tool_id: string) {
    return this.write({ routing: 'active', system: true }, (before, given) =>
      resumeTool(before, given, tool_id),
    )
  }

  async runNow({ run_id }: { run_id: string }) {
    return (await this.store.getRun(run_id, ANYBODY))!
  }

  async stepNow(held: ClaimedRequest) {
    return (await this.store.getStepAttempt(held.step_attempt.step_attempt_id, ANYBODY))!
  }

  #leased({ execution_request }: Held): Scope {
    return this.#ending(execution_request.request_id)
  }

  #ending(execution_request_id: string): Scope {
    return { execution_request_id, lease: true, open: true, dependents: 'all', fallback: true }
  }
}

const tokenOf = ({ lease_token }: Held) => ({ lease_token })

/** An empty ledger with two tools. */
export async function openDesk(store: Store, document: RouterConfig = CONFIG): Promise<Desk> {
  const desk = new Desk(store)
  await desk.install(document)
  return desk
}

const COUNTS = `SELECT count(*) FILTER (WHERE state IN ('blocked', 'queued', 'claimed')) AS open,
    count(*) FILTER (WHERE state = 'succeeded' AND validates_execution_request_id IS NULL) AS succeeded,
    count(*) FILTER (WHERE state = 'failed' AND validates_execution_request_id IS NULL) AS failed,
    count(*) FILTER (WHERE state = 'canceled' AND validates_execution_request_id IS NULL) AS canceled
  FROM execution_requests WHERE run_id = ?`

/** What each request must say that it waits for: how many of its needs have not succeeded, while it is blocked. */
const WAITING = `SELECT r.execution_request_id AS id, r.waiting_for, r.plan,
    (SELECT count(*) FROM task_needs n JOIN execution_requests m ON m.execution_request_id = n.needs_id
     WHERE n.execution_request_id = r.execution_request_id AND m.state <> 'succeeded') AS counted
  FROM execution_requests r WHERE r.plan IS NOT NULL AND r.state NOT IN ('failed', 'canceled')`
const NEEDS = 'SELECT needs_id FROM task_needs WHERE execution_request_id = ? ORDER BY needs_id'

interface Waiting {
  id: string
  waiting_for: number
  plan: string
  counted: number
}

export function expectPlansSound(db: Connection): void {
  for (const { id, waiting_for, plan, counted } of db.prepare<[], Waiting>(WAITING).all()) {
    expect({ id, waiting_for }).toEqual({ id, waiting_for: counted })
    const { needs } = JSON.parse(plan) as { needs: string[] }
    expect(db.prepare<[string], string>(NEEDS).pluck().all(id)).toEqual(needs.toSorted())
  }
}

/** What must be true at any time: the events of each run fold to its rows, and what is counted is what is there. */
export async function expectAllSound(db: Connection, store: Store): Promise<void> {
  expectPlansSound(db)
  expectValidationsSound(db)
  const runs = db.prepare<[], string>('SELECT run_id FROM runs').pluck().all()
  for (const run_id of runs) {
    await expectSound(store, run_id)
    const query = { run_id: [run_id], order: 'asc' as const, limit: 500 }
    const requests = await pagesOf((cursor) => store.listExecutionRequests({ ...query, ...cursor }, ANYBODY))
    expect(fold(await eventsOf(store, run_id)).execution_requests).toEqual(requests.flat())
    const { run } = await store.view({ run_id }, (before) => before)
    expect(run!.requests).toEqual(db.prepare(COUNTS).get(run_id))
    const steps = db.prepare<[string], { state: string }>('SELECT state FROM step_attempts WHERE run_id = ?')
    const states = steps.all(run_id).map(({ state }) => state)
    expect([run!.run.counters.step_attempts, run!.steps_running, run!.run.counters.errors]).toEqual([
      states.length,
      states.filter((state) => state === 'running').length,
      states.filter((state) => state === 'failed').length,
    ])
  }
  expect(
    db
      .prepare('SELECT execution_request_id AS id, fence, step_attempt_id, worker_id FROM leases ORDER BY id')
      .all(),
  ).toEqual(
    db
      .prepare(
        "SELECT execution_request_id AS id, fence, step_attempt_id, worker_id FROM execution_requests WHERE state = 'claimed' ORDER BY id",
      )
      .all(),
  )
}

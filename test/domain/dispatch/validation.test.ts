import { beforeEach, describe, expect, it } from 'vitest'
import type { CreateExecutionRequest, ExecutionRequest } from '../../../src/contract/execution-request.ts'
import { replayRouteDecision } from '../../../src/domain/route-decision.ts'
import type { Connection } from '../../../src/store/sqlite/connection.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { chosenIn, triedIn } from '../../support/fallbacks.ts'
import { ANYBODY } from '../../support/given.ts'
import { aConfig } from '../../support/routing.ts'
import { eventsOf, openMemoryStore } from '../../support/store.ts'
import { validatedConfig, verdictsIn } from '../../support/validations.ts'

let db: Connection
let desk: Desk

async function open(rule: object = {}): Promise<void> {
  const memory = openMemoryStore()
  db = memory.db
  desk = await openDesk(memory.store, validatedConfig(rule))
}
beforeEach(() => open())

const claim = (...tools: string[]) => {
  desk.pass(60_000)
  return desk.claimOne({ tools })
}
/** Work that was done, and who now looks at it, as their workers hold it. */
async function doneWork(task: Partial<CreateExecutionRequest> = {}) {
  const request = await desk.request(task)
  await desk.complete(await claim('aider'))
  return request
}
const agrees = async (tool_id: string) => desk.complete(await claim(tool_id))
const rejects = async (tool_id: string, tails: object = {}) =>
  desk.fail(await claim(tool_id), 'tool_error', tails)
const kindsOf = async ({ run_id }: ExecutionRequest, from: number) =>
  (await eventsOf(desk.store, run_id))
    .slice(from)
    .map(({ kind, to }) => (to === null ? kind : `${kind} ${to}`))
const sound = () => expectAllSound(db, desk.store)

describe('work that is done and has validators', () => {
  it('waits for them, and is neither done nor to be had', async () => {
    const request = await desk.request()
    const { execution_request } = await desk.complete(await claim('aider'), { exit_code: 0 })
    expect(execution_request).toMatchObject({
      state: 'blocked',
      stop_reason: null,
      ended_at: null,
      attempts: 1,
      tool_attempts: 1,
      assignment: {
        tool_id: 'aider',
        validators: [
          { tool_id: 'pytest', required: true },
          { tool_id: 'eslint', required: true },
        ],
      },
    })
    expect((await desk.claim({ tools: ['aider'] })).items).toEqual([])
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['pytest queued', 'eslint queued'])
    await sound()
  })

  it('has ended its attempt and its lease', async () => {
    await desk.request()
    const held = await claim('aider')
    await desk.complete(held)
    expect(await desk.stepNow(held)).toMatchObject({ state: 'succeeded' })
    expect(await desk.heartbeat(held)).toMatchObject({ lease_lost: true })
  })

  it('tells of all of it in one go: the attempt, the wait, and each validator with its decision', async () => {
    const request = await desk.request()
    const held = await claim('aider')
    const before = (await eventsOf(desk.store, request.run_id)).length
    await desk.complete(held)
    expect(await kindsOf(request, before)).toEqual([
      'step_completed succeeded',
      'request_blocked blocked',
      'task_routed',
      'request_created queued',
      'task_routed',
      'request_created queued',
    ])
  })

  it('succeeds with the last of them, and its run with it', async () => {
    const request = await doneWork()
    await agrees('eslint')
    expect(await desk.requestNow(request)).toMatchObject({ state: 'blocked' })
    const held = await claim('pytest')
    const before = (await eventsOf(desk.store, request.run_id)).length
    await desk.complete(held)
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'succeeded',
      stop_reason: 'succeeded',
      attempts: 1,
      validation_error: null,
    })
    expect(await desk.runNow(request)).toMatchObject({ state: 'succeeded' })
    expect(await kindsOf(request, before)).toEqual([
      'step_completed succeeded',
      'request_completed succeeded',
      'request_completed succeeded',
      'run_completed succeeded',
    ])
    await sound()
  })

  it('says in its diagnosis for whom it waits', async () => {
    const request = await doneWork()
    await agrees('eslint')
    const { findings } = await desk.diagnosis(request)
    expect(findings).toMatchObject([
      { code: 'validating', detail: expect.stringMatching(/pytest \(queued, /) },
    ])
    expect(findings[0]!.detail).not.toContain('eslint')
  })

  it('waits for nothing that is listed twice a second time', async () => {
    await open({ validate_with: ['pytest', 'pytest'] })
    const request = await doneWork()
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['pytest queued'])
  })

  it('is validated by a tool that is no validator, as the rule names it', async () => {
    await open({ validate_with: ['codex'] })
    const request = await doneWork()
    await rejects('codex')
    expect(await desk.requestNow(request)).toMatchObject({ validation_error: { code: 'codex' } })
  })
})

describe('the request of a validator', () => {
  const INPUT = { prompt: 'Reject an empty basket', files: ['src/basket.ts'], data: { ticket: 'SHOP-7' } }

  it('has the input and the bounds of the work, and is for its tool alone', async () => {
    const request = await doneWork({
      task_id: 'basket',
      input: INPUT,
      labels: { team: 'core' },
      classification: { priority: 'high' },
      resource_scope: { read: ['src/**'] },
      constraints: { tests_must_pass: true },
      excluded_tools: ['codex'],
      limits: {
        max_attempts: 9,
        timeout_seconds: 7,
        queue_timeout_seconds: 500,
        total_timeout_seconds: 9_000,
      },
    })
    const { execution_request } = await claim('eslint')
    expect(execution_request).toMatchObject({
      run_id: request.run_id,
      task_kind: 'edit',
      task_id: null,
      input: INPUT,
      labels: { team: 'core' },
      classification: { priority: 'high' },
      resource_scope: request.resource_scope,
      constraints: { tests_must_pass: true },
      plan: null,
      validates: { execution_request_id: request.request_id, required: true },
      assignment: { tool_id: 'eslint', validators: [] },
      routing: {
        strategy: 'fixed',
        allowed_tools: ['eslint'],
        excluded_tools: [],
        max_attempts: 2,
        timeout_seconds: 60,
        queue_timeout_seconds: 500,
        total_timeout_seconds: null,
      },
    })
    expect(execution_request.origin.created_by).toBe(request.origin.created_by)
  })

  it('names the attempt whose work it looks at', async () => {
    await desk.request()
    const held = await claim('aider')
    await desk.complete(held)
    const { execution_request } = await claim('pytest')
    expect(execution_request.validates!.step_attempt_id).toBe(held.step_attempt.step_attempt_id)
  })

  it('has a decision of its own, which names that about the work and can be made again', async () => {
    const request = await doneWork()
    const { execution_request } = await claim('pytest')
    const story = await desk.storyOf(execution_request)
    expect(chosenIn(story)).toEqual(['pytest'])
    const { route_decision_id } = story.decisions[0]!
    const decision = (await desk.store.getRouteDecision(route_decision_id, ANYBODY))!
    expect(decision).toMatchObject({
      outcome: 'routed',
      rule_id: 'edits',
      strategy: 'fixed',
      previous_decision_id: null,
      rules: [],
      validate_with: [],
      fallback_to: [],
      inputs: { validated_decision_id: request.assignment!.route_decision_id },
    })
    expect(decision.candidates.map(({ tool_id, reason_codes }) => [tool_id, reason_codes])).toEqual([
      ['aider', ['not_allowed']],
      ['codex', ['not_allowed']],
      ['eslint', ['not_allowed']],
      ['metrics', ['not_allowed']],
      ['pytest', ['chosen']],
    ])
    const again = await desk.store.view({ route_decision_id, routing: 'recorded' }, (before) =>
      replayRouteDecision(before, { caller: ANYBODY }),
    )
    expect(again.identical).toBe(true)
  })
})

describe('work that a validator finds fault with', () => {
  it('is tried again after a while, and its worker is told why', async () => {
    const request = await doneWork()
    const validator = await claim('pytest')
    await desk.fail(validator, 'tool_error', {
      exit_code: 1,
      stdout_tail: '1 failed',
      stderr_tail: 'a warning',
    })
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'queued',
      assignment: { tool_id: 'aider' },
      attempts: 1,
      tool_attempts: 1,
      validation_error: {
        class: 'validation_failed',
        code: 'pytest',
        message: '1 failed\na warning',
        execution_request_id: validator.execution_request.request_id,
      },
    })
    const { execution_request, step_attempt } = await claim('aider')
    expect(execution_request.validation_error).toMatchObject({ message: '1 failed\na warning' })
    expect(step_attempt).toMatchObject({ sequence: 1, attempt: 2 })
    await sound()
  })

  it('begins a new round once it is done again', async () => {
    const request = await doneWork()
    await rejects('pytest')
    await agrees('aider')
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'blocked',
      attempts: 2,
      validation_error: null,
    })
    await agrees('pytest')
    await agrees('eslint')
    const story = await desk.storyOf(request)
    expect(story).toMatchObject({ state: 'succeeded', attempts: 2 })
    expect(verdictsIn(story)).toEqual([
      'pytest failed',
      'eslint canceled',
      'pytest succeeded',
      'eslint succeeded',
    ])
    const [first, second] = story.step_attempts.map(({ step_attempt_id }) => step_attempt_id)
    expect(story.validations.map(({ validated_attempt_id }) => validated_attempt_id)).toEqual([
      ...[first, first],
      ...[second, second],
    ])
    await sound()
  })

  it('goes to the next tool when its own has no attempts left', async () => {
    await open({ validate_with: ['pytest'], fallback_to: ['codex'] })
    const request = await doneWork()
    await rejects('pytest')
    await agrees('aider')
    await rejects('pytest')
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'queued',
      available_at: desk.now,
      tool_attempts: 0,
      assignment: { tool_id: 'codex', validators: [{ tool_id: 'pytest', required: true }] },
    })
    await agrees('codex')
    await agrees('pytest')
    const story = await desk.storyOf(request)
    expect(story.state).toBe('succeeded')
    expect(chosenIn(story)).toEqual(['aider', 'codex'])
    expect(triedIn(story)).toEqual(['aider', 'aider', 'codex'])
    await sound()
  })

  it('fails when nobody is left, and its run with it', async () => {
    const request = await doneWork({ limits: { max_attempts: 1 } })
    await rejects('pytest', { stdout_tail: '1 failed' })
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'failed',
      stop_reason: 'max_attempts',
      validation_error: { class: 'validation_failed', code: 'pytest', message: '1 failed' },
    })
    expect(await desk.runNow(request)).toMatchObject({
      state: 'failed',
      error_message: `Execution request ${request.request_id} ended failed: max_attempts.`,
    })
    await sound()
  })

  it('keeps no more of what was printed than its end', async () => {
    const request = await doneWork()
    await rejects('pytest', { stdout_tail: `begin${'🛒'.repeat(3_000)}end` })
    const { message } = (await desk.requestNow(request)).validation_error!
    expect(message).toHaveLength(4_096)
    expect(message!.isWellFormed()).toBe(true)
    expect(message!.endsWith('🛒end')).toBe(true)
  })

  it('ends the other validators at once, also one that a worker holds', async () => {
    const request = await doneWork()
    const other = await claim('eslint')
    await rejects('pytest')
    expect(await desk.heartbeat(other)).toMatchObject({ lease_lost: true })
    expect(await desk.stepNow(other)).toMatchObject({ state: 'canceled', state_reason: 'validation_ended' })
    expect(await desk.requestNow(other.execution_request)).toMatchObject({
      state: 'canceled',
      stop_reason: 'validation_ended',
    })
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['pytest failed', 'eslint canceled'])
    await sound()
  })

  it('ends canceled if its worker had been asked to stop', async () => {
    const request = await desk.request()
    const held = await claim('aider')
    await desk.cancel(request, 'superseded')
    expect((await desk.complete(held)).execution_request.state).toBe('blocked')
    await rejects('pytest')
    expect(await desk.requestNow(request)).toMatchObject({ state: 'canceled', stop_reason: 'superseded' })
    await sound()
  })
})

describe('a validator that says nothing of the work', () => {
  it('is tried again, by the usual rules', async () => {
    const request = await doneWork()
    const validator = await claim('pytest')
    desk.pass(60_000) // its worker is dead
    expect(await desk.expire(validator.execution_request)).toMatchObject({
      state: 'queued',
      tool_attempts: 1,
    })
    expect(await desk.requestNow(request)).toMatchObject({ state: 'blocked', validation_error: null })
    await agrees('pytest')
    await agrees('eslint')
    expect(await desk.requestNow(request)).toMatchObject({ state: 'succeeded', attempts: 1 })
    await sound()
  })

  it('has failed the work once its attempts are spent', async () => {
    const request = await doneWork()
    await desk.fail(await claim('pytest'), 'internal', { error: { class: 'internal', message: 'no disk' } })
    await desk.fail(await claim('pytest'), 'internal', { error: { class: 'internal', message: 'no disk' } })
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'queued',
      validation_error: { code: 'pytest', message: 'no disk' },
    })
  })

  it.each(['validator waited too long for a worker', 'validator was canceled'])(
    '%s: that is a failure too',
    async (what) => {
      const request = await doneWork({ limits: { queue_timeout_seconds: 500 } })
      const pytest = (await desk.storyOf(request)).validations[0]!
      const validator = { request_id: pytest.execution_request_id }
      if (what.includes('canceled')) await desk.cancel(validator, 'too slow')
      else {
        desk.pass(500_000)
        expect(await desk.expire(validator)).toMatchObject({ stop_reason: 'queue_timeout' })
      }
      expect(await desk.requestNow(request)).toMatchObject({
        state: 'queued',
        validation_error: {
          code: 'pytest',
          message: what.includes('canceled') ? 'too slow' : 'queue_timeout',
        },
      })
      await sound()
    },
  )
})

describe('an analyzer', () => {
  it('is not waited for', async () => {
    await open({ validate_with: ['metrics'] })
    const request = await doneWork()
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'succeeded',
      assignment: { validators: [{ tool_id: 'metrics', required: false }] },
    })
    expect(await desk.runNow(request)).toMatchObject({ state: 'running' })
    await sound()
  })

  it('keeps its run open, which then ends as the work did, whatever it said', async () => {
    await open({ validate_with: ['metrics'] })
    const request = await doneWork()
    await rejects('metrics')
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['metrics failed'])
    expect(await desk.requestNow(request)).toMatchObject({ state: 'succeeded', validation_error: null })
    expect(await desk.runNow(request)).toMatchObject({ state: 'succeeded' })
    await sound()
  })

  it('fails nothing while others still look', async () => {
    await open({ validate_with: ['metrics', 'pytest'] })
    const request = await doneWork()
    await rejects('metrics')
    expect(await desk.requestNow(request)).toMatchObject({ state: 'blocked' })
    await agrees('pytest')
    expect(await desk.requestNow(request)).toMatchObject({ state: 'succeeded' })
    await sound()
  })

  it('has nothing to look at any more where the work is tried again', async () => {
    await open({ validate_with: ['metrics', 'pytest'] })
    const request = await doneWork()
    await rejects('pytest')
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['metrics canceled', 'pytest failed'])
    await sound()
  })
})

describe('work that ends while it is looked at', () => {
  it('by a caller ends its validators, and its run', async () => {
    const request = await doneWork()
    const validator = await claim('pytest')
    expect(await desk.cancel(request, 'superseded')).toMatchObject({
      state: 'canceled',
      stop_reason: 'superseded',
    })
    expect(await desk.heartbeat(validator)).toMatchObject({ lease_lost: true })
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['pytest canceled', 'eslint canceled'])
    expect(await desk.runNow(request)).toMatchObject({ state: 'canceled' })
    await sound()
  })

  it('by its total time', async () => {
    const request = await doneWork({ limits: { total_timeout_seconds: 600 } })
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'blocked',
      queue_expires_at: expect.any(String),
    })
    desk.pass(600_000)
    expect(await desk.expire(request)).toMatchObject({ state: 'failed', stop_reason: 'total_timeout' })
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['pytest canceled', 'eslint canceled'])
    await sound()
  })

  it('by the end of its run, with all of them', async () => {
    const { run_id } = await desk.run()
    const request = await doneWork({ run_id })
    await claim('pytest')
    await desk.cancelRun(run_id)
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['pytest canceled', 'eslint canceled'])
    await sound()
  })

  it('is no more what the sweep looks for than any other that waits', async () => {
    const request = await doneWork()
    expect(await desk.expire(request)).toBeNull()
    expect(await desk.store.dueRequests(desk.now, 10)).toEqual([])
    expect(await desk.store.nextDue(desk.now)).toBeNull()
  })
})

describe('a validator that the active configuration no longer has', () => {
  const without = (rule: object = {}) => {
    const { apps, ...config } = validatedConfig({ validate_with: ['eslint'], ...rule })
    const { pytest: _, metrics: __, ...rest } = apps
    return { ...config, apps: rest }
  }

  it('fails the work for good: another try would be looked at by nobody', async () => {
    const request = await desk.request()
    const held = await claim('aider')
    await desk.install(without())
    await desk.complete(held)
    expect(verdictsIn(await desk.storyOf(request))).toEqual(['pytest blocked', 'eslint queued'])
    const [validator] = await desk.store.dueRequests(desk.now, 10)
    await sound()
    expect(await desk.expire({ request_id: validator! })).toMatchObject({
      state: 'failed',
      stop_reason: 'unroutable',
    })
    expect(await desk.requestNow(request)).toMatchObject({
      state: 'failed',
      stop_reason: 'not_retryable',
      attempts: 1,
      validation_error: { class: 'validation_failed', code: 'pytest', message: 'unroutable' },
    })
    await sound()
  })

  it('keeps why there was nobody', async () => {
    const request = await desk.request()
    const held = await claim('aider')
    await desk.install(without())
    await desk.complete(held)
    const [validator] = await desk.store.dueRequests(desk.now, 10)
    await desk.expire({ request_id: validator! })
    const page = await desk.store.listRouteDecisions({ outcome: ['unroutable'], limit: 10 }, ANYBODY)
    expect(page.items).toMatchObject([
      {
        rule_id: 'edits',
        task: { allowed_tools: ['pytest'] },
        inputs: { validated_decision_id: request.assignment!.route_decision_id },
      },
    ])
    const { route_decision_id } = page.items[0]!
    const again = await desk.store.view({ route_decision_id, routing: 'recorded' }, (before) =>
      replayRouteDecision(before, { caller: ANYBODY }),
    )
    expect(again.identical).toBe(true)
  })

  it('is asked if it is there again when the sweep looks', async () => {
    const request = await desk.request()
    const held = await claim('aider')
    await desk.install(without())
    await desk.complete(held)
    await desk.install(validatedConfig())
    const [validator] = await desk.store.dueRequests(desk.now, 10)
    expect(await desk.expire({ request_id: validator! })).toMatchObject({
      state: 'queued',
      assignment: { tool_id: 'pytest' },
    })
    await agrees('pytest')
    await agrees('eslint')
    expect(await desk.requestNow(request)).toMatchObject({ state: 'succeeded' })
    await sound()
  })

  it('fails nothing if it only reported', async () => {
    await open({ validate_with: ['metrics', 'eslint'] })
    const request = await desk.request()
    const held = await claim('aider')
    await desk.install(without())
    await desk.complete(held)
    const [validator] = await desk.store.dueRequests(desk.now, 10)
    await desk.expire({ request_id: validator! })
    expect(await desk.requestNow(request)).toMatchObject({ state: 'blocked' })
    await agrees('eslint')
    expect(await desk.requestNow(request)).toMatchObject({ state: 'succeeded' })
    await sound()
  })
})

describe('what a run counts', () => {
  it('are not its validators: one that fails fails no run', async () => {
    const { run_id } = await desk.run({ completion: 'auto', on_failure: 'fail' })
    const request = await doneWork({ run_id })
    await rejects('pytest')
    expect(await desk.runNow({ run_id })).toMatchObject({ state: 'running' })
    await agrees('aider')
    await agrees('pytest')
    await agrees('eslint')
    expect(await desk.runNow(request)).toMatchObject({ state: 'succeeded' })
    const { run } = await desk.store.view({ run_id }, (before) => before)
    expect(run!.requests).toEqual({ open: 0, succeeded: 1, failed: 0, canceled: 0 })
    await sound()
  })

  it('keeps a run from succeeding while they are open', async () => {
    await open({ validate_with: ['metrics'] })
    const { run_id } = await desk.run()
    const request = await doneWork({ run_id })
    expect(await desk.requestNow(request)).toMatchObject({ state: 'succeeded' })
    await expect(desk.succeedRun(run_id)).rejects.toMatchObject({ code: 'requests_open' })
  })
})

describe('what a tool is known for', () => {
  const tools = async () =>
    (await desk.store.listTools({ limit: 10 }, desk.now)).items.map(({ tool_id, outcomes, circuit }) => ({
      tool_id,
      successes: Math.round(outcomes.successes),
      failures: Math.round(outcomes.failures),
      circuit: circuit.state,
    }))

  it('is what its program did, not what was found of its work; to find fault is to work', async () => {
    await open({ validate_with: ['pytest'] })
    for (let i = 0; i < 6; i++) {
      const { request_id } = await doneWork({ limits: { max_attempts: 1 } })
      await rejects('pytest')
      expect(await desk.requestNow({ request_id })).toMatchObject({ state: 'failed' })
    }
    expect(await tools()).toMatchObject([
      { tool_id: 'aider', failures: 0, circuit: 'closed' },
      { tool_id: 'codex' },
      { tool_id: 'eslint' },
      { tool_id: 'metrics' },
      { tool_id: 'pytest', failures: 0, circuit: 'closed' },
    ])
  })

  it('but what kept a validator from looking counts', async () => {
    await doneWork()
    await desk.fail(await claim('pytest'), 'auth')
    expect((await tools()).at(-1)).toMatchObject({ tool_id: 'pytest', failures: 1, circuit: 'open' })
  })
})

describe('work in a plan', () => {
  const config = (rule: object = {}) =>
    aConfig({
      apps: {
        aider: { max: 1_000 },
        pytest: { kind: 'validator', kinds: ['test'], max: 1_000 },
      },
      rules: [{ id: 'edits', select_from: ['aider'], validate_with: ['pytest'], ...rule }],
      defaults: { max_attempts: 1 },
    })
  async function planned() {
    const memory = openMemoryStore()
    db = memory.db
    desk = await openDesk(memory.store, config())
    const { run_id } = await desk.run({ completion: 'auto' })
    const task = { name: 'A task', kind: 'edit' }
    await desk.submit(run_id, [
      { ...task, task_id: 'first' },
      { ...task, task_id: 'second', depends_on: ['first'] },
    ])
    return run_id
  }
  const statesOf = async (run_id: string) => (await desk.plan(run_id)).nodes.map(({ state }) => state)

  it('lets what needs it go on when its validators agree, and not before', async () => {
    const run_id = await planned()
    await agrees('aider')
    const { progress } = await desk.plan(run_id)
    expect(progress).toMatchObject({ total: 2, running: 1, done: 0, blocked: 1, percent: 0 })
    expect(await statesOf(run_id)).toEqual(['blocked', 'blocked'])
    await agrees('pytest')
    expect(await statesOf(run_id)).toEqual(['succeeded', 'queued'])
    await agrees('aider')
    await agrees('pytest')
    expect(await desk.runNow({ run_id })).toMatchObject({ state: 'succeeded' })
    await sound()
  })

  it('ends what needs it when they do not', async () => {
    const run_id = await planned()
    await agrees('aider')
    await rejects('pytest')
    expect(await statesOf(run_id)).toEqual(['failed', 'canceled'])
    expect(await desk.runNow({ run_id })).toMatchObject({ state: 'failed' })
    await sound()
  })
})

describe('a worker that goes on with the next', () => {
  it('is given what was queued before; its validators are for whoever asks then', async () => {
    await desk.request()
    const other = await desk.request()
    const held = await claim('aider')
    const { next } = await desk.complete(held, {}, true)
    expect(next!.execution_request.request_id).toBe(other.request_id)
    await sound()
  })
})

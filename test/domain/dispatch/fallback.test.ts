import { beforeEach, describe, expect, it } from 'vitest'
import type { CreateExecutionRequest, ExecutionRequest } from '../../../src/contract/execution-request.ts'
import { replayRouteDecision } from '../../../src/domain/route-decision.ts'
import { pauseTool } from '../../../src/domain/tool.ts'
import type { Connection } from '../../../src/store/sqlite/connection.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { takerLook } from '../../../src/domain/fallback.ts'
import { allWaiting, chosenIn, fallbackConfig, ORDER, triedIn } from '../../support/fallbacks.ts'
import { ANYBODY } from '../../support/given.ts'
import { eventsOf, openMemoryStore } from '../../support/store.ts'

let db: Connection
let desk: Desk

async function open(rule: object = {}, defaults: object = {}): Promise<void> {
  const memory = openMemoryStore()
  db = memory.db
  desk = await openDesk(memory.store, fallbackConfig(rule, defaults))
}
beforeEach(() => open())

const claim = () => desk.claimOne({ tools: [...ORDER] })
/** Claims and fails the one request that waits, so often. */
async function fails(times: number, error_class = 'tool_error', body: object = {}) {
  let request!: ExecutionRequest
  for (let i = 0; i < times; i++) {
    desk.pass(60_000)
    request = await desk.fail(await claim(), error_class, body)
  }
  return request
}
const pause = (tool_id: string) =>
  desk.write({ routing: 'active', system: true }, (before, given) =>
    pauseTool(before, given, tool_id, { reason: 'maintenance' }),
  )
/** Nobody has used the tool yet, and it says of itself that it is broken. */
async function breakTool(tool_id: string): Promise<void> {
  const { run_id } = await desk.run()
  const classification = { priority: 'critical' as const } // its worker gets it first
  const held = await desk.request({ run_id, classification, allowed_tools: [tool_id] })
  expect(held.assignment!.tool_id).toBe(tool_id)
  await desk.fail(await desk.claimOne({ tools: [tool_id] }), 'rate_limited', { retry_after_ms: 600_000 })
  await desk.cancel(held)
}
const limits = (given: NonNullable<CreateExecutionRequest['limits']>) => ({ limits: given })

describe('a request whose tool has no attempts left', () => {
  it('goes to the next of the order at once, twice, and then fails', async () => {
    const request = await desk.request()
    expect(await fails(2)).toMatchObject({
      state: 'queued',
      assignment: { tool_id: 'codex', command: 'program' },
      attempts: 2,
      tool_attempts: 0,
      available_at: desk.now,
    })
    expect(await fails(2)).toMatchObject({ assignment: { tool_id: 'gemini' }, attempts: 4, tool_attempts: 0 })
    expect(await fails(1)).toMatchObject({ assignment: { tool_id: 'gemini' }, attempts: 5, tool_attempts: 1 })
    expect(await fails(1)).toMatchObject({ state: 'failed', stop_reason: 'max_attempts', tool_attempts: 2 })
    const story = await desk.storyOf(request)
    expect(chosenIn(story)).toEqual(['aider', 'codex', 'gemini'])
    expect(triedIn(story)).toEqual(['aider', 'aider', 'codex', 'codex', 'gemini', 'gemini'])
    await expectAllSound(db, desk.store)
  })

  it('keeps its place in the run: one sequence, and each attempt repeats the one before', async () => {
    const request = await desk.request()
    await fails(2)
    const { step_attempt, execution_request } = await claim()
    expect(step_attempt).toMatchObject({
      sequence: 1,
      attempt: 3,
      tool_id: 'codex',
      retry_of: expect.any(String),
      route_decision_id: execution_request.assignment!.route_decision_id,
    })
    const { step_attempts, decisions } = await desk.storyOf(request)
    expect(step_attempt.retry_of).toBe(step_attempts[1]!.step_attempt_id)
    expect(decisions[1]!.previous_decision_id).toBe(decisions[0]!.route_decision_id)
    expect(step_attempts.map(({ route_decision_id }) => route_decision_id)).toEqual([
      decisions[0]!.route_decision_id,
      decisions[0]!.route_decision_id,
      decisions[1]!.route_decision_id,
    ])
  })

  it('tells of the decision before it says that it waits', async () => {
    const request = await desk.request()
    await fails(2)
    const told = (await eventsOf(desk.store, request.run_id)).slice(-3)
    const { decisions } = await desk.storyOf(request)
    const { route_decision_id } = decisions[1]!
    expect(told).toMatchObject([
      { kind: 'step_completed', to: 'failed' },
      { kind: 'task_routed', payload: { route_decision: { route_decision_id, tool_id: 'codex' } } },
      {
        kind: 'request_queued',
        from: 'claimed',
        to: 'queued',
        payload: { execution_request: { assignment: { route_decision_id }, tool_attempts: 0 } },
      },
    ])
  })

  it('keeps its hash', async () => {
    const { content_hash } = await desk.request()
    expect(await fails(2)).toMatchObject({ content_hash })
  })
})

describe('a fallback that cannot take over', () => {
  it('is passed over, and has no other turn', async () => {
    await pause('codex')
    const request = await desk.request()
    await fails(4)
    expect(await desk.requestNow(request)).toMatchObject({ state: 'failed', stop_reason: 'max_attempts' })
    expect(triedIn(await desk.storyOf(request))).toEqual(['aider', 'aider', 'gemini', 'gemini'])
  })

  it('is passed over while its circuit is open', async () => {
    await breakTool('codex')
    const request = await desk.request()
    expect(await fails(2)).toMatchObject({ assignment: { tool_id: 'gemini' } })
    expect(chosenIn(await desk.storyOf(request))).toEqual(['aider', 'gemini'])
  })

  it('leaves the request to fail if nobody else is left, and that is kept as well', async () => {
    const request = await desk.request({ excluded_tools: ['codex', 'gemini'] })
    expect(await fails(2)).toMatchObject({ state: 'failed', stop_reason: 'max_attempts' })
    const story = await desk.storyOf(request)
    expect(story.decisions).toMatchObject([
      { outcome: 'routed', tool_id: 'aider', previous_decision_id: null },
      { outcome: 'unroutable', previous_decision_id: story.decisions[0]!.route_decision_id },
    ])
    await expectAllSound(db, desk.store)
  })

  it('leaves no trace where the rule names none', async () => {
    await open({ fallback_to: [] })
    const request = await desk.request()
    expect(await fails(2)).toMatchObject({ state: 'failed', stop_reason: 'max_attempts' })
    expect(chosenIn(await desk.storyOf(request))).toEqual(['aider'])
  })
})

describe('what another tool does not mend', () => {
  it.each(['invalid_request', 'canceled'])('%s does not fall back', async (error_class) => {
    await desk.request()
    expect((await fails(1, error_class)).state).toBe(error_class === 'canceled' ? 'canceled' : 'failed')
  })

  it('nor does a worker that says that no other try will do', async () => {
    const request = await desk.request()
    expect(await fails(1, 'auth', { retryable: false })).toMatchObject({ stop_reason: 'not_retryable' })
    expect(chosenIn(await desk.storyOf(request))).toEqual(['aider'])
  })

  it('nor a request whose time is over', async () => {
    const request = await desk.request(limits({ total_timeout_seconds: 100 }))
    await fails(1)
    const held = (desk.pass(10_000), await claim())
    desk.pass(30_000)
    expect(await desk.expire(held.execution_request)).toMatchObject({
      state: 'failed',
      stop_reason: 'total_timeout',
    })
    expect(chosenIn(await desk.storyOf(request))).toEqual(['aider'])
  })
})

describe('a tool that is refused for its credentials', () => {
  it('is of no use to the request: the next takes over after one attempt', async () => {
    await desk.request()
    expect(await fails(1, 'auth')).toMatchObject({
      assignment: { tool_id: 'codex' },
      attempts: 1,
      tool_attempts: 0,
      available_at: desk.now,
    })
  })

  it('ends a request that has no other', async () => {
    await desk.request({ excluded_tools: ['codex', 'gemini'] })
    expect(await fails(1, 'auth')).toMatchObject({ state: 'failed', stop_reason: 'not_retryable' })
  })
})

describe('a lease that ends by itself', () => {
  it('counts, and the next takes over when it was the last', async () => {
    const request = await desk.request(limits({ max_attempts: 1 }))
    await claim()
    desk.pass(60_000)
    expect(await desk.expire(request)).toMatchObject({
      assignment: { tool_id: 'codex' },
      available_at: desk.now,
    })
  })
})

describe('a retry whose circuit is open', () => {
  const rateLimited = () => fails(1, 'rate_limited', { retry_after_ms: 600_000 })

  it('goes to the next at once instead of waiting', async () => {
    await desk.request()
    expect(await rateLimited()).toMatchObject({
      assignment: { tool_id: 'codex' },
      attempts: 1,
      available_at: desk.now,
    })
  })

  it('waits where nobody can take over, and the next time it looks at the same order', async () => {
    const request = await desk.request()
    await pause('codex')
    await pause('gemini')
    expect(await rateLimited()).toMatchObject({
      state: 'queued',
      assignment: { tool_id: 'aider' },
      tool_attempts: 1,
    })
    desk.pass(600_000)
    expect(await rateLimited()).toMatchObject({ state: 'failed', stop_reason: 'max_attempts' })
    const { decisions } = await desk.storyOf(request)
    expect(decisions.map(({ outcome }) => outcome)).toEqual(['routed', 'unroutable', 'unroutable'])
    expect(decisions.slice(1).map(({ previous_decision_id }) => previous_decision_id)).toEqual(
      decisions.slice(0, 2).map(({ route_decision_id }) => route_decision_id),
    )
    await expectAllSound(db, desk.store)
  })

  it('fails where the configuration wants no waiting for circuits', async () => {
    await open({}, { when_all_open: 'fail' })
    await desk.request({ excluded_tools: ['codex', 'gemini'] })
    expect(await rateLimited()).toMatchObject({ state: 'failed', stop_reason: 'unroutable' })
  })

  it.each(['release', 'reject'] as const)('nor does one wait that its worker gives back: %s', async (way) => {
    const request = await desk.request()
    await desk.request()
    const mine = await claim()
    await desk.fail(await claim(), 'rate_limited', { retry_after_ms: 600_000 })
    expect(await desk[way](mine)).toMatchObject({
      request_id: request.request_id,
      assignment: { tool_id: 'codex' },
      attempts: 0,
    })
    await expectAllSound(db, desk.store)
  })

  it('no decision is kept for what is given back in vain', async () => {
    const request = await desk.request({ excluded_tools: ['codex', 'gemini'] })
    await desk.request()
    const mine = await claim()
    await desk.fail(await claim(), 'rate_limited', { retry_after_ms: 600_000 })
    expect(await desk.release(mine)).toMatchObject({ state: 'queued', assignment: { tool_id: 'aider' } })
    expect(chosenIn(await desk.storyOf(request))).toEqual(['aider'])
  })
})

describe('what is queued for a tool whose circuit opens', () => {
  /** Two requests, of which the first broke the tool. */
  async function waiting(task: Partial<CreateExecutionRequest> = {}): Promise<ExecutionRequest> {
    await desk.request()
    const held = await claim()
    const request = await desk.request(task)
    await desk.fail(held, 'rate_limited', { retry_after_ms: 600_000 })
    return request
  }

  it('goes to the next', async () => {
    const request = await waiting()
    expect(await desk.fallBack(request)).toMatchObject({
      state: 'queued',
      assignment: { tool_id: 'codex' },
      attempts: 0,
      version: 2,
    })
    const [told, queued] = (await eventsOf(desk.store, request.run_id)).slice(-2)
    expect(told).toMatchObject({ kind: 'task_routed' })
    expect(queued).toMatchObject({
      kind: 'request_queued',
      from: 'queued',
      to: 'queued',
      actor: { type: 'system' },
    })
    await expectAllSound(db, desk.store)
  })

  it('goes only once', async () => {
    const request = await waiting()
    await desk.fallBack(request)
    expect(await desk.fallBack(request)).toBeNull()
  })

  it('stays where nobody can take over, and nothing is kept', async () => {
    const request = await waiting({ excluded_tools: ['codex', 'gemini'] })
    expect(await desk.fallBack(request)).toBeNull()
    expect(await desk.storyOf(request)).toMatchObject({ version: 1, assignment: { tool_id: 'aider' } })
    expect(chosenIn(await desk.storyOf(request))).toEqual(['aider'])
  })

  it('stays once the circuit lets an attempt through', async () => {
    const request = await waiting()
    desk.pass(600_000)
    expect(await desk.fallBack(request)).toBeNull()
  })

  it('stays with the worker that has claimed it meanwhile', async () => {
    await desk.request()
    const request = await desk.request()
    const held = await claim()
    await claim()
    await desk.fail(held, 'rate_limited', { retry_after_ms: 600_000 })
    expect(await desk.fallBack(request)).toBeNull()
  })

  it('stays if it has another tool by now, even one that is as broken', async () => {
    const request = await waiting()
    await desk.fallBack(request)
    await breakTool('codex')
    expect(await desk.fallBack(request, 'aider')).toBeNull()
    expect(await desk.fallBack(request, 'codex')).toMatchObject({ assignment: { tool_id: 'gemini' } })
  })

  it('stays if its time is over', async () => {
    const request = await waiting(limits({ queue_timeout_seconds: 30 }))
    desk.pass(30_000)
    expect(await desk.fallBack(request)).toBeNull()
  })

  it('does not wait for a worker any longer than it may', async () => {
    const request = await waiting(limits({ queue_timeout_seconds: 30 }))
    desk.pass(10_000)
    expect(await desk.fallBack(request)).toMatchObject({ queue_expires_at: request.queue_expires_at })
  })
})

describe('a new request whose rule has nobody but a tool with an open circuit', () => {
  beforeEach(() => open({ required: true }))

  it('goes to the next at once, with one decision that says so', async () => {
    await breakTool('aider')
    const request = await desk.request()
    expect(request).toMatchObject({ assignment: { tool_id: 'codex' }, state: 'queued', version: 1 })
    const { decisions } = await desk.storyOf(request)
    expect(decisions.map(({ tool_id }) => tool_id)).toEqual(['codex'])
    const decision = await desk.store.getRouteDecision(decisions[0]!.route_decision_id, ANYBODY)
    expect(decision).toMatchObject({
      rules: [{ verdict: 'decided', reason_code: 'fallback_ready' }],
      fallback_to: ['gemini'],
    })
    await expectAllSound(db, desk.store)
  })

  it('also with when_all_open: fail, and is refused where nobody can take over', async () => {
    await breakTool('aider')
    await desk.install(fallbackConfig({ required: true }, { when_all_open: 'fail' }))
    expect((await desk.request()).assignment!.tool_id).toBe('codex')
    await expect(desk.request({ excluded_tools: ['codex', 'gemini'] })).rejects.toThrow('There is no tool')
  })

  it('waits for its tool where nobody can take over', async () => {
    await breakTool('aider')
    const request = await desk.request({ excluded_tools: ['codex', 'gemini'] })
    expect(request).toMatchObject({ assignment: { tool_id: 'aider' }, state: 'queued' })
    expect(chosenIn(await desk.storyOf(request))).toEqual(['aider'])
  })
})

describe('the look at what waits for a tool whose circuit is open', () => {
  const AWAY: string[][] = [[], ['codex'], ['gemini'], ['codex', 'gemini']]

  it.each(AWAY.map((away) => [away] as const))(
    'agrees with the write that would follow: away is %j',
    async (away) => {
      const requests = []
      for (const excluded_tools of AWAY) requests.push(await desk.request({ excluded_tools }))
      await breakTool('aider')
      for (const tool_id of away) await desk.pause(tool_id)
      const { now } = desk
      const canMove = await desk.store.view({ routing: 'active' }, (before) =>
        takerLook(before, { now }, 'aider'),
      )
      const items = await allWaiting(desk.store, 'aider', now)
      expect(items.map(({ execution_request_id }) => execution_request_id)).toEqual(
        requests.map(({ request_id }) => request_id),
      )
      expect(canMove === null).toBe(away.length === 2)
      const looked = items.map(({ decision }) => canMove?.(decision) ?? false)
      const moved = []
      for (const request of requests) moved.push((await desk.fallBack(request)) !== null)
      expect(looked).toEqual(moved)
      expect(moved).toEqual(
        AWAY.map((excluded) =>
          ORDER.slice(1).some((tool) => !excluded.includes(tool) && !away.includes(tool)),
        ),
      )
    },
  )
})

describe('the decisions about a request', () => {
  it('can be made again from what they recorded', async () => {
    const request = await desk.request()
    await fails(4)
    for (const { route_decision_id } of (await desk.storyOf(request)).decisions) {
      const result = await desk.store.view({ route_decision_id, routing: 'recorded' }, (before) =>
        replayRouteDecision(before, { caller: ANYBODY }),
      )
      expect(result.identical).toBe(true)
    }
  })

  it('go by the configuration that is active then, and by the order that they had', async () => {
    const request = await desk.request()
    await fails(1)
    await desk.install(fallbackConfig({ fallback_to: [] }, { timeout_seconds: 77 }))
    expect(await fails(1)).toMatchObject({ assignment: { tool_id: 'codex' } })
    const { decisions } = await desk.storyOf(request)
    const last = await desk.store.getRouteDecision(decisions[1]!.route_decision_id, ANYBODY)
    expect(last).toMatchObject({ config_version: 2, fallback_to: ['gemini'], run_id: request.run_id })
  })

  it('count what runs at that instant', async () => {
    const request = await desk.request(limits({ max_attempts: 1 }))
    await desk.request()
    const mine = await claim()
    await claim()
    await desk.fail(mine)
    const { decisions } = await desk.storyOf(request)
    const last = await desk.store.getRouteDecision(decisions[1]!.route_decision_id, ANYBODY)
    expect(last!.inputs.tools[0]).toMatchObject({ tool_id: 'aider', running: 1, failures: 1 })
  })
})

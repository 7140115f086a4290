import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aConfig } from '../../support/routing.ts'
import { type Desk, CONFIG, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { NOW, after } from '../../support/given.ts'
import { type OpenedTestStore, eventsOf, openMemoryStore } from '../../support/store.ts'
import { pauseTool, resumeTool } from '../../../src/domain/tool.ts'

let opened: OpenedTestStore
let desk: Desk
beforeEach(async () => {
  opened = openMemoryStore()
  desk = await openDesk(opened.store)
})
afterEach(() => expectAllSound(opened.db, opened.store))

const idsOf = (taken: { items: { execution_request: { request_id: string } }[] }): string[] =>
  taken.items.map(({ execution_request }) => execution_request.request_id)

describe('a claim', () => {
  it('gives the request with its attempt, which is running, and the run with it', async () => {
    const queued = await desk.request({ input: { prompt: 'Reject an empty basket' } })
    desk.pass(1_000)
    const item = await desk.claimOne({ lease_seconds: 30 })
    const now = after(NOW, 1_000)
    expect(item).toEqual({
      execution_request: {
        ...queued,
        state: 'claimed',
        fence: 1,
        sequence: 1,
        step_attempt_id: item.step_attempt.step_attempt_id,
        worker_id: 'w1',
        updated_at: now,
        version: 2,
      },
      step_attempt: await desk.stepNow(item),
      lease_token: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      fence: 1,
      lease_expires_at: after(now, 30_000),
    })
    expect(item.step_attempt).toMatchObject({
      state: 'running',
      sequence: 1,
      attempt: 1,
      retry_of: null,
      tool_id: 'aider',
      execution_request_id: queued.request_id,
      route_decision_id: queued.assignment!.route_decision_id,
      input_prompt: 'Reject an empty basket',
      started_at: now,
    })
    expect(await desk.requestNow(queued)).toEqual(item.execution_request)
    expect(await desk.runNow(queued)).toMatchObject({ state: 'running', started_at: now })
    const told = (await eventsOf(opened.store, queued.run_id)).slice(-3)
    expect(told.map(({ kind, actor }) => [kind, actor])).toEqual([
      ['run_started', { type: 'worker', id: 'w1' }],
      ['request_claimed', { type: 'worker', id: 'w1' }],
      ['step_started', { type: 'worker', id: 'w1' }],
    ])
  })

  it('is for a minute if nothing is said, and never longer than the attempt or the request may take', async () => {
    await desk.request()
    expect((await desk.claimOne()).lease_expires_at).toBe(after(NOW, 60_000))
    await desk.request({ limits: { timeout_seconds: 20 } })
    expect((await desk.claimOne()).lease_expires_at).toBe(after(NOW, 20_000))
    await desk.request({ limits: { timeout_seconds: 20, total_timeout_seconds: 15 } })
    desk.pass(5_000)
    expect((await desk.claimOne()).lease_expires_at).toBe(after(NOW, 15_000))
  })

  it('leaves the request without an end of waiting', async () => {
    await desk.request({ limits: { queue_timeout_seconds: 30 } })
    expect((await desk.claimOne()).execution_request.queue_expires_at).toBeNull()
  })

  it('finds nothing for other tools, or where there is nothing', async () => {
    await desk.request()
    expect((await desk.claim({ tools: ['pytest', 'unknown'] })).items).toEqual([])
    await desk.claimOne()
    expect((await desk.claim()).items).toEqual([])
  })

  it('keeps only the hash of the token', async () => {
    await desk.request()
    const { lease_token } = await desk.claimOne()
    const rows = opened.db.prepare('SELECT * FROM leases').all()
    expect(JSON.stringify([rows, await eventsOf(opened.store, (await desk.request()).run_id)])).not.toContain(
      lease_token,
    )
  })

  it('does not give what can be claimed only later, or has waited too long', async () => {
    await desk.request()
    await desk.fail(await desk.claimOne(), 'tool_error', { retry_after_ms: 1_000 })
    desk.pass(999)
    expect((await desk.claim()).items).toEqual([])
    desk.pass(1)
    await desk.complete(await desk.claimOne())
    await desk.request({ limits: { queue_timeout_seconds: 1 } })
    desk.pass(1_000)
    expect((await desk.claim()).items).toEqual([])
  })

  it('gives a key that is bound to projects only theirs', async () => {
    const shop = await desk.request()
    const bank = await desk.request({ project_id: 'bank' })
    expect(idsOf(await desk.claim({ max: 5, projects: ['bank'] }))).toEqual([bank.request_id])
    expect(idsOf(await desk.claim({ max: 5, projects: [] }))).toEqual([])
    expect(idsOf(await desk.claim({ max: 5 }))).toEqual([shop.request_id])
  })
})

describe('the order of claims', () => {
  it('is the highest priority first, then the oldest, over all tools', async () => {
    const PRIORITIES = ['low', 'normal', 'critical', 'high', 'normal', 'critical'] as const
    const requests = []
    for (const [index, priority] of PRIORITIES.entries()) {
      const task_kind = index % 2 === 0 ? 'edit' : 'test'
      requests.push(await desk.request({ task_kind, classification: { priority } }))
    }
    const ids = requests.map(({ request_id }) => request_id)
    const tools = ['pytest', 'aider']
    const first = await desk.claim({ tools, max: 4, worker_id: 'w1' })
    expect(idsOf(first)).toEqual([ids[2], ids[5], ids[3], ids[4]])
    const rest = await desk.claim({ tools, max: 4, worker_id: 'w2' })
    expect([idsOf(rest), [...rest.full]]).toEqual([[ids[0]], ['pytest']])
  })

  it.each([
    [undefined, 1],
    [1, 1],
    [3, 3],
    [32, 4],
  ])('gives at most max: %s', async (max, expected) => {
    for (let i = 0; i < 4; i++) await desk.request()
    const { items } = await desk.claim(max === undefined ? {} : { max })
    expect(items).toHaveLength(expected)
  })
})

describe('the room of a tool', () => {
  const test = { task_kind: 'test' }
  const tools = ['pytest']

  it('is max_parallel less its leases: running attempts of others do not count', async () => {
    const run = await desk.run()
    for (let i = 0; i < 4; i++) await desk.request({ ...test, run_id: run.run_id })
    const { items, full } = await desk.claim({ tools, max: 4 })
    expect([items.length, [...full]]).toEqual([2, ['pytest']])
    await desk.createStep(run.run_id)
    expect((await desk.claim({ tools })).items).toEqual([])
    await desk.complete(items[0]!)
    expect(await desk.claim({ tools, max: 4 })).toMatchObject({ items: [{}], full: new Set(['pytest']) })
  })

  it('leaves other tools theirs', async () => {
    for (let i = 0; i < 3; i++) await desk.request(test)
    const edit = await desk.request()
    await desk.claim({ tools, max: 2 })
    expect(idsOf(await desk.claim({ tools: ['pytest', 'aider'], max: 2 }))).toEqual([edit.request_id])
  })

  it('has no bound where the active configuration does not know the tool', async () => {
    for (let i = 0; i < 3; i++) await desk.request(test)
    await desk.install(aConfig({ apps: { aider: { kinds: ['edit'] } } }))
    expect((await desk.claim({ tools, max: 5 })).items).toHaveLength(3)
  })

  it('is none while it is paused, until the pause ends', async () => {
    await desk.request(test)
    const scope = { routing: 'active', system: true } as const
    const pause = (until: string | null) =>
      desk.write(scope, (before, given) => pauseTool(before, given, 'pytest', { reason: 'quota', until }))
    await pause(after(NOW, 1_000))
    expect((await desk.claim({ tools })).items).toEqual([])
    desk.pass(1_000)
    const claimed = await desk.claimOne({ tools })
    await desk.request(test)
    await pause(null)
    expect((await desk.complete(claimed, {}, true)).next).toBeNull()
    await desk.write(scope, (before, given) => resumeTool(before, given, 'pytest'))
    await desk.claimOne({ tools })
  })
})

describe('several requests of one run in one claim', () => {
  it('change the run once, in one chain, each at its own place', async () => {
    const { run_id } = await desk.run({ completion: 'auto' })
    const requests = []
    for (let i = 0; i < 3; i++) requests.push(await desk.request({ run_id }))
    await desk.request()
    const before = await desk.runNow({ run_id })
    const { items } = await desk.claim({ max: 4 })
    expect(items.slice(0, 3).map(({ step_attempt }) => step_attempt.sequence)).toEqual([1, 2, 3])
    expect(await desk.runNow({ run_id })).toMatchObject({
      state: 'running',
      version: before.version + 4, // one for its start, one for each attempt
      counters: { step_attempts: 3 },
    })
    const kinds = (await eventsOf(opened.store, run_id)).slice(-7).map(({ kind }) => kind)
    expect(kinds).toEqual([
      'run_started',
      ...['request_claimed', 'step_started'],
      ...['request_claimed', 'step_started'],
      ...['request_claimed', 'step_started'],
    ])
  })
})

describe('a claim after the first', () => {
  it('is the next attempt at the same place; its number is the fence', async () => {
    await desk.request({ limits: { max_attempts: 5 } })
    const first = await desk.claimOne()
    await desk.release(first)
    const second = await desk.claimOne({ worker_id: 'w2' })
    await desk.fail(second, 'tool_error', { retry_after_ms: 0 })
    await desk.reject(await desk.claimOne({ worker_id: 'w3' }))
    const fourth = await desk.claimOne()
    expect(second.step_attempt.retry_of).toBe(first.step_attempt.step_attempt_id)
    expect(fourth).toMatchObject({
      fence: 4,
      execution_request: { fence: 4, attempts: 1, sequence: 1, worker_id: 'w1', rejected_by: ['w3'] },
      step_attempt: { sequence: 1, attempt: 4 },
    })
  })

  it('with claim_next comes with the completion, on the same terms', async () => {
    const { run_id } = await desk.run({ completion: 'auto' })
    await desk.request({ run_id })
    const other = await desk.request({ run_id })
    const held = await desk.claimOne({ tools: ['aider', 'pytest'], lease_seconds: 7 })
    const { execution_request, next } = await desk.complete(held, {}, true)
    expect(execution_request.state).toBe('succeeded')
    expect(next).toMatchObject({
      execution_request: { request_id: other.request_id, worker_id: 'w1' },
      lease_expires_at: after(NOW, 7_000),
    })
    expect((await desk.complete(next!, {}, true)).next).toBeNull()
    expect((await desk.runNow({ run_id })).state).toBe('succeeded')
  })

  it('with claim_next takes the place that it leaves, where the tool is full', async () => {
    for (let i = 0; i < 3; i++) await desk.request({ task_kind: 'test' })
    const { items } = await desk.claim({ tools: ['pytest'], max: 2 })
    expect((await desk.complete(items[0]!, {}, true)).next).not.toBeNull()
    expect(CONFIG.apps['pytest']!.limits!.max_parallel).toBe(2)
  })
})

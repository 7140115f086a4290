import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CreateRun } from '../../../src/contract/run.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { NOW } from '../../support/given.ts'
import { refusalOf } from '../../support/refusal.ts'
import { type OpenedTestStore, dumpOf, eventsOf, openMemoryStore, stepsOf } from '../../support/store.ts'

let opened: OpenedTestStore
let desk: Desk
beforeEach(async () => {
  opened = openMemoryStore()
  desk = await openDesk(opened.store)
})
afterEach(() => expectAllSound(opened.db, opened.store))

/** A run with so many requests, all of them claimed but the last `queued`. */
async function aRunWith(requests: number, body: Partial<CreateRun> = {}, queued = 0) {
  const { run_id } = await desk.run({ completion: 'auto', ...body })
  const all = []
  for (let i = 0; i < requests; i++) all.push(await desk.request({ run_id }))
  const { items } = requests > queued ? await desk.claim({ max: requests - queued }) : { items: [] }
  return { run_id, items, all }
}

const stateOf = async (run_id: string) => (await desk.runNow({ run_id })).state
const statesOf = (run_id: string) =>
  opened.db
    .prepare('SELECT state FROM execution_requests WHERE run_id = ? ORDER BY execution_request_id')
    .pluck()
    .all(run_id)

describe('a run whose completion is auto', () => {
  it('succeeds with its last request', async () => {
    const { run_id, items } = await aRunWith(2)
    await desk.complete(items[0]!)
    expect(await stateOf(run_id)).toBe('running')
    await desk.complete(items[1]!)
    expect(await desk.runNow({ run_id })).toMatchObject({ state: 'succeeded', ended_at: NOW })
  })

  it('waits for attempts that are no request’s, which may end it', async () => {
    const { run_id, items } = await aRunWith(1)
    const step = await desk.createStep(run_id)
    await desk.complete(items[0]!)
    expect(await stateOf(run_id)).toBe('running')
    await desk.completeStep(step, 'failed')
    expect(await stateOf(run_id)).toBe('succeeded')
  })

  it.each([
    ['fail', 'failed', 'error_message'],
    ['quarantine', 'quarantined', 'state_reason'],
  ] as const)(
    'with on_failure %s is %s at once, and all that is open with it',
    async (on_failure, state, why) => {
      const { run_id, items, all } = await aRunWith(4, { on_failure }, 1)
      await desk.complete(items[0]!)
      await desk.fail(items[1]!, 'auth')
      const run = await desk.runNow({ run_id })
      expect([run.state, run[why]]).toEqual([
        state,
        `Execution request ${all[1]!.request_id} ended failed: not_retryable.`,
      ])
      expect(statesOf(run_id)).toEqual(['succeeded', 'failed', 'canceled', 'canceled'])
      expect((await desk.heartbeat(items[2]!)).lease_lost).toBe(true)
    },
  )

  it('with on_failure continue goes on to the end, and then fails', async () => {
    const { run_id, items } = await aRunWith(3, { on_failure: 'continue' })
    await desk.fail(items[0]!, 'auth')
    expect(await stateOf(run_id)).toBe('running')
    await desk.cancel(items[1]!.execution_request)
    await desk.release(items[1]!)
    expect(await stateOf(run_id)).toBe('running')
    await desk.complete(items[2]!)
    expect(await desk.runNow({ run_id })).toMatchObject({
      state: 'failed',
      error_message: 'Of its execution requests 1 succeeded, 1 failed and 1 were canceled.',
    })
  })

  it.each(['fail', 'quarantine', 'continue'] as const)(
    'with on_failure %s is canceled with the last request, where one was canceled and none failed',
    async (on_failure) => {
      const { run_id, items, all } = await aRunWith(2, { on_failure }, 1)
      await desk.cancel(all[1]!)
      expect(await stateOf(run_id)).toBe('running')
      await desk.complete(items[0]!)
      expect(await stateOf(run_id)).toBe('canceled')
    },
  )

  it('is canceled from pending, without ever having begun', async () => {
    const { run_id, all } = await aRunWith(1, {}, 1)
    await desk.cancel(all[0]!)
    expect(await desk.runNow({ run_id })).toMatchObject({ state: 'canceled', started_at: null })
  })

  it.each([
    ['fail', 'failed'],
    ['quarantine', 'quarantined'],
    ['continue', 'failed'],
  ] as const)('from pending with on_failure %s begins and is %s', async (on_failure, state) => {
    const { run_id } = await desk.run({ completion: 'auto', on_failure })
    const request = await desk.request({ run_id, limits: { queue_timeout_seconds: 1 } })
    desk.pass(1_000)
    await desk.expire(request)
    expect(await desk.runNow({ run_id })).toMatchObject({ state, started_at: desk.now })
    const kinds = (await eventsOf(opened.store, run_id)).slice(-3).map(({ kind }) => kind)
    expect(kinds.slice(0, 2)).toEqual(['request_completed', 'run_started'])
  })

  it('goes on while a request is tried again', async () => {
    const { run_id, items } = await aRunWith(1)
    await desk.fail(items[0]!)
    expect(await stateOf(run_id)).toBe('running')
  })
})

describe('a run whose completion is manual', () => {
  it('does not end with its requests, and does not succeed before them', async () => {
    const { run_id, items } = await aRunWith(2, { completion: 'manual' }, 1)
    await desk.fail(items[0]!, 'tool_error', { retryable: false })
    expect(await stateOf(run_id)).toBe('running')
    expect((await refusalOf(desk.succeedRun(run_id))).code).toBe('requests_open')
    await desk.complete(await desk.claimOne())
    expect((await desk.succeedRun(run_id)).state).toBe('succeeded')
  })
})

describe('closing a run', () => {
  it.each([
    ['failRun', 'failed', 'run_completed'],
    ['cancelRun', 'canceled', 'run_canceled'],
    ['quarantineRun', 'quarantined', 'run_quarantined'],
  ] as const)('by %s ends what is open in it, and tells of that first', async (close, state, kind) => {
    const { run_id, items } = await aRunWith(3, { completion: 'manual' }, 1)
    const blocked = await desk.request({ run_id })
    opened.db.exec(
      `UPDATE execution_requests SET state = 'blocked' WHERE execution_request_id = '${blocked.request_id}'`,
    )
    await desk.complete(items[0]!)
    const mark = (await eventsOf(opened.store, run_id)).length
    expect((await desk[close](run_id)).state).toBe(state)
    expect(statesOf(run_id)).toEqual(['succeeded', 'canceled', 'canceled', 'canceled'])
    expect((await stepsOf(opened.store, run_id)).map((step) => step.state)).toEqual(['succeeded', 'canceled'])
    const told = (await eventsOf(opened.store, run_id)).slice(mark)
    expect(told.map((event) => [event.kind, event.from, event.to])).toEqual([
      ['step_completed', 'running', 'canceled'],
      ['request_completed', 'claimed', 'canceled'],
      ['request_completed', 'queued', 'canceled'],
      ['request_completed', 'blocked', 'canceled'],
      [kind, 'running', state],
    ])
    expect(await desk.requestNow(items[1]!.execution_request)).toMatchObject({
      stop_reason: `run_${state}`,
      ended_at: NOW,
    })
    expect(opened.db.prepare('SELECT count(*) FROM leases').pluck().get()).toBe(0)
    expect((await refusalOf(desk.complete(items[1]!))).code).toBe('lease_lost')
    expect((await desk.claim()).items).toEqual([])
  })
})

describe('an attempt that a lease owns', () => {
  it('is neither completed nor retried over the steps API', async () => {
    const { items } = await aRunWith(2)
    await desk.fail(items[0]!)
    const before = dumpOf(opened.db)
    for (const act of [
      desk.completeStep(items[1]!.step_attempt, 'succeeded'),
      desk.retryStep(items[1]!.step_attempt),
      desk.retryStep(items[0]!.step_attempt),
    ]) {
      expect(await refusalOf(act)).toMatchObject({
        code: 'attempt_leased',
        context: { execution_request_id: expect.any(String) },
      })
    }
    expect(dumpOf(opened.db)).toEqual(before)
  })
})

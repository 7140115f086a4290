import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../../src/contract/dispatch.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { NOW, after } from '../../support/given.ts'
import { refusalOf } from '../../support/refusal.ts'
import { type OpenedTestStore, dumpOf, eventsOf, openMemoryStore } from '../../support/store.ts'

let opened: OpenedTestStore
let desk: Desk
beforeEach(async () => {
  opened = openMemoryStore()
  desk = await openDesk(opened.store)
})
afterEach(() => expectAllSound(opened.db, opened.store))

async function claimed(limits: object = {}): Promise<ClaimedRequest> {
  await desk.request({ limits })
  return desk.claimOne()
}

describe('a completion', () => {
  it('ends the request and its attempt, and counts as an attempt', async () => {
    const held = await claimed()
    desk.pass(2_000)
    const body = { exit_code: 0, usage: { cost_usd_micros: 12 } }
    const { execution_request, next } = await desk.complete(held, body)
    expect(execution_request).toMatchObject({
      state: 'succeeded',
      stop_reason: 'succeeded',
      attempts: 1,
      ended_at: after(NOW, 2_000),
      version: 3,
    })
    expect(next).toBeNull()
    expect(await desk.stepNow(held)).toMatchObject({
      state: 'succeeded',
      exit_code: 0,
      usage: { cost_usd_micros: 12 },
      ended_at: after(NOW, 2_000),
    })
    const kinds = (await eventsOf(opened.store, execution_request.run_id)).slice(-3).map(({ kind }) => kind)
    expect(kinds).toEqual(['step_completed', 'request_completed', 'run_completed'])
  })

  it('that contradicts its exit code is refused, and the lease stays', async () => {
    const held = await claimed()
    const { code } = await refusalOf(desk.complete(held, { exit_code: 1 }))
    expect(code).toBe('exit_code_contradicts')
    expect((await desk.heartbeat(held)).lease_lost).toBe(false)
  })
})

describe('a failure', () => {
  it('puts the request back with its wait, and keeps what went wrong with the attempt', async () => {
    const held = await claimed({ queue_timeout_seconds: 30 })
    const error = { class: 'rate_limited', code: '429', message: 'slow down' }
    const request = await desk.fail(held, '', { error, exit_code: 3 })
    expect(request).toMatchObject({
      state: 'queued',
      attempts: 1,
      available_at: after(NOW, 500), // half of a second
      queue_expires_at: after(NOW, 30_500),
      stop_reason: null,
      worker_id: 'w1',
    })
    expect(await desk.stepNow(held)).toMatchObject({
      state: 'failed',
      error_class: 'rate_limited',
      error_code: '429',
      error_log: 'slow down',
      exit_code: 3,
    })
  })

  it('waits longer each time, and ends at max_attempts', async () => {
    await desk.request({ limits: { max_attempts: 3 } })
    const waits = []
    for (const seed of ['ffffffff', 'ffffffff', 'ffffffff']) {
      desk.chances = [seed]
      const request = await desk.fail(await desk.claimOne())
      waits.push([
        request.state,
        request.stop_reason,
        Date.parse(request.available_at) - Date.parse(desk.now),
      ])
      desk.now = request.available_at
    }
    expect(waits).toEqual([
      ['queued', null, 1_000],
      ['queued', null, 2_000],
      ['failed', 'max_attempts', 0],
    ])
  })

  it.each([
    ['invalid_request', {}, 'failed', 'not_retryable', 'failed'],
    ['auth', {}, 'failed', 'not_retryable', 'failed'],
    ['tool_error', { retryable: false }, 'failed', 'not_retryable', 'failed'],
    ['canceled', {}, 'canceled', 'canceled', 'canceled'],
  ])('of class %s %j ends it %s: %s', async (error_class, body, state, stop_reason, step) => {
    const held = await claimed()
    expect(await desk.fail(held, error_class, body)).toMatchObject({ state, stop_reason })
    expect((await desk.stepNow(held)).state).toBe(step)
  })

  it('whose wait would end after the total timeout ends it at once', async () => {
    const held = await claimed({ total_timeout_seconds: 60 })
    expect(await desk.fail(held, 'tool_error', { retry_after_ms: 60_000 })).toMatchObject({
      state: 'failed',
      stop_reason: 'total_timeout',
    })
  })
})

describe('a rejection', () => {
  it('gives the request to others at once, does not count, and cancels the attempt', async () => {
    const held = await claimed({ max_attempts: 1, queue_timeout_seconds: 5 })
    desk.pass(1_000)
    expect(await desk.reject(held, 'no such file here')).toMatchObject({
      state: 'queued',
      attempts: 0,
      rejected_by: ['w1'],
      available_at: after(NOW, 1_000),
      queue_expires_at: after(NOW, 6_000),
    })
    expect(await desk.stepNow(held)).toMatchObject({
      state: 'canceled',
      state_reason: 'rejected: no such file here',
    })
    expect((await desk.claim()).items).toEqual([])
    expect((await desk.claimOne({ worker_id: 'w2' })).step_attempt.attempt).toBe(2)
  })

  it('by more than 20 workers fails it', async () => {
    const { request_id } = await desk.request()
    for (let i = 1; i <= 20; i++) {
      const held = await desk.claimOne({ worker_id: `w${i}` })
      expect(await desk.reject(held)).toMatchObject({ state: 'queued', attempts: 0 })
    }
    const last = await desk.reject(await desk.claimOne({ worker_id: 'w21' }))
    expect(last).toMatchObject({ request_id, state: 'failed', stop_reason: 'rejected', attempts: 0 })
    expect(last.rejected_by).toHaveLength(21)
  })

  it('is not what a release is: 20 of those and one rejection leave it in the queue', async () => {
    await desk.request()
    for (let i = 0; i < 20; i++) await desk.release(await desk.claimOne())
    expect(await desk.reject(await desk.claimOne())).toMatchObject({ state: 'queued', fence: 21 })
  })
})

describe('a release', () => {
  it('gives the request to anybody at once, does not count, and cancels the attempt', async () => {
    const held = await claimed({ max_attempts: 1 })
    expect(await desk.release(held)).toMatchObject({
      state: 'queued',
      attempts: 0,
      rejected_by: [],
      available_at: NOW,
    })
    expect(await desk.stepNow(held)).toMatchObject({
      state: 'canceled',
      state_reason: 'released: shutting down',
    })
    expect((await desk.claimOne()).fence).toBe(2)
  })
})

describe('the cancel of a request', () => {
  it('that waits ends it at once', async () => {
    const request = await desk.request()
    expect(await desk.cancel(request, 'superseded')).toMatchObject({
      state: 'canceled',
      stop_reason: 'superseded',
    })
    expect((await desk.claim()).items).toEqual([])
  })

  it('that is claimed asks its worker to stop, once', async () => {
    const held = await claimed()
    expect((await desk.heartbeat(held)).cancel_requested).toBe(false)
    expect(await desk.cancel(held.execution_request)).toMatchObject({
      state: 'claimed',
      cancel_requested_at: NOW,
      stop_reason: null,
    })
    expect(await desk.heartbeat(held)).toEqual({
      lease_expires_at: after(NOW, 60_000),
      cancel_requested: true,
      lease_lost: false,
    })
    expect(await refusalOf(desk.cancel(held.execution_request))).toMatchObject({
      code: 'transition_refused',
      context: { state: 'claimed', command: 'cancel' },
    })
  })

  it('does not count where the worker completes first', async () => {
    const held = await claimed()
    await desk.cancel(held.execution_request)
    expect((await desk.complete(held)).execution_request).toMatchObject({
      state: 'succeeded',
      stop_reason: 'succeeded',
    })
  })

  it.each([
    ['fail', () => (held: ClaimedRequest) => desk.fail(held)],
    ['fail without another try', () => (held: ClaimedRequest) => desk.fail(held, 'auth')],
    ['reject', () => (held: ClaimedRequest) => desk.reject(held)],
    ['release', () => (held: ClaimedRequest) => desk.release(held)],
    [
      'expiry',
      () => (held: ClaimedRequest) => {
        desk.pass(60_000)
        return desk.expire(held.execution_request)
      },
    ],
  ])('is carried out by its worker’s %s: canceled, and not tried again', async (_name, act) => {
    const held = await claimed()
    await desk.cancel(held.execution_request)
    expect(await act()(held)).toMatchObject({ state: 'canceled', stop_reason: 'canceled', attempts: 0 })
    expect((await desk.stepNow(held)).state).toBe('canceled')
    expect((await desk.runNow(held.execution_request)).state).toBe('canceled')
  })
})

describe('a lease that is lost', () => {
  const LOST: [string, (held: ClaimedRequest) => unknown][] = [
    ['to another worker', async (held) => [await desk.release(held), await desk.claimOne()]],
    ['by its own end', (held) => desk.complete(held)],
    ['by time, though nobody has noticed', () => desk.pass(60_000)],
    ['by time', (held) => [desk.pass(60_000), desk.expire(held.execution_request)][1]],
    ['because its run was closed', (held) => desk.cancelRun(held.execution_request.run_id)],
  ]

  it.each(LOST)('%s: nothing of its worker counts, and nothing is written', async (_name, lose) => {
    const held = await claimed()
    await lose(held)
    const before = dumpOf(opened.db)
    expect(await desk.heartbeat(held)).toEqual({
      lease_expires_at: null,
      cancel_requested: false,
      lease_lost: true,
    })
    for (const late of [
      desk.complete(held),
      desk.complete(held, {}, true),
      desk.fail(held),
      desk.reject(held),
      desk.release(held),
    ]) {
      expect((await refusalOf(late)).code).toBe('lease_lost')
    }
    expect(dumpOf(opened.db)).toEqual(before)
  })

  it('is every one that has another token', async () => {
    const held = { ...(await claimed()), lease_token: 'f'.repeat(32) }
    expect((await desk.heartbeat(held)).lease_lost).toBe(true)
    expect((await refusalOf(desk.complete(held))).code).toBe('lease_lost')
  })

  it('holds to the last millisecond', async () => {
    const held = await claimed()
    desk.pass(59_999)
    expect((await desk.complete(held)).execution_request.state).toBe('succeeded')
  })
})

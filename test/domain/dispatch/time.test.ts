import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../../src/contract/dispatch.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { NOW, after } from '../../support/given.ts'
import { type OpenedTestStore, dumpOf, eventsOf, openMemoryStore } from '../../support/store.ts'

let opened: OpenedTestStore
let desk: Desk
beforeEach(async () => {
  opened = openMemoryStore()
  desk = await openDesk(opened.store)
})
afterEach(() => expectAllSound(opened.db, opened.store))

async function claimed(limits: object = {}, lease_seconds = 60): Promise<ClaimedRequest> {
  await desk.request({ limits })
  return desk.claimOne({ lease_seconds })
}

/** One millisecond before the instant nothing happens and nothing is due; at it, it does. */
async function expectAt(ms: number, request: { request_id: string }) {
  desk.now = after(NOW, ms - 1)
  const before = dumpOf(opened.db)
  expect(await opened.store.dueRequests(desk.now, 10)).toEqual([])
  expect(await opened.store.nextDue(desk.now)).toBe(after(NOW, ms))
  expect(await desk.expire(request)).toBeNull()
  expect(dumpOf(opened.db)).toEqual(before)
  desk.now = after(NOW, ms)
  expect(await opened.store.dueRequests(desk.now, 10)).toEqual([request.request_id])
  return desk.expire(request)
}

describe('a heartbeat', () => {
  it('makes the lease last from then on, and changes nothing else', async () => {
    const held = await claimed({}, 10)
    desk.pass(9_999)
    expect(await desk.heartbeat(held)).toEqual({
      lease_expires_at: after(NOW, 19_999),
      cancel_requested: false,
      lease_lost: false,
    })
    expect(await desk.requestNow(held.execution_request)).toEqual(held.execution_request)
    expect(await expectAt(19_999, held.execution_request)).toMatchObject({ state: 'queued' })
  })

  it('does not make the attempt last: it says when that is over', async () => {
    const held = await claimed({ timeout_seconds: 15 }, 10)
    desk.pass(9_000)
    expect((await desk.heartbeat(held)).lease_expires_at).toBe(after(NOW, 15_000))
  })
})

describe('the end of a lease', () => {
  it('puts the request back with its wait, and fails the attempt', async () => {
    const held = await claimed({}, 10)
    expect(await expectAt(10_000, held.execution_request)).toMatchObject({
      state: 'queued',
      attempts: 1,
      available_at: after(NOW, 10_500),
    })
    expect(await desk.stepNow(held)).toMatchObject({
      state: 'failed',
      error_class: 'lease_expired',
      error_log: expect.stringContaining('heartbeat') as string,
    })
    const [last] = (await eventsOf(opened.store, held.execution_request.run_id)).slice(-1)
    expect(last).toMatchObject({ kind: 'request_queued', actor: { type: 'system', id: null } })
  })

  it('is the end of the request after its last attempt', async () => {
    const held = await claimed({ max_attempts: 1 }, 10)
    expect(await expectAt(10_000, held.execution_request)).toMatchObject({
      state: 'failed',
      stop_reason: 'max_attempts',
    })
  })

  it('does nothing to the claim that came after it', async () => {
    const held = await claimed({}, 10)
    desk.pass(10_000)
    desk.chances = ['00000000']
    await desk.expire(held.execution_request)
    const next = await desk.claimOne()
    expect(await desk.expire(held.execution_request)).toBeNull()
    expect((await desk.heartbeat(next)).lease_lost).toBe(false)
  })
})

describe('the timeout of an attempt', () => {
  it('comes whatever the heartbeats say', async () => {
    const held = await claimed({ timeout_seconds: 15 }, 10)
    desk.pass(9_000)
    await desk.heartbeat(held)
    expect(await expectAt(15_000, held.execution_request)).toMatchObject({ state: 'queued', attempts: 1 })
    expect(await desk.stepNow(held)).toMatchObject({ state: 'failed', error_class: 'timeout' })
  })
})

describe('the queue timeout', () => {
  it('counts from the creation, and fails the request with its run', async () => {
    const request = await desk.request({ limits: { queue_timeout_seconds: 30, total_timeout_seconds: 60 } })
    expect(await expectAt(30_000, request)).toMatchObject({
      state: 'failed',
      stop_reason: 'queue_timeout',
      ended_at: after(NOW, 30_000),
      queue_expires_at: null,
    })
    expect(await desk.runNow(request)).toMatchObject({ state: 'failed', ended_at: after(NOW, 30_000) })
  })

  it('counts anew from the instant at which a retry can be claimed', async () => {
    await desk.request({ limits: { queue_timeout_seconds: 30 } })
    desk.pass(29_999)
    const request = await desk.fail(await desk.claimOne(), 'tool_error', { retry_after_ms: 1 })
    desk.now = request.available_at
    expect(await expectAt(60_000, request)).toMatchObject({ stop_reason: 'queue_timeout' })
  })
})

describe('the total timeout', () => {
  it('ends a request that waits', async () => {
    const request = await desk.request({ limits: { queue_timeout_seconds: 90, total_timeout_seconds: 60 } })
    expect(await expectAt(60_000, request)).toMatchObject({ state: 'failed', stop_reason: 'total_timeout' })
  })

  it('ends one that is claimed, and its attempt', async () => {
    const held = await claimed({ total_timeout_seconds: 20 }, 60)
    expect(await expectAt(20_000, held.execution_request)).toMatchObject({
      state: 'failed',
      stop_reason: 'total_timeout',
    })
    expect(await desk.stepNow(held)).toMatchObject({ state: 'failed', error_class: 'timeout' })
  })
})

describe('what time will do next', () => {
  it('is nothing where nothing waits for it', async () => {
    expect(await opened.store.nextDue(NOW)).toBeNull()
    await desk.request()
    expect(await opened.store.nextDue(NOW)).toBeNull()
    await desk.complete(await desk.claimOne())
    expect(await opened.store.nextDue(NOW)).toBeNull()
  })

  it('is the availability of a retry, which is nothing to end', async () => {
    const held = await claimed()
    await desk.fail(held, 'tool_error', { retry_after_ms: 700 })
    expect(await opened.store.nextDue(NOW)).toBe(after(NOW, 700))
    expect(await opened.store.dueRequests(after(NOW, 700), 10)).toEqual([])
    expect(await opened.store.availableTools(NOW, after(NOW, 699))).toEqual([])
    expect(await opened.store.availableTools(NOW, after(NOW, 700))).toEqual(['aider'])
    expect(await opened.store.nextDue(after(NOW, 700))).toBeNull()
  })
})

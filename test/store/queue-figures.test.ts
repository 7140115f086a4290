import { statSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import type { QueuePlace, Store } from '../../src/store/store.ts'
import { type Desk, openDesk } from '../support/dispatch.ts'
import { NOW, after } from '../support/given.ts'
import { ledgerOf, openFileStore, openMemoryStore } from '../support/store.ts'

let desk: Desk
let store: Store

beforeEach(async () => {
  store = openMemoryStore().store
  desk = await openDesk(store)
})

const START: QueuePlace = { priority_rank: -1, execution_request_id: '' }
const priorities = ['low', 'critical', 'normal', 'high', 'normal'] as const
const aQueue = async (): Promise<void> => {
  for (const priority of priorities) await desk.request({ classification: { priority } })
}

/** The parts of a queue, each of at most `limit`. */
async function partsOf(tool_id: string, limit: number): Promise<number[]> {
  const parts: number[] = []
  for (let place: QueuePlace | null = START; place !== null;) {
    const part = await store.countQueued(tool_id, { after: place, limit })
    parts.push(part.queued)
    place = part.next
  }
  return parts
}

describe('the tools for which something is queued', () => {
  it('are none in an empty queue, and each is named once', async () => {
    expect(await store.queuedTools()).toEqual([])
    await desk.request({ task_kind: 'test' })
    await aQueue()
    expect(await store.queuedTools()).toEqual(['aider', 'pytest'])
  })

  it('are not those whose requests are claimed or have ended', async () => {
    await desk.request()
    await desk.cancel(await desk.request({ task_kind: 'test' }))
    await desk.claimOne()
    expect(await store.queuedTools()).toEqual([])
  })
})

describe('a count of a queue', () => {
  it.each([
    [1, [1, 1, 1, 1, 1, 0]],
    [2, [2, 2, 1]],
    [5, [5, 0]],
    [6, [5]],
  ])('in parts of %i is complete, across priorities', async (limit, parts) => {
    await aQueue()
    await desk.request({ task_kind: 'test' })
    expect(await partsOf('aider', limit)).toEqual(parts)
  })

  it('of a tool without a queue is 0', async () => {
    expect(await partsOf('aider', 10)).toEqual([0])
  })
})

describe('since when something waits', () => {
  it('is the longest of any priority, and null for an empty queue', async () => {
    expect(await store.queuedSince('aider')).toBeNull()
    await desk.request({ classification: { priority: 'low' } })
    desk.pass(5_000)
    await desk.request({ classification: { priority: 'critical' } })
    expect(await store.queuedSince('aider')).toBe(NOW)
    await desk.claimOne() // the critical one
    expect(await store.queuedSince('aider')).toBe(NOW)
    await desk.claimOne()
    expect(await store.queuedSince('aider')).toBeNull()
  })

  it('is when it may be tried again, for what waits for that', async () => {
    await desk.request()
    const held = await desk.claimOne()
    desk.pass(1_000)
    await desk.fail(held, 'tool_error', { retry_after_ms: 30_000 })
    expect(await store.queuedSince('aider')).toBe(after(NOW, 31_000))
  })

  it('looks past the first of a priority that may not be tried yet', async () => {
    await desk.request()
    const held = await desk.claimOne()
    await desk.fail(held, 'tool_error', { retry_after_ms: 30_000 })
    desk.pass(1_000)
    await desk.request()
    expect(await store.queuedSince('aider')).toBe(after(NOW, 1_000))
  })
})

describe('the figures of a store', () => {
  it('have the sizes of its files', async () => {
    const { store, file } = openFileStore()
    await ledgerOf(store).createRun()
    const sizes = { database_bytes: statSync(file).size, wal_bytes: statSync(`${file}-wal`).size }
    expect(store.figures()).toEqual({ writes_waiting: 0, ...sizes })
    expect(sizes.wal_bytes).toBeGreaterThan(0)
  })

  it('have no sizes in memory', () => {
    expect(store.figures()).toEqual({ writes_waiting: 0, database_bytes: 0, wal_bytes: 0 })
  })

  it('count the writes that wait for a commit', async () => {
    const ledger = ledgerOf(store)
    const writes = [1, 2, 3].map(() => ledger.createRun())
    expect(store.figures().writes_waiting).toBe(3)
    await Promise.all(writes)
    expect(store.figures().writes_waiting).toBe(0)
  })
})

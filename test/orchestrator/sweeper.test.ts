import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Store } from '../../src/store/store.ts'
import { once } from '../../src/domain/idempotency.ts'
import { forgetAll, startSweeper } from '../../src/orchestrator/sweeper.ts'
import { NOW, after, handClock } from '../support/given.ts'
import { openMemoryStore } from '../support/store.ts'

const HOUR = 3_600_000

/** Keys as requests leave them, one for each instant. */
async function keep(store: Store, instants: readonly string[]): Promise<void> {
  const present = () => ({ status: 200, body: '', etag: null, location: null })
  const writes = instants.map((now, index) => {
    const claim = { key: `k${index}`, fingerprint: 'f' }
    const nothing = () => ({ changes: [], events: [], result: () => null })
    return store.change({ claim }, once({ claim, present, now }, nothing))
  })
  await Promise.all(writes)
}

function opened() {
  const { db, store } = openMemoryStore()
  const keys = () => db.prepare<[], string>('SELECT key FROM idempotency_keys ORDER BY rowid').pluck().all()
  return { store, keys }
}

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 })

describe('forgetting', () => {
  it('goes on until nothing is left that is older, and counts', async () => {
    const { store, keys } = opened()
    await keep(store, [...Array.from({ length: 1_200 }, (_, i) => after(NOW, i)), after(NOW, 5_000)])
    expect(await forgetAll(store, after(NOW, 2_000))).toBe(1_200)
    expect(keys()).toEqual(['k1200'])
  })

  it('of nothing is nothing', async () => {
    const { store } = opened()
    expect(await forgetAll(store, NOW)).toBe(0)
  })

  it('keeps what is as old as the limit', async () => {
    const { store, keys } = opened()
    await keep(store, [after(NOW, -1), NOW])
    await forgetAll(store, NOW)
    expect(keys()).toEqual(['k1'])
  })
})

describe('the sweeper', () => {
  function started(store: Store) {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const errors: unknown[] = []
    const { clock, advance } = handClock()
    const sweeper = startSweeper({
      store,
      clock,
      idempotency_ttl_hours: 24,
      onError: (error) => errors.push(error),
    })
    onTestFinished(sweeper.stop)
    return { sweeper, errors, advance, minute: () => void vi.advanceTimersByTime(60_000) }
  }

  it('forgets every minute what is older than the hours that were set', async () => {
    const { store, keys } = opened()
    await keep(store, [after(NOW, -24 * HOUR - 1), after(NOW, -24 * HOUR), NOW])
    const { minute, advance } = started(store)
    expect(keys()).toHaveLength(3)
    minute()
    await eventually(() => expect(keys()).toEqual(['k1', 'k2']))
    advance(1)
    minute()
    await eventually(() => expect(keys()).toEqual(['k2']))
  })

  it('does nothing when it was stopped', async () => {
    const { store, keys } = opened()
    await keep(store, [after(NOW, -48 * HOUR)])
    const { sweeper, minute } = started(store)
    sweeper.stop()
    minute()
    await store.forgetKeys(after(NOW, -96 * HOUR), 1) // whatever the sweeper wrote would be in front of this
    expect(keys()).toEqual(['k0'])
  })

  it('hands on what goes wrong, and goes on', async () => {
    const { store } = opened()
    const { errors, minute } = started(store)
    await store.close()
    minute()
    await eventually(() => expect(errors).toHaveLength(1))
    minute()
    await eventually(() => expect(errors).toHaveLength(2))
  })
})

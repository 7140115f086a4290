import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createClock } from '../src/clock.ts'
import { NOW, after } from './support/given.ts'

const START = Date.parse(NOW)

/** A clock over a wall and a monotonic source that the test moves. */
function aClock({ not_before = null, wall = START }: { not_before?: string | null; wall?: number } = {}) {
  const sources = { wall, monotonic: 5_000 }
  const clock = createClock(not_before, { wall: () => sources.wall, monotonic: () => sources.monotonic })
  return {
    clock,
    /** Time passes, for both sources alike. */
    pass(ms: number) {
      sources.wall += ms
      sources.monotonic += ms
    },
    /** Somebody sets the wall. */
    jump: (ms: number) => void (sources.wall += ms),
    /** Only the monotonic source moves: the wall is slow. */
    drift: (ms: number) => void (sources.monotonic += ms),
  }
}

describe('the clock', () => {
  it('starts where the wall is, as RFC 3339 with exactly three decimals', () => {
    expect(aClock().clock()).toEqual({ ms: START, text: '2026-01-05T09:30:00.000Z' })
  })

  it('advances as time passes', () => {
    const { clock, pass } = aClock()
    pass(1_234)
    expect(clock().text).toBe('2026-01-05T09:30:01.234Z')
  })

  it('gives whole milliseconds, and the same instant within one', () => {
    const { clock, pass } = aClock()
    pass(0.4)
    const instant = clock()
    pass(0.5)
    expect(clock()).toBe(instant)
    expect(instant.ms).toBe(START)
    pass(0.2)
    expect(clock().ms).toBe(START + 1)
  })

  it('steps forward with the wall', () => {
    const { clock, jump } = aClock()
    jump(3_600_000)
    expect(clock().text).toBe('2026-01-05T10:30:00.000Z')
  })

  it('goes on after a step forward', () => {
    const { clock, jump, pass } = aClock()
    jump(1_000)
    clock()
    pass(5)
    expect(clock().ms).toBe(START + 1_005)
  })

  it('does not go back with the wall, but goes on', () => {
    const { clock, jump, pass } = aClock()
    pass(100)
    expect(clock().ms).toBe(START + 100)
    jump(-3_600_000)
    expect(clock().ms).toBe(START + 100)
    pass(50)
    expect(clock().ms).toBe(START + 150)
  })

  it('keeps what it gained where the wall was only ahead for a moment', () => {
    const { clock, jump, pass } = aClock()
    jump(10_000)
    expect(clock().ms).toBe(START + 10_000)
    jump(-10_000)
    pass(1)
    expect(clock().ms).toBe(START + 10_001)
  })

  it('does not wait for a wall that is slow', () => {
    const { clock, drift } = aClock()
    drift(2_000)
    expect(clock().ms).toBe(START + 2_000)
  })

  it('starts at the last instant that was committed, if the wall is behind it', () => {
    const { clock, pass } = aClock({ not_before: after(NOW, 60_000) })
    expect(clock().text).toBe('2026-01-05T09:31:00.000Z')
    pass(10)
    expect(clock().text).toBe('2026-01-05T09:31:00.010Z')
  })

  it('starts at the wall, if the last instant that was committed is long ago', () => {
    expect(aClock({ not_before: after(NOW, -60_000) }).clock().ms).toBe(START)
  })

  it('takes over from the wall once that has caught up', () => {
    const { clock, pass, jump } = aClock({ not_before: after(NOW, 60_000) })
    pass(10)
    jump(60_000)
    pass(1)
    expect(clock().ms).toBe(START + 60_011)
    jump(5)
    expect(clock().ms).toBe(START + 60_016)
  })

  it('never falls, and is never behind what it could know, whatever the wall does', () => {
    const moves = fc.array(
      fc.record({
        passes: fc.double({ min: 0, max: 5_000, noNaN: true }),
        jumps: fc.integer({ min: -9_999, max: 9_999 }),
      }),
    )
    fc.assert(
      fc.property(moves, fc.integer({ min: -5_000, max: 5_000 }), (list, ahead) => {
        const sources = { wall: START, monotonic: 0 }
        const clock = createClock(after(NOW, ahead), {
          wall: () => sources.wall,
          monotonic: () => sources.monotonic,
        })
        let before = clock()
        for (const { passes, jumps } of list) {
          sources.monotonic += passes
          sources.wall += passes + jumps
          const now = clock()
          expect(now.ms).toBeGreaterThanOrEqual(before.ms)
          expect(now.text >= before.text).toBe(true)
          expect(now.ms).toBeGreaterThanOrEqual(Math.floor(sources.wall))
          expect(now.ms - before.ms).toBeGreaterThanOrEqual(Math.floor(passes) - 1)
          expect(now.text).toBe(new Date(now.ms).toISOString())
          before = now
        }
      }),
    )
  })

  it('reads the real time unless it is given another', () => {
    const before = Date.now()
    const { ms } = createClock(null)()
    expect(ms).toBeGreaterThanOrEqual(before)
    expect(ms).toBeLessThanOrEqual(Date.now() + 1)
  })
})

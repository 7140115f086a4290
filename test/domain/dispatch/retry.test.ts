import { describe, expect, it } from 'vitest'
import { type Failure, afterFailure, queueEnd, totalEnd } from '../../../src/domain/retry.ts'
import { NOW, after } from '../../support/given.ts'

type Bounds = {
  attempts?: number
  max_attempts?: number
  queue_timeout_seconds?: number
  total_timeout_seconds?: number
}

/** A request that was created now. */
const bounded = ({ attempts = 1, ...bounds }: Bounds = {}) => ({
  tool_attempts: attempts,
  created_at: NOW,
  validates: null,
  routing: {
    strategy: 'fixed' as const,
    excluded_tools: [],
    max_attempts: 3,
    timeout_seconds: 900,
    queue_timeout_seconds: null,
    total_timeout_seconds: null,
    ...bounds,
  },
})

const failure = (facts: Partial<Failure> = {}): Failure => ({
  error_class: 'tool_error',
  retryable: true,
  retry_after_ms: null,
  ...facts,
})

const next = (bounds: Bounds, facts: Partial<Failure> = {}, seed = '80000000') =>
  afterFailure(bounded(bounds), failure(facts), { now: NOW, randomHex: () => seed })

const delayOf = (...given: Parameters<typeof next>): number => {
  const result = next(...given)
  if ('stop_reason' in result) throw new Error(result.stop_reason)
  return Date.parse(result.available_at) - Date.parse(NOW)
}

describe('a request whose attempt failed', () => {
  it.each([
    [1, 3, true],
    [2, 3, true],
    [3, 3, false],
    [1, 1, false],
  ])('%i of %i attempts: is tried again: %s', (attempts, max_attempts, again) => {
    const result = next({ attempts, max_attempts })
    expect(result).toEqual(
      again ? { available_at: expect.any(String) } : { stop_reason: 'max_attempts', another_tool: true },
    )
  })

  it.each([
    ['invalid_request', false],
    ['auth', true],
    ['canceled', false],
  ])('is not tried again by its tool for %s; by another: %s', (error_class, another_tool) => {
    expect(next({}, { error_class })).toEqual({ stop_reason: 'not_retryable', another_tool })
  })

  it.each(['rate_limited', 'timeout', 'tool_error', 'lease_expired', 'of_their_own'])(
    'is tried again for %s',
    (error_class) => {
      expect(next({}, { error_class })).toHaveProperty('available_at')
    },
  )

  it('is not tried again by anybody where the worker says so, whatever the class and the attempts', () => {
    const never = { stop_reason: 'not_retryable', another_tool: false }
    expect(next({}, { retryable: false })).toEqual(never)
    expect(next({ attempts: 3 }, { retryable: false })).toEqual(never)
    expect(next({}, { retryable: false, error_class: 'auth' })).toEqual(never)
  })
})

describe('the wait before the next attempt', () => {
  const ALMOST_ALL = 'ffffffff'

  it.each([
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [4, 8_000],
    [5, 16_000],
    [6, 32_000],
    [7, 60_000],
    [8, 60_000],
    [99, 60_000],
  ])('after %i failures is anything up to %i ms', (attempts, longest) => {
    const bounds = { attempts, max_attempts: 100 }
    expect(delayOf(bounds, {}, '00000000')).toBe(0)
    expect(delayOf(bounds, {}, '40000000')).toBe(longest / 4)
    expect(delayOf(bounds, {}, '80000000')).toBe(longest / 2)
    expect(delayOf(bounds, {}, ALMOST_ALL)).toBe(longest)
  })

  it.each([0, 1, 250, 86_400_000])('is what the worker asked for, instead: %i ms', (retry_after_ms) => {
    expect(delayOf({}, { retry_after_ms }, ALMOST_ALL)).toBe(retry_after_ms)
  })

  it.each([
    [59_999, { available_at: after(NOW, 59_999) }],
    [60_000, { stop_reason: 'total_timeout', another_tool: false }],
    [60_001, { stop_reason: 'total_timeout', another_tool: false }],
  ])('of %i ms within a minute in all', (retry_after_ms, expected) => {
    expect(next({ total_timeout_seconds: 60 }, { retry_after_ms })).toEqual(expected)
  })
})

describe('the end of waiting for a worker', () => {
  const later = after(NOW, 10_000)

  it.each([
    [{}, null],
    [{ queue_timeout_seconds: 30 }, after(NOW, 40_000)],
    [{ total_timeout_seconds: 30 }, after(NOW, 30_000)],
    [{ queue_timeout_seconds: 30, total_timeout_seconds: 60 }, after(NOW, 40_000)],
    [{ queue_timeout_seconds: 30, total_timeout_seconds: 35 }, after(NOW, 35_000)],
  ])('with %j, from when it can be claimed', (bounds, expected) => {
    expect(queueEnd(bounded(bounds), later)).toBe(expected)
  })

  it('in all counts from the creation', () => {
    expect(totalEnd(bounded({ total_timeout_seconds: 30 }))).toBe(after(NOW, 30_000))
    expect(totalEnd(bounded())).toBeNull()
  })
})

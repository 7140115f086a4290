import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import type { StatisticsQuery } from '../../src/contract/statistics-query.ts'
import {
  type AttemptFacts,
  type RunFacts,
  addAttempt,
  addRequest,
  addRun,
  beginStatistics,
  statisticsOf,
} from '../../src/domain/statistics.ts'
import { bucketOf, bucketsOf, windowOf } from '../../src/domain/statistics-window.ts'
import { refusal } from '../support/refusal.ts'

const NOW = '2026-01-05T09:30:00.000Z'
const BEGUN = Date.parse(NOW) - 1_000
const at = (ms: number): string => new Date(BEGUN + ms).toISOString()

const begun = (query: StatisticsQuery = {}) => beginStatistics(windowOf(query, NOW))

const aRun = (took_ms: number, run: Partial<RunFacts> = {}): RunFacts => ({
  begun_at: BEGUN,
  project_id: 'shop',
  state: 'succeeded',
  started_at: at(0),
  ended_at: at(took_ms),
  ...run,
})

const anAttempt = (attempt: Partial<AttemptFacts> = {}): AttemptFacts => ({
  begun_at: BEGUN,
  project_id: 'shop',
  tool_id: 'aider',
  state: 'succeeded',
  started_at: at(0),
  ended_at: at(10),
  tokens_input: null,
  tokens_output: null,
  cost_usd_micros: null,
  ...attempt,
})

describe('the buckets of a window', () => {
  it.each([
    ['09:00:00', '10:00:00', 1_800, ['09:00:00', '09:30:00', '10:00:00']],
    ['09:10:00', '09:40:00', 1_800, ['09:10:00', '09:30:00', '09:40:00']],
    ['09:10:00', '09:11:00', 1_800, ['09:10:00', '09:11:00']],
    ['09:29:59', '09:30:01', 1_800, ['09:29:59', '09:30:00', '09:30:01']],
    ['09:00:03', '09:00:21', 7, ['09:00:03', '09:00:07', '09:00:14', '09:00:21']],
  ])('from %s to %s of %i seconds are counted from 1970', (from, to, bucket_seconds, edges) => {
    const day = (time: string) => `2026-01-05T${time}.000Z`
    const window = windowOf({ from: day(from), to: day(to), bucket_seconds }, NOW)
    const buckets = bucketsOf(window)
    expect([...buckets.map((bucket) => bucket.from), buckets.at(-1)?.to]).toEqual(edges.map(day))
    for (const [number, bucket] of buckets.entries()) {
      expect(bucketOf(window, Date.parse(bucket.from))).toBe(number)
      expect(bucketOf(window, Date.parse(bucket.to) - 1)).toBe(number)
    }
  })

  it('are days in UTC, and weeks from Thursday on', () => {
    const first = (bucket_seconds: number) =>
      bucketsOf(
        windowOf({ from: '2026-01-01T12:00:00Z', to: '2026-01-20T00:00:00Z', bucket_seconds }, NOW),
      )[1]
    expect(first(86_400)?.from).toBe('2026-01-02T00:00:00.000Z')
    expect(first(604_800)?.from).toBe('2026-01-08T00:00:00.000Z')
  })

  it.each([
    [{}, LIMITS.statistics_buckets],
    [{ by: 'tool' }, LIMITS.statistics_group_buckets],
    [{ by: 'project' }, LIMITS.statistics_group_buckets],
  ] as [StatisticsQuery, number][])('with %j are at most %i', (query, most) => {
    const from = Date.parse('2026-01-05T00:00:00Z')
    const window = (buckets: number) => {
      const to = new Date(from + buckets * 1_000).toISOString()
      return windowOf({ ...query, from: '2026-01-05T00:00:00Z', to, bucket_seconds: 1 }, NOW)
    }
    expect(bucketsOf(window(most))).toHaveLength(most)
    expect(refusal(() => window(most + 1))).toMatchObject({
      code: 'validation_failed',
      context: { errors: [{ parameter: 'bucket_seconds' }] },
    })
  })
})

describe('a window', () => {
  it('may be as long as the limit, and no longer', () => {
    const to = '2026-01-05T00:00:00.000Z'
    const before = (ms: number) => new Date(Date.parse(to) - ms).toISOString()
    const longest = LIMITS.statistics_seconds_max * 1_000
    expect(windowOf({ from: before(longest), to }, NOW).from).toBe(Date.parse(to) - longest)
    expect(refusal(() => windowOf({ from: before(longest + 1), to }, NOW))).toMatchObject({
      code: 'validation_failed',
    })
  })
})

describe('percentiles', () => {
  it.each([
    [[7], [7, 7, 7, 7]],
    [
      [2, 1],
      [1, 2, 2, 2],
    ],
    [
      [3, 100, 20, 9],
      [9, 100, 100, 100],
    ],
    [Array.from({ length: 10 }, (_, i) => 10 - i), [5, 9, 10, 10]],
    [Array.from({ length: 100 }, (_, i) => i + 1), [50, 90, 99, 100]],
    [Array.from({ length: 101 }, (_, i) => i), [50, 90, 99, 100]],
  ])('are of the nearest rank: case %#', (took, expected) => {
    const tally = begun()
    for (const ms of took) addRun(tally, aRun(ms))
    const { p50_ms, p90_ms, p99_ms, max_ms, count } = statisticsOf(tally).total.runs!.durations
    expect([p50_ms, p90_ms, p99_ms, max_ms]).toEqual(expected)
    expect(count).toBe(took.length)
  })

  it('leave out what has not ended, or never started', () => {
    const tally = begun()
    addRun(tally, aRun(5, { state: 'running', ended_at: null }))
    addRun(tally, aRun(5, { state: 'canceled', started_at: null }))
    addAttempt(tally, anAttempt({ state: 'running', ended_at: null }))
    const { runs, step_attempts } = statisticsOf(tally).total
    expect([runs?.total, runs?.durations.count]).toEqual([2, 0])
    expect([step_attempts.total, step_attempts.durations.count]).toEqual([1, 0])
  })
})

describe('success', () => {
  it('is of what ended by itself: what was canceled, or is open, says nothing', () => {
    const tally = begun()
    for (const state of ['succeeded', 'failed', 'quarantined', 'quarantined', 'canceled', 'running'] as const)
      addRun(tally, aRun(1, { state }))
    for (const state of ['succeeded', 'failed', 'canceled', 'running'] as const)
      addAttempt(tally, anAttempt({ state }))
    const { runs, step_attempts } = statisticsOf(tally).total
    expect([runs?.success_rate, step_attempts.success_rate]).toEqual([0.25, 0.5])
  })
})

describe('what was used up', () => {
  it('is exact up to 2^53 − 1, never more, and tells 0 from nothing', () => {
    const used = (tokens_input: number | null) => {
      const tally = begun({ bucket_seconds: 3_600 })
      addAttempt(tally, anAttempt({ tokens_input: LIMITS.integer - 1 }))
      addAttempt(tally, anAttempt({ tokens_input, tokens_output: 0, begun_at: BEGUN - 3_600_000 }))
      return statisticsOf(tally).total.step_attempts
    }
    expect(used(1).tokens_input).toEqual({ sum: LIMITS.integer, attempts: 2 })
    expect(used(5).tokens_input).toEqual({ sum: LIMITS.integer, attempts: 2 })
    expect(used(null)).toMatchObject({
      tokens_input: { sum: LIMITS.integer - 1, attempts: 1 },
      tokens_output: { sum: 0, attempts: 1 },
      cost_usd_micros: { sum: null, attempts: 0 },
    })
  })
})

describe('groups', () => {
  const numbered = (number: number) => `t${String(number).padStart(4, '0')}`

  it('are those with most things, that first, and the rest is other', () => {
    const tally = begun({ by: 'tool', bucket_seconds: 3_600 })
    const tools = LIMITS.statistics_groups + 2
    for (let i = 0; i < tools; i++)
      for (let times = 0; times <= Math.min(i, 3); times++)
        addAttempt(tally, anAttempt({ tool_id: numbered(i) }))
    const { groups, other, total, buckets } = statisticsOf(tally)
    const expected = Array.from({ length: tools }, (_, i) => numbered(i))
    expect(groups.map(({ tool_id }) => tool_id)).toEqual([...expected.slice(3), numbered(2)])
    expect(other?.step_attempts.total).toBe(1 + 2)
    expect(other?.buckets.map(({ step_attempts }) => step_attempts.total).at(-1)).toBe(3)
    const sum = groups.reduce((all, { step_attempts }) => all + step_attempts.total, 3)
    expect([total.step_attempts.total, buckets.at(-1)?.step_attempts.total]).toEqual([sum, sum])
  })

  it('beyond the names that are told apart are other, however many things they have', () => {
    const tally = begun({ by: 'project' })
    for (let i = 0; i < LIMITS.statistics_names; i++) addRun(tally, aRun(1, { project_id: numbered(i) }))
    for (let i = 0; i < 5; i++) addRun(tally, aRun(1, { project_id: 'late' }))
    const { groups, other, total } = statisticsOf(tally)
    expect(groups).toHaveLength(LIMITS.statistics_groups)
    expect(other?.runs?.total).toBe(LIMITS.statistics_names - LIMITS.statistics_groups + 5)
    expect(total.runs?.total).toBe(LIMITS.statistics_names + 5)
  })

  it('without a name come behind those that have as many things', () => {
    const tally = begun({ by: 'tool' })
    const request = {
      ...({ begun_at: BEGUN, project_id: 'shop', state: 'blocked', attempts: 0 } as const),
      ...{ created_at: at(0), first_claimed_at: null },
    }
    for (const tool_id of [null, 'codex', 'aider']) addRequest(tally, { ...request, tool_id })
    expect(statisticsOf(tally).groups.map(({ tool_id }) => tool_id)).toEqual(['aider', 'codex', null])
  })
})

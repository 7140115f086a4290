import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLOSED } from '../../../src/domain/circuit.ts'
import {
  type EndedAttempt,
  HALF_LIFE_MS,
  attemptEnded,
  decayed,
  factsOf,
  isPaused,
  newToolRecord,
  percentile,
  shownTool,
} from '../../../src/domain/tool-record.ts'
import { aRouter } from '../../support/routing.ts'
import { attemptStarted } from '../../support/router-check.ts'

const START = Date.parse('2026-01-05T09:00:00.000Z')
const at = (ms: number): string => new Date(START + ms).toISOString()

const ended = (facts: Partial<EndedAttempt> = {}): EndedAttempt => ({
  state: 'succeeded',
  error_class: null,
  started_at: at(0),
  ended_at: at(1000),
  ...facts,
})
const running = (count = 1) => ({ ...newToolRecord('aider'), running: count })

describe('what an attempt leaves behind', () => {
  it('starting one counts it, and says when the tool was last used', () => {
    expect(attemptStarted(newToolRecord('aider'), at(5))).toMatchObject({ running: 1, last_used_at: at(5) })
  })

  it('a success counts as one, with its duration by the server', () => {
    expect(attemptEnded(running(2), ended({ ended_at: at(1500) }))).toMatchObject({
      running: 1,
      successes: 1,
      failures: 0,
      outcomes_at: at(1500),
      durations_ms: [1500],
      median_duration_ms: 1500,
    })
  })

  it.each(['tool_error', 'timeout', 'auth', null])(
    'a failure of class %s counts as one, without a duration',
    (error_class) => {
      const after = attemptEnded(running(), ended({ state: 'failed', error_class }))
      expect(after).toMatchObject({ running: 0, successes: 0, failures: 1, durations_ms: [] })
    },
  )

  it.each([
    ['a canceled attempt', { state: 'canceled', error_class: null }],
    ['a request that was not valid', { state: 'failed', error_class: 'invalid_request' }],
  ] as const)('%s says nothing about the tool', (_, facts) => {
    const before = { ...running(), successes: 2, failures: 1, outcomes_at: at(0) }
    const last_used_at = ended(facts).started_at
    expect(attemptEnded(before, ended(facts))).toEqual({ ...before, running: 0, last_used_at })
  })

  it('an outcome counts half after an hour, and a quarter after two', () => {
    const record = attemptEnded(running(), ended({ ended_at: at(0) }))
    expect(decayed(record, at(HALF_LIFE_MS)).successes).toBe(0.5)
    expect(decayed(record, at(2 * HALF_LIFE_MS)).successes).toBe(0.25)
  })

  it('an earlier outcome is decayed to the instant of the next', () => {
    const first = attemptEnded(running(2), ended({ ended_at: at(0) }))
    const second = attemptEnded(first, ended({ state: 'failed', ended_at: at(HALF_LIFE_MS) }))
    expect(second).toMatchObject({ successes: 0.5, failures: 1, outcomes_at: at(HALF_LIFE_MS) })
  })

  it('an instant before the last outcome does not make it count more', () => {
    expect(decayed({ ...running(), successes: 2, outcomes_at: at(9000) }, at(0)).successes).toBe(2)
  })

  it('only the last fifty durations are kept', () => {
    const attempts = Array.from({ length: 60 }, (_, i) => ended({ ended_at: at(i) }))
    const { durations_ms, median_duration_ms } = attempts.reduce(attemptEnded, running(60))
    expect(durations_ms).toEqual(Array.from({ length: 50 }, (_, i) => i + 10))
    expect(median_duration_ms).toBe(34.5)
  })

  it('is, outcome by outcome, the sum that the half-lives say', () => {
    const outcome = fc.record({
      succeeded: fc.boolean(),
      after_ms: fc.integer({ min: 0, max: 3 * HALF_LIFE_MS }),
    })
    fc.assert(
      fc.property(fc.array(outcome, { minLength: 1, maxLength: 40 }), (outcomes) => {
        let now = 0
        const ends = outcomes.map(({ succeeded, after_ms }) => ({ succeeded, ms: (now += after_ms) }))
        const record = ends.reduce(
          (record, { succeeded, ms }) =>
            attemptEnded(record, ended({ state: succeeded ? 'succeeded' : 'failed', ended_at: at(ms) })),
          running(outcomes.length),
        )
        const expected = ends
          .filter(({ succeeded }) => succeeded)
          .reduce((sum, { ms }) => sum + 2 ** ((ms - now) / HALF_LIFE_MS), 0)
        expect(record.running).toBe(0)
        expect(record.successes).toBeCloseTo(expected, 9)
      }),
    )
  })
})

describe('what is known at an instant', () => {
  const router = aRouter({ apps: { aider: { max: 2, timeout: 30 }, codex: {} } }, 4)
  const pause = {
    reason: 'quota',
    until: at(5000),
    paused_at: at(0),
    paused_by: { type: 'system', id: null },
  } as const
  const record = { ...attemptEnded(running(2), ended()), last_used_at: at(0) }

  it('has every app of the configuration in its order, the unknown ones as never used', () => {
    const { tools } = factsOf(
      router,
      new Map([['aider', { record, pause: null, circuit: CLOSED }]]),
      [],
      at(1000),
    )
    expect(tools).toEqual([
      { tool_id: 'aider', running: 1, paused: false, successes: 1, failures: 0, median_duration_ms: 1000 },
      { tool_id: 'codex', running: 0, paused: false, successes: 0, failures: 0, median_duration_ms: null },
    ])
  })

  it('a pause ends by itself', () => {
    expect(isPaused(pause, at(4999))).toBe(true)
    expect(isPaused(pause, at(5000))).toBe(false)
    expect(isPaused({ ...pause, until: null }, at(9e9))).toBe(true)
    expect(isPaused(null, at(0))).toBe(false)
  })

  it('is shown as a tool', () => {
    expect(shownTool(router.apps[0]!, router, { record, pause, circuit: CLOSED }, at(1000))).toEqual({
      tool_id: 'aider',
      kind: 'tool',
      command: 'program',
      args: ['--do', '{prompt}'],
      description: null,
      capabilities: { task_kinds: ['edit'], domains: [] },
      limits: { max_parallel: 2, timeout_seconds: 30 },
      safety_tier: 'low',
      cost_per_call_usd_micros: null,
      config_version: 4,
      running: 1,
      outcomes: { successes: 1, failures: 0, success_rate: 1 },
      durations: { samples: 1, p50_ms: 1000, p90_ms: 1000, p99_ms: 1000 },
      last_used_at: at(0),
      pause,
      circuit: {
        state: 'closed',
        reason: null,
        failures_in_row: 0,
        opened_at: null,
        open_until: null,
        open_seconds: null,
      },
    })
    const unused = { record: newToolRecord('codex'), pause: null, circuit: CLOSED }
    expect(shownTool(router.apps[1]!, router, unused, at(1000))).toMatchObject({
      limits: { max_parallel: 1, timeout_seconds: 600 },
      outcomes: { success_rate: null },
      durations: { samples: 0, p50_ms: null, p90_ms: null, p99_ms: null },
    })
  })

  it('percentiles are values that occurred', () => {
    const sorted = Array.from({ length: 50 }, (_, i) => i + 1)
    expect([50, 90, 99].map((percent) => percentile(sorted, percent))).toEqual([25, 45, 50])
    expect(percentile([], 50)).toBeNull()
  })
})

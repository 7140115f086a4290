import { describe, expect, it } from 'vitest'
import { drawOf, median, scoresOf } from '../../../src/domain/scores.ts'
import { aRouter, knowing, route } from '../../support/routing.ts'

const WEIGHTS = { success: 0.55, latency: 0.2, load: 0.15, cost: 0.1 }
const merits = {
  successes: 0,
  failures: 0,
  running: 0,
  max_parallel: 1,
  median_duration_ms: null,
  cost_per_call_usd_micros: null,
}
const scoreOf = (...candidates: Partial<typeof merits | Record<string, number | null>>[]) =>
  scoresOf(
    candidates.map((candidate) => ({ ...merits, ...candidate })),
    WEIGHTS,
  )

describe('the parts of a score', () => {
  it('success is (s + 1) / (s + f + 2)', () => {
    const [unknown, good, bad] = scoreOf({}, { successes: 3, failures: 1 }, { failures: 8 })
    expect([unknown, good, bad].map((score) => score?.parts.success)).toEqual([0.5, 4 / 6, 0.1])
  })

  it('latency is 1 / (1 + d / m) against the median of those that are known; unknown is 0.5', () => {
    const scores = scoreOf(
      { median_duration_ms: 60_000 },
      { median_duration_ms: 600_000 },
      {},
      { median_duration_ms: 20_000 },
    )
    expect(scores.map(({ parts }) => parts.latency)).toEqual([0.5, 1 / 11, 0.5, 1 / (1 + 1 / 3)])
  })

  it('latency is 0.5 for all where nobody has succeeded, and for one who is alone', () => {
    expect(scoreOf({}, {}).map(({ parts }) => parts.latency)).toEqual([0.5, 0.5])
    expect(scoreOf({ median_duration_ms: 9 })[0]?.parts.latency).toBe(0.5)
  })

  it('a median of nothing is no division by zero', () => {
    const scores = scoreOf({ median_duration_ms: 0 }, { median_duration_ms: 0 }, { median_duration_ms: 5 })
    expect(scores.map(({ parts }) => parts.latency)).toEqual([0.5, 0.5, 0])
  })

  it('load is the free share, never below 0', () => {
    const scores = scoreOf({ running: 1, max_parallel: 4 }, { running: 9, max_parallel: 4 })
    expect(scores.map(({ parts }) => parts.load)).toEqual([0.75, 0])
  })

  it('cost is 1 / (1 + c / m), and 0.5 for who has none beside others who have', () => {
    const scores = scoreOf(
      { cost_per_call_usd_micros: 1000 },
      { cost_per_call_usd_micros: 3000 },
      {},
      { cost_per_call_usd_micros: 0 },
    )
    expect(scores.map(({ parts }) => parts.cost)).toEqual([0.5, 1 / 4, 0.5, 1])
  })

  it('the score is their weighted sum', () => {
    const [score] = scoreOf({
      successes: 3,
      failures: 1,
      running: 1,
      max_parallel: 2,
      cost_per_call_usd_micros: 1000,
    })
    expect(score?.score).toBeCloseTo(0.55 * (4 / 6) + 0.2 * 0.5 + 0.15 * 0.5 + 0.1 * 0.5, 12)
  })

  it('without any cost the part is null and the other weights are scaled up', () => {
    const [score] = scoreOf({ successes: 3, failures: 1 })
    expect(score?.parts.cost).toBeNull()
    expect(score?.score).toBeCloseTo((0.55 * (4 / 6) + 0.2 * 0.5 + 0.15) / 0.9, 12)
  })

  it('only the proportions of weights matter', () => {
    const doubled = { success: 1.1, latency: 0.4, load: 0.3, cost: 0.2 }
    const candidates = [{ ...merits, successes: 2, cost_per_call_usd_micros: 5 }]
    expect(scoresOf(candidates, doubled)[0]?.score).toBeCloseTo(scoresOf(candidates, WEIGHTS)[0]!.score, 12)
  })

  it('weight on cost alone, where nobody has one, makes all equal', () => {
    const onCost = { success: 0, latency: 0, load: 0, cost: 1 }
    expect(scoresOf([merits, { ...merits, successes: 5 }], onCost).map(({ score }) => score)).toEqual([0, 0])
  })
})

it('the median of an even number is the mean of the middle two; unknown ones do not count', () => {
  expect(median([40, null, 10, 20, 30])).toBe(25)
  expect(median([30, 10, 20])).toBe(20)
  expect(median([null])).toBeNull()
})

describe('the draw', () => {
  it('is the same for the same seed on every machine', () => {
    expect([0, 1, 2 ** 32 - 1].map(drawOf)).toEqual([
      0.26642920868471265, 0.6270739405881613, 0.8964226141106337,
    ])
  })

  it('spreads evenly: the share that explores is the share that was asked for', () => {
    const router = aRouter({
      apps: { aider: {}, codex: {} },
      rules: [{ id: 'edits', select_from: ['aider', 'codex'], strategy: 'auto' }],
    })
    const facts = knowing({ aider: { successes: 9 }, codex: { successes: 1, failures: 1 } })
    const chosen = Array.from(
      { length: 20_000 },
      (_, seed) => route(router, {}, facts, seed).decision.tool_id,
    )
    const share = chosen.filter((tool_id) => tool_id === 'codex').length / chosen.length
    expect(share).toBeGreaterThan(0.045)
    expect(share).toBeLessThan(0.055)
  })
})

describe('a decision by score', () => {
  const apps = { aider: { cost: 2000 }, claude: {}, codex: { kinds: ['review'], cost: 1 } }
  const rules = [{ id: 'edits', select_from: ['codex', 'claude', 'aider'], strategy: 'auto' as const }]
  const router = aRouter({ apps, rules })

  it('stores the score and all its parts for everyone who was weighed, and for nobody else', () => {
    const facts = knowing({ aider: { successes: 4, median_duration_ms: 9000 }, codex: { successes: 9 } })
    const { candidates } = route(router, {}, facts).decision
    expect(candidates.map(({ tool_id, parts }) => [tool_id, parts])).toEqual([
      ['aider', { success: 5 / 6, latency: 0.5, load: 1, cost: 0.5 }],
      ['claude', { success: 0.5, latency: 0.5, load: 1, cost: 0.5 }],
      ['codex', null],
    ])
    expect(candidates.map(({ score }) => typeof score)).toEqual(['number', 'number', 'object'])
  })

  it('goes by the weights and the share of the configuration', () => {
    const weights = { success: 0, latency: 0, load: 1, cost: 0 }
    const byLoad = aRouter({
      apps: { aider: { max: 2 }, codex: {} },
      rules: [{ id: 'edits', select_from: ['aider', 'codex'] }],
      defaults: { strategy: 'auto', auto: { weights } },
    })
    const facts = knowing({ aider: { successes: 50, running: 1 }, codex: { failures: 50 } })
    expect(route(byLoad, {}, facts).decision.tool_id).toBe('codex')
  })

  it('weights that are left out are the usual ones', () => {
    const { weights, exploration } = aRouter({ defaults: { auto: { weights: { success: 2 } } } })
    expect({ weights, exploration }).toEqual({
      weights: { success: 2, latency: 0.2, load: 0.15, cost: 0.1 },
      exploration: 0.05,
    })
  })
})

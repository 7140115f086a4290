import type { ScoreParts } from '../contract/route-verdict.ts'

export interface Weights {
  success: number
  latency: number
  load: number
  cost: number
}

/** What a candidate is scored by. */
export interface Merits {
  successes: number
  failures: number
  running: number
  max_parallel: number
  median_duration_ms: number | null
  cost_per_call_usd_micros: number | null
}

export interface Score {
  score: number
  parts: ScoreParts
}

/**
 * The scores of candidates among each other. Only + − × ÷ and comparisons, so that every engine gives the same
 * bits: whatever needs more, such as the decay of outcomes, was done before and stands in the merits.
 */
export function scoresOf(candidates: readonly Merits[], weights: Weights): Score[] {
  const duration = median(candidates.map((candidate) => candidate.median_duration_ms))
  const cost = median(candidates.map((candidate) => candidate.cost_per_call_usd_micros))
  return candidates.map((candidate) => {
    const parts: ScoreParts = {
      success: (candidate.successes + 1) / (candidate.successes + candidate.failures + 2),
      latency: relative(candidate.median_duration_ms, duration),
      load: Math.max(0, 1 - candidate.running / candidate.max_parallel),
      cost: cost === null ? null : relative(candidate.cost_per_call_usd_micros, cost),
    }
    return { score: weighted(parts, weights), parts }
  })
}

/** 1 for nothing, a half for the median, towards 0 for much more. What is unknown counts as the median. */
function relative(value: number | null, middle: number | null): number {
  if (value === null || middle === null || value === middle) return 0.5
  return 1 / (1 + value / middle)
}

/** Of what is known; null if nothing is. */
export function median(values: readonly (number | null)[]): number | null {
  const known = Float64Array.from(values.filter((value) => value !== null)).sort()
  if (known.length === 0) return null
  const middle = known.length >> 1
  const upper = known[middle]!
  return known.length % 2 === 1 ? upper : (known[middle - 1]! + upper) / 2
}

/** Without a cost the other weights are scaled up to the whole. */
function weighted({ success, latency, load, cost }: ScoreParts, weights: Weights): number {
  const sum = weights.success * success + weights.latency * latency + weights.load * load
  const total = weights.success + weights.latency + weights.load
  if (cost === null) return total === 0 ? 0 : sum / total
  return (sum + weights.cost * cost) / (total + weights.cost)
}

/**
 * A number from 0 up to 1 that depends on nothing but the seed: one step of the generator mulberry32, which needs
 * only 32-bit integers. Ten million seeds in a row fill each of a hundred equal bins to within 1.5 %.
 */
export function drawOf(seed: number): number {
  let mixed = (seed + 0x6d2b79f5) | 0
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
}

import type { Rotation, ToolInputs } from '../contract/routing.ts'
import type { CompiledRouter, CompiledRule } from './compiled-router.ts'
import { BIT } from './route-filters.ts'
import { type Merits, type Score, drawOf, scoresOf } from './scores.ts'

/** What a strategy made of the eligible apps. All of it by index of the app. */
export interface Choice {
  chosen: number
  /** What to add to the reasons of each eligible app, in the order in which they were given. */
  reasons: number[]
  scores: Score[] | null
  /** Whose turn it was, and whose it is now. */
  turn: { before: Rotation; after: Rotation } | null
}

interface Field {
  router: CompiledRouter
  rule: CompiledRule
  /** At least one. */
  eligible: readonly number[]
  tools: readonly ToolInputs[]
  rotations: readonly Rotation[]
  seed: number
}

export function choose(field: Field): Choice {
  const { strategy } = field.rule
  switch (strategy) {
    case 'fixed':
      return chooseFirst(field.eligible)
    case 'round_robin':
      return chooseInTurn(field)
    case 'auto':
      return chooseBest(field)
  }
}

const others = (eligible: readonly number[], chosen: number, reason: number): number[] =>
  eligible.map((place) => (place === chosen ? BIT.chosen : reason))

export function chooseFirst(eligible: readonly number[]): Choice {
  const chosen = eligible[0]!
  return { chosen, reasons: others(eligible, chosen, BIT.later_in_order), scores: null, turn: null }
}

/**
 * Of tools that only their circuits keep away: the one that lets an attempt through first, whatever the strategy. It
 * uses up no turn, for nobody gets the task now.
 */
export function chooseFirstToOpen(eligible: readonly number[], tools: readonly ToolInputs[]): Choice {
  const opens = (place: number): string => tools[place]!.circuit!.open_until // what is barred has one
  const chosen = eligible.reduce((first, place) => (opens(place) < opens(first) ? place : first))
  return { chosen, reasons: others(eligible, chosen, BIT.opens_later), scores: null, turn: null }
}

/**
 * A queue: the first in it that is eligible is chosen and goes to its end. Who is not eligible stays where it is,
 * so it has its turn as soon as it is back, and one turn only.
 */
function chooseInTurn({ router, rule, eligible, rotations }: Field): Choice {
  const stored = rotations.find(({ rule_id }) => rule_id === rule.rule_id)
  const order = queueOf(router, rule, stored?.order ?? [])
  const chosen = order.find((place) => eligible.includes(place))!
  const named = (places: readonly number[]): Rotation => ({
    rule_id: rule.rule_id,
    order: places.map((place) => router.apps[place]!.tool_id),
  })
  const turn = { before: named(order), after: named([...order.filter((place) => place !== chosen), chosen]) }
  return { chosen, reasons: others(eligible, chosen, BIT.not_its_turn), scores: null, turn }
}

/** The stored queue may be of another configuration: who is new stands at its end, who is gone does not count. */
function queueOf(router: CompiledRouter, rule: CompiledRule, stored: readonly string[]): number[] {
  const queued = stored
    .map((tool_id) => router.places.get(tool_id) ?? -1)
    .filter((place) => rule.selected[place] === true)
  if (queued.length === rule.candidates.length) return queued
  return [...queued, ...rule.candidates.filter((place) => !queued.includes(place))]
}

function chooseBest({ router, eligible, tools, seed }: Field): Choice {
  const scores = scoresOf(
    eligible.map((place) => meritsOf(router, place, tools)),
    router.weights,
  )
  if (eligible.length > 1 && drawOf(seed) < router.exploration) {
    const chosen = leastTried(eligible, tools)
    const reasons = eligible.map((place) => (place === chosen ? BIT.chosen | BIT.explored : BIT.not_explored))
    return { chosen, reasons, scores, turn: null }
  }
  const best = Math.max(...scores.map(({ score }) => score))
  const chosen = Math.min(...eligible.filter((_, i) => scores[i]!.score === best))
  const reasons = eligible.map((place, i) => {
    if (place === chosen) return BIT.chosen
    return scores[i]!.score === best ? BIT.later_in_name : BIT.lower_score
  })
  return { chosen, reasons, scores, turn: null }
}

function meritsOf(router: CompiledRouter, place: number, tools: readonly ToolInputs[]): Merits {
  const { successes, failures, running, median_duration_ms } = tools[place]!
  const { max_parallel, cost_per_call_usd_micros } = router.apps[place]!
  return { successes, failures, running, max_parallel, median_duration_ms, cost_per_call_usd_micros }
}

/** By decayed outcomes, then by name. Whose first try is running is not tried a second time meanwhile. */
function leastTried(eligible: readonly number[], tools: readonly ToolInputs[]): number {
  const tries = (place: number): number => {
    const { successes, failures, running } = tools[place]!
    const outcomes = successes + failures
    return outcomes === 0 && running > 0 ? 1 : outcomes
  }
  return eligible.reduce((least, place) => {
    const difference = tries(place) - tries(least)
    return difference < 0 || (difference === 0 && place < least) ? place : least
  })
}

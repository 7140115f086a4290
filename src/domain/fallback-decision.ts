import type { RouteDecision, ToolInputs } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import type { CompiledRouter, CompiledRule } from './compiled-router.ts'
import { BIT, floorOf, screen, verdictOn } from './route-filters.ts'

/** What a fallback goes by beside the tools and the configuration. */
export interface FallbackFrom extends Pick<RouteDecision, 'task' | 'rule_id' | 'validate_with' | 'run_id'> {
  previous_decision_id: string | null
  /** Who may take over, each once. */
  order: readonly string[]
}

/** Who may take over after a decision, each once: nobody has a request a second time. */
export const orderAfter = ({ fallback_to, tool_id }: RouteDecision): string[] =>
  [...new Set(fallback_to)].filter((other) => other !== tool_id)

/**
 * Who takes over: the first of the order that could be chosen. The tools must stand in the order of the apps. Load is
 * no hindrance, as the operator has named an order: a tool that is busy has the task in its queue. Nobody is taken
 * from the order where nobody can take over, so that a request that waits may ask again.
 */
export function decideFallback(
  from: FallbackFrom,
  router: CompiledRouter,
  tools: readonly ToolInputs[],
  given: Pick<RouteDecision, 'route_decision_id' | 'created_at'>,
): RouteDecision {
  const { order } = from
  const against = againstAll(from, router, tools)
  const [tool_id = null] = readyOf(order, router, against)
  const at = tool_id === null ? -1 : order.indexOf(tool_id)
  const reasonsOf = (place: number): number => {
    if (against[place] !== 0) return against[place]!
    return router.apps[place]!.tool_id === tool_id ? BIT.chosen : BIT.later_in_order
  }
  return {
    route_decision_id: given.route_decision_id,
    previous_decision_id: from.previous_decision_id,
    outcome: tool_id === null ? 'unroutable' : 'routed',
    tool_id,
    rule_id: from.rule_id,
    strategy: 'fixed',
    config_version: router.config_version,
    task: from.task,
    seed: 0, // nothing in it is left to chance
    inputs: { tools: tools as ToolInputs[], rotation: null, fallback_order: [...order] },
    rules: [],
    candidates: router.apps.map((app, place) => verdictOn(app, reasonsOf(place), null)),
    fallback_to: tool_id === null ? [...order] : order.slice(at + 1),
    validate_with: [...from.validate_with],
    run_id: from.run_id,
    created_at: given.created_at,
  }
}

/** Whether anybody could take over after a decision. The tools must stand in the order of the apps. */
export function hasTaker(
  decision: RouteDecision,
  router: CompiledRouter,
  tools: readonly ToolInputs[],
): boolean {
  const order = orderAfter(decision)
  return (
    order.length > 0 && readyOf(order, router, againstAll({ ...decision, order }, router, tools)).length > 0
  )
}

/** Under the rule of the decision before, if there still is such a rule. */
function againstAll(
  { order, task, rule_id }: Pick<FallbackFrom, 'order' | 'task' | 'rule_id'>,
  router: CompiledRouter,
  tools: readonly ToolInputs[],
): number[] {
  const rule = router.rules.find((each) => each.rule_id === rule_id) ?? router.rules.at(-1)!
  return judge(order, { task, rule }, router, screen(router, task, tools))
}

/** What speaks against each app. The bar of the rule holds for who takes over too. */
export function judge(
  order: readonly string[],
  { task, rule }: { task: Task; rule: CompiledRule },
  router: CompiledRouter,
  screened: readonly number[],
): number[] {
  const floor = floorOf(rule, task)
  const named = new Set(order)
  return screened.map((against, place) => {
    const { tool_id, tier } = router.apps[place]!
    return (
      (against & ~BIT.at_max_parallel) |
      (named.has(tool_id) ? 0 : BIT.not_a_fallback) |
      (tier < floor ? BIT.safety_tier : 0)
    )
  })
}

/** Those of the order that could take over now. */
export const readyOf = (
  order: readonly string[],
  { places }: CompiledRouter,
  against: readonly number[],
): string[] => order.filter((tool_id) => against[places.get(tool_id) ?? -1] === 0)

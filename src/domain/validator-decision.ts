import type { RouteDecision, ToolInputs } from '../contract/routing.ts'
import type { CompiledRouter } from './compiled-router.ts'
import { BIT, verdictOn } from './route-filters.ts'

/** What the choice of a validator goes by beside the tools and the configuration. */
export interface ValidatorFrom extends Pick<RouteDecision, 'task' | 'rule_id' | 'run_id'> {
  /** The decision about the work, which named it. */
  validated_decision_id: string
}

/**
 * The one tool that the task allows, if the configuration has it. Kind, domain and tier are no hindrance, as the
 * operator has named it; nor are load, a pause or an open circuit, as nobody else may say what this one has to say.
 */
export function decideValidator(
  from: ValidatorFrom,
  router: CompiledRouter,
  tools: readonly ToolInputs[],
  given: Pick<RouteDecision, 'route_decision_id' | 'created_at'>,
): RouteDecision {
  const { task, validated_decision_id } = from
  const [named = ''] = task.allowed_tools ?? []
  const tool_id = router.places.has(named) ? named : null
  return {
    route_decision_id: given.route_decision_id,
    previous_decision_id: null,
    outcome: tool_id === null ? 'unroutable' : 'routed',
    tool_id,
    rule_id: from.rule_id,
    strategy: 'fixed',
    config_version: router.config_version,
    task,
    seed: 0, // nothing in it is left to chance
    inputs: { tools: tools as ToolInputs[], rotation: null, validated_decision_id },
    rules: [],
    candidates: router.apps.map((app) =>
      verdictOn(app, app.tool_id === tool_id ? BIT.chosen : BIT.not_allowed, null),
    ),
    fallback_to: [],
    validate_with: [],
    run_id: from.run_id,
    created_at: given.created_at,
  }
}

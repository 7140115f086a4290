import type { CreateExecutionRequest } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import { CANDIDATE_REASONS } from '../contract/route-verdict.ts'
import type { ToolInputs } from '../contract/routing.ts'
import type { CompiledRouter } from './compiled-router.ts'
import type { Bounds } from './request.ts'
import { verdictOn } from './route-filters.ts'
import { chart, neverUsed } from './routing.ts'
import { wholeTask } from './task.ts'

/** What a task may expect of a configuration, whatever its tools are doing. */
export interface Prospect {
  bounds: Bounds
  /** Why none of the tools could ever do it; null if one could. */
  against: string | null
}

/**
 * The way of the task if every tool were idle. The tool is chosen when the task is ready, so it may take as long as
 * the slowest of those that may do it.
 */
export function prospectOf(task: CreateExecutionRequest, router: CompiledRouter): Prospect {
  const whole = wholeTask({ ...task, classification: { ...task.classification, priority: priorityOf(task) } })
  const { rule, against, eligible, choice } = chart(whole, router, { tools: idle(router), rotations: [] }, 0)
  const times = eligible.map((place) => router.apps[place]!.timeout_seconds ?? router.timeout_seconds)
  const { max_attempts, timeout_seconds } = router
  return {
    bounds: {
      strategy: rule.strategy,
      max_attempts,
      timeout_seconds: times.length === 0 ? timeout_seconds : Math.max(...times),
    },
    against: choice === null ? whyNot(router, against) : null,
  }
}

const priorityOf = ({ classification }: CreateExecutionRequest) => classification?.priority ?? 'normal'

const idlers = new WeakMap<CompiledRouter, ToolInputs[]>()

/** The same for every task of a configuration. */
function idle(router: CompiledRouter): ToolInputs[] {
  let tools = idlers.get(router)
  if (tools === undefined) {
    tools = router.apps.map(({ tool_id }) => neverUsed(tool_id))
    idlers.set(router, tools)
  }
  return tools
}

function whyNot({ apps }: CompiledRouter, against: readonly number[]): string {
  const verdicts = apps.slice(0, LIMITS.listed_ids).map((app, place) => {
    const { reason_codes } = verdictOn(app, against[place]!, null)
    return `${app.tool_id}: ${reason_codes.map((code) => CANDIDATE_REASONS[code]).join(', ')}`
  })
  const more = apps.length - verdicts.length
  const all = more > 0 ? [...verdicts, `${more} more`] : verdicts
  return `no tool could ever do it (${all.join('; ')})`
}

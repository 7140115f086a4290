import type { ExplainResult, RouteAlternative, RouteEdit, RouteEditKind } from '../contract/route-explain.ts'
import { Complexity, Priority, RiskTier } from '../contract/classification.ts'
import type { ToolInputs } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import type { CompiledRouter } from './compiled-router.ts'
import { sentencesFor } from './route-sentences.ts'
import { type Course, type Facts, type RouteGiven, chart, decide, toolsFor } from './routing.ts'
import { wholeTask } from './task.ts'

/** The decision as it would be now, and for each other tool the first single edit that would choose it. */
export function explain(
  task: Task,
  router: CompiledRouter,
  facts: Facts,
  given: Pick<RouteGiven, 'run_id' | 'seed'>,
): ExplainResult {
  const unnamed = { ...given, route_decision_id: '', created_at: '' }
  const { decision } = decide(task, router, facts, unnamed)
  const { route_decision_id: _id, previous_decision_id: _before, created_at: _at, ...answer } = decision
  return {
    ...answer,
    alternatives: alternatives(task, router, facts, given.seed),
    sentences: sentencesFor(decision),
  }
}

interface Situation {
  task: Task
  tools: readonly ToolInputs[]
}

interface Attempt extends Situation {
  edit: RouteEdit
}

function alternatives(given: Task, router: CompiledRouter, facts: Facts, seed: number): RouteAlternative[] {
  const task = wholeTask(given)
  const now: Situation = { task, tools: toolsFor(router, facts.tools) }
  const courseOf = ({ task, tools }: Situation): Course => chart(task, router, { ...facts, tools }, seed)
  const chosenBy = (situation: Situation): number => courseOf(situation).choice?.chosen ?? -1
  const course = courseOf(now)
  const common = firstEditFor(
    [...classificationEdits(now, router), ...removals(now, router, course)],
    chosenBy,
  )
  return router.apps.flatMap(({ tool_id }, place) => {
    if (place === course.choice?.chosen) return []
    const own = ownEdits(now, tool_id, place).find((attempt) => chosenBy(attempt) === place)
    return [{ tool_id, edit: own?.edit ?? common.get(place) ?? null }]
  })
}

/** These edits are the same whichever tool they are meant for: each is tried once. */
function firstEditFor(
  attempts: readonly Attempt[],
  chosenBy: (situation: Situation) => number,
): Map<number, RouteEdit> {
  const first = new Map<number, RouteEdit>()
  for (const attempt of attempts) {
    const chosen = chosenBy(attempt)
    if (!first.has(chosen)) first.set(chosen, attempt.edit)
  }
  return first
}

/** What concerns one tool: its pause, its circuit, its load, and what the task says of it by name. */
function ownEdits({ task, tools }: Situation, tool_id: string, place: number): Attempt[] {
  const tool = tools[place]!
  const { allowed_tools: allowed, excluded_tools: excluded } = task
  const edit = (kind: RouteEditKind): RouteEdit => ({ edit: kind, value: null })
  const attempts: Attempt[] = []
  if (tool.paused)
    attempts.push({ edit: edit('lift_pause'), task, tools: tools.with(place, { ...tool, paused: false }) })
  if (tool.circuit !== undefined) {
    const { circuit: _, ...closed } = tool
    attempts.push({ edit: edit('close_circuit'), task, tools: tools.with(place, closed) })
  }
  if (tool.running > 0)
    attempts.push({ edit: edit('lift_load'), task, tools: tools.with(place, { ...tool, running: 0 }) })
  if (excluded?.includes(tool_id) === true) {
    const excluded_tools = excluded.filter((name) => name !== tool_id)
    attempts.push({ edit: edit('drop_from_excluded'), task: { ...task, excluded_tools }, tools })
  }
  if (allowed != null && !allowed.includes(tool_id)) {
    const allowed_tools = [...allowed, tool_id]
    attempts.push({ edit: edit('add_to_allowed'), task: { ...task, allowed_tools }, tools })
  }
  return attempts
}

/** The words are in the schemas; TypeBox types their lists as anything. */
const CLASSES = [
  ['set_complexity', 'complexity', () => Complexity.enum as readonly string[]],
  ['set_risk_tier', 'risk_tier', () => RiskTier.enum as readonly string[]],
  ['set_domain', 'domain', ({ domains }: CompiledRouter) => domains],
  ['set_priority', 'priority', () => Priority.enum as readonly string[]],
] as const

/** Each field of the classification to each of its values; of domains, those that the configuration names. */
function classificationEdits({ task, tools }: Situation, router: CompiledRouter): Attempt[] {
  return CLASSES.flatMap(([edit, field, valuesOf]) =>
    valuesOf(router)
      .filter((value) => value !== task.classification?.[field])
      .map((value) => ({
        edit: { edit, value },
        // `value` is one of the words of `field`: it comes from its list.
        task: { ...task, classification: { ...task.classification, [field]: value } },
        tools,
      })),
  )
}

/** Every tool that could have been chosen, in the order in which it was considered, away for once. */
function removals({ task, tools }: Situation, { apps }: CompiledRouter, course: Course): Attempt[] {
  return course.eligible.map((place) => {
    const { tool_id } = apps[place]!
    const excluded_tools = [...(task.excluded_tools ?? []), tool_id]
    return { edit: { edit: 'remove_candidate', value: tool_id }, task: { ...task, excluded_tools }, tools }
  })
}

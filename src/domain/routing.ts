import type { CandidateVerdict, RuleVerdict } from '../contract/route-verdict.ts'
import type { Rotation, RouteDecision, ToolInputs } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import { canonicalText } from './canonical.ts'
import type { CompiledRouter, CompiledRule } from './compiled-router.ts'
import { decideFallback } from './fallback-decision.ts'
import { type Choice, choose, chooseFirstToOpen } from './route-choice.ts'
import { barred, eligible, filter, floorOf, mismatch, screen, valuesOf, verdictOn } from './route-filters.ts'
import type { Score } from './scores.ts'
import { wholeTask } from './task.ts'

/** What the ledger knows at the time of a decision. `factsOf` (tool-record.ts) makes it. */
export interface Facts {
  /** Best in the order of the configuration's apps; a tool that is missing counts as never used. */
  tools: readonly ToolInputs[]
  /** Of the rules that decide in turn; one that is missing begins with the rule's own order. */
  rotations: readonly Rotation[]
}

/** What a decision may not find out by itself. */
export interface RouteGiven {
  route_decision_id: string
  created_at: string
  run_id: string | null
  /** 32 bits, without sign. */
  seed: number
}

export interface Routed {
  decision: RouteDecision
  /** What to keep for the next decision in turn; null if this one was not. */
  rotation: Rotation | null
}

/**
 * Which tool, and why. The decision keeps what it was given (`inputs` shares the facts, and verdicts are shared
 * between decisions: none of it may be changed).
 */
export function decide(task: Task, router: CompiledRouter, facts: Facts, given: RouteGiven): Routed {
  const whole = wholeTask(task)
  const tools = toolsFor(router, facts.tools)
  const course = chart(whole, router, { ...facts, tools }, given.seed)
  const { rule, choice } = course
  const decision: RouteDecision = {
    route_decision_id: given.route_decision_id,
    previous_decision_id: null,
    outcome: choice === null ? 'unroutable' : 'routed',
    tool_id: choice === null ? null : router.apps[choice.chosen]!.tool_id,
    rule_id: rule.rule_id,
    strategy: rule.strategy,
    config_version: router.config_version,
    task: whole,
    seed: given.seed,
    inputs: { tools: tools as ToolInputs[], rotation: choice?.turn?.before ?? null },
    rules: course.rules,
    candidates: candidatesOf(router, course),
    fallback_to: choice === null ? [] : [...rule.fallback_to],
    validate_with: choice === null ? [] : [...rule.validate_with],
    run_id: given.run_id,
    created_at: given.created_at,
  }
  return { decision, rotation: choice?.turn?.after ?? null }
}

/** What is known of the tools, in the order of the apps: as decisions keep it. */
export function toolsFor(
  { apps, places }: CompiledRouter,
  tools: readonly ToolInputs[],
): readonly ToolInputs[] {
  if (tools.length === apps.length && apps.every(({ tool_id }, place) => tools[place]!.tool_id === tool_id))
    return tools
  const known = new Map(
    tools.filter(({ tool_id }) => places.has(tool_id)).map((tool) => [tool.tool_id, tool]),
  )
  return apps.map(({ tool_id }) => known.get(tool_id) ?? neverUsed(tool_id))
}

export const neverUsed = (tool_id: string): ToolInputs => ({
  tool_id,
  running: 0,
  paused: false,
  successes: 0,
  failures: 0,
  median_duration_ms: null,
})

/** How a task finds its way: the rule that ended the search, what spoke against each app there, and the choice. */
export interface Course {
  rule: CompiledRule
  rules: RuleVerdict[]
  against: readonly number[]
  eligible: readonly number[]
  /** Null if there is no tool for the task. */
  choice: Choice | null
}

/** The facts must stand in the order of the apps. */
export function chart(task: Task, router: CompiledRouter, facts: Facts, seed: number): Course {
  const { tools, rotations } = facts
  const values = valuesOf(task)
  const screened = screen(router, task, tools)
  const rules: RuleVerdict[] = []
  let waiting: Course | null = null
  for (const rule of router.rules) {
    const isLast = rule.rule_id === null
    const unmatched = mismatch(rule, values)
    if (unmatched !== null) {
      rules.push(unmatched)
      continue
    }
    const against = filter(rule, floorOf(rule, task), router.apps, screened)
    const field = eligible(rule, against)
    if (field.length === 0) waiting ??= courseToWait(router, rule, rules, against, tools)
    if (field.length === 0 && !rule.required && !isLast) {
      rules.push(rule.passed_over)
      continue
    }
    if (field.length === 0 && waiting !== null) return waiting
    const choice =
      field.length === 0 ? null : choose({ router, rule, eligible: field, tools, rotations, seed })
    if (!isLast) endSearch(router, rules, choice === null ? rule.unroutable : rule.decided)
    return { rule, rules, against, eligible: field, choice }
  }
  throw new Error('the last rule matches every task')
}

/**
 * Where a rule has nobody but tools whose circuits are open: what becomes of the task if no other rule has anybody
 * either. So the first such rule decides, and not the one with which the search happens to end.
 */
function courseToWait(
  router: CompiledRouter,
  rule: CompiledRule,
  verdicts: readonly RuleVerdict[],
  against: readonly number[],
  tools: readonly ToolInputs[],
): Course | null {
  if (router.when_all_open === 'fail') return null
  const field = barred(rule, against)
  if (field.length === 0) return null
  const rules = [...verdicts]
  if (rule.rule_id !== null) endSearch(router, rules, rule.waiting)
  return { rule, rules, against, eligible: field, choice: chooseFirstToOpen(field, tools) }
}

function endSearch({ rules }: CompiledRouter, verdicts: RuleVerdict[], verdict: RuleVerdict): void {
  verdicts.push(verdict)
  for (let place = verdicts.length; place < rules.length - 1; place++)
    verdicts.push(rules[place]!.not_reached)
}

function candidatesOf({ apps }: CompiledRouter, { against, eligible, choice }: Course): CandidateVerdict[] {
  const scores: (Score | null)[] = against.map(() => null)
  const reasons = [...against]
  eligible.forEach((place, i) => {
    reasons[place]! |= choice!.reasons[i]! // whoever is eligible was weighed
    scores[place] = choice!.scores?.[i] ?? null
  })
  return apps.map((app, place) => verdictOn(app, reasons[place]!, scores[place]!))
}

/** A recorded decision made again from what it recorded, under the same configuration or another. */
export const replay = (recorded: RouteDecision, router: CompiledRouter): RouteDecision => {
  const { task, seed, inputs, route_decision_id, created_at, run_id } = recorded
  if (inputs.fallback_order !== undefined) {
    const { previous_decision_id = null } = recorded
    const from = { ...recorded, previous_decision_id, order: inputs.fallback_order }
    return decideFallback(from, router, toolsFor(router, inputs.tools), recorded)
  }
  const facts = { tools: inputs.tools, rotations: inputs.rotation === null ? [] : [inputs.rotation] }
  const { decision } = decide(task, router, facts, { route_decision_id, created_at, run_id, seed })
  if ('previous_decision_id' in recorded) return decision
  const { previous_decision_id: _, ...before } = decision // recorded before there were fallbacks
  return before
}

/** What «the same bytes» means of two decisions: RFC 8785 text, without the name and time of the record. */
export function decisionText(decision: RouteDecision): string {
  const { route_decision_id: _id, created_at: _at, ...said } = decision
  return canonicalText(said)
}

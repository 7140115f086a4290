import type { CandidateVerdict, RuleVerdict } from '../contract/route-verdict.ts'
import type { Rotation, RouteDecision, ToolInputs } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import { canonicalText } from './canonical.ts'
import type { CompiledRouter, CompiledRule } from './compiled-router.ts'
import { decideFallback, judge, readyOf } from './fallback-decision.ts'
import { type Choice, choose, chooseFirst, chooseFirstToOpen } from './route-choice.ts'
import {
  BIT,
  barred,
  eligible,
  filter,
  floorOf,
  mismatch,
  screen,
  valuesOf,
  verdictOn,
} from './route-filters.ts'
import type { Score } from './scores.ts'
import { wholeTask } from './task.ts'
import { decideValidator } from './validator-decision.ts'

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
  const known = { ...facts, tools: toolsFor(router, facts.tools) }
  return routed(chart(whole, router, known, given.seed), whole, router, known.tools, given)
}

function routed(
  course: Course,
  whole: Task,
  router: CompiledRouter,
  tools: readonly ToolInputs[],
  given: RouteGiven,
): Routed {
  const { rule, choice } = course
  const decision: RouteDecision = {
    route_decision_id: given.route_decision_id,
    previous_decision_id: null,
    outcome: choice === null ? 'unroutable' : 'routed',
    tool_id: choice === null ? null : router.apps[choice.chosen]!.tool_id,
    rule_id: rule.rule_id,
    strategy: course.is_fallback ? 'fixed' : rule.strategy,
    config_version: router.config_version,
    task: whole,
    seed: given.seed,
    inputs: { tools: tools as ToolInputs[], rotation: choice?.turn?.before ?? null },
    rules: course.rules,
    candidates: candidatesOf(router, course),
    fallback_to: choice === null ? [] : [...course.fallback_to],
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
  /** Whether one of the rule's fallbacks has the task, for open circuits keep its tools away. */
  is_fallback: boolean
  /** Who is left to take over, in order. */
  fallback_to: readonly string[]
}

/** The facts must stand in the order of the apps. */
export function chart(
  task: Task,
  router: CompiledRouter,
  facts: Facts,
  seed: number,
  { fallbacks_count = true } = {},
): Course {
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
    const stop: Stop = { router, rule, rules, against }
    if (field.length > 0) {
      const choice = choose({ router, rule, eligible: field, tools, rotations, seed })
      return stopped(stop, rule.decided, field, choice)
    }
    const fallback = fallbacks_count ? courseToFallback(stop, task, screened) : null
    if (fallback !== null) return fallback
    waiting ??= courseToWait(stop, tools)
    if (rule.required || isLast) return waiting ?? stopped(stop, rule.unroutable, [], null)
    rules.push(rule.passed_over)
  }
  throw new Error('the last rule matches every task')
}

/** Where the search may end: at a rule that matches, with the verdicts on those before it. */
interface Stop {
  router: CompiledRouter
  rule: CompiledRule
  rules: readonly RuleVerdict[]
  against: readonly number[]
}

/**
 * Where nothing but open circuits keeps the tools of a rule away, the first of its fallbacks that can do the task has
 * it, by the rules for who takes over later: the operator has named them for that, and the rules behind are for others.
 */
function courseToFallback(stop: Stop, task: Task, screened: readonly number[]): Course | null {
  const { router, rule } = stop
  if (barred(rule, stop.against).length === 0) return null
  const order = [...new Set(rule.fallback_to)]
  const judged = judge(order, { task, rule }, router, screened)
  const ready = readyOf(order, router, judged)
  if (ready.length === 0) return null
  const against = judged.map((reasons, place) =>
    (reasons & BIT.not_a_fallback) === 0 ? reasons : stop.against[place]!,
  )
  const field = ready.map((tool_id) => router.places.get(tool_id)!)
  const fallback_to = order.slice(order.indexOf(ready[0]!) + 1)
  const course = stopped({ ...stop, against }, rule.fallback_ready, field, chooseFirst(field))
  return { ...course, is_fallback: true, fallback_to }
}

/**
 * Where a rule has nobody but tools whose circuits are open: what becomes of the task if no other rule has anybody
 * either. So the first such rule decides, and not the one with which the search happens to end.
 */
function courseToWait(stop: Stop, tools: readonly ToolInputs[]): Course | null {
  const { router, rule, against } = stop
  if (router.when_all_open === 'fail') return null
  const field = barred(rule, against)
  return field.length === 0 ? null : stopped(stop, rule.waiting, field, chooseFirstToOpen(field, tools))
}

/** No rule of the document is behind the last one, which has no verdict. */
function stopped(
  { router, rule, rules: before, against }: Stop,
  verdict: RuleVerdict,
  eligible: readonly number[],
  choice: Choice | null,
): Course {
  const rules = [...before]
  if (rule.rule_id !== null) endSearch(router, rules, verdict)
  return { rule, rules, against, eligible, choice, is_fallback: false, fallback_to: rule.fallback_to }
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

/**
 * The way that a recorded decision went, or would go under another configuration. There was a time when the fallbacks of
 * a rule did not count before the next rule, or the wait for a circuit: a decision of then has another tool, or another
 * rule, than its own configuration gives now.
 */
export function chartAgain(
  recorded: Pick<RouteDecision, 'tool_id' | 'rule_id' | 'config_version' | 'seed'>,
  task: Task,
  router: CompiledRouter,
  facts: Facts,
): Course {
  const course = chart(task, router, facts, recorded.seed)
  const { rule, choice, is_fallback } = course
  if (!is_fallback || recorded.config_version !== router.config_version) return course
  const tool_id = router.apps[choice!.chosen]!.tool_id // a fallback is a choice
  if (tool_id === recorded.tool_id && rule.rule_id === recorded.rule_id) return course
  return chart(task, router, facts, recorded.seed, { fallbacks_count: false })
}

/** A recorded decision made again from what it recorded, under the same configuration or another. */
export const replay = (recorded: RouteDecision, router: CompiledRouter): RouteDecision => {
  const { task, seed, inputs, route_decision_id, created_at, run_id } = recorded
  if (inputs.fallback_order !== undefined) {
    const { previous_decision_id = null } = recorded
    const from = { ...recorded, previous_decision_id, order: inputs.fallback_order }
    return decideFallback(from, router, toolsFor(router, inputs.tools), recorded)
  }
  const { validated_decision_id } = inputs
  if (validated_decision_id !== undefined) {
    const from = { ...recorded, validated_decision_id }
    return decideValidator(from, router, toolsFor(router, inputs.tools), recorded)
  }
  const tools = toolsFor(router, inputs.tools)
  const facts = { tools, rotations: inputs.rotation === null ? [] : [inputs.rotation] }
  const whole = wholeTask(task)
  const course = chartAgain(recorded, whole, router, facts)
  const { decision } = routed(course, whole, router, tools, { route_decision_id, created_at, run_id, seed })
  if ('previous_decision_id' in recorded) return decision
  const { previous_decision_id: _, ...before } = decision // recorded before there were fallbacks
  return before
}

/** What «the same bytes» means of two decisions: RFC 8785 text, without the name and time of the record. */
export function decisionText(decision: RouteDecision): string {
  const { route_decision_id: _id, created_at: _at, ...said } = decision
  return canonicalText(said)
}

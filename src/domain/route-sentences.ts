import type { RouteSentences } from '../contract/route-explain.ts'
import {
  CANDIDATE_REASONS,
  type CandidateVerdict,
  RULE_REASONS,
  type RuleVerdict,
} from '../contract/route-verdict.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { Strategy } from '../contract/strategy.ts'
import { orderAfter } from './fallback-decision.ts'

/** A decision in words. They are made when someone reads it: what is stored are codes. */
export const sentencesFor = (decision: RouteDecision): RouteSentences => ({
  summary: `${summaryOf(decision)}${successorsOf(decision)}`,
  rules: decision.rules.map(ruleSentence),
  candidates: decision.candidates.map(candidateSentence),
})

/** Who takes over from the tool, in order. */
function successorsOf(decision: RouteDecision): string {
  if (decision.outcome === 'unroutable') return ''
  const [next, ...others] = orderAfter(decision)
  if (next === undefined) return ''
  const then = others.map((tool_id) => `, then ${tool_id}`).join('')
  return ` If its attempts are spent or its circuit opens, ${next} takes over${then}.`
}

function summaryOf(decision: RouteDecision): string {
  const { outcome, tool_id, rule_id, strategy, task, rules, candidates, inputs } = decision
  if (inputs.fallback_order !== undefined) {
    if (outcome === 'unroutable')
      return `Nobody takes over: none of the fallbacks that rule ${rule_id} has left can do this ${task.task_kind} task now.`
    return `${tool_id} takes over: of the fallbacks that rule ${rule_id} has left, it is the first that can do it.`
  }
  if (inputs.validated_decision_id !== undefined) {
    if (outcome === 'unroutable')
      return `Nobody can look at the work: the configuration does not have ${task.allowed_tools?.join() ?? 'the tool'}, which rule ${rule_id} validates with.`
    return `${tool_id} looks at the work: rule ${rule_id} validates with it.`
  }
  if (outcome === 'unroutable') {
    const none = `There is no tool for this ${task.task_kind} task: `
    if (rule_id !== null) return `${none}rule ${rule_id} is required, and none of its tools is eligible.`
    return `${none}no rule decides, and no tool is eligible.`
  }
  const decided = rules.find((rule) => rule.rule_id === rule_id)
  if (decided?.reason_code === 'fallback_ready')
    return `The task goes to ${tool_id}: open circuits keep every tool of rule ${rule_id} away, and it is the first of its fallbacks that can do it.`
  const chosen = candidates.find((candidate) => candidate.tool_id === tool_id)
  if (chosen?.reason_codes.includes('circuit_open') === true) {
    const of =
      rule_id === null ? 'No rule has a tool for it now, and of those that can do it' : `Of rule ${rule_id}`
    return `The task waits for ${tool_id}. ${of}, open circuits keep every tool away, and this one lets an attempt through first.`
  }
  const by = chosen?.reason_codes.includes('explored') === true ? 'explored' : strategy
  const from = rule_id === null ? 'no rule decides, and of the tools that can do it' : `rule ${rule_id} takes`
  return `The task goes to ${tool_id}: ${from} ${rule_id === null ? HOW_ELSE[by] : HOW[by]}.`
}

const HOW: Record<Strategy | 'explored', string> = {
  fixed: 'the first of its tools that can do it',
  round_robin: 'its tools in turn',
  auto: 'the best of its tools by score',
  explored: 'the one with the fewest outcomes, to learn about it',
}

const HOW_ELSE: Record<Strategy | 'explored', string> = {
  fixed: 'the first by name is taken',
  round_robin: 'each has its turn',
  auto: 'the best by score is taken',
  explored: 'the one with the fewest outcomes is taken, to learn about it',
}

const VERBS: Record<RuleVerdict['verdict'], string> = {
  decided: 'decided',
  not_matched: 'did not match',
  passed_over: 'was passed over',
  unroutable: 'left the task without a tool',
  not_reached: 'was not reached',
}

/** Codes that came later have no text here, and stand for themselves. */
const ruleSentence = ({ rule_id, verdict, reason_code }: RuleVerdict): string =>
  `Rule ${rule_id} ${VERBS[verdict]}: ${RULE_REASONS[reason_code] ?? reason_code}.`

function candidateSentence({ tool_id, eligible, reason_codes, score }: CandidateVerdict): string {
  const reasons = reason_codes.map((code) => CANDIDATE_REASONS[code] ?? code).join('; ')
  const scored = score === null ? '' : ` Its score is ${score.toFixed(3)}.`
  if (!eligible) return `${tool_id} was not eligible: ${reasons}.`
  const verb = reason_codes.includes('chosen') ? 'was chosen' : 'was eligible, and not chosen'
  return `${tool_id} ${verb}: ${reasons}.${scored}`
}

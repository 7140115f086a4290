import { type Static, Type } from '@sinclair/typebox'
import { name } from './common.ts'
import { closed, named, nullable, ref, words } from './named.ts'

/** A word of an open set: the type knows those that this server writes, the schema lets others come later. */
const openSet = <const T extends Record<string, string>>(schemaName: string, meaning: T, about: string) => {
  const list = Object.entries(meaning).map(([code, text]) => `\`${code}\`: ${text}`)
  return named(
    schemaName,
    Type.Unsafe<keyof T & string>({
      type: 'string',
      pattern: '^[a-z][a-z0-9_]{0,63}$',
      description: `${about} An open set: accept words that you do not know. ${list.join('; ')}.`,
      examples: Object.keys(meaning).slice(0, 1),
    }),
  )
}

export const RuleOutcome = words(
  'RuleOutcome',
  ['decided', 'not_matched', 'passed_over', 'unroutable', 'not_reached'],
  'What a rule did: it chose the tool; the task is not one of its tasks; it matched and had no eligible tool; the same, and it is required, so that there is no tool for the task; or a rule before it had decided.',
)
export type RuleOutcome = Static<typeof RuleOutcome>

/** Each reason as the end of a sentence about a rule. */
export const RULE_REASONS = {
  eligible_candidate: 'it matches and has an eligible tool',
  no_eligible_candidate: 'it matches, and none of its tools is eligible',
  fallback_ready:
    'it matches, open circuits keep its tools away, and one of its fallbacks can do the task: that takes over',
  waits_for_circuit: 'it matches, and nothing but open circuits keeps its tools away: the task waits',
  required_without_candidate: 'it matches and is required, and none of its tools is eligible',
  decided_earlier: 'a rule before it ended the search',
  task_kind_differs: 'the kind of the task is none of those that it is for',
  risk_tier_absent: 'the task has no risk tier',
  risk_tier_differs: 'the risk tier is none of those that it is for',
  complexity_absent: 'the task has no complexity',
  complexity_differs: 'the complexity is none of those that it is for',
  domain_absent: 'the task has no domain',
  domain_differs: 'the domain is none of those that it is for',
  priority_absent: 'the task has no priority',
  priority_differs: 'the priority is none of those that it is for',
  project_id_absent: 'the task has no project',
  project_id_differs: 'the project is none of those that it is for',
  labels_absent: 'the task has no labels',
  labels_differ: 'the task has none of the labels that it is for',
  unknown_key: 'it asks for something that no task has',
} as const

export const RuleReason = openSet('RuleReason', RULE_REASONS, 'Why a rule did what it did.')
export type RuleReason = Static<typeof RuleReason>

export const RuleVerdict = named(
  'RuleVerdict',
  closed(
    { rule_id: name('The rule.'), verdict: ref(RuleOutcome), reason_code: ref(RuleReason) },
    { description: 'What became of one rule of the configuration.' },
  ),
)
export type RuleVerdict = Static<typeof RuleVerdict>

/** Each reason as the end of a sentence about a tool. */
export const CANDIDATE_REASONS = {
  not_selected: 'the rule does not choose from it',
  task_kind: 'it cannot do tasks of this kind',
  domain: 'it does not work in the domain of the task',
  safety_tier: 'its safety tier is too low',
  not_allowed: 'it is not among the allowed tools of the task',
  excluded: 'the task excludes it',
  paused: 'it is paused',
  at_max_parallel: 'it does as much at a time as it may; chosen only where no other is free',
  circuit_open: 'its circuit is open',
  chosen: 'it is the one',
  explored: 'it was chosen for having the fewest outcomes, in the share of decisions kept for that',
  later_in_order: 'an eligible tool stands before it',
  not_its_turn: 'it is the turn of another',
  lower_score: 'another scores higher',
  later_in_name: 'another is as good, and its name comes first',
  not_explored: 'this decision was one of the share that goes to the tool with the fewest outcomes',
  opens_later: 'the circuit of another lets an attempt through sooner',
  not_a_fallback: 'it is none of those that may take over',
} as const

export const CandidateReason = openSet('CandidateReason', CANDIDATE_REASONS, 'Why a tool was chosen or not.')
export type CandidateReason = Static<typeof CandidateReason>

const portion = (description: string) => Type.Number({ minimum: 0, maximum: 1, description })

export const ScoreParts = named(
  'ScoreParts',
  closed(
    {
      success: portion('(s + 1) / (s + f + 2) over its decayed successes and failures.'),
      latency: portion(
        '1 / (1 + d / m): its median duration d against the median m of the candidates; 0.5 if unknown.',
      ),
      load: portion('The free share of what it may do at a time.'),
      cost: nullable(Type.Number({ minimum: 0, maximum: 1 }), {
        description:
          '1 / (1 + c / m), as latency; 0.5 if unknown. Null, and without weight, where no candidate has a cost.',
      }),
    },
    { description: 'What a score is made of. The score is their weighted mean.' },
  ),
)
export type ScoreParts = Static<typeof ScoreParts>

export const CandidateVerdict = named(
  'CandidateVerdict',
  closed(
    {
      tool_id: name('The tool.'),
      eligible: Type.Boolean({ description: 'Whether it could have been chosen.' }),
      reason_codes: Type.Array(ref(CandidateReason), { description: 'Why it was chosen or not.' }),
      score: nullable(Type.Number(), {
        description: 'With the strategy `auto`, of an eligible tool; null otherwise.',
      }),
      parts: nullable(ref(ScoreParts)),
    },
    { description: 'What became of one tool of the configuration.' },
  ),
)
export type CandidateVerdict = Static<typeof CandidateVerdict>

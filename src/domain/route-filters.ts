import type { CandidateReason, CandidateVerdict, RuleVerdict } from '../contract/route-verdict.ts'
import type { ToolInputs } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import type { CompiledApp, CompiledRouter, CompiledRule, Condition } from './compiled-router.ts'
import { MATCH_KEYS, type MatchKey, tierRank } from './router-config-view.ts'
import type { Score } from './scores.ts'

// Reasons are bits of a number while a decision is made, and become lists of codes in the record.

export const BIT = {
  not_selected: 1 << 0,
  task_kind: 1 << 1,
  domain: 1 << 2,
  safety_tier: 1 << 3,
  not_allowed: 1 << 4,
  excluded: 1 << 5,
  paused: 1 << 6,
  at_max_parallel: 1 << 7,
  circuit_open: 1 << 15,
  chosen: 1 << 8,
  explored: 1 << 9,
  later_in_order: 1 << 10,
  not_its_turn: 1 << 11,
  lower_score: 1 << 12,
  later_in_name: 1 << 13,
  not_explored: 1 << 14,
  opens_later: 1 << 16,
  not_a_fallback: 1 << 17,
} as const satisfies Record<CandidateReason, number>

const REASONS = Object.keys(BIT) as CandidateReason[]

type Value = string | readonly string[] | null | undefined

/** What a task has, in the order of MATCH_KEYS; labels as the rules write them. */
const VALUES: Record<MatchKey, (task: Task) => Value> = {
  task_kind: (task) => task.task_kind,
  risk_tier: (task) => task.classification?.risk_tier,
  complexity: (task) => task.classification?.complexity,
  domain: (task) => task.classification?.domain,
  priority: (task) => task.classification?.priority,
  project_id: (task) => task.project_id,
  labels: (task) => labelsOf(task),
}
const READERS = MATCH_KEYS.map((key) => VALUES[key])

export const valuesOf = (task: Task): Value[] => READERS.map((read) => read(task))

function labelsOf({ labels }: Task): readonly string[] | null {
  if (labels == null) return null
  const written = Object.entries(labels).map(([key, value]) => `${key}:${value}`)
  return written.length === 0 ? null : written
}

/** Why a rule does not match a task with these values; null if it does. */
export function mismatch({ conditions }: CompiledRule, values: readonly Value[]): RuleVerdict | null {
  for (const condition of conditions) {
    const value = values[condition.slot]
    if (value == null) return condition.absent
    const isOne = typeof value === 'string' ? condition.values.has(value) : hasOne(condition, value)
    if (!isOne) return condition.differs
  }
  return null
}

const hasOne = ({ values }: Condition, labels: readonly string[]): boolean =>
  labels.some((label) => values.has(label))

/** What speaks against each app, whichever rule looks at it. */
export function screen(router: CompiledRouter, task: Task, tools: readonly ToolInputs[]): number[] {
  const domain = task.classification?.domain ?? null
  const { allowed_tools: allowed, excluded_tools: excluded } = task
  return router.apps.map((app, place) => {
    const tool = tools[place]!
    let against = 0
    if (!app.task_kinds.has(task.task_kind)) against |= BIT.task_kind
    if (domain !== null && app.domains !== null && !app.domains.has(domain)) against |= BIT.domain
    if (allowed != null && !allowed.includes(app.tool_id)) against |= BIT.not_allowed
    if (excluded != null && excluded.includes(app.tool_id)) against |= BIT.excluded
    if (tool.paused) against |= BIT.paused
    if (tool.circuit !== undefined && !tool.circuit.takes_probe) against |= BIT.circuit_open
    if (tool.running >= app.max_parallel) against |= BIT.at_max_parallel
    return against
  })
}

/** The lowest tier that a rule takes for a task: the operator's selection stands, unless there was none. */
export function floorOf(rule: CompiledRule, task: Task): number {
  const risk = task.classification?.risk_tier
  if (!rule.by_risk || risk == null) return rule.min_tier
  return Math.max(rule.min_tier, tierRank(risk))
}

/** What speaks against each app under this rule. */
export const filter = (
  rule: CompiledRule,
  floor: number,
  apps: readonly CompiledApp[],
  screened: readonly number[],
): number[] =>
  screened.map(
    (against, place) =>
      against |
      (rule.selected[place] === true ? 0 : BIT.not_selected) |
      (apps[place]!.tier < floor ? BIT.safety_tier : 0),
  )

/** Those of a rule that can be chosen, in its order: the free ones, else those that do as much as they may. */
export function eligible(rule: CompiledRule, against: readonly number[]): number[] {
  const free = rule.candidates.filter((place) => against[place] === 0)
  if (free.length > 0) return free
  return rule.candidates.filter((place) => against[place] === BIT.at_max_parallel)
}

/** Those of a rule that nothing keeps away but their circuits, whether or not they do as much as they may. */
export const barred = (rule: CompiledRule, against: readonly number[]): number[] =>
  rule.candidates.filter((place) => (against[place]! & ~BIT.at_max_parallel) === BIT.circuit_open)

/** Only what can be chosen is weighed, so these say that a candidate was eligible. */
const WEIGHED =
  BIT.chosen |
  BIT.later_in_order |
  BIT.not_its_turn |
  BIT.lower_score |
  BIT.later_in_name |
  BIT.not_explored |
  BIT.opens_later

const codes = new Map<number, readonly CandidateReason[]>()

/** A few dozen combinations occur; each list is made once. */
function codesOf(reasons: number): CandidateReason[] {
  let list = codes.get(reasons)
  if (list === undefined) {
    list = Object.freeze(REASONS.filter((reason) => (reasons & BIT[reason]) !== 0))
    codes.set(reasons, list)
  }
  return list as CandidateReason[] // frozen: nobody may change what many verdicts share
}

/** The verdict on an app. Without a score it is the same for every task, and made once. */
export function verdictOn(app: CompiledApp, reasons: number, score: Score | null): CandidateVerdict {
  if (score !== null) return makeVerdict(app, reasons, score)
  let verdict = app.verdicts.get(reasons)
  if (verdict === undefined) {
    verdict = Object.freeze(makeVerdict(app, reasons, null))
    app.verdicts.set(reasons, verdict)
  }
  return verdict
}

const makeVerdict = ({ tool_id }: CompiledApp, reasons: number, score: Score | null): CandidateVerdict => ({
  tool_id,
  eligible: (reasons & WEIGHED) !== 0,
  reason_codes: codesOf(reasons),
  score: score?.score ?? null,
  parts: score?.parts ?? null,
})

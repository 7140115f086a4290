import { AUTO_DEFAULTS, type RouterConfig, type WhenAllOpen } from '../contract/documents/router-config.ts'
import { CIRCUIT_DEFAULTS, DEFAULTS } from '../contract/defaults.ts'
import type { CandidateVerdict, RuleReason, RuleVerdict } from '../contract/route-verdict.ts'
import type { Strategy } from '../contract/strategy.ts'
import type { CircuitThresholds } from './circuit.ts'
import {
  type AppView,
  type CircuitView,
  type ConfigView,
  type DefaultsView,
  MATCH_KEYS,
  type MatchKey,
  type RuleView,
  tierRank,
  viewConfig,
} from './router-config-view.ts'
import type { Weights } from './scores.ts'

export interface CompiledApp extends Omit<AppView, 'domains' | 'max_parallel' | 'circuit'> {
  /** Null is all. */
  domains: ReadonlySet<string> | null
  max_parallel: number
  circuit: CircuitThresholds
  tier: number
  /** Verdicts that were given before, by their reasons: they are the same for every task (route-filters.ts). */
  verdicts: Map<number, CandidateVerdict>
}

/** What a rule asks of one key. The verdicts are made here: they are the same for every task. */
export interface Condition {
  /** Where the key's value stands among those of a task (`valuesOf` in route-filters.ts). */
  slot: number
  values: ReadonlySet<string>
  absent: RuleVerdict
  differs: RuleVerdict
}

export interface CompiledRule {
  /** Null is the last one, which every configuration has: any app that can do it. */
  rule_id: string | null
  conditions: readonly Condition[]
  /** Indexes of apps, in the order of the rule. */
  candidates: readonly number[]
  /** By index of the app. */
  selected: readonly boolean[]
  /** The lowest tier that it takes, whatever the task. */
  min_tier: number
  /** Whether a tool must be trusted with the task's risk: where nobody chose the tools. */
  by_risk: boolean
  strategy: Strategy
  required: boolean
  fallback_to: readonly string[]
  validate_with: readonly string[]
  decided: RuleVerdict
  passed_over: RuleVerdict
  fallback_ready: RuleVerdict
  waiting: RuleVerdict
  unroutable: RuleVerdict
  not_reached: RuleVerdict
}

/** A configuration made ready: what depends on it alone is worked out once, not for each decision. */
export interface CompiledRouter {
  config_version: number
  /** Sorted by id. */
  apps: readonly CompiledApp[]
  /** Where an app stands in `apps`. */
  places: ReadonlyMap<string, number>
  /** The last one is none of the document's: it decides where no other does. */
  rules: readonly CompiledRule[]
  weights: Weights
  exploration: number
  max_attempts: number
  timeout_seconds: number
  when_all_open: WhenAllOpen
  /** Every domain that an app or a rule names, sorted. */
  domains: readonly string[]
}

export function compileRouterConfig(document: RouterConfig, config_version: number): CompiledRouter {
  const config: ConfigView = viewConfig(document)
  const { defaults } = config
  const apps = config.apps.map(compileApp)
  const places = new Map(apps.map((app, index) => [app.tool_id, index]))
  return {
    config_version,
    apps,
    places,
    rules: [...config.rules, ANY_APP].map((rule) => compileRule(rule, places, defaults)),
    weights: weightsOf(defaults),
    exploration: defaults.exploration ?? AUTO_DEFAULTS.exploration,
    max_attempts: defaults.max_attempts ?? DEFAULTS.max_attempts,
    timeout_seconds: defaults.timeout_seconds ?? DEFAULTS.timeout_seconds,
    when_all_open: defaults.when_all_open ?? 'wait',
    domains: domainsOf(config),
  }
}

const ANY_APP: RuleView = {
  id: null,
  match: new Map(),
  unknown_keys: [],
  select_from: null,
  strategy: null,
  min_safety_tier: null,
  required: false,
  fallback_to: [],
  validate_with: [],
}

const compileApp = ({ domains, max_parallel, circuit, ...app }: AppView): CompiledApp => ({
  ...app,
  domains: domains.size === 0 ? null : domains,
  max_parallel: max_parallel ?? DEFAULTS.max_parallel,
  circuit: thresholdsOf(circuit),
  tier: tierRank(app.safety_tier),
  verdicts: new Map(),
})

/** Who asks for long openings alone means them: the standard maximum gives way. */
function thresholdsOf(circuit: CircuitView): CircuitThresholds {
  const open_seconds = circuit.open_seconds ?? CIRCUIT_DEFAULTS.open_seconds
  return {
    failures_in_row: circuit.failures_in_row ?? CIRCUIT_DEFAULTS.failures_in_row,
    failure_rate: circuit.failure_rate ?? CIRCUIT_DEFAULTS.failure_rate,
    min_attempts: circuit.min_attempts ?? CIRCUIT_DEFAULTS.min_attempts,
    window_seconds: circuit.window_seconds ?? CIRCUIT_DEFAULTS.window_seconds,
    open_seconds,
    max_open_seconds: circuit.max_open_seconds ?? Math.max(open_seconds, CIRCUIT_DEFAULTS.max_open_seconds),
  }
}

function compileRule(
  rule: RuleView,
  places: ReadonlyMap<string, number>,
  defaults: DefaultsView,
): CompiledRule {
  const tool_ids = rule.select_from ?? [...places.keys()]
  const candidates = [...new Set(tool_ids)].flatMap((tool_id) => places.get(tool_id) ?? [])
  const selected = new Set(candidates)
  return {
    rule_id: rule.id,
    conditions: conditionsOf(rule),
    candidates,
    selected: [...places.values()].map((place) => selected.has(place)),
    min_tier: rule.min_safety_tier === null ? 0 : tierRank(rule.min_safety_tier),
    by_risk: rule.select_from === null,
    strategy: rule.strategy ?? defaults.strategy,
    required: rule.required,
    fallback_to: rule.fallback_to,
    validate_with: rule.validate_with,
    decided: verdictOf(rule, 'decided', 'eligible_candidate'),
    passed_over: verdictOf(rule, 'passed_over', 'no_eligible_candidate'),
    fallback_ready: verdictOf(rule, 'decided', 'fallback_ready'),
    waiting: verdictOf(rule, 'decided', 'waits_for_circuit'),
    unroutable: verdictOf(rule, 'unroutable', 'required_without_candidate'),
    not_reached: verdictOf(rule, 'not_reached', 'decided_earlier'),
  }
}

/** Frozen, because all decisions share it. */
const verdictOf = ({ id }: RuleView, verdict: RuleVerdict['verdict'], reason_code: RuleReason): RuleVerdict =>
  Object.freeze({ rule_id: id ?? '', verdict, reason_code })

const ABSENT: Record<MatchKey, RuleReason> = {
  task_kind: 'task_kind_differs', // no task is without one
  risk_tier: 'risk_tier_absent',
  complexity: 'complexity_absent',
  domain: 'domain_absent',
  priority: 'priority_absent',
  project_id: 'project_id_absent',
  labels: 'labels_absent',
}

const DIFFERS: Record<MatchKey, RuleReason> = {
  task_kind: 'task_kind_differs',
  risk_tier: 'risk_tier_differs',
  complexity: 'complexity_differs',
  domain: 'domain_differs',
  priority: 'priority_differs',
  project_id: 'project_id_differs',
  labels: 'labels_differ',
}

function conditionsOf(rule: RuleView): Condition[] {
  const unknown = verdictOf(rule, 'not_matched', 'unknown_key')
  // No task has a value there.
  if (rule.unknown_keys.length > 0)
    return [{ slot: MATCH_KEYS.length, values: new Set(), absent: unknown, differs: unknown }]
  return MATCH_KEYS.flatMap((key, slot) => {
    const values = rule.match.get(key)
    if (values === undefined) return []
    const absent = verdictOf(rule, 'not_matched', ABSENT[key])
    return [{ slot, values, absent, differs: verdictOf(rule, 'not_matched', DIFFERS[key]) }]
  })
}

const weightsOf = ({ weights }: DefaultsView): Weights => ({
  success: weights.success ?? AUTO_DEFAULTS.weights.success,
  latency: weights.latency ?? AUTO_DEFAULTS.weights.latency,
  load: weights.load ?? AUTO_DEFAULTS.weights.load,
  cost: weights.cost ?? AUTO_DEFAULTS.weights.cost,
})

function domainsOf({ apps, rules }: ConfigView): string[] {
  const named = [
    ...apps.map((app) => app.domains),
    ...rules.map((rule) => rule.match.get('domain') ?? new Set<string>()),
  ]
  return [...new Set(named.flatMap((domains) => [...domains]))].sort()
}

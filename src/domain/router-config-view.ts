import { RiskTier } from '../contract/classification.ts'
import { AppKind, RuleMatch, WhenAllOpen } from '../contract/documents/router-config.ts'
import { Strategy } from '../contract/strategy.ts'
import type { CircuitThresholds } from './circuit.ts'

// A configuration is read as whatever it is: every function here takes any JSON value and leaves out what is
// of another type. So the checks of meaning can go on beside faults of form, and nothing can crash on them.

export type JsonObject = Record<string, unknown>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : {})
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const stringsOf = (value: unknown): string[] =>
  listOf(value).filter((item): item is string => typeof item === 'string')

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null)
const wordsOf = (value: unknown): ReadonlySet<string> => new Set(stringsOf(value))

/** The word, if it is one of the list. */
const wordOf = <T extends string>(value: unknown, words: readonly T[]): T | null =>
  words.find((word) => word === value) ?? null

// The schemas of words hold their list; TypeBox types it as anything.
const TIERS = RiskTier.enum as readonly RiskTier[]
const STRATEGIES = Strategy.enum as readonly Strategy[]
const KINDS = AppKind.enum as readonly AppKind[]
const WHEN_ALL_OPEN = WhenAllOpen.enum as readonly WhenAllOpen[]

/** How much a tool can be trusted with, as a number to compare; the lowest is 0. */
export const tierRank = (tier: RiskTier): number => TIERS.indexOf(tier)

export type MatchKey = keyof typeof RuleMatch.properties
/** In the order in which a rule is held against a task. */
export const MATCH_KEYS = Object.keys(RuleMatch.properties) as MatchKey[]

export interface AppView {
  tool_id: string
  kind: AppKind
  command: string
  args: readonly string[]
  description: string | null
  task_kinds: ReadonlySet<string>
  /** None is all. */
  domains: ReadonlySet<string>
  max_parallel: number | null
  timeout_seconds: number | null
  safety_tier: RiskTier
  cost_per_call_usd_micros: number | null
  circuit: CircuitView
}

export const CIRCUIT_FIELDS = [
  'failures_in_row',
  'failure_rate',
  'min_attempts',
  'window_seconds',
  'open_seconds',
  'max_open_seconds',
] as const satisfies (keyof CircuitThresholds)[]

export type CircuitView = Readonly<Record<(typeof CIRCUIT_FIELDS)[number], number | null>>

export interface RuleView {
  id: string | null
  match: ReadonlyMap<MatchKey, ReadonlySet<string>>
  /** Keys that no task has: the rule matches nothing. */
  unknown_keys: readonly string[]
  /** Null is every app. */
  select_from: readonly string[] | null
  strategy: Strategy | null
  min_safety_tier: RiskTier | null
  required: boolean
  fallback_to: readonly string[]
  validate_with: readonly string[]
}

export interface DefaultsView {
  max_attempts: number | null
  timeout_seconds: number | null
  strategy: Strategy
  weights: { success: number | null; latency: number | null; load: number | null; cost: number | null }
  exploration: number | null
  when_all_open: WhenAllOpen | null
}

export interface ConfigView {
  /** Sorted by id. */
  apps: readonly AppView[]
  rules: readonly RuleView[]
  defaults: DefaultsView
}

export function viewConfig(document: unknown): ConfigView {
  const { apps, routing, defaults } = objectOf(document)
  return {
    apps: Object.entries(objectOf(apps))
      .map(([tool_id, app]) => viewApp(tool_id, objectOf(app)))
      .sort((a, b) => (a.tool_id < b.tool_id ? -1 : 1)),
    rules: listOf(objectOf(routing).rules).map((rule) => viewRule(objectOf(rule))),
    defaults: viewDefaults(objectOf(defaults)),
  }
}

function viewApp(tool_id: string, app: JsonObject): AppView {
  const capabilities = objectOf(app.capabilities)
  const limits = objectOf(app.limits)
  return {
    tool_id,
    kind: wordOf(app.kind, KINDS) ?? 'tool',
    command: textOf(app.command) ?? '',
    args: stringsOf(app.args),
    description: textOf(app.description),
    task_kinds: wordsOf(capabilities.task_kinds),
    domains: wordsOf(capabilities.domains),
    max_parallel: numberOf(limits.max_parallel),
    timeout_seconds: numberOf(limits.timeout_seconds),
    safety_tier: wordOf(app.safety_tier, TIERS) ?? 'low',
    cost_per_call_usd_micros: numberOf(app.cost_per_call_usd_micros),
    circuit: viewCircuit(objectOf(app.circuit)),
  }
}

const viewCircuit = (circuit: JsonObject): CircuitView => ({
  failures_in_row: numberOf(circuit.failures_in_row),
  failure_rate: numberOf(circuit.failure_rate),
  min_attempts: numberOf(circuit.min_attempts),
  window_seconds: numberOf(circuit.window_seconds),
  open_seconds: numberOf(circuit.open_seconds),
  max_open_seconds: numberOf(circuit.max_open_seconds),
})

function viewRule(rule: JsonObject): RuleView {
  const match = objectOf(rule.match)
  const known = MATCH_KEYS.filter((key) => Object.hasOwn(match, key))
  return {
    id: textOf(rule.id),
    match: new Map(known.map((key) => [key, matchValues(key, match[key])])),
    unknown_keys: Object.keys(match).filter((key) => !(MATCH_KEYS as string[]).includes(key)),
    select_from: Array.isArray(rule.select_from) ? stringsOf(rule.select_from) : null,
    strategy: wordOf(rule.strategy, STRATEGIES),
    min_safety_tier: wordOf(rule.min_safety_tier, TIERS),
    required: rule.required === true,
    fallback_to: stringsOf(rule.fallback_to),
    validate_with: stringsOf(rule.validate_with),
  }
}

/** The framework wrote a single complexity as a string; every other single value is a fault of form. */
const matchValues = (key: MatchKey, value: unknown): ReadonlySet<string> =>
  key === 'complexity' && typeof value === 'string' ? new Set([value]) : wordsOf(value)

function viewDefaults(defaults: JsonObject): DefaultsView {
  const auto = objectOf(defaults.auto)
  const weights = objectOf(auto.weights)
  return {
    max_attempts: numberOf(defaults.max_attempts),
    timeout_seconds: numberOf(defaults.timeout_seconds),
    strategy: wordOf(defaults.strategy, STRATEGIES) ?? 'fixed',
    weights: {
      success: numberOf(weights.success),
      latency: numberOf(weights.latency),
      load: numberOf(weights.load),
      cost: numberOf(weights.cost),
    },
    exploration: numberOf(auto.exploration),
    when_all_open: wordOf(defaults.when_all_open, WHEN_ALL_OPEN),
  }
}

/** A sentence has room for a few names. */
export const someOf = (names: readonly string[]): string =>
  names.length <= 5 ? names.join(', ') : `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`

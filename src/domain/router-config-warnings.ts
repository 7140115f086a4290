import type { ConfigWarning } from '../contract/router-config.ts'
import {
  AppCapabilities,
  AppCircuit,
  AppLimits,
  AutoDefaults,
  AutoWeights,
  RouterApp,
  RouterDefaults,
  RouterRouting,
  RoutingRule,
} from '../contract/documents/router-config.ts'
import { LIMITS } from '../contract/limits.ts'
import { pointerTo } from './pointer.ts'
import { covers } from './router-config-circles.ts'
import {
  type AppView,
  type CircuitView,
  type ConfigView,
  type RuleView,
  listOf,
  objectOf,
  someOf,
  tierRank,
} from './router-config-view.ts'

/** What its authors may not have meant, though it is a configuration. */
export function warningsOf(document: unknown, config: ConfigView): ConfigWarning[] {
  const warnings = [...unknownFields(document), ...appWarnings(config), ...ruleWarnings(document, config)]
  if (warnings.length <= LIMITS.config_warnings) return warnings
  const more = warnings.length - LIMITS.config_warnings
  const rest = { code: 'more_warnings', pointer: '#', detail: `There are ${more} more warnings.` }
  return [...warnings.slice(0, LIMITS.config_warnings), rest]
}

interface Part {
  properties: object
}

/** Unknown fields are kept; that they have no effect is said. */
function unknownFields(document: unknown): ConfigWarning[] {
  const { apps, routing, defaults } = objectOf(document)
  const auto = objectOf(defaults).auto
  return [
    ...Object.entries(objectOf(apps)).flatMap(([tool_id, app]) => unknownOfApp(['apps', tool_id], app)),
    ...unknownIn(RouterRouting, routing, ['routing']),
    ...listOf(objectOf(routing).rules).flatMap((rule, index) =>
      unknownIn(RoutingRule, rule, ['routing', 'rules', index]),
    ),
    ...unknownIn(RouterDefaults, defaults, ['defaults']),
    ...unknownIn(AutoDefaults, auto, ['defaults', 'auto']),
    ...unknownIn(AutoWeights, objectOf(auto).weights, ['defaults', 'auto', 'weights']),
  ]
}

function unknownOfApp(path: string[], app: unknown): ConfigWarning[] {
  const { capabilities, limits, circuit } = objectOf(app)
  return [
    // An `env` is refused, which is more than a warning.
    ...unknownIn(RouterApp, app, path).filter(({ pointer }) => pointer !== pointerTo(...path, 'env')),
    ...unknownIn(AppCapabilities, capabilities, [...path, 'capabilities']),
    ...unknownIn(AppLimits, limits, [...path, 'limits']),
    ...unknownIn(AppCircuit, circuit, [...path, 'circuit']),
  ]
}

const unknownIn = ({ properties }: Part, part: unknown, path: (string | number)[]): ConfigWarning[] =>
  Object.keys(objectOf(part))
    .filter((field) => !Object.hasOwn(properties, field))
    .map((field) => ({
      code: 'unknown_field',
      pointer: pointerTo(...path, field),
      detail: `${field} is kept and has no effect: nothing here is called that.`,
    }))

function appWarnings({ apps, rules }: ConfigView): ConfigWarning[] {
  const used = new Set(
    rules.flatMap((rule) => [rule.select_from ?? [], rule.fallback_to, rule.validate_with].flat()),
  )
  const anyMayBeSelected = rules.some((rule) => rule.select_from === null)
  return apps.flatMap(({ tool_id, task_kinds, circuit }) => {
    const pointer = pointerTo('apps', tool_id)
    const warnings = circuitWarnings(tool_id, circuit)
    if (task_kinds.size === 0) {
      const detail = `${tool_id} lists no task_kinds, so it can do nothing.`
      warnings.push({ code: 'app_without_task_kinds', pointer: `${pointer}/capabilities`, detail })
    }
    if (!anyMayBeSelected && !used.has(tool_id)) {
      const detail = `No rule selects ${tool_id}. It is chosen only for tasks that no rule decides.`
      warnings.push({ code: 'app_unselected', pointer, detail })
    }
    return warnings
  })
}

const OF_THE_WINDOW = ['failure_rate', 'min_attempts', 'window_seconds'] as const

/** What the window counts opens nothing where the first failure does, or where no share can be too large. */
function circuitWarnings(tool_id: string, circuit: CircuitView): ConfigWarning[] {
  const isFirst = circuit.failures_in_row === 1
  if (!isFirst && circuit.failure_rate !== 1) return []
  const because = isFirst ? 'the first failure opens the circuit' : 'no share of failures is larger than 1'
  return OF_THE_WINDOW.filter((field) => circuit[field] !== null)
    .filter((field) => isFirst || field !== 'failure_rate')
    .map((field) => ({
      code: 'circuit_without_effect',
      pointer: pointerTo('apps', tool_id, 'circuit', field),
      detail: `${field} has no effect: ${because}.`,
    }))
}

function ruleWarnings(document: unknown, { apps, rules }: ConfigView): ConfigWarning[] {
  const byId = new Map(apps.map((app) => [app.tool_id, app]))
  const written = listOf(objectOf(objectOf(document).routing).rules)
  return rules.flatMap((rule, index) => [
    ...matchWarnings(rule, index, objectOf(objectOf(written[index]).match)),
    ...shadowWarnings(rules, index),
    ...selectionWarnings(rule, index, byId),
    ...validatorWarnings(rule, index, byId),
  ])
}

const placeOf = (index: number, ...path: (string | number)[]) => pointerTo('routing', 'rules', index, ...path)

function matchWarnings(rule: RuleView, index: number, match: Record<string, unknown>): ConfigWarning[] {
  const warnings: ConfigWarning[] = rule.unknown_keys.map((key) => ({
    code: 'unknown_field',
    pointer: placeOf(index, 'match', key),
    detail: `No task has a ${key}, so the rule never matches. The key is kept.`,
  }))
  if (typeof match.complexity === 'string')
    warnings.push({
      code: 'string_for_list',
      pointer: placeOf(index, 'match', 'complexity'),
      detail: `${JSON.stringify(match.complexity)} is read as a list of one.`,
    })
  for (const [key, values] of rule.match)
    if (values.size === 0)
      warnings.push({
        code: 'rule_never_matches',
        pointer: placeOf(index, 'match', key),
        detail: 'The list is empty, so the rule never matches. Leave the key out to match every task.',
      })
  return warnings
}

/** One warning at most: the first rule that takes its tasks away for good, else the first that goes before it. */
function shadowWarnings(rules: readonly RuleView[], index: number): ConfigWarning[] {
  const rule = rules[index]!
  const before = rules.slice(0, index)
  const shadow = before.find((other) => other.required && covers(other, rule))
  if (shadow !== undefined) {
    const detail = `Never reached: rule ${shadow.id} is required, stands before it and matches all of its tasks.`
    return [{ code: 'rule_shadowed', pointer: placeOf(index), detail }]
  }
  const first = before.find((other) => covers(other, rule))
  if (first === undefined) return []
  const detail = `Reached only when rule ${first.id} has no eligible tool: that one matches all of its tasks.`
  return [{ code: 'rule_reached_late', pointer: placeOf(index), detail }]
}

function selectionWarnings(
  rule: RuleView,
  index: number,
  byId: ReadonlyMap<string, AppView>,
): ConfigWarning[] {
  const listed = new Set<string>()
  return (rule.select_from ?? []).flatMap((tool_id, position) => {
    const pointer = placeOf(index, 'select_from', position)
    const app = byId.get(tool_id)
    if (app === undefined) return []
    if (listed.has(tool_id))
      return [
        { code: 'listed_twice', pointer, detail: `${tool_id} has one turn, however often it is listed.` },
      ]
    listed.add(tool_id)
    return [...kindWarnings(rule, app, pointer), ...tierWarnings(rule, app, pointer)]
  })
}

function kindWarnings(rule: RuleView, app: AppView, pointer: string): ConfigWarning[] {
  const beyond = [...(rule.match.get('task_kind') ?? [])].filter((kind) => !app.task_kinds.has(kind))
  if (beyond.length === 0) return []
  const detail = `${app.tool_id} cannot do ${someOf(beyond)}, which the rule matches too.`
  return [{ code: 'app_partly_capable', pointer, detail }]
}

/** Where the rule keeps apps of low tiers out by itself there is nothing to warn of. */
function tierWarnings(rule: RuleView, app: AppView, pointer: string): ConfigWarning[] {
  const tier = tierRank(app.safety_tier)
  if (rule.min_safety_tier !== null && tier < tierRank(rule.min_safety_tier)) return []
  const above = [...(rule.match.get('risk_tier') ?? [])].filter(
    (risk) => risk !== 'low' && tier < tierRank(risk as AppView['safety_tier']),
  )
  if (above.length === 0) return []
  const detail = `The rule sends tasks of risk ${above.join(', ')} to ${app.tool_id}, whose safety tier is ${app.safety_tier}.`
  return [{ code: 'risk_above_tier', pointer, detail }]
}

/** Whoever is named has to agree, unless it is an analyzer; of a tool that may not be meant. */
function validatorWarnings(
  { validate_with }: RuleView,
  index: number,
  byId: ReadonlyMap<string, AppView>,
): ConfigWarning[] {
  const listed = new Set<string>()
  return validate_with.flatMap((tool_id, position) => {
    const pointer = placeOf(index, 'validate_with', position)
    if (listed.has(tool_id))
      return [{ code: 'listed_twice', pointer, detail: `${tool_id} looks once, however often it is listed.` }]
    listed.add(tool_id)
    if (byId.get(tool_id)?.kind !== 'tool') return []
    const detail = `${tool_id} is of the kind tool; as a validator it has to succeed all the same.`
    return [{ code: 'validates_as_tool', pointer, detail }]
  })
}

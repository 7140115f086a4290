import { CIRCUIT_DEFAULTS } from '../contract/defaults.ts'
import type { Fault } from '../contract/problem.ts'
import { LIMITS } from '../contract/limits.ts'
import { pointerTo } from './pointer.ts'
import { circles } from './router-config-circles.ts'
import {
  CIRCUIT_FIELDS,
  type AppView,
  type CircuitView,
  type ConfigView,
  type RuleView,
  objectOf,
  someOf,
} from './router-config-view.ts'

/** What makes a configuration of the right form and size meaningless; all of it. */
export function faultsOfMeaning(document: unknown, config: ConfigView): Fault[] {
  const { apps, defaults } = objectOf(document)
  return [
    ...Object.entries(objectOf(apps)).flatMap(([tool_id, app]) => appFaults(tool_id, app)),
    ...ruleFaults(config),
    ...defaultsFaults(objectOf(defaults)),
  ]
}

/** How many apps and rules there may be. */
export function sizeFaults({ apps, rules }: ConfigView): Fault[] {
  const faults: Fault[] = []
  if (apps.length > LIMITS.apps)
    faults.push({ pointer: '#/apps', detail: `may hold at most ${LIMITS.apps} apps` })
  if (rules.length > LIMITS.rules)
    faults.push({ pointer: '#/routing/rules', detail: `may hold at most ${LIMITS.rules} rules` })
  return faults
}

interface Range {
  minimum: number
  maximum: number
}

/** What is no number is a fault of form, and not ours. */
function rangeFaults(value: unknown, pointer: string, { minimum, maximum }: Range): Fault[] {
  if (typeof value !== 'number' || (value >= minimum && value <= maximum)) return []
  return [{ pointer, detail: `must be from ${minimum} to ${maximum}` }]
}

const TIMEOUT: Range = { minimum: 1, maximum: LIMITS.timeout_seconds }

function appFaults(tool_id: string, app: unknown): Fault[] {
  const place = (...path: string[]) => pointerTo('apps', tool_id, ...path)
  const { limits, circuit, cost_per_call_usd_micros: cost, ...fields } = objectOf(app)
  const { max_parallel, timeout_seconds } = objectOf(limits)
  const faults = [
    ...rangeFaults(max_parallel, place('limits', 'max_parallel'), {
      minimum: 1,
      maximum: LIMITS.max_parallel,
    }),
    ...rangeFaults(timeout_seconds, place('limits', 'timeout_seconds'), TIMEOUT),
    ...circuitFaults(objectOf(circuit), place),
    ...rangeFaults(cost, place('cost_per_call_usd_micros'), { minimum: 0, maximum: LIMITS.integer }),
  ]
  if (tool_id === '' || tool_id.length > LIMITS.name_length)
    faults.push({ pointer: place(), detail: `must have a name of 1 to ${LIMITS.name_length} characters` })
  if ('env' in fields)
    faults.push({
      pointer: place('env'),
      detail: 'is not taken: secrets do not belong here. Give each worker its own environment',
    })
  return faults
}

const SECONDS: Range = { minimum: 1, maximum: LIMITS.circuit_open_seconds }

const CIRCUIT_RANGES: Record<keyof CircuitView, Range> = {
  failures_in_row: { minimum: 1, maximum: LIMITS.circuit_failures },
  failure_rate: { minimum: 0, maximum: 1 },
  min_attempts: { minimum: 1, maximum: LIMITS.circuit_attempts },
  window_seconds: { minimum: 1, maximum: LIMITS.circuit_window_seconds },
  open_seconds: SECONDS,
  max_open_seconds: SECONDS,
}

function circuitFaults(circuit: Record<string, unknown>, place: (...path: string[]) => string): Fault[] {
  const faults = CIRCUIT_FIELDS.flatMap((field) =>
    rangeFaults(circuit[field], place('circuit', field), CIRCUIT_RANGES[field]),
  )
  const { open_seconds = CIRCUIT_DEFAULTS.open_seconds, max_open_seconds: most } = circuit
  if (faults.length > 0 || typeof most !== 'number' || typeof open_seconds !== 'number') return faults
  if (most >= open_seconds) return []
  const detail = `must not be less than open_seconds, which is ${open_seconds}`
  return [{ pointer: place('circuit', 'max_open_seconds'), detail }]
}

function defaultsFaults(defaults: Record<string, unknown>): Fault[] {
  const auto = objectOf(defaults.auto)
  const attempts = { minimum: 1, maximum: LIMITS.attempts }
  return [
    ...rangeFaults(defaults.max_attempts, '#/defaults/max_attempts', attempts),
    ...rangeFaults(defaults.timeout_seconds, '#/defaults/timeout_seconds', TIMEOUT),
    ...rangeFaults(auto.exploration, '#/defaults/auto/exploration', { minimum: 0, maximum: 1 }),
    ...weightFaults(objectOf(auto.weights)),
  ]
}

const WEIGHTS = ['success', 'latency', 'load', 'cost'] as const

function weightFaults(weights: Record<string, unknown>): Fault[] {
  const pointer = '#/defaults/auto/weights'
  if (WEIGHTS.every((part) => weights[part] === 0)) return [{ pointer, detail: 'must not all be 0' }]
  const range = { minimum: 0, maximum: LIMITS.weight }
  return WEIGHTS.flatMap((part) => rangeFaults(weights[part], `${pointer}/${part}`, range))
}

function ruleFaults(config: ConfigView): Fault[] {
  const byId = new Map(config.apps.map((app) => [app.tool_id, app]))
  const seen = new Map<string, number>()
  return config.rules.flatMap((rule, index) => {
    const first = rule.id === null ? undefined : seen.get(rule.id)
    if (rule.id !== null && first === undefined) seen.set(rule.id, index)
    return [
      ...(first === undefined ? [] : [duplicate(index, first)]),
      ...nameFaults(rule, index),
      ...unknownApps(rule, index, byId),
      ...incapable(rule, index, byId),
      ...circles(config.rules, index),
    ]
  })
}

const duplicate = (index: number, first: number): Fault => ({
  pointer: pointerTo('routing', 'rules', index, 'id'),
  detail: `is the id of the rule at ${pointerTo('routing', 'rules', first)} already`,
})

function nameFaults({ id }: RuleView, index: number): Fault[] {
  if (id === null || id.length <= LIMITS.name_length) return []
  const detail = `may have at most ${LIMITS.name_length} characters`
  return [{ pointer: pointerTo('routing', 'rules', index, 'id'), detail }]
}

function unknownApps(rule: RuleView, index: number, byId: ReadonlyMap<string, AppView>): Fault[] {
  return (['select_from', 'fallback_to', 'validate_with'] as const).flatMap((list) =>
    (rule[list] ?? []).flatMap((tool_id, position) =>
      byId.has(tool_id)
        ? []
        : [{ pointer: pointerTo('routing', 'rules', index, list, position), detail: 'names no app' }],
    ),
  )
}

/**
 * A rule without kinds matches every kind: an app that can do anything at all is enough for it. One with an empty
 * list matches none, which is warned of, or its list is a fault of form.
 */
function incapable(rule: RuleView, index: number, byId: ReadonlyMap<string, AppView>): Fault[] {
  const { select_from } = rule
  const selected = (select_from ?? [...byId.keys()]).flatMap((tool_id) => byId.get(tool_id) ?? [])
  const namesOnlyUnknown = selected.length === 0 && (select_from?.length ?? 0) > 0
  const kinds = rule.match.get('task_kind')
  const canDo = ({ task_kinds }: AppView): boolean =>
    kinds === undefined ? task_kinds.size > 0 : [...kinds].some((kind) => task_kinds.has(kind))
  if (namesOnlyUnknown || kinds?.size === 0 || selected.some(canDo)) return []
  const of = kinds === undefined ? 'anything' : `any kind that the rule matches (${someOf([...kinds])})`
  const at = select_from === null ? [] : ['select_from']
  return [{ pointer: pointerTo('routing', 'rules', index, ...at), detail: `holds no app that can do ${of}` }]
}

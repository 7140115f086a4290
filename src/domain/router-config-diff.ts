import type { ConfigChange, FieldChange } from '../contract/router-config.ts'
import { canonicalText } from './canonical.ts'
import { pointerTo } from './pointer.ts'
import { type JsonObject, isObject, listOf, objectOf } from './router-config-view.ts'

/** What makes `after` different from `before`. Apps are told apart by name, rules by id. Takes any JSON values. */
export function diffRouterConfigs(before: unknown, after: unknown): ConfigChange[] {
  const {
    apps: appsBefore,
    routing: routingBefore,
    defaults: defaultsBefore,
    ...restBefore
  } = objectOf(before)
  const { apps: appsAfter, routing: routingAfter, defaults: defaultsAfter, ...restAfter } = objectOf(after)
  const { rules: rulesBefore, ...routingRestBefore } = objectOf(routingBefore)
  const { rules: rulesAfter, ...routingRestAfter } = objectOf(routingAfter)
  return [
    ...whole('document', { ...routingRestBefore, ...restBefore }, { ...routingRestAfter, ...restAfter }),
    ...keyed(
      'app',
      new Map(Object.entries(objectOf(appsBefore))),
      new Map(Object.entries(objectOf(appsAfter))),
    ),
    ...keyed('rule', byId(rulesBefore), byId(rulesAfter)),
    ...moves([...byId(rulesBefore).keys()], [...byId(rulesAfter).keys()]),
    ...whole('defaults', objectOf(defaultsBefore), objectOf(defaultsAfter)),
  ]
}

/** A rule without an id of its own goes by its place. */
const byId = (rules: unknown): Map<string, unknown> =>
  new Map(listOf(rules).map((rule, index) => [ruleId(rule, index), rule]))

function ruleId(rule: unknown, index: number): string {
  const { id } = objectOf(rule)
  return typeof id === 'string' ? id : `#${index}`
}

function whole(subject: 'document' | 'defaults', before: JsonObject, after: JsonObject): ConfigChange[] {
  const fields = fieldChanges(before, after, [])
  return fields.length === 0 ? [] : [{ subject, id: null, change: 'changed', fields }]
}

function keyed(
  subject: 'app' | 'rule',
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): ConfigChange[] {
  const ids = [...new Set([...before.keys(), ...after.keys()])]
  return ids.flatMap((id): ConfigChange[] => {
    const fields = fieldChanges(before.get(id), after.get(id), [])
    if (fields.length === 0) return []
    const change = !before.has(id) ? 'added' : !after.has(id) ? 'removed' : 'changed'
    return [{ subject, id, change, fields }]
  })
}

/** Among the rules that both sides have, the fewest that must change places to turn one order into the other. */
function moves(before: readonly string[], after: readonly string[]): ConfigChange[] {
  const kept = before.filter((id) => after.includes(id))
  const places = after.filter((id) => before.includes(id))
  const staying = longestAscent(kept.map((id) => places.indexOf(id)))
  return kept.flatMap((id, place): ConfigChange[] => {
    const after = places.indexOf(id)
    if (staying.has(after)) return []
    return [{ subject: 'rule', id, change: 'moved', fields: [{ pointer: '#', before: place, after }] }]
  })
}

/** The members of a longest ascending subsequence: those that can stay while the others move around them. */
function longestAscent(numbers: readonly number[]): Set<number> {
  const best: { length: number; from: number }[] = []
  numbers.forEach((number, i) => {
    let longest = { length: 1, from: -1 }
    for (let j = 0; j < i; j++)
      if (numbers[j]! < number && best[j]!.length >= longest.length)
        longest = { length: best[j]!.length + 1, from: j }
    best.push(longest)
  })
  const members = new Set<number>()
  const length = Math.max(0, ...best.map((ascent) => ascent.length))
  let at = best.findIndex((ascent) => ascent.length === length)
  for (; at >= 0; at = best[at]!.from) members.add(numbers[at]!)
  return members
}

/** Objects are compared field by field, everything else as a whole. */
function fieldChanges(before: unknown, after: unknown, path: readonly string[]): FieldChange[] {
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return names.flatMap((name) => fieldChanges(own(before, name), own(after, name), [...path, name]))
  }
  if (before === after) return []
  if (before !== undefined && after !== undefined && canonicalText(before) === canonicalText(after)) return []
  return [{ pointer: pointerTo(...path), before: before ?? null, after: after ?? null }]
}

const own = (object: JsonObject, name: string): unknown =>
  Object.hasOwn(object, name) ? object[name] : undefined

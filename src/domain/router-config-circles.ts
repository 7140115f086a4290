import type { Fault } from '../contract/problem.ts'
import { pointerTo } from './pointer.ts'
import type { RuleView } from './router-config-view.ts'

/**
 * Whether every task of `rule` is one of `other` too. An earlier rule that covers a later one leaves it only the
 * tasks for which it had no eligible tool.
 */
export const covers = (other: RuleView, rule: RuleView): boolean =>
  other.unknown_keys.length === 0 &&
  [...other.match].every(([key, values]) => isWithin(rule.match.get(key), values))

function isWithin(part: ReadonlySet<string> | undefined, whole: ReadonlySet<string>): boolean {
  if (part === undefined || part.size > whole.size) return false
  for (const value of part) if (!whole.has(value)) return false
  return true
}

/**
 * Where a rule's `fallback_to` would lead back to a tool that has failed: to one that the rule chooses from, to
 * one that stands in the list already, or round through an earlier rule that takes the same tasks. That two rules
 * for different tasks name each other's tools is no circle: a task stays with the rule that decided.
 */
export function circles(rules: readonly RuleView[], index: number): Fault[] {
  const rule = rules[index]
  if (rule === undefined || rule.fallback_to.length === 0) return []
  const sameTasks = rules
    .slice(0, index + 1)
    .filter((other) => other.fallback_to.length > 0 && covers(other, rule))
  const way = wayBack(rule, fallenOn(sameTasks))
  const listed = new Set<string>()
  return rule.fallback_to.flatMap((tool_id, position) => {
    const pointer = pointerTo('routing', 'rules', index, 'fallback_to', position)
    if (listed.has(tool_id)) return [{ pointer, detail: 'stands in the list twice' }]
    listed.add(tool_id)
    const path = pathOf(way, tool_id)
    return path === null ? [] : [{ pointer, detail: `leads back to where it began: ${path.join(' → ')}` }]
  })
}

/** By tool, the rules that fall back on it. */
function fallenOn(rules: readonly RuleView[]): ReadonlyMap<string, readonly RuleView[]> {
  const fallen = new Map<string, RuleView[]>()
  for (const rule of rules)
    for (const tool_id of rule.fallback_to) {
      const users = fallen.get(tool_id)
      if (users === undefined) fallen.set(tool_id, [rule])
      else users.push(rule)
    }
  return fallen
}

/** From every tool that leads to one which the rule chooses from, the next step on the way; itself at the end. */
function wayBack(rule: RuleView, fallen: ReadonlyMap<string, readonly RuleView[]>): Map<string, string> {
  const way = new Map((rule.select_from ?? []).map((tool_id) => [tool_id, tool_id]))
  const done = new Set<RuleView>() // whoever chooses by it leads on: once for each rule is enough
  // A Map is walked in the order of insertion, and what is added on the way is walked too.
  for (const tool_id of way.keys())
    for (const user of fallen.get(tool_id) ?? []) {
      if (done.has(user)) continue
      done.add(user)
      for (const from of user.select_from ?? []) if (!way.has(from)) way.set(from, tool_id)
    }
  return way
}

function pathOf(way: ReadonlyMap<string, string>, tool_id: string): string[] | null {
  if (!way.has(tool_id)) return null
  const path = [tool_id]
  for (let at = tool_id, next = way.get(at); next !== undefined && next !== at; next = way.get(at))
    path.push((at = next))
  return [path.at(-1)!, ...path]
}

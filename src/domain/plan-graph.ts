import type { PlanWarning } from '../contract/plan.ts'
import type { Fault } from '../contract/problem.ts'
import { LIMITS } from '../contract/limits.ts'
import { pointerTo } from './pointer.ts'

// Which task needs which. Tasks go by their places in the submission, so that everything is a walk over lists of
// numbers, and nothing is recursive: a plan may be a chain of a thousand.

export interface GraphTask {
  task_id: string
  depends_on?: readonly string[] | null
}

/** What one task needs. */
export interface Needs {
  /** Places in the submission. */
  own: number[]
  /** Earlier tasks of the run, by name. */
  earlier: string[]
}

export interface PlanGraph {
  needs: Needs[]
  faults: Fault[]
  warnings: PlanWarning[]
}

/** Reads the names: every one that is wrong is a fault, and one that stands twice in a list has no effect. */
export function readGraph(tasks: readonly GraphTask[], isEarlier: (task_id: string) => boolean): PlanGraph {
  const faults: Fault[] = []
  const warnings: PlanWarning[] = []
  const places = new Map<string, number>()
  tasks.forEach(({ task_id }, place) => {
    const first = places.get(task_id)
    if (first === undefined) places.set(task_id, place)
    const against = (detail: string) => faults.push({ pointer: pointerTo('tasks', place, 'task_id'), detail })
    if (first !== undefined) against(`is the task_id of #/tasks/${first} too`)
    else if (isEarlier(task_id)) against('is the task_id of an earlier task of the run')
  })
  const needs = tasks.map(({ depends_on }, place): Needs => {
    const found: Needs = { own: [], earlier: [] }
    const named = new Set<string>()
    for (const [i, task_id] of (depends_on ?? []).entries()) {
      const told = (detail: string) => ({ pointer: pointerTo('tasks', place, 'depends_on', i), detail })
      const other = places.get(task_id)
      if (named.has(task_id)) warnings.push(told('has no effect: it stands in the list already'))
      else if (other === place) faults.push(told('is the task itself'))
      else if (other !== undefined) found.own.push(other)
      else if (isEarlier(task_id)) found.earlier.push(task_id)
      else faults.push(told(`${task_id} is no task of this submission, nor an earlier one of the run`))
      named.add(task_id)
    }
    return found
  })
  return { needs, faults, warnings }
}

/** The places, each after all that it needs. What is missing is in a circle, or needs one that is. */
export function orderOf(needs: readonly Pick<Needs, 'own'>[]): number[] {
  const waiting_for = needs.map(({ own }) => own.length)
  const dependents = needs.map((): number[] => [])
  needs.forEach(({ own }, place) => own.forEach((need) => dependents[need]!.push(place)))
  const order = needs.flatMap(({ own }, place) => (own.length === 0 ? [place] : []))
  for (let at = 0; at < order.length; at++) {
    for (const place of dependents[order[at]!]!) if (--waiting_for[place]! === 0) order.push(place)
  }
  return order
}

/**
 * The circles, each once. Of circles that share a task the first is found: they are looked for by walking from need
 * to need, over each task once.
 */
export function circles(tasks: readonly GraphTask[], needs: readonly Pick<Needs, 'own'>[]): Fault[] {
  const order = new Set(orderOf(needs))
  const walked = new Set<number>()
  return tasks.flatMap((_task, start) => {
    const path = new Map<number, number>() // the place, and where it stands on the way
    let place = start
    while (!order.has(place) && !walked.has(place)) {
      walked.add(place)
      path.set(place, path.size)
      place = needs[place]!.own.find((need) => !order.has(need))! // what is not in the order waits for such a one
    }
    const begin = path.get(place)
    return begin === undefined ? [] : [circleFault(tasks, [...path.keys()].slice(begin))]
  })
}

/** Told from the task that comes first in the submission. */
function circleFault(tasks: readonly GraphTask[], circle: readonly number[]): Fault {
  const first = circle.reduce((least, place, i) => (place < circle[least]! ? i : least), 0)
  const turned = [...circle.slice(first), ...circle.slice(0, first)]
  const names = turned.map((place) => tasks[place]!.task_id)
  const next = tasks[turned[0]!]!.depends_on!.indexOf(names[1]!)
  const left = names.length - LIMITS.listed_ids
  const shown =
    left <= 1 ? names : [...names.slice(0, LIMITS.listed_ids - 1), `(${left} more)`, names.at(-1)!]
  const path = [...shown, names[0]!].join(' → ')
  return {
    pointer: pointerTo('tasks', turned[0]!, 'depends_on', next),
    detail: `leads back to where it began: ${path}`,
  }
}

/** One more than the highest level of what it needs, of each task. The graph must have no circles. */
export function levelsOf(needs: readonly Needs[], levelOfEarlier: (task_id: string) => number): number[] {
  const levels = needs.map(({ earlier }) =>
    earlier.reduce((level, task_id) => Math.max(level, levelOfEarlier(task_id) + 1), 0),
  )
  for (const place of orderOf(needs)) {
    for (const need of needs[place]!.own) levels[place] = Math.max(levels[place]!, levels[need]! + 1)
  }
  return levels
}

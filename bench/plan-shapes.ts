import type { PlanTask } from '../src/contract/plan.ts'
import { requestBodies } from './scenario.ts'

export const SHAPES = ['chain', 'fan', 'random'] as const
export type Shape = (typeof SHAPES)[number]

/** How many of those before it a task of the random graph needs at most. */
const NEEDS = 5

/** Of so many tasks each after the one before; all after the first and before the last; or after some before it. */
export function tasksOf(shape: Shape, count: number): PlanTask[] {
  const random = drawn()
  return Array.from({ length: count }, (_, place) => ({
    task_id: `task-${place}`,
    name: `Step ${place}`,
    kind: requestBodies[place % requestBodies.length]!.task_kind,
    depends_on: needsOf(shape, place, { count, random }).map((need) => `task-${need}`),
  }))
}

function needsOf(
  shape: Shape,
  place: number,
  { count, random }: { count: number; random: () => number },
): number[] {
  if (place === 0) return []
  switch (shape) {
    case 'chain':
      return [place - 1]
    case 'fan':
      return place < count - 1 ? [0] : Array.from({ length: count - 2 }, (_, i) => i + 1)
    case 'random': {
      const draws = Array.from({ length: Math.min(place, NEEDS) }, () => Math.floor(random() * place))
      return [...new Set(draws)]
    }
  }
}

/** The same graph in each round: a linear congruence, whose high bits are good enough for edges. */
function drawn(): () => number {
  let state = 42
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

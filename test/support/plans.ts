import type { PlanTask } from '../../src/contract/plan.ts'

/** A task that edits, unless the test says otherwise. */
export const aTask = (
  task_id: string,
  depends_on: string[] = [],
  rest: Partial<PlanTask> = {},
): PlanTask => ({
  task_id,
  name: `Task ${task_id}`,
  kind: 'edit',
  depends_on,
  ...rest,
})

/** Tasks by what each of them needs: `{ a: [], b: ['a'] }`. */
export const tasksOf = (needs: Record<string, string[]>): PlanTask[] =>
  Object.entries(needs).map(([task_id, depends_on]) => aTask(task_id, depends_on))

/** So many tasks t0, t1 …, each of which needs those of these numbers. */
export const tasksBy = (count: number, needs: (place: number) => number[]): PlanTask[] =>
  Array.from({ length: count }, (_, place) =>
    aTask(
      `t${place}`,
      needs(place).map((need) => `t${need}`),
    ),
  )

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** Three shapes of a thousand tasks; `random` draws from 0 to 1. */
export const SHAPES: Record<string, (count: number, random: () => number) => PlanTask[]> = {
  'a chain': (count) => tasksBy(count, (place) => (place === 0 ? [] : [place - 1])),
  'a fan that closes again': (count) =>
    tasksBy(count, (place) => (place === 0 ? [] : place === count - 1 ? upTo(count - 1).slice(1) : [0])),
  'a random graph': (count, random) =>
    tasksBy(count, (place) => [...new Set(upTo(Math.min(place, 5)).map(() => Math.floor(random() * place)))]),
}

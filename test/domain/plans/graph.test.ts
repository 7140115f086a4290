import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/contract/limits.ts'
import { circles, levelsOf, orderOf, readGraph } from '../../../src/domain/plan-graph.ts'
import { tasksBy, tasksOf } from '../../support/plans.ts'

const nobody = () => false
const faultsOf = (needs: Record<string, string[]>, earlier: string[] = []) =>
  readGraph(tasksOf(needs), (task_id) => earlier.includes(task_id)).faults

/** What the circles of a graph are told as. */
function circlesOf(needs: Record<string, string[]>) {
  const tasks = tasksOf(needs)
  return circles(tasks, readGraph(tasks, nobody).needs)
}

describe('the names of a submission', () => {
  it('may be those of any task of it, in any order, and of earlier tasks', () => {
    expect(faultsOf({ b: ['a', 'old'], a: ['c'], c: [] }, ['old'])).toEqual([])
  })

  it('are each those of one task', () => {
    const tasks = [...tasksOf({ a: [], b: [] }), ...tasksOf({ a: [], old: [] })]
    expect(readGraph(tasks, (task_id) => task_id === 'old').faults).toEqual([
      { pointer: '#/tasks/2/task_id', detail: 'is the task_id of #/tasks/0 too' },
      { pointer: '#/tasks/3/task_id', detail: 'is the task_id of an earlier task of the run' },
    ])
  })

  it('are all known, and no task needs itself: every fault has its place', () => {
    expect(faultsOf({ a: ['a'], b: ['a', 'nobody'], c: ['d'] })).toEqual([
      { pointer: '#/tasks/0/depends_on/0', detail: 'is the task itself' },
      {
        pointer: '#/tasks/1/depends_on/1',
        detail: 'nobody is no task of this submission, nor an earlier one of the run',
      },
      {
        pointer: '#/tasks/2/depends_on/0',
        detail: 'd is no task of this submission, nor an earlier one of the run',
      },
    ])
  })

  it('may stand in a list twice, which has no effect', () => {
    const { needs, faults, warnings } = readGraph(tasksOf({ a: [], b: ['a', 'a'] }), nobody)
    expect([needs[1]!.own, faults]).toEqual([[0], []])
    expect(warnings).toEqual([
      { pointer: '#/tasks/1/depends_on/1', detail: 'has no effect: it stands in the list already' },
    ])
  })
})

describe('a circle', () => {
  it('is told with its whole path, from the task that comes first', () => {
    expect(circlesOf({ x: [], b: ['x', 'c'], c: ['a'], a: ['x', 'b'], d: ['a'] })).toEqual([
      { pointer: '#/tasks/1/depends_on/1', detail: 'leads back to where it began: b → c → a → b' },
    ])
  })

  it('is told once each, of two that have nothing to do with each other', () => {
    expect(circlesOf({ a: ['b'], b: ['a'], c: ['d'], d: ['c'], e: ['a', 'c'] })).toEqual([
      { pointer: '#/tasks/0/depends_on/0', detail: 'leads back to where it began: a → b → a' },
      { pointer: '#/tasks/2/depends_on/0', detail: 'leads back to where it began: c → d → c' },
    ])
  })

  it('of a thousand is found without recursion, and told with its ends', () => {
    const tasks = tasksBy(1_000, (place) => [(place + 1) % 1_000])
    const [fault, ...others] = circles(tasks, readGraph(tasks, nobody).needs)
    expect(others).toEqual([])
    expect(fault!.detail).toMatch(/began: t0 → t1 → .* → t18 → \(980 more\) → t999 → t0$/)
    expect(fault!.detail.split(' → ')).toHaveLength(LIMITS.listed_ids + 2)
  })

  it('is none where two ways lead to the same task', () => {
    expect(circlesOf({ d: ['b', 'c'], b: ['a'], c: ['a'], a: [] })).toEqual([])
  })
})

describe('the order and the levels', () => {
  it('put every task behind what it needs', () => {
    const { needs } = readGraph(tasksOf({ d: ['b', 'c'], b: ['a'], c: ['b'], a: [], e: [] }), nobody)
    const order = orderOf(needs)
    for (const [place, { own }] of needs.entries()) {
      for (const need of own) expect(order.indexOf(need)).toBeLessThan(order.indexOf(place))
    }
    expect(levelsOf(needs, () => 0)).toEqual([3, 1, 2, 0, 0])
  })

  it('count on from earlier tasks', () => {
    const { needs } = readGraph(tasksOf({ b: ['a', 'old'], a: ['older'] }), (id) => id.startsWith('old'))
    expect(levelsOf(needs, (task_id) => (task_id === 'old' ? 7 : 1))).toEqual([8, 2])
  })

  it('of a chain of a thousand, told backwards, reach to 999', () => {
    const tasks = tasksBy(1_000, (place) => (place === 999 ? [] : [place + 1]))
    const levels = levelsOf(readGraph(tasks, nobody).needs, () => 0)
    expect([levels[0], levels[999]]).toEqual([999, 0])
  })
})

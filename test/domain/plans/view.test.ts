import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExecutionRequestState } from '../../../src/contract/execution-request.ts'
import { planOf } from '../../../src/domain/plan.ts'
import type { TaskRow } from '../../../src/domain/plan-facts.ts'
import { NOW, after, ulid } from '../../support/given.ts'

const idOf = (task_id: string): string =>
  ulid(
    NOW,
    [...task_id].reduce((sum, c) => sum * 128 + c.charCodeAt(0), 0),
  )

/** A task that was claimed a minute ago and took `took` seconds; without, it has not begun. */
const aRow = (
  task_id: string,
  needs: string[] = [],
  { took, ...facts }: Partial<TaskRow> & { took?: number } = {},
): TaskRow => ({
  request_id: idOf(task_id),
  task_id,
  task_kind: 'edit',
  name: task_id,
  level: 0,
  needs: needs.map(idOf),
  state: took === undefined ? 'blocked' : 'succeeded',
  tool_id: took === undefined ? null : 'aider',
  attempts: took === undefined ? 0 : 1,
  started_at: took === undefined ? null : after(NOW, -60_000),
  ended_at: took === undefined ? null : after(NOW, took * 1_000 - 60_000),
  ...facts,
})

/** Levels as the submission makes them. */
function planFor(rows: TaskRow[], medians: Record<string, number> = {}) {
  const levels = new Map<string, number>()
  const levelled = rows.map((row) => {
    const level = row.needs.reduce((most, need) => Math.max(most, (levels.get(need) ?? 0) + 1), 0)
    levels.set(row.request_id, level)
    return { ...row, level }
  })
  return planOf({ rows: levelled, medians_ms: new Map(Object.entries(medians)) }, NOW)
}

const running = (seconds: number): Partial<TaskRow> => ({
  state: 'claimed',
  tool_id: 'aider',
  started_at: after(NOW, -seconds * 1_000),
})

describe('the nodes of a plan', () => {
  it('say what needs what, and what still stands in the way', () => {
    const { nodes, levels } = planFor([
      aRow('a', [], { took: 10 }),
      aRow('b', ['a'], running(5)),
      aRow('c', ['a', 'b']),
    ])
    expect(levels).toBe(3)
    expect(nodes.map(({ needs, blocks, blocked_by }) => [needs, blocks, blocked_by])).toEqual([
      [[], ['b', 'c'], []],
      [['a'], ['c'], []],
      [['a', 'b'], [], ['b']],
    ])
    expect(nodes.map(({ duration_ms }) => duration_ms)).toEqual([10_000, 5_000, null])
  })

  it('are none where nothing was submitted', () => {
    expect(planFor([])).toEqual({
      nodes: [],
      levels: 0,
      progress: { total: 0, done: 0, running: 0, queued: 0, blocked: 0, failed: 0, canceled: 0, percent: 0 },
      critical_path: { task_ids: [], duration_ms: 0 },
      estimate: { remaining_ms: 0, known: 0, of: 0 },
    })
  })
})

describe('progress', () => {
  it('counts every task once, and is never above 100 %, nor 100 before all are done', () => {
    const states = ExecutionRequestState.enum as readonly TaskRow['state'][]
    const rows = fc.array(fc.constantFrom(...states), { maxLength: 300 })
    fc.assert(
      fc.property(rows, (drawn) => {
        const { progress } = planFor(drawn.map((state, i) => aRow(`t${i}`, [], { state })))
        const { total, percent, ...counts } = progress
        expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(total)
        expect(percent).toBeLessThanOrEqual(100)
        const isDone = drawn.length > 0 && drawn.every((state) => state === 'succeeded')
        expect(percent === 100).toBe(isDone)
      }),
    )
  })

  it.each([
    [1, 3, 33],
    [2, 3, 66],
    [199, 200, 99],
    [200, 200, 100],
  ])('%i of %i is %i %%', (done, total, percent) => {
    const rows = Array.from({ length: total }, (_, i) => aRow(`t${i}`, [], i < done ? { took: 1 } : {}))
    expect(planFor(rows).progress).toMatchObject({ done, total, percent })
  })
})

describe('the critical path', () => {
  it('is the chain that took longest, not the one with most tasks', () => {
    const { critical_path } = planFor([
      aRow('a', [], { took: 10 }),
      aRow('b', ['a'], { took: 1 }),
      aRow('c', ['b'], { took: 1 }),
      aRow('slow', ['a'], { took: 40 }),
      aRow('end', ['c', 'slow'], { took: 5 }),
    ])
    expect(critical_path).toEqual({ task_ids: ['a', 'slow', 'end'], duration_ms: 55_000 })
  })

  it('counts what runs up to now, and leaves out what has not begun', () => {
    const { critical_path } = planFor([
      aRow('a', [], { took: 10 }),
      aRow('b', ['a'], running(30)),
      aRow('c', ['b']),
    ])
    expect(critical_path).toEqual({ task_ids: ['a', 'b'], duration_ms: 40_000 })
  })

  it('of a chain of a thousand is all of it', () => {
    const rows = Array.from({ length: 1_000 }, (_, i) =>
      aRow(`t${i}`, i === 0 ? [] : [`t${i - 1}`], { took: 1 }),
    )
    expect(planFor(rows).critical_path.task_ids).toHaveLength(1_000)
  })
})

describe('the estimate of what remains', () => {
  it('is the longest chain of what is left, by the median of the same tool in this run', () => {
    const left = { state: 'queued', tool_id: 'aider' } as const
    const { estimate } = planFor(
      [
        aRow('a', [], { took: 10 }),
        aRow('b', [], { took: 20 }),
        aRow('c', [], { took: 30 }),
        aRow('d', ['a'], running(5)), // 15 of 20 are left
        aRow('e', ['d'], left),
        aRow('f', ['b'], left),
      ],
      { aider: 99_000 },
    )
    expect(estimate).toEqual({ remaining_ms: 35_000, known: 3, of: 3 })
  })

  it('goes by what is known of the tool, else by the same kind, and says how much is known', () => {
    const rows = [
      aRow('a', [], { took: 10 }),
      aRow('b', ['a'], { state: 'queued', tool_id: 'pytest', task_kind: 'test' }),
      aRow('c', ['b']), // an edit, as a was
      aRow('d', ['c'], { task_kind: 'deploy' }),
    ]
    expect(planFor(rows, { pytest: 4_000 }).estimate).toEqual({ remaining_ms: 14_000, known: 2, of: 3 })
  })

  it('is never negative, and null where nothing is known', () => {
    const late = [aRow('a', [], { took: 1 }), aRow('b', [], running(30))]
    expect(planFor(late).estimate).toEqual({ remaining_ms: 0, known: 1, of: 1 })
    expect(planFor([aRow('a')]).estimate).toEqual({ remaining_ms: null, known: 0, of: 1 })
  })
})

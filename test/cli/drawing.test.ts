import { expect, it } from 'vitest'
import { drawPlan } from '../../src/cli/drawing.ts'

/** As the server reads a plan: `a: ['b']` means that a needs b. */
function drawingOf(needs: Record<string, string[]>): string[] {
  const ids = Object.keys(needs)
  const levelOf = (id: string): number =>
    needs[id]!.reduce((highest, need) => Math.max(highest, levelOf(need) + 1), 0)
  return drawPlan(
    ids.map((id) => ({
      task_id: id,
      label: id.padEnd(5),
      level: levelOf(id),
      needs: needs[id]!,
      blocks: ids.filter((other) => needs[other]!.includes(id)),
    })),
  )
}

it('draws branches that fan out, and their join', () => {
  const plan = { root: [], left: ['root'], right: ['root'], alone: [], join: ['left', 'right', 'alone'] }
  expect(drawingOf(plan)).toEqual([
    'root  ─┬─▶ left  ─┬─▶ join',
    '       └─▶ right ─┤',
    'alone ────────────┘',
  ])
})

it('draws one after the other as a line', () => {
  expect(drawingOf({ one: [], two: ['one'], three: ['two'] })).toEqual(['one   ───▶ two   ───▶ three'])
})

it('draws a task that nothing needs', () => {
  expect(drawingOf({ one: [], two: [] })).toEqual(['one', 'two'])
})

it('lets a line go past the tasks of the levels between', () => {
  expect(drawingOf({ one: [], two: ['one'], three: ['one', 'two'] })).toEqual([
    'one   ─┬──────────┬─▶ three',
    '       └─▶ two   ─┘',
  ])
})

it('interrupts a line where it only crosses another one', () => {
  const plan = {
    one: [],
    first: ['one'],
    two: [],
    three: [],
    second: ['two', 'three'],
    both: ['one', 'three'],
  }
  expect(drawingOf(plan)).toEqual([
    'one   ────┬───▶ first',
    '          ├───▶ both',
    'two   ────│─┬─▶ second',
    'three ────┴─┘',
  ])
})

it('draws nothing of a plan without tasks', () => {
  expect(drawPlan([])).toEqual([])
})

import type { PlanNode } from '../contract/run-plan.ts'
import { createCanvas } from './canvas.ts'

/** What is drawn of a task: its place in the plan, and the text that stands there. */
export type Drawn = Pick<PlanNode, 'task_id' | 'level' | 'needs' | 'blocks'> & { label: string }

/** A task with its line, from 0 at the top. */
type Placed = Drawn & { row: number }

/** Tasks of one level that need the same: one upright line before them joins all. */
interface Bundle {
  level: number
  sources: Placed[]
  targets: Placed[]
  /** Its rows, from the first to the last. */
  span: [number, number]
  /** Which of the upright lines before the level is its own; two that would touch have different ones. */
  lane: number
}

/**
 * A plan from left to right, a column for each level. A line that only crosses another one is interrupted there. What a
 * task is needed for begins with one line, so where two joins share a task, who else they need is not told apart.
 */
export function drawPlan(tasks: readonly Drawn[]): string[] {
  const placed = place(tasks)
  const bundles = bundlesOf(placed)
  const { startOf, laneOf } = columnsOf(placed, bundles)
  const canvas = createCanvas()
  for (const [net, { level, lane, sources, targets, span }] of bundles.entries()) {
    const x = laneOf(level) + 2 * lane
    const arrow = startOf(level) - 2
    for (const source of sources) {
      canvas.across(net, source.row, [startOf(source.level) + source.label.length + 1, x])
    }
    for (const { row } of targets) {
      canvas.across(net, row, [x, arrow])
      canvas.write(row, arrow, '▶')
    }
    canvas.down(net, x, span)
  }
  for (const { row, level, label } of placed) canvas.write(row, startOf(level), label)
  return canvas.lines()
}

/** Where the text of a level begins, and where the first of the upright lines before it is. */
function columnsOf(placed: readonly Placed[], bundles: readonly Bundle[]) {
  const width = Math.max(0, ...placed.map(({ label }) => label.length))
  const lanesOf = (level: number): number =>
    1 + Math.max(0, ...bundles.filter((each) => each.level === level).map(({ lane }) => lane))
  const startOf = (level: number): number => (level === 0 ? 0 : laneOf(level) + 2 * lanesOf(level) + 2)
  const laneOf = (level: number): number => startOf(level - 1) + width + 2
  return { startOf, laneOf }
}

/** A task stands right of one that it needs, unless a line has to go on there; else below all others. */
function place(tasks: readonly Drawn[]): Placed[] {
  const byId = new Map(tasks.map((task) => [task.task_id, task]))
  const placed = new Map<string, Placed>()
  const rows: Drawn['task_id'][] = [] // the last one in each
  const canFollow = (need: Placed, task: Drawn): boolean =>
    rows[need.row] === need.task_id && need.blocks.every((other) => byId.get(other)!.level <= task.level)
  const visit = (task: Drawn): void => {
    if (placed.has(task.task_id)) return
    const before = task.needs.map((need) => placed.get(need))
    const row = before.find((need) => need !== undefined && canFollow(need, task))?.row ?? rows.length
    rows[row] = task.task_id
    placed.set(task.task_id, { ...task, row })
    for (const next of task.blocks) visit(byId.get(next)!)
  }
  for (const task of tasks) if (task.needs.length === 0) visit(task)
  return [...placed.values()]
}

function bundlesOf(placed: readonly Placed[]): Bundle[] {
  const targets = Map.groupBy(
    placed.filter(({ needs }) => needs.length > 0),
    ({ level, needs }) => JSON.stringify([level, needs.toSorted()]),
  )
  const bundles: Bundle[] = []
  // Who needs less branches off first: what joins a line further to the right does not flow back into it.
  for (const group of [...targets.values()].toSorted((a, b) => a[0]!.needs.length - b[0]!.needs.length)) {
    const { level, needs } = group[0]!
    const sources = placed.filter(({ task_id }) => needs.includes(task_id))
    const rows = [...sources, ...group].map(({ row }) => row)
    const span: Bundle['span'] = [Math.min(...rows), Math.max(...rows)]
    const beside = bundles.filter((other) => other.level === level && touches(other.span, span))
    const lane = 1 + Math.max(-1, ...beside.map((other) => other.lane))
    bundles.push({ level, sources, targets: group, span, lane })
  }
  return bundles
}

const touches = ([a, b]: Bundle['span'], [c, d]: Bundle['span']): boolean => a <= d && c <= b

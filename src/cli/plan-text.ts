import type { RunPlan } from '../contract/run-plan.ts'
import { drawPlan } from './drawing.ts'
import { spanText } from './layout.ts'

/** A plan as a drawing, each task with how long it took. */
export function planDrawing({ nodes }: RunPlan): string[] {
  const width = Math.max(0, ...nodes.map(({ task_id }) => task_id.length))
  const drawn = nodes.map((node) => {
    const took = node.duration_ms === null ? node.state : spanText(node.duration_ms)
    return { ...node, label: `${node.task_id.padEnd(width)} ${took.padStart(8)}` }
  })
  return drawPlan(drawn).map((line) => `  ${line}`)
}

export const criticalPathText = ({ critical_path: { task_ids, duration_ms } }: RunPlan): string =>
  `Critical path: ${task_ids.join(' → ')}, ${spanText(duration_ms)}`

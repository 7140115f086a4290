import type { RunPlan } from '../contract/run-plan.ts'
import { drawPlan } from './drawing.ts'
import { spanText } from './layout.ts'

/** A plan as a drawing, each task with how long it took, and what took longest. */
export function planLines({ nodes, critical_path }: RunPlan): string[] {
  const width = Math.max(0, ...nodes.map(({ task_id }) => task_id.length))
  const drawn = nodes.map((node) => {
    const took = node.duration_ms === null ? node.state : spanText(node.duration_ms)
    return { ...node, label: `${node.task_id.padEnd(width)} ${took.padStart(8)}` }
  })
  const { task_ids, duration_ms } = critical_path
  return [
    ...drawPlan(drawn).map((line) => `  ${line}`),
    '',
    `Critical path: ${task_ids.join(' → ')}, ${spanText(duration_ms)}`,
  ]
}

import type { Figure } from './plan.ts'
import type { Shape } from './plan-shapes.ts'

type OfShape = `${Shape}_${'blocking_p50_ms' | 'blocking_max_ms' | 'cpu_ms' | 'tasks_per_s' | 'run'}`
/**
 * A thousand tasks of each shape: how long their submission held up everybody else, what it cost, and how many were
 * carried out per second; `run` is that by the requests per second of the same workers to the no-op.
 */
export type PlanSample = Record<OfShape | 'no_op_per_s', number>

const plans = { load: 'plans', over: 'durable', under: null } as const
const NAMES: Record<Shape, string> = { chain: 'chain', fan: 'fan', random: 'random graph' }
/** A chain has one task ready at a time: it is as fast as one worker after the other. */
const RUNS: Record<Shape, { must: number; goal: number }> = {
  chain: { must: 0.02, goal: 0.04 },
  fan: { must: 0.1, goal: 0.15 },
  random: { must: 0.1, goal: 0.15 },
}
/** Of each shape. What others notice is the blocking; the rest keeps it from growing. */
export const planFigures = (shape: Shape): Figure[] => [
  {
    ...plans,
    name: `plan-${shape}-blocking`,
    title: `submission of 1 000 tasks as a ${NAMES[shape]}: longest blocking, ms`,
    value: `${shape}_blocking_max_ms`,
    better: 'less',
    must: 100,
    goal: 60,
  },
  {
    ...plans,
    name: `plan-${shape}-cpu`,
    title: `submission of 1 000 tasks as a ${NAMES[shape]}: CPU, ms`,
    value: `${shape}_cpu_ms`,
    better: 'less',
    must: 120,
    goal: 80,
  },
  {
    ...plans,
    name: `plan-${shape}-run`,
    title: `1 000 tasks as a ${NAMES[shape]} by 16 workers, tasks ÷ no-op requests`,
    value: `${shape}_run`,
    better: 'more',
    ...RUNS[shape],
  },
]

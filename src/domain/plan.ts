import type { ExecutionRequestState } from '../contract/execution-request.ts'
import type { CriticalPath, PlanEstimate, PlanNode, PlanProgress, RunPlan } from '../contract/run-plan.ts'
import type { Given, Snapshot } from './decision.ts'
import { visibleRun } from './guard.ts'
import type { PlanFacts, TaskRow } from './plan-facts.ts'
import { median } from './scores.ts'

/** The scope must load all tasks of the run. */
export function getPlan(before: Snapshot, given: Pick<Given, 'now' | 'caller'>): RunPlan {
  const { run } = visibleRun(before, given)
  return { run_id: run.run_id, ...planOf(before.plan, given.now) }
}

/** How a plan stands at an instant. Rows are in the order of the submission. */
export function planOf(
  { rows, medians_ms }: Pick<PlanFacts, 'rows' | 'medians_ms'>,
  now: string,
): Omit<RunPlan, 'run_id'> {
  const tasks = linked(rows, now)
  const inOrder = tasks.toSorted((a, b) => a.level - b.level) // each after what it needs
  return {
    nodes: tasks.map(nodeOf),
    levels: tasks.reduce((levels, { level }) => Math.max(levels, level + 1), 0),
    progress: progressOf(tasks),
    critical_path: criticalPath(inOrder),
    estimate: estimateOf(inOrder, medians_ms),
  }
}

/** The ids of what a task needs are looked up once: there may be 50 000, and each chain goes along all of them. */
interface Task extends Omit<TaskRow, 'needs'>, Pick<PlanNode, 'duration_ms' | 'blocks'> {
  /** Its number among the rows. */
  place: number
  needs: Task[]
}

function linked(rows: readonly TaskRow[], now: string): Task[] {
  const tasks = rows.map((row, place): Task => ({
    ...row,
    place,
    needs: [],
    blocks: [],
    duration_ms: durationOf(row, now),
  }))
  const byId = new Map(tasks.map((task) => [task.request_id, task]))
  for (const task of tasks) {
    task.needs = rows[task.place]!.needs.map((need) => byId.get(need)!) // a foreign key holds them
    for (const need of task.needs) need.blocks.push(task.task_id)
  }
  return tasks
}

/** From the first claim to the end, or until now. */
function durationOf({ started_at, ended_at }: TaskRow, now: string): number | null {
  return started_at === null ? null : Math.max(0, Date.parse(ended_at ?? now) - Date.parse(started_at))
}

const nodeOf = (task: Task): PlanNode => ({
  task_id: task.task_id,
  execution_request_id: task.request_id,
  name: task.name,
  state: task.state,
  level: task.level,
  needs: task.needs.map(({ task_id }) => task_id),
  blocks: task.blocks,
  blocked_by: task.needs.filter(({ state }) => state !== 'succeeded').map(({ task_id }) => task_id),
  tool_id: task.tool_id,
  attempts: task.attempts,
  started_at: task.started_at,
  ended_at: task.ended_at,
  duration_ms: task.duration_ms,
})

/** What waits for other tasks has no tool yet. */
const isBeingValidated = ({ state, tool_id }: Pick<TaskRow, 'state' | 'tool_id'>): boolean =>
  state === 'blocked' && tool_id !== null

function progressOf(tasks: readonly Task[]): PlanProgress {
  const counts = new Map<ExecutionRequestState, number>()
  for (const task of tasks) {
    const state = isBeingValidated(task) ? 'claimed' : task.state
    counts.set(state, (counts.get(state) ?? 0) + 1)
  }
  const of = (state: ExecutionRequestState): number => counts.get(state) ?? 0
  const [total, done] = [tasks.length, of('succeeded')]
  return {
    total,
    done,
    running: of('claimed'),
    queued: of('queued'),
    blocked: of('blocked'),
    failed: of('failed'),
    canceled: of('canceled'),
    percent: total === 0 ? 0 : Math.floor((100 * done) / total),
  }
}

/** Of equally long chains the one that ends first in the order. */
function criticalPath(inOrder: readonly Task[]): CriticalPath {
  const { longest, before } = longestChain(inOrder.length, inOrder, ({ duration_ms }) => duration_ms)
  if (longest === null) return { task_ids: [], duration_ms: 0 }
  const task_ids: string[] = []
  for (let at: Task | undefined = longest.task; at !== undefined; at = before[at.place]) {
    if (at.duration_ms !== null) task_ids.push(at.task_id)
  }
  return { task_ids: task_ids.reverse(), duration_ms: longest.length }
}

/** Of `count` tasks these, each after what it needs; one without a length counts nothing, and leads on. By their places. */
function longestChain(count: number, inOrder: readonly Task[], lengthOf: (task: Task) => number | null) {
  const lengths = new Float64Array(count).fill(-1)
  const before = Array.from<Task | undefined>({ length: count })
  let longest: { task: Task; length: number } | null = null
  for (const task of inOrder) {
    let start = -1
    for (const need of task.needs) {
      const length = lengths[need.place]!
      if (length <= start) continue
      start = length
      before[task.place] = need
    }
    const own = lengthOf(task)
    const length = Math.max(start, 0) + (own ?? 0)
    lengths[task.place] = length
    if (own !== null && (longest === null || length > longest.length)) longest = { task, length }
  }
  return { longest, before }
}

function estimateOf(inOrder: readonly Task[], medians_ms: ReadonlyMap<string, number>): PlanEstimate {
  const left = inOrder.filter(({ ended_at }) => ended_at === null)
  const expected = expectations(inOrder, medians_ms)
  const remaining = (task: Task): number | null => {
    const whole = expected(task)
    return whole === null ? null : Math.max(0, whole - (task.duration_ms ?? 0))
  }
  const { longest } = longestChain(inOrder.length, left, remaining)
  const nothing = left.length === 0 ? 0 : null
  return {
    remaining_ms: longest === null ? nothing : Math.round(longest.length),
    known: left.filter((task) => remaining(task) !== null).length,
    of: left.length,
  }
}

/** How long a task usually takes: as those of its tool in this run, as its tool at all, as those of its kind here. */
function expectations(tasks: readonly Task[], medians_ms: ReadonlyMap<string, number>) {
  const done = tasks.filter(({ state, duration_ms }) => state === 'succeeded' && duration_ms !== null)
  const byTool = mediansBy(done, ({ tool_id }) => tool_id)
  const byKind = mediansBy(done, ({ task_kind }) => task_kind)
  return ({ tool_id, task_kind }: Pick<Task, 'tool_id' | 'task_kind'>): number | null => {
    const ofTool = tool_id === null ? null : (byTool.get(tool_id) ?? medians_ms.get(tool_id) ?? null)
    return ofTool ?? byKind.get(task_kind) ?? null
  }
}

function mediansBy(done: readonly Task[], keyOf: (task: Task) => string | null): Map<string, number | null> {
  const groups = Map.groupBy(done, keyOf)
  return new Map(
    [...groups].flatMap(([key, tasks]) =>
      key === null ? [] : [[key, median(tasks.map(({ duration_ms }) => duration_ms!))] as const],
    ),
  )
}

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
  const tasks = rows.map((row): Task => ({ ...row, duration_ms: durationOf(row, now) }))
  const byId = new Map(tasks.map((task) => [task.request_id, task]))
  const isNeeded = dependentsOf(tasks)
  const inOrder = tasks.toSorted((a, b) => a.level - b.level) // each after what it needs
  return {
    nodes: tasks.map((task) => nodeOf(task, byId, isNeeded.get(task.request_id) ?? [])),
    levels: tasks.reduce((levels, { level }) => Math.max(levels, level + 1), 0),
    progress: progressOf(tasks),
    critical_path: criticalPath(inOrder),
    estimate: estimateOf(inOrder, medians_ms),
  }
}

type Task = TaskRow & Pick<PlanNode, 'duration_ms'>

/** From the first claim to the end, or until now. */
function durationOf({ started_at, ended_at }: TaskRow, now: string): number | null {
  return started_at === null ? null : Math.max(0, Date.parse(ended_at ?? now) - Date.parse(started_at))
}

function dependentsOf(tasks: readonly Task[]): Map<string, string[]> {
  const dependents = new Map<string, string[]>()
  for (const { task_id, needs } of tasks) {
    for (const need of needs) {
      const known = dependents.get(need)
      if (known === undefined) dependents.set(need, [task_id])
      else known.push(task_id)
    }
  }
  return dependents
}

function nodeOf(task: Task, byId: ReadonlyMap<string, Task>, blocks: string[]): PlanNode {
  const needs = task.needs.map((need) => byId.get(need)!) // a foreign key holds them
  return {
    task_id: task.task_id,
    execution_request_id: task.request_id,
    name: task.name,
    state: task.state,
    level: task.level,
    needs: needs.map(({ task_id }) => task_id),
    blocks,
    blocked_by: needs.filter(({ state }) => state !== 'succeeded').map(({ task_id }) => task_id),
    tool_id: task.tool_id,
    attempts: task.attempts,
    started_at: task.started_at,
    ended_at: task.ended_at,
    duration_ms: task.duration_ms,
  }
}

function progressOf(tasks: readonly Task[]): PlanProgress {
  const counts = new Map<ExecutionRequestState, number>()
  for (const { state } of tasks) counts.set(state, (counts.get(state) ?? 0) + 1)
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
  const { longest, before } = longestChain(inOrder, ({ duration_ms }) => duration_ms)
  if (longest === null) return { task_ids: [], duration_ms: 0 }
  const task_ids: string[] = []
  for (let at: Task | null = longest.task; at !== null; at = before.get(at.request_id) ?? null) {
    if (at.duration_ms !== null) task_ids.push(at.task_id)
  }
  return { task_ids: task_ids.reverse(), duration_ms: longest.length }
}

/** Each task comes after what it needs; one without a length counts nothing, and leads on. */
function longestChain(inOrder: readonly Task[], lengthOf: (task: Task) => number | null) {
  const lengths = new Map<string, number>()
  const byId = new Map<string, Task>()
  const before = new Map<string, Task>()
  let longest: { task: Task; length: number } | null = null
  for (const task of inOrder) {
    let start = -1
    for (const need of task.needs) {
      const length = lengths.get(need) ?? -1
      if (length <= start) continue
      start = length
      before.set(task.request_id, byId.get(need)!)
    }
    const own = lengthOf(task)
    const length = Math.max(start, 0) + (own ?? 0)
    lengths.set(task.request_id, length)
    byId.set(task.request_id, task)
    if (own !== null && (longest === null || length > longest.length)) longest = { task, length }
  }
  return { longest, before }
}

function estimateOf(inOrder: readonly Task[], medians_ms: ReadonlyMap<string, number>): PlanEstimate {
  const left = inOrder.filter(({ ended_at }) => ended_at === null)
  const expected = expectations(inOrder, medians_ms)
  const remaining = ({ duration_ms, ...task }: Task): number | null => {
    const whole = expected(task)
    return whole === null ? null : Math.max(0, whole - (duration_ms ?? 0))
  }
  const { longest } = longestChain(left, remaining)
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

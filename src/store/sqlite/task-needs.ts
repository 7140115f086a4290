import type {
  ExecutionRequest,
  ExecutionRequestState,
  RequestProgress,
} from '../../contract/execution-request.ts'
import { LIMITS } from '../../contract/limits.ts'
import type { Scope, ToolBook } from '../../domain/decision.ts'
import { isReady } from '../../domain/dependents.ts'
import {
  type EarlierTask,
  NO_PLAN,
  type Obstacle,
  type PlanFacts,
  type TaskRow,
} from '../../domain/plan-facts.ts'
import type { Connection } from './connection.ts'
import {
  PROGRESS_COLUMNS,
  REQUEST_COLUMNS,
  decodePlan,
  decodeProgressOf,
  decodeRequest,
} from './execution-requests.ts'
import { type Cell, type Row, prepareRaw } from './table.ts'

export type TaskNeeds = ReturnType<typeof taskNeeds>

/** Which request needs which: the table is written by its trigger, with the requests themselves. */
export function taskNeeds(db: Connection) {
  const lower = db.prepare<[Row]>(
    `UPDATE execution_requests SET waiting_for = ?
     WHERE execution_request_id = ? AND state = 'blocked' AND waiting_for = ?`,
  )
  return {
    ...dependentsReader(db),
    ...tasksReader(db),
    /** @throws Error if it does not wait for as many any more */
    wait(execution_request_id: string, { before, after }: { before: number; after: number }): void {
      const { changes } = lower.run([after, execution_request_id, before])
      if (changes !== 1) throw new Error('stale write: execution_requests waiting_for')
    },
  }
}

function dependentsReader(db: Connection) {
  const waiting_for = prepareRaw(
    db,
    'SELECT waiting_for FROM execution_requests WHERE execution_request_id = ?',
  )
  const next = prepareRaw(
    db,
    `SELECT ${REQUEST_COLUMNS.map((column) => `r.${column}`).join(', ')}, r.waiting_for
     FROM task_needs n JOIN execution_requests r ON r.execution_request_id = n.execution_request_id
     WHERE n.needs_id = +? AND r.state = 'blocked' ORDER BY n.execution_request_id`,
  )
  // Not a recursion but a queue: each is looked at once, however deep the plan is.
  const all = prepareRaw(
    db,
    `WITH RECURSIVE below (execution_request_id) AS (
       SELECT execution_request_id FROM task_needs WHERE needs_id = ?
       UNION
       SELECT n.execution_request_id FROM below b JOIN task_needs n ON n.needs_id = b.execution_request_id
     )
     SELECT ${PROGRESS_COLUMNS.map((column) => `r.${column}`).join(', ')}
     FROM below b CROSS JOIN execution_requests r ON r.execution_request_id = b.execution_request_id
     WHERE r.state = 'blocked'`,
  )
  const obstacles = prepareRaw(
    db,
    `SELECT r.task_id, r.execution_request_id, r.state
     FROM task_needs n JOIN execution_requests r ON r.execution_request_id = n.needs_id
     WHERE n.run_id = +? AND n.execution_request_id = +? AND r.state <> 'succeeded'
     ORDER BY n.needs_id LIMIT ${LIMITS.listed_ids}`,
  )
  return {
    waitingFor: (execution_request_id: string): number =>
      (waiting_for.get([execution_request_id])?.[0] as number | undefined) ?? 0,
    next: (execution_request_id: string) =>
      next.all([execution_request_id]).map((row) => ({
        request: decodeRequest(row),
        waiting_for: row[REQUEST_COLUMNS.length] as number,
      })),
    /** Oldest first. */
    all: (execution_request_id: string): RequestProgress[] =>
      all
        .all([execution_request_id])
        .map(decodeProgressOf)
        .sort((a, b) => (a.request_id < b.request_id ? -1 : 1)),
    obstacles: ({ run_id, request_id }: ExecutionRequest): Obstacle[] =>
      obstacles.all([run_id, request_id]).map(([task_id, id, state]) => ({
        task_id: task_id as string,
        request_id: id as string,
        state: state as ExecutionRequestState,
      })),
  }
}

function tasksReader(db: Connection) {
  const named = prepareRaw(
    db,
    `SELECT execution_request_id, state, plan ->> '$.level' FROM execution_requests
     WHERE run_id = ? AND task_id = ? AND plan IS NOT NULL`,
  )
  const tasks = prepareRaw(
    db,
    'SELECT count(*) FROM execution_requests WHERE run_id = ? AND plan IS NOT NULL',
  )
  const needs = prepareRaw(db, 'SELECT count(*) FROM task_needs WHERE run_id = ?')
  const rows = prepareRaw(
    db,
    `SELECT r.execution_request_id, r.task_id, r.document ->> '$.task_kind', r.plan, r.state, r.tool_id, r.attempts,
       s.started_at, r.ended_at
     FROM execution_requests r
     LEFT JOIN step_attempts s ON s.run_id = r.run_id AND s.sequence = r.sequence AND s.attempt = 1
     WHERE r.run_id = ? AND r.plan IS NOT NULL`,
  )
  const one = (statement: typeof tasks, run_id: string) => statement.get([run_id])![0] as number
  return {
    /** What a submission that names these tasks comes to. */
    met(run_id: string, task_ids: readonly string[]): Pick<PlanFacts, 'earlier' | 'size'> {
      const size = { tasks: one(tasks, run_id), needs: one(needs, run_id) }
      const earlier = new Map<string, EarlierTask>()
      for (const task_id of size.tasks === 0 ? [] : task_ids) {
        const row = named.get([run_id, task_id])
        if (row !== undefined) earlier.set(task_id, earlierOf(row))
      }
      return { earlier, size }
    },
    /** Oldest first. */
    rows: (run_id: string): TaskRow[] =>
      rows
        .all([run_id])
        .map(decodeRow)
        .sort((a, b) => (a.request_id < b.request_id ? -1 : 1)),
  }
}

// The casts are what STRICT columns and their CHECKs make true.
const earlierOf = ([request_id, state, level]: Cell[]) => ({ request_id, state, level }) as EarlierTask

function decodeRow(row: Cell[]): TaskRow {
  const [request_id, task_id, task_kind, plan, state, tool_id, attempts, started_at, ended_at] = row
  const facts = { request_id, task_id, task_kind, state, tool_id, attempts, started_at, ended_at }
  return { ...decodePlan(plan)!, ...facts } as TaskRow
}

/** Most scopes ask nothing of it, and what is in no plan pays nothing. */
export function loadPlan(
  needs: TaskNeeds,
  scope: Scope,
  { request, run_id }: { request: ExecutionRequest | null; run_id: string | undefined },
  getTool: (tool_id: string) => ToolBook | null,
): PlanFacts {
  const { dependents, obstacles, tasks_named, tasks } = scope
  const planned = request === null || request.plan === null ? null : request
  const asksNext = dependents === 'next' && planned !== null
  const asksAll = dependents === 'all' && planned !== null
  if (!asksNext && !asksAll && obstacles !== true && tasks_named === undefined && tasks !== true)
    return NO_PLAN
  const rows = tasks === true && run_id !== undefined ? needs.rows(run_id) : []
  const isNew = tasks_named === undefined || run_id === undefined
  const { earlier, size } = isNew ? NO_PLAN : needs.met(run_id, tasks_named)
  return {
    waiting_for: asksAll ? needs.waitingFor(planned.request_id) : 0,
    dependents: asksNext ? needs.next(planned.request_id) : [],
    descendants: asksAll ? needs.all(planned.request_id) : [],
    obstacles: obstacles === true && planned?.state === 'blocked' ? needs.obstacles(planned) : [],
    earlier,
    size,
    rows,
    medians_ms: mediansOf(rows, getTool),
  }
}

function mediansOf(
  rows: readonly TaskRow[],
  getTool: (tool_id: string) => ToolBook | null,
): Map<string, number> {
  const tool_ids = new Set(rows.flatMap(({ tool_id }) => tool_id ?? []))
  return new Map(
    [...tool_ids].flatMap((tool_id) => {
      const median_ms = getTool(tool_id)?.record.median_duration_ms ?? null
      return median_ms === null ? [] : [[tool_id, median_ms] as const]
    }),
  )
}

/** Whether what was loaded makes a decision about tools: something may go on now. */
export const mayRoute = (
  { dependents }: Scope,
  request: ExecutionRequest | null,
  plan: PlanFacts,
): boolean =>
  dependents === 'next'
    ? plan.dependents.some(isReady)
    : dependents === 'all' &&
      request?.state === 'blocked' &&
      plan.waiting_for === 0 &&
      request.assignment === null

import type { Change, Lease, RunBook, Scope, Snapshot, ToolBook, WorkerBook } from '../../domain/decision.ts'
import type { ExecutionRequest } from '../../contract/execution-request.ts'
import { LIMITS } from '../../contract/limits.ts'
import { rankOf } from '../../domain/claim.ts'
import type { CompiledRouter } from '../../domain/compiled-router.ts'
import type { Queue, QueueScope, QueueTool, ReadyRequest, Surroundings } from '../../domain/queue-facts.ts'
import { unknownTool } from '../../domain/tool.ts'
import { barredReader } from './barred.ts'
import type { Connection } from './connection.ts'
import { leasesTable } from './leases.ts'
import { queueFigures } from './queue-figures.ts'
import { type Row, prepareRaw } from './table.ts'
import { workersTable } from './workers.ts'

export type DispatchTables = ReturnType<typeof dispatchTables>

export const dispatchTables = (db: Connection) => ({
  leases: leasesTable(db),
  workers: workersTable(db),
  queue: queueReader(db),
  due: dueReader(db),
  ahead: aheadReader(db),
  hasQueued: queuedReader(db),
  barred: barredReader(db),
  queued: queueFigures(db),
})

type DispatchSnapshot = Pick<Snapshot, 'lease' | 'worker' | 'queue' | 'surroundings'>

const NOTHING: DispatchSnapshot = { lease: null, worker: null, queue: null, surroundings: null }

/** What of the other tables a queue needs. */
interface Beside {
  getRun: (run_id: string) => RunBook | null
  getRequest: (execution_request_id: string) => ExecutionRequest | null
  /** The active configuration, null if there is none. */
  activeRouter: () => CompiledRouter | null
  getTool: (tool_id: string) => ToolBook | null
}

/** Most scopes ask nothing of it, and pay nothing. */
export function loadDispatch(
  tables: DispatchTables,
  scope: Scope,
  request: ExecutionRequest | null,
  beside: Beside,
): DispatchSnapshot {
  const { execution_request_id, worker_id, queue } = scope
  if (scope.lease !== true && worker_id === undefined && queue === undefined) return NOTHING
  const { leases, workers } = tables
  const lease =
    scope.lease === true && execution_request_id !== undefined ? leases.get(execution_request_id) : null
  const asker = worker_id ?? lease?.worker_id
  const worker = asker === undefined ? null : workers.get(asker)
  return {
    lease,
    worker,
    queue: queueOf(tables, queue ?? nextFor(scope, lease, worker), beside),
    surroundings:
      scope.surroundings === undefined ? null : surroundingsOf(tables, scope.surroundings, request, beside),
  }
}

/** A worker that goes on asks for the tools that it named last. */
function nextFor({ next }: Scope, lease: Lease | null, worker: WorkerBook | null): QueueScope | null {
  if (next === undefined || lease === null) return null
  return { ...next, worker_id: lease.worker_id, tools: worker?.tools ?? [lease.tool_id], limit: 1 }
}

function queueOf(
  { leases, queue }: DispatchTables,
  asked: QueueScope | null,
  { getRun, getRequest, activeRouter, getTool }: Beside,
): Queue | null {
  if (asked === null) return null
  const ready = asked.tools.flatMap((tool_id) => queue(tool_id, asked))
  return {
    tools: asked.tools,
    ready: ready.map((place) => ({
      ...place,
      request: () => getRequest(place.execution_request_id)!, // it was just found
      book: () => getRun(place.run_id)!, // a foreign key holds it
    })),
    tool: (tool_id) => toolNow(tool_id, activeRouter(), { leases, getTool }),
  }
}

const toolNow = (
  tool_id: string,
  router: CompiledRouter | null,
  { leases, getTool }: Pick<DispatchTables, 'leases'> & Pick<Beside, 'getTool'>,
): QueueTool => {
  const book = getTool(tool_id) ?? unknownTool(tool_id)
  return {
    leased: leases.count(tool_id),
    max_parallel: router?.apps[router.places.get(tool_id) ?? -1]?.max_parallel ?? null,
    pause: book.pause,
    book,
  }
}

function surroundingsOf(
  { leases, workers, ahead }: DispatchTables,
  { now }: Pick<QueueScope, 'now'>,
  request: ExecutionRequest | null,
  { activeRouter, getTool }: Beside,
): Surroundings | null {
  const tool_id = request?.assignment?.tool_id
  if (request === null || tool_id === undefined) return null
  return {
    tool: toolNow(tool_id, activeRouter(), { leases, getTool }),
    holders: leases.ofTool(tool_id, LIMITS.listed_ids),
    ahead: ahead(request, tool_id, now),
    asked: workers.askedFor(tool_id, request.rejected_by),
  }
}

type Ready = Omit<ReadyRequest, 'request' | 'book'>

// The cast is what STRICT columns make true.
const decodeReady = ([execution_request_id, run_id, tool_id, priority_rank]: Row): Ready =>
  ({ execution_request_id, run_id, tool_id, priority_rank }) as Ready

/** What is in the queue of a tool, neither too early nor too late. A diagnosis must count what a claim would find. */
const READY = `state = 'queued' AND tool_id = +? AND available_at <= ?
       AND (queue_expires_at IS NULL OR queue_expires_at > ?)`

/** The places of the first requests that a worker could be given for one tool, in the order of the queue. */
function queueReader(db: Connection) {
  const first = prepareRaw(
    db,
    `SELECT execution_request_id, run_id, tool_id, priority_rank FROM execution_requests
     WHERE ${READY}
       AND (rejected_by = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(rejected_by) WHERE value = ?))
       AND (? IS NULL OR project_id IN (SELECT value FROM json_each(?)))
     ORDER BY priority_rank, execution_request_id LIMIT ? + 0`,
  )
  return (tool_id: string, { now, worker_id, projects, limit }: QueueScope): Ready[] => {
    const among = projects === null ? null : JSON.stringify(projects)
    return first.all([tool_id, now, now, worker_id, among, among, limit]).map(decodeReady)
  }
}

/** Whether anything waits for a tool, whoever may have it. */
function queuedReader(db: Connection) {
  const one = prepareRaw(
    db,
    `SELECT 1 FROM execution_requests INDEXED BY execution_requests_queued
     WHERE state = 'queued' AND tool_id = +? AND available_at <= ? LIMIT 1`,
  )
  return (tool_id: string, now: string): boolean => one.get([tool_id, now]) !== undefined
}

/** How many requests of the tool that a worker could be given now come before one, as far as they are counted. */
function aheadReader(db: Connection) {
  const count = prepareRaw(
    db,
    `SELECT count(*) FROM (
       SELECT 1 FROM execution_requests
       WHERE ${READY} AND (priority_rank, execution_request_id) < (?, ?)
       LIMIT ${LIMITS.counted_ahead}
     )`,
  )
  return (request: ExecutionRequest, tool_id: string, now: string): number =>
    count.get([tool_id, now, now, rankOf(request), request.request_id])![0] as number // an aggregate has one row
}

/**
 * What time has ended, and when it ends something next. The index of what can be claimed later is named, because the
 * planner, which has no statistics, would take that by state, and walk all that is queued.
 */
function dueReader(db: Connection) {
  const leases = prepareRaw(
    db,
    `SELECT execution_request_id FROM leases
     WHERE min(lease_expires_at, attempt_expires_at) <= ?
     ORDER BY min(lease_expires_at, attempt_expires_at) LIMIT ? + 0`,
  )
  const waiting = prepareRaw(
    db,
    `SELECT execution_request_id FROM execution_requests
     WHERE queue_expires_at <= ? ORDER BY queue_expires_at LIMIT ? + 0`,
  )
  const stranded = prepareRaw(
    db,
    `SELECT execution_request_id FROM execution_requests INDEXED BY execution_requests_stranded
     WHERE state = 'blocked' AND waiting_for = 0 AND tool_id IS NULL AND created_at <= ? ORDER BY created_at LIMIT ? + 0`,
  )
  const available = prepareRaw(
    db,
    `SELECT tool_id FROM execution_requests INDEXED BY execution_requests_available
     WHERE state = 'queued' AND available_at > created_at AND available_at > ? AND available_at <= ?
       AND tool_id IS NOT NULL
     ORDER BY available_at LIMIT 1000`,
  )
  const resumed = prepareRaw(
    db,
    'SELECT tool_id FROM tools INDEXED BY tools_paused WHERE paused_until > ? AND paused_until <= ?',
  )
  const recovering = prepareRaw(
    db,
    `SELECT tool_id FROM tools INDEXED BY tools_open
     WHERE circuit_state = 'open' AND circuit_open_until > ? AND circuit_open_until <= ?`,
  )
  const next = prepareRaw(
    db,
    `SELECT min(instant) FROM (
       SELECT min(min(lease_expires_at, attempt_expires_at)) AS instant FROM leases
       UNION ALL SELECT min(queue_expires_at) FROM execution_requests WHERE queue_expires_at IS NOT NULL
       UNION ALL SELECT min(created_at) FROM execution_requests INDEXED BY execution_requests_stranded
         WHERE state = 'blocked' AND waiting_for = 0 AND tool_id IS NULL
       UNION ALL SELECT min(available_at) FROM execution_requests INDEXED BY execution_requests_available
         WHERE state = 'queued' AND available_at > created_at AND available_at > ?
       UNION ALL SELECT min(paused_until) FROM tools INDEXED BY tools_paused WHERE paused_until > ?
       UNION ALL SELECT min(circuit_open_until) FROM tools INDEXED BY tools_open
         WHERE circuit_state = 'open' AND circuit_open_until > ?
     )`,
  )
  return {
    /** Requests whose lease, attempt or wait is over; a wait for other tasks that ended without a tool, too. */
    requests: (now: string, limit: number): string[] =>
      [...leases.all([now, limit]), ...waiting.all([now, limit]), ...stranded.all([now, limit])].map(
        ([id]) => id as string,
      ),
    /** The tools of what can be claimed since then, one for each request. */
    available: (after: string, now: string): string[] =>
      available.all([after, now]).map(([tool_id]) => tool_id as string),
    /** The tools whose open circuit lets an attempt through since then. */
    recovering: (after: string, now: string): string[] =>
      recovering.all([after, now]).map(([tool_id]) => tool_id as string),
    /** The tools whose pause has ended by itself since then. */
    resumed: (after: string, now: string): string[] =>
      resumed.all([after, now]).map(([tool_id]) => tool_id as string),
    /** Null if nothing will happen by itself. */
    next: (now: string): string | null => (next.get([now, now, now])?.[0] as string | null) ?? null,
  }
}

type DispatchChange = Extract<Change, { record: 'lease' | 'lease_ended' | 'worker' }>

export function writeDispatch({ leases, workers }: DispatchTables, change: DispatchChange): void {
  switch (change.record) {
    case 'lease':
      return leases.write(change.before, change.after)
    case 'lease_ended':
      return leases.end(change.lease)
    case 'worker':
      return workers.write(change.before, change.after)
  }
}

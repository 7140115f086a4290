import type {
  Assignment,
  ExecutionRequest,
  ExecutionRequestDocument,
  RequestProgress,
} from '../../contract/execution-request.ts'
import type { PlanPlace } from '../../contract/plan-place.ts'
import { rankOf } from '../../domain/claim.ts'
import type { Connection } from './connection.ts'
import { type Cell, type Row, narrowUpdate, placeholders, prepareRaw } from './table.ts'

/** What never changes of a request, in the order of `encodeFixed` and `decode`. */
const FIXED = [
  'execution_request_id',
  'run_id',
  'project_id',
  'document',
  'content_hash',
  'created_at',
  'task_id',
  'plan',
] as const

/** What the machine changes, in the order of `encodeProgress` and `decodeProgress`. */
const PROGRESS = [
  'state',
  'stop_reason',
  'route_decision_id',
  'tool_id',
  'command',
  'args',
  'attempts',
  'tool_attempts',
  'fence',
  'worker_id',
  'rejected_by',
  'sequence',
  'step_attempt_id',
  'available_at',
  'queue_expires_at',
  'cancel_requested_at',
  'cancel_reason',
  'updated_at',
  'ended_at',
  'version',
] as const

export const PROGRESS_COLUMNS = PROGRESS
export const REQUEST_COLUMNS = [...FIXED, ...PROGRESS]

const encodeFixed = (request: ExecutionRequest, document: ExecutionRequestDocument): Cell[] => [
  request.request_id,
  request.run_id,
  request.project_id,
  JSON.stringify(document),
  request.content_hash,
  request.created_at,
  request.task_id,
  request.plan === null ? null : JSON.stringify(request.plan),
]

const encodeProgress = ({ assignment, ...request }: RequestProgress): Cell[] => [
  request.state,
  request.stop_reason,
  assignment?.route_decision_id ?? null,
  assignment?.tool_id ?? null,
  assignment?.command ?? null,
  assignment === null ? null : JSON.stringify(assignment.args),
  request.attempts,
  request.tool_attempts,
  request.fence,
  request.worker_id,
  JSON.stringify(request.rejected_by),
  request.sequence,
  request.step_attempt_id,
  request.available_at,
  request.queue_expires_at,
  request.cancel_requested_at,
  request.cancel_reason,
  request.updated_at,
  request.ended_at,
  request.version,
]

/** `at` is where the columns of PROGRESS begin. The cast is what STRICT columns and their CHECKs make true. */
const decodeProgress = (row: Row, at: number) =>
  ({
    state: row[at],
    stop_reason: row[at + 1],
    assignment: decodeAssignment(row, at + 2),
    attempts: row[at + 6],
    tool_attempts: row[at + 7],
    fence: row[at + 8],
    worker_id: row[at + 9],
    rejected_by: JSON.parse(row[at + 10] as string) as string[],
    sequence: row[at + 11],
    step_attempt_id: row[at + 12],
    available_at: row[at + 13],
    queue_expires_at: row[at + 14],
    cancel_requested_at: row[at + 15],
    cancel_reason: row[at + 16],
    updated_at: row[at + 17],
    ended_at: row[at + 18],
    version: row[at + 19],
  }) as Omit<RequestProgress, 'request_id' | 'run_id'>

const decodeAssignment = (row: Row, at: number): Assignment | null =>
  row[at] === null
    ? null
    : ({
        route_decision_id: row[at],
        tool_id: row[at + 1],
        command: row[at + 2],
        args: JSON.parse(row[at + 3] as string) as unknown,
      } as Assignment)

export const decodeRequest = (row: Row): ExecutionRequest => ({
  ...(JSON.parse(row[3] as string) as ExecutionRequestDocument),
  content_hash: row[4] as string,
  run_id: row[1] as string,
  plan: decodePlan(row[7]),
  created_at: row[5] as string,
  ...decodeProgress(row, FIXED.length),
})

export const decodePlan = (cell: Cell | undefined): PlanPlace | null =>
  cell == null ? null : (JSON.parse(cell as string) as PlanPlace)

/** Of a row that begins with the two ids. */
export const decodeProgressOf = (row: Row): RequestProgress => ({
  request_id: row[0] as string,
  run_id: row[1] as string,
  ...decodeProgress(row, 2),
})

export function executionRequestsTable(db: Connection) {
  const get = prepareRaw(
    db,
    `SELECT ${REQUEST_COLUMNS.join(', ')} FROM execution_requests WHERE execution_request_id = ?`,
  )
  const open = prepareRaw(
    db,
    `SELECT execution_request_id, run_id, ${PROGRESS.join(', ')} FROM execution_requests
     WHERE run_id = +? AND ended_at IS NULL ORDER BY execution_request_id`,
  )
  const insert = db.prepare<[Row]>(
    `INSERT INTO execution_requests (${REQUEST_COLUMNS.join(', ')}, priority_rank, waiting_for)
     VALUES (${placeholders(REQUEST_COLUMNS)}, ?, ?)`,
  )
  const update = narrowUpdate(db, 'execution_requests', PROGRESS, [
    'execution_request_id',
    'state',
    'fence',
    'version',
  ])
  return {
    get(execution_request_id: string): ExecutionRequest | null {
      const row = get.get([execution_request_id])
      return row === undefined ? null : decodeRequest(row)
    },
    /** Those of a run that have not ended. */
    open: (run_id: string): RequestProgress[] => open.all([run_id]).map(decodeProgressOf),
    insert(request: ExecutionRequest, document: ExecutionRequestDocument, waiting_for: number): void {
      const cells = [...encodeFixed(request, document), ...encodeProgress(request)]
      insert.run([...cells, rankOf(request), waiting_for])
    },
    write: (before: RequestProgress, after: RequestProgress): void =>
      update(encodeProgress(before), encodeProgress(after), [
        before.request_id,
        before.state,
        before.fence,
        before.version,
      ]),
  }
}

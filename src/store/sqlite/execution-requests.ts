import type { Assignment } from '../../contract/assignment.ts'
import type {
  ExecutionRequest,
  ExecutionRequestDocument,
  RequestProgress,
} from '../../contract/execution-request.ts'
import type { PlanPlace } from '../../contract/plan-place.ts'
import type { ValidatedWork } from '../../contract/validation.ts'
import { rankOf } from '../../domain/claim.ts'
import type { Connection } from './connection.ts'
import { type Cell, type Row, type Value, cellsOf, narrowUpdate, placeholders, prepareRaw } from './table.ts'

/** What a validator looks at, in the order of `encodeValidates` and `decodeValidates`. */
const VALIDATES = [
  'validates_execution_request_id',
  'validates_step_attempt_id',
  'validates_required',
] as const

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
  ...VALIDATES,
] as const

/** What the machine changes, in the order of `encodeProgress` and `decodeProgress`. */
const PROGRESS = [
  'state',
  'stop_reason',
  'route_decision_id',
  'tool_id',
  'command',
  'args',
  'validators',
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
  'validation_error',
  'updated_at',
  'ended_at',
  'version',
] as const

/** What `decodeProgressOf` reads. */
export const PROGRESS_COLUMNS = ['execution_request_id', 'run_id', ...VALIDATES, ...PROGRESS]
export const REQUEST_COLUMNS = [...FIXED, ...PROGRESS]

const encodeFixed = (request: ExecutionRequest, document: ExecutionRequestDocument): Value[] => [
  request.request_id,
  request.run_id,
  request.project_id,
  document,
  request.content_hash,
  request.created_at,
  request.task_id,
  request.plan,
  ...encodeValidates(request),
]

const NO_VALIDATOR: Cell[] = [null, null, null]
const encodeValidates = ({ validates }: ExecutionRequest): Cell[] =>
  validates === null
    ? NO_VALIDATOR
    : [validates.execution_request_id, validates.step_attempt_id, validates.required ? 1 : 0]

const validatorsOf = ({ assignment }: RequestProgress): Value =>
  assignment === null || assignment.validators.length === 0 ? null : assignment.validators

// Written out from the one object: what is left of it by destructuring is a copy, key by key.
const encodeProgress = (request: RequestProgress): Value[] => [
  request.state,
  request.stop_reason,
  request.assignment?.route_decision_id ?? null,
  request.assignment?.tool_id ?? null,
  request.assignment?.command ?? null,
  request.assignment?.args ?? null,
  validatorsOf(request),
  request.attempts,
  request.tool_attempts,
  request.fence,
  request.worker_id,
  request.rejected_by,
  request.sequence,
  request.step_attempt_id,
  request.available_at,
  request.queue_expires_at,
  request.cancel_requested_at,
  request.cancel_reason,
  request.validation_error,
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
    attempts: row[at + 7],
    tool_attempts: row[at + 8],
    fence: row[at + 9],
    worker_id: row[at + 10],
    rejected_by: JSON.parse(row[at + 11] as string) as string[],
    sequence: row[at + 12],
    step_attempt_id: row[at + 13],
    available_at: row[at + 14],
    queue_expires_at: row[at + 15],
    cancel_requested_at: row[at + 16],
    cancel_reason: row[at + 17],
    validation_error: row[at + 18] === null ? null : (JSON.parse(row[at + 18] as string) as unknown),
    updated_at: row[at + 19],
    ended_at: row[at + 20],
    version: row[at + 21],
  }) as Omit<RequestProgress, 'request_id' | 'run_id' | 'validates'>

const decodeAssignment = (row: Row, at: number): Assignment | null =>
  row[at] === null
    ? null
    : ({
        route_decision_id: row[at],
        tool_id: row[at + 1],
        command: row[at + 2],
        args: JSON.parse(row[at + 3] as string) as unknown,
        validators: row[at + 4] === null ? [] : (JSON.parse(row[at + 4] as string) as unknown),
      } as Assignment)

export const decodeRequest = (row: Row): ExecutionRequest => ({
  ...(JSON.parse(row[3] as string) as ExecutionRequestDocument),
  content_hash: row[4] as string,
  run_id: row[1] as string,
  plan: decodePlan(row[7]),
  validates: decodeValidates(row, 8),
  created_at: row[5] as string,
  ...decodeProgress(row, FIXED.length),
})

export const decodePlan = (cell: Cell | undefined): PlanPlace | null =>
  cell == null ? null : (JSON.parse(cell as string) as PlanPlace)

/** `at` is where the columns of VALIDATES begin. */
const decodeValidates = (row: Row, at: number): ValidatedWork | null =>
  row[at] === null
    ? null
    : {
        execution_request_id: row[at] as string,
        step_attempt_id: row[at + 1] as string,
        required: row[at + 2] === 1,
      }

/** Of a row of PROGRESS_COLUMNS. */
export const decodeProgressOf = (row: Row): RequestProgress => ({
  request_id: row[0] as string,
  run_id: row[1] as string,
  validates: decodeValidates(row, 2),
  ...decodeProgress(row, 2 + VALIDATES.length),
})

export function executionRequestsTable(db: Connection) {
  const get = prepareRaw(
    db,
    `SELECT ${REQUEST_COLUMNS.join(', ')} FROM execution_requests WHERE execution_request_id = ?`,
  )
  const open = prepareRaw(
    db,
    `SELECT ${PROGRESS_COLUMNS.join(', ')} FROM execution_requests
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
      const values = [
        ...encodeFixed(request, document),
        ...encodeProgress(request),
        rankOf(request),
        waiting_for,
      ]
      insert.run(cellsOf(values))
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

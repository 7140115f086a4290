import type { WorkerBook } from '../../domain/decision.ts'
import type { Connection } from './connection.ts'
import { type Row, type Value, cellsOf, narrowUpdate, placeholders, prepareRaw } from './table.ts'

/** The columns of `workers`, in the order of `encode` and `decodeWorker`. */
const COLUMNS = ['worker_id', 'tools', 'first_seen_at', 'last_seen_at', 'done', 'failed'] as const

export const WORKER_COLUMNS = COLUMNS.join(', ')

const encode = (worker: WorkerBook): Value[] => [
  worker.worker_id,
  worker.tools,
  worker.first_seen_at,
  worker.last_seen_at,
  worker.done,
  worker.failed,
]

// The cast is what STRICT columns and `encode` make true.
export const decodeWorker = (row: Row): WorkerBook =>
  ({
    worker_id: row[0],
    tools: JSON.parse(row[1] as string) as unknown,
    first_seen_at: row[2],
    last_seen_at: row[3],
    done: row[4],
    failed: row[5],
  }) as WorkerBook

export function workersTable(db: Connection) {
  const get = prepareRaw(db, `SELECT ${WORKER_COLUMNS} FROM workers WHERE worker_id = ?`)
  const insert = db.prepare<[Row]>(
    `INSERT INTO workers (${WORKER_COLUMNS}) VALUES (${placeholders(COLUMNS)})`,
  )
  const update = narrowUpdate(db, 'workers', COLUMNS, ['worker_id'])
  const asked = prepareRaw(
    db,
    `SELECT worker_id, last_seen_at FROM workers
     WHERE EXISTS (SELECT 1 FROM json_each(tools) WHERE value = ?)
     ORDER BY worker_id IN (SELECT value FROM json_each(?)), last_seen_at DESC LIMIT 1`,
  )
  return {
    /**
     * The worker that was last seen of those whose last list names the tool; one of `rejected_by` only if there is no
     * other. There are few workers.
     */
    askedFor(
      tool_id: string,
      rejected_by: readonly string[],
    ): Pick<WorkerBook, 'worker_id' | 'last_seen_at'> | null {
      const row = asked.get([tool_id, JSON.stringify(rejected_by)])
      return row === undefined ? null : { worker_id: row[0] as string, last_seen_at: row[1] as string }
    },
    get(worker_id: string): WorkerBook | null {
      const row = get.get([worker_id])
      return row === undefined ? null : decodeWorker(row)
    },
    write(before: WorkerBook | null, after: WorkerBook): void {
      if (before === null) return void insert.run(cellsOf(encode(after)))
      update(encode(before), encode(after), [before.worker_id])
    },
  }
}

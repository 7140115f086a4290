import type { Lease } from '../../domain/decision.ts'
import type { Connection } from './connection.ts'
import { type Cell, type Row, placeholders, prepareRaw } from './table.ts'

/** The columns of `leases`, in the order of `encode` and `decode`. */
const COLUMNS = [
  'execution_request_id',
  'run_id',
  'step_attempt_id',
  'tool_id',
  'worker_id',
  'token_hash',
  'fence',
  'lease_seconds',
  'claimed_at',
  'heartbeat_at',
  'lease_expires_at',
  'attempt_expires_at',
] as const
const columns = COLUMNS.join(', ')

const encode = (lease: Lease): Cell[] => COLUMNS.map((column) => lease[column])

// The cast is what STRICT columns and `encode` make true.
const decode = (row: Row): Lease =>
  ({
    execution_request_id: row[0],
    run_id: row[1],
    step_attempt_id: row[2],
    tool_id: row[3],
    worker_id: row[4],
    token_hash: row[5],
    fence: row[6],
    lease_seconds: row[7],
    claimed_at: row[8],
    heartbeat_at: row[9],
    lease_expires_at: row[10],
    attempt_expires_at: row[11],
  }) as Lease

export function leasesTable(db: Connection) {
  const get = prepareRaw(db, `SELECT ${columns} FROM leases WHERE execution_request_id = ?`)
  const ofTool = prepareRaw(db, 'SELECT count(*) FROM leases WHERE tool_id = ?')
  const ofWorker = prepareRaw(
    db,
    `SELECT ${COLUMNS.map((column) => `leases.${column}`).join(', ')} FROM leases JOIN runs USING (run_id)
     WHERE worker_id = +? AND (? IS NULL OR project_id IN (SELECT value FROM json_each(?)))
     ORDER BY leases.execution_request_id`,
  )
  const listOfTool = prepareRaw(db, `SELECT ${columns} FROM leases WHERE tool_id = +? LIMIT ? + 0`)
  const insert = db.prepare<[Row]>(`INSERT INTO leases (${columns}) VALUES (${placeholders(COLUMNS)})`)
  const beat = db.prepare<[Row]>(
    `UPDATE leases SET heartbeat_at = ?, lease_expires_at = ?
     WHERE execution_request_id = ? AND fence = ? AND token_hash = ? AND lease_expires_at = ?`,
  )
  const remove = db.prepare<[Row]>('DELETE FROM leases WHERE execution_request_id = ? AND fence = ?')
  return {
    get(execution_request_id: string): Lease | null {
      const row = get.get([execution_request_id])
      return row === undefined ? null : decode(row)
    },
    ofTool: (tool_id: string, limit: number): Lease[] => listOfTool.all([tool_id, limit]).map(decode),
    count: (tool_id: string): number => ofTool.get([tool_id])![0] as number, // an aggregate has one row
    /** Of requests in these projects; null is all. */
    ofWorker(worker_id: string, projects: readonly string[] | null): Lease[] {
      const among = projects === null ? null : JSON.stringify(projects)
      return ofWorker.all([worker_id, among, among]).map(decode)
    },
    write(before: Lease | null, after: Lease): void {
      if (before === null) return void insert.run(encode(after))
      const { execution_request_id, fence, token_hash, lease_expires_at } = before
      const guard = [execution_request_id, fence, token_hash, lease_expires_at]
      requireOne(beat.run([after.heartbeat_at, after.lease_expires_at, ...guard]).changes)
    },
    end: ({ execution_request_id, fence }: Pick<Lease, 'execution_request_id' | 'fence'>): void =>
      requireOne(remove.run([execution_request_id, fence]).changes),
  }
}

function requireOne(changes: number): void {
  if (changes !== 1) throw new Error('stale write: leases')
}

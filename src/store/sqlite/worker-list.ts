import type { Page } from '../../contract/common.ts'
import type { Worker, WorkersQuery } from '../../contract/worker.ts'
import type { Lease, WorkerBook } from '../../domain/decision.ts'
import { shownLease } from '../../domain/diagnosis.ts'
import { type ListIdentity, decodeCursor } from '../cursor.ts'
import type { Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import type { DispatchTables } from './dispatch.ts'
import { sorted } from './list-filters.ts'
import { type Order, listParameter, prepareScan, readPage } from './scan.ts'
import { WORKER_COLUMNS, decodeWorker } from './workers.ts'

const PASSES = `(? IS NULL OR EXISTS (
  SELECT 1 FROM json_each(tools) AS own JOIN json_each(?) AS wanted ON own.value = wanted.value))`

/** Above every name: names are text, and compared byte by byte. */
const PAST_ALL_NAMES = '\u{10ffff}'

export function workerReads(db: Connection, { workers, leases }: Pick<DispatchTables, 'workers' | 'leases'>) {
  const prepared = (order: Order) =>
    prepareScan(db, {
      columns: WORKER_COLUMNS,
      walk: 'FROM workers WHERE worker_id > ? AND worker_id < ?',
      key: 'worker_id',
      order,
      passes: PASSES,
    })
  const scans = { asc: prepared('asc'), desc: prepared('desc') }
  const shown = (book: WorkerBook, { projects }: Viewer): Worker =>
    shownWorker(book, leases.ofWorker(book.worker_id, projects))

  return {
    get(worker_id: string, viewer: Viewer): Worker | null {
      const book = workers.get(worker_id)
      return book === null ? null : shown(book, viewer)
    },
    list(query: WorkersQuery, viewer: Viewer): Page<Worker> {
      const { limit, cursor, order = 'asc', ...filters } = query
      const list = { list: 'workers', order, ...sorted(filters) }
      const tools = listParameter(query.tool_id)
      return readPage({
        list,
        limit,
        scan: scans[order],
        walk: bounds(list, cursor, order),
        passes: [tools, tools],
        position: (row) => row[0] as string,
        decode: (row) => shown(decodeWorker(row), viewer),
      })
    },
  }
}

function bounds(list: ListIdentity, cursor: string | undefined, order: Order): [low: string, high: string] {
  if (cursor === undefined) return ['', PAST_ALL_NAMES]
  const position = decodeCursor<string>(list, cursor, 'string')
  return order === 'asc' ? [position, PAST_ALL_NAMES] : ['', position]
}

/** Its heartbeats are kept with its leases. */
function shownWorker(book: WorkerBook, holds: readonly Lease[]): Worker {
  const last_seen_at = holds.reduce(
    (last, { heartbeat_at }) => (heartbeat_at > last ? heartbeat_at : last),
    book.last_seen_at,
  )
  return { ...book, tools: [...book.tools], last_seen_at, holds: holds.map(shownLease) }
}

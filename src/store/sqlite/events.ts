import type { LedgerEvent, ChainHead, NewEvent } from '../../domain/decision.ts'
import { chainStart } from '../../domain/event-chain.ts'
import type { Connection } from './connection.ts'
import { type Cell, type Row, placeholders, prepareRaw } from './table.ts'

/** The columns of `events`, in the order of `encode` and `decodeEvent`. `seq` is the rowid: SQLite counts it. */
export const EVENT_COLUMNS = [
  'seq',
  'event_id',
  'run_id',
  'run_seq',
  'step_attempt_id',
  'ts',
  'kind',
  '"from"',
  '"to"',
  'actor_type',
  'actor_id',
  'http_request_id',
  'payload',
  'payload_salt',
  'payload_hash',
  'hash',
] as const

const encode = (event: NewEvent): Cell[] => [
  null,
  event.event_id,
  event.run_id,
  event.run_seq,
  event.step_attempt_id,
  event.ts,
  event.kind,
  event.from,
  event.to,
  event.actor.type,
  event.actor.id,
  event.http_request_id,
  event.payload_text,
  event.payload_salt,
  event.payload_hash,
  event.hash,
]

// See decodeRun for the indexes and the cast.
export const decodeEvent = (row: Row): LedgerEvent =>
  ({
    seq: row[0],
    event_id: row[1],
    run_id: row[2],
    run_seq: row[3],
    step_attempt_id: row[4],
    ts: row[5],
    kind: row[6],
    payload_text: row[12],
    payload_salt: row[13],
    payload_hash: row[14],
    from: row[7],
    to: row[8],
    actor: { type: row[9], id: row[10] },
    http_request_id: row[11],
    hash: row[15],
  }) as LedgerEvent

/** The end of all events: what the anchor remembers. */
export interface Tail {
  seq: number
  hash: string
  ts: string
}

export function eventsTable(db: Connection) {
  const columns = EVENT_COLUMNS.join(', ')
  const insert = db.prepare<[Row]>(`INSERT INTO events (${columns}) VALUES (${placeholders(EVENT_COLUMNS)})`)
  const chain = prepareRaw(
    db,
    `SELECT ${columns} FROM events WHERE run_id = +? AND run_seq > ? ORDER BY run_seq LIMIT ? + 0`,
  )
  const systemHead = db.prepare<[], ChainHead>(
    `SELECT run_seq AS event_count, hash AS last_hash FROM events
     WHERE run_id IS NULL ORDER BY run_seq DESC LIMIT 1`,
  )
  const tail = db.prepare<[], Tail>('SELECT seq, hash, ts FROM events ORDER BY seq DESC LIMIT 1')

  return {
    /** Gives the event its `seq`. */
    append: (event: NewEvent): number => Number(insert.run(encode(event)).lastInsertRowid),
    chain: (run_id: string, after: number, limit: number) =>
      chain.all([run_id, after, limit]).map(decodeEvent),
    systemHead: (): ChainHead => systemHead.get() ?? chainStart(null),
    tail: (): Tail | null => tail.get() ?? null,
  }
}

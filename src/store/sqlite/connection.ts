import Database from 'better-sqlite3'
import { StoreRefused } from './refused.ts'

export type Connection = Database.Database

/** How long SQLite may wait inside a call for a foreign lock. The whole server stands still meanwhile. */
const BUSY_TIMEOUT_MS = 50

/** SQLite's own number for FULL: every commit is synced before it returns. */
const SYNCHRONOUS_FULL = 2

/**
 * Opens the one connection that writes. The order matters: better-sqlite3's build runs WAL at
 * synchronous=NORMAL, which loses acknowledged writes when the power goes, and applies it when WAL begins.
 * @throws Error if the file does not run at synchronous=FULL
 */
export function openWriter(file: string): Connection {
  const db = new Database(file, { timeout: BUSY_TIMEOUT_MS })
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = ON')
  db.pragma('recursive_triggers = ON') // or REPLACE would delete past the triggers that forbid it
  db.pragma('wal_autocheckpoint = 1000')
  db.pragma('temp_store = MEMORY')
  db.pragma('mmap_size = 0')
  db.pragma('trusted_schema = OFF')
  db.pragma('cell_size_check = ON')
  db.prepare('SELECT count(*) FROM sqlite_schema').get()
  requireFullSync(db)
  return db
}

/** How long a reader waits for a foreign lock: it stands on a thread of its own, where nobody waits for it. */
const READER_TIMEOUT_MS = 5_000

/** Opens a file for long reads beside the connection that writes. */
export function openReader(file: string): Connection {
  const db = new Database(file, { readonly: true, fileMustExist: true, timeout: READER_TIMEOUT_MS })
  db.pragma('query_only = ON')
  db.pragma('temp_store = MEMORY')
  db.pragma('mmap_size = 0')
  db.pragma('trusted_schema = OFF')
  db.pragma('cell_size_check = ON')
  return db
}

/** Reads the setting back, which is the only way to know it. */
export function requireFullSync(db: Connection): void {
  const level: unknown = db.pragma('synchronous', { simple: true })
  if (level !== SYNCHRONOUS_FULL) {
    throw new Error(
      `SQLite runs at synchronous=${String(level)} instead of 2 (FULL): writes would not be durable`,
    )
  }
}

/** Finds most damage to the file; the price is reading all of it. @throws StoreRefused `damaged` */
export function requireSound(db: Connection): void {
  const finding = String(db.pragma('quick_check(1)', { simple: true }))
  if (finding === 'ok') return
  const [line] = finding.split('\n').slice(-1) // before it stands only which database it is
  throw new StoreRefused('damaged', `The data file is damaged (${line}). Restore a backup.`)
}

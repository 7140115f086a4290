import { hash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from './connection.ts'
import { StoreRefused } from './refused.ts'

export interface Migration {
  version: number
  name: string
  sql: string
  checksum: string
}

/** The numbered files of a folder, in order. @throws Error on a gap: a forgotten file must not go unseen */
export function readMigrations(folder: string): Migration[] {
  const files = readdirSync(folder).filter((file) => /^\d{4}_\w+\.sql$/.test(file))
  return files.sort().map((name, index) => {
    const version = Number(name.slice(0, 4))
    if (version !== index + 1) throw new Error(`migrations in ${folder} jump to ${name}`)
    const sql = readFileSync(join(folder, name), 'utf8')
    return { version, name, sql, checksum: hash('sha256', sql, 'hex') }
  })
}

interface Applied {
  version: number
  name: string
  checksum: string
}

/** The migrations that a store has had; none for a new file. Reads only. */
export function appliedMigrations(db: Connection): Applied[] {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").get()
  if (table === undefined) return []
  return db
    .prepare<[], Applied>('SELECT version, name, checksum FROM schema_migrations ORDER BY version')
    .all()
}

/**
 * What is still to be applied.
 * @throws StoreRefused `newer` if the store knows migrations that this program does not, and
 *   `changed_migration` if one has another content than the one that was applied
 */
export function pendingMigrations(db: Connection, known: readonly Migration[]): Migration[] {
  const applied = appliedMigrations(db)
  const newest = applied.at(-1)
  if (newest !== undefined && newest.version > known.length) {
    throw new StoreRefused(
      'newer',
      `The store is at migration ${newest.version}, this program knows ${known.length}: use the newer program. Nothing was touched.`,
    )
  }
  for (const { version, name, checksum } of applied) {
    if (known[version - 1]?.checksum !== checksum) {
      throw new StoreRefused(
        'changed_migration',
        `Migration ${name} differs from the one that the store was made with. A migration that has landed is never edited.`,
      )
    }
  }
  return known.slice(applied.length)
}

/** Applies each migration in one transaction with the record of it. One may change the text of the schema itself. */
export function applyMigrations(db: Connection, pending: readonly Migration[], now: string): void {
  db.unsafeMode(true) // without it SQLite refuses to write to sqlite_schema
  try {
    applyEach(db, pending, now)
  } finally {
    db.unsafeMode(false)
  }
}

function applyEach(db: Connection, pending: readonly Migration[], now: string): void {
  for (const { version, name, sql, checksum } of pending) {
    db.transaction(() => {
      db.exec(`CREATE TABLE IF NOT EXISTS schema_migrations (
        version    INTEGER NOT NULL PRIMARY KEY,
        name       TEXT    NOT NULL,
        checksum   TEXT    NOT NULL,
        applied_at TEXT    NOT NULL
      ) STRICT`)
      db.exec(sql)
      db.prepare(
        'INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)',
      ).run(version, name, checksum, now)
    }).immediate()
  }
}

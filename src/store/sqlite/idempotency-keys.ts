import type { Remembered } from '../../domain/decision.ts'
import type { Connection } from './connection.ts'
import { type Row, prepareRaw } from './table.ts'

export function idempotencyKeysTable(db: Connection) {
  const get = prepareRaw(
    db,
    `SELECT fingerprint, status, body, etag, location, created_at
     FROM idempotency_keys WHERE key = ?`,
  )
  const insert = db.prepare<[Row]>(
    `INSERT INTO idempotency_keys (key, fingerprint, status, body, etag, location, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  // The rowid grows with time, so the oldest need no index of their own.
  const forget = db.prepare<[number, string]>(
    `DELETE FROM idempotency_keys
     WHERE rowid IN (SELECT rowid FROM idempotency_keys ORDER BY rowid LIMIT ? + 0) AND created_at < ?`,
  )
  return {
    get(key: string): Remembered | null {
      const row = get.get([key])
      if (row === undefined) return null
      const [fingerprint, status, body, etag, location, created_at] = row
      return { fingerprint, status, body, etag, location, created_at } as Remembered // STRICT columns
    },
    write: (key: string, kept: Remembered): void => {
      const { fingerprint, status, body, etag, location, created_at } = kept
      insert.run([key, fingerprint, status, body, etag, location, created_at])
    },
    forget: (older_than: string, limit: number): number => forget.run(limit, older_than).changes,
  }
}

import { join } from 'node:path'
import Database from 'better-sqlite3'
import { isBusy } from './errors.ts'
import { StoreRefused } from './refused.ts'

/**
 * Holds the data directory for this process. Node has no flock, and files with process ids go stale: a second
 * SQLite file in an exclusive transaction is let go by the operating system whatever ends the process.
 * @throws StoreRefused `locked` if another process holds it
 */
export function holdDirectory(data_dir: string): { release: () => void } {
  const db = new Database(join(data_dir, 'lock.db'), { timeout: 0 })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db.close()
    if (!isBusy(error)) throw error
    throw new StoreRefused(
      'locked',
      `Another process serves ${data_dir}. Stop it first, or choose another directory with --data-dir.`,
    )
  }
  return { release: () => void db.close() }
}

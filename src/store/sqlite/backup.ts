import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { databaseFile } from './open.ts'

export interface BackupResult {
  file: string
  bytes: number
  runs: number
  events: number
}

/**
 * Copies the store, also while a server serves it, and verifies the copy before it gets its name. The copy
 * is one file that needs no other.
 * @throws Error if there is no store, if `file` exists, or if the copy does not hold
 */
export async function backup(options: {
  data_dir: string
  file: string
  onProgress?: (done: { copied_pages: number; total_pages: number }) => void
}): Promise<BackupResult> {
  const source = databaseFile(options.data_dir)
  if (!existsSync(source)) throw new Error(`There is no store in ${options.data_dir}.`)
  if (existsSync(options.file)) throw new Error(`${options.file} exists already. Choose another name.`)
  const partial = `${options.file}.partial`
  rmSync(partial, { force: true })
  try {
    await copy(source, partial, options.onProgress)
    const counts = verify(partial)
    syncPath(partial)
    renameSync(partial, options.file)
    syncPath(dirname(options.file))
    return { file: options.file, bytes: statSync(options.file).size, ...counts }
  } catch (error) {
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(partial + end, { force: true })
    throw error
  }
}

/** All pages in one step: a backup in several begins anew whenever another process writes. */
async function copy(
  source: string,
  target: string,
  onProgress: (done: { copied_pages: number; total_pages: number }) => void = () => {},
): Promise<void> {
  const db = new Database(source, { readonly: true, timeout: 5_000 })
  try {
    await db.backup(target, {
      progress({ totalPages, remainingPages }) {
        onProgress({ copied_pages: totalPages - remainingPages, total_pages: totalPages })
        return 0x7fffffff
      },
    })
  } finally {
    db.close()
  }
}

/** Sound pages, sound references, and every run ends where its events do. */
function verify(file: string): { runs: number; events: number } {
  const db = new Database(file)
  try {
    db.pragma('journal_mode = DELETE') // one file, without a -wal beside it
    const finding: unknown = db.pragma('integrity_check(1)', { simple: true })
    if (finding !== 'ok') throw new Error(`The copy is damaged: ${String(finding)}`)
    const [orphan] = db.pragma('foreign_key_check') as unknown[]
    if (orphan !== undefined) throw new Error('The copy has rows that refer to missing ones.')
    const torn = db
      .prepare<[], { run_id: string }>(
        `SELECT run_id FROM runs
         WHERE event_count <> (SELECT count(*) FROM events WHERE events.run_id = runs.run_id)
            OR last_hash <> (SELECT hash FROM events
                             WHERE events.run_id = runs.run_id ORDER BY run_seq DESC LIMIT 1)
         LIMIT 1`,
      )
      .get()
    if (torn !== undefined) throw new Error(`The copy of run ${torn.run_id} lacks events.`)
    const count = (table: string) =>
      db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0
    return { runs: count('runs'), events: count('events') }
  } finally {
    db.close()
  }
}

function syncPath(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { makeDirectory } from '../../directory.ts'
import type { Store } from '../store.ts'
import { type Anchor, anchorFile, keepAnchor, lostTail, readAnchor } from './anchor.ts'
import { type Connection, openWriter, requireFullSync, requireSound } from './connection.ts'
import { holdDirectory } from './lock.ts'
import { type Migration, appliedMigrations, applyMigrations, pendingMigrations } from './migrate.ts'
import { StoreRefused } from './refused.ts'
import { type SqliteStoreOptions, sqliteStore } from './store.ts'

export const databaseFile = (data_dir: string): string => join(data_dir, 'signalbox.db')

export interface OpenOptions extends Omit<SqliteStoreOptions, 'onCommit' | 'beforeClose'> {
  data_dir: string
  migrations: readonly Migration[]
  /** Goes on with a store that is shorter than its anchor. */
  accept_loss: boolean
  /** RFC 3339; when the migrations are applied. */
  now: string
}

export interface OpenedStore {
  store: Store
  /** What the store once reached and does no more; only with `accept_loss`. */
  lost: Anchor | null
  migrated: { from: number; to: number }
}

/**
 * Opens a data directory for this process alone: locked, checked, migrated and compared with its anchor.
 * @throws StoreRefused, and leaves the store as it was, but for migrations that succeeded
 */
export async function openStore(options: OpenOptions): Promise<OpenedStore> {
  const { data_dir, migrations, now, accept_loss, ...rest } = options
  makeDirectory(data_dir)
  const lock = holdDirectory(data_dir)
  try {
    const { db, migrated } = await openMigrated(databaseFile(data_dir), migrations, now)
    const { anchor, lost } = anchored(db, data_dir, accept_loss)
    const keeper = keepAnchor(db, anchorFile(data_dir), {
      known: lost === null ? anchor : null,
      onTick: () => requireFullSync(db),
    })
    const store = sqliteStore(db, { ...rest, onCommit: keeper.follow, beforeClose: keeper.close })
    const close = async () => {
      await store.close()
      lock.release()
    }
    return { store: { ...store, close }, lost, migrated }
  } catch (error) {
    lock.release()
    throw error
  }
}

const shorter = ({ count, seq }: Anchor) =>
  new StoreRefused(
    'shorter',
    `The store has lost events: it once held ${count} up to seq ${seq}, and does no more. ` +
      'Restore a backup, or go on with what is left with --accept-loss.',
  )

/** @throws StoreRefused `shorter` or `damaged`, with the connection closed */
function anchored(db: Connection, data_dir: string, accept_loss: boolean) {
  try {
    const anchor = readAnchor(anchorFile(data_dir))
    const lost = lostTail(db, anchor)
    if (lost !== null && !accept_loss) throw shorter(lost)
    return { anchor, lost }
  } catch (error) {
    db.close()
    throw error
  }
}

/** Nothing is written before it is certain that this program may. */
async function openMigrated(file: string, migrations: readonly Migration[], now: string) {
  refuseNewer(file, migrations)
  const db = openWriter(file)
  try {
    requireSound(db)
    const pending = pendingMigrations(db, migrations)
    const from = appliedMigrations(db).length
    if (from > 0 && pending.length > 0) await copyBefore(db, `${file}.before-${from + 1}`)
    applyMigrations(db, pending, now)
    return { db, migrated: { from, to: from + pending.length } }
  } catch (error) {
    db.close()
    throw error
  }
}

/** On a connection of its own, because opening for writing already changes the file. */
function refuseNewer(file: string, migrations: readonly Migration[]): void {
  if (!existsSync(file)) return
  const db = new Database(file, { readonly: true })
  try {
    pendingMigrations(db, migrations)
  } catch (error) {
    throw damaged(error) ?? error
  } finally {
    db.close()
  }
}

const damaged = (error: unknown): StoreRefused | null =>
  error instanceof Database.SqliteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code)
    ? new StoreRefused('damaged', `The data file is damaged (${error.message}). Restore a backup.`)
    : null

/** An older copy of the same name is of a migration that failed: what is there now is the same or newer. */
async function copyBefore(db: Connection, file: string): Promise<void> {
  await db.backup(file)
}

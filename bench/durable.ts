import { mkdirSync } from 'node:fs'
import { anchorFile, keepAnchor } from '../src/store/sqlite/anchor.ts'
import { openWriter, requireFullSync } from '../src/store/sqlite/connection.ts'
import { applyMigrations, pendingMigrations, readMigrations } from '../src/store/sqlite/migrate.ts'
import { databaseFile } from '../src/store/sqlite/open.ts'
import { type SqliteStoreOptions, sqliteStore } from '../src/store/sqlite/store.ts'
import { auditStore } from './audit.ts'
import { MIGRATIONS } from './paths.ts'

type Options = Pick<SqliteStoreOptions, 'write_queue_max' | 'group_max'> & { now: string }

/** The store as the product opens it, its anchor included, with an ear for its commits. */
export function durableStore(dir: string, { now, ...options }: Options) {
  mkdirSync(dir, { recursive: true })
  const db = openWriter(databaseFile(dir))
  applyMigrations(db, pendingMigrations(db, readMigrations(MIGRATIONS)), now)
  const keeper = keepAnchor(db, anchorFile(dir), { known: null, onTick: () => requireFullSync(db) })
  let commits = 0
  const store = sqliteStore(db, {
    ...options,
    beforeClose: keeper.close,
    onCommit() {
      commits++
      keeper.follow()
    },
  })
  return { store, commits: () => commits, audit: () => auditStore(db, store) }
}

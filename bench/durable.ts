import { mkdirSync } from 'node:fs'
import { anchorFile, keepAnchor } from '../src/store/sqlite/anchor.ts'
import { type Connection, openWriter, requireFullSync } from '../src/store/sqlite/connection.ts'
import { applyMigrations, pendingMigrations, readMigrations } from '../src/store/sqlite/migrate.ts'
import { databaseFile } from '../src/store/sqlite/open.ts'
import { type SqliteStoreOptions, sqliteStore } from '../src/store/sqlite/store.ts'
import { auditStore } from './audit.ts'
import { MIGRATIONS } from './paths.ts'

type Options = Pick<SqliteStoreOptions, 'write_queue_max' | 'group_max' | 'onGroup'> & {
  now: string
  /** Whether to count statements, which costs a little. */
  counted?: boolean
}

/** The store as the product opens it, its anchor included, with an ear for its commits. */
export function durableStore(dir: string, { now, counted = false, ...options }: Options) {
  mkdirSync(dir, { recursive: true })
  const db = openWriter(databaseFile(dir))
  let statements = 0
  if (counted) onStatement(db, () => statements++)
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
  const queued = db
    .prepare<[], number>("SELECT count(*) FROM execution_requests WHERE state = 'queued'")
    .pluck()
  return {
    store,
    commits: () => commits,
    audit: () => auditStore(db, store),
    queued: () => queued.get() ?? 0,
    statements: () => statements,
  }
}

/** Is told of each statement that runs over this connection, however it was prepared. */
function onStatement(db: Connection, listener: () => void): void {
  const heard =
    <A extends unknown[], R>(method: (...args: A) => R) =>
    (...args: A): R => {
      listener()
      return method(...args)
    }
  const prepare = db.prepare.bind(db)
  db.prepare = ((sql: string) => {
    const statement = prepare(sql)
    const { run, get, all, iterate } = statement
    return Object.assign(statement, {
      run: heard(run.bind(statement)),
      get: heard(get.bind(statement)),
      all: heard(all.bind(statement)),
      iterate: heard(iterate.bind(statement)),
    })
  }) as typeof db.prepare
  db.exec = heard(db.exec.bind(db))
  db.pragma = heard(db.pragma.bind(db))
}

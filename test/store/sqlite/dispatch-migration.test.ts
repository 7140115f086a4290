import { expect, it, onTestFinished } from 'vitest'
import { type Connection, openWriter } from '../../../src/store/sqlite/connection.ts'
import { applyMigrations } from '../../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import { Desk, openDesk } from '../../support/dispatch.ts'
import { NOW } from '../../support/given.ts'
import { MIGRATIONS, openMemoryStore } from '../../support/store.ts'

const DISPATCH = MIGRATIONS.findIndex(({ name }) => name.endsWith('_dispatch.sql'))

const columnsOf = (db: Connection, table: string): string[] =>
  db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck().all(table)

/** What of the tables was there before. */
function copy(from: Connection, to: Connection, table: string): void {
  const columns = columnsOf(to, table).join(', ')
  const rows = from.prepare<[], unknown[]>(`SELECT ${columns} FROM ${table}`).raw().all()
  for (const row of rows)
    to.prepare(`INSERT INTO ${table} (${columns}) VALUES (${row.map(() => '?').join()})`).run(row)
}

it('requests that were made before there were workers wait for them as those that are made now', async () => {
  const now = openMemoryStore()
  const desk = await openDesk(now.store)
  for (const priority of ['low', 'normal', 'high', 'critical'] as const) {
    await desk.request({ classification: { priority } })
  }
  await desk.request({ limits: { queue_timeout_seconds: 30 } })
  await desk.request({ limits: { total_timeout_seconds: 40 } })
  await desk.request({ limits: { queue_timeout_seconds: 30, total_timeout_seconds: 20 } })
  await desk.request({ limits: { queue_timeout_seconds: 9, total_timeout_seconds: 100 } })
  await desk.cancel(await desk.request({ limits: { queue_timeout_seconds: 30 } }))

  const db = openWriter(':memory:')
  applyMigrations(db, MIGRATIONS.slice(0, DISPATCH), NOW)
  for (const table of ['router_configs', 'runs', 'route_decisions', 'execution_requests'])
    copy(now.db, db, table)
  applyMigrations(db, MIGRATIONS.slice(DISPATCH), NOW)

  const all = 'SELECT * FROM execution_requests ORDER BY execution_request_id'
  expect(db.prepare(all).all()).toEqual(now.db.prepare(all).all())
  const store = sqliteStore(db, { write_queue_max: 10 })
  onTestFinished(() => store.close())
  const { items } = await new Desk(store).claim({ max: 32 })
  expect(items.map(({ execution_request }) => execution_request.classification.priority)).toEqual([
    ...['critical', 'high', 'normal', 'normal', 'normal', 'normal', 'normal', 'low'],
  ])
})

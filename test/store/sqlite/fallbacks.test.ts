import { expect, describe, it, onTestFinished } from 'vitest'
import { type Connection, openWriter } from '../../../src/store/sqlite/connection.ts'
import { applyMigrations } from '../../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import { Desk, openDesk } from '../../support/dispatch.ts'
import { chosenIn, fallbackConfig } from '../../support/fallbacks.ts'
import { NOW, after, ulid } from '../../support/given.ts'
import { MIGRATIONS, openMemoryStore } from '../../support/store.ts'

const FALLBACKS = MIGRATIONS.findIndex(({ name }) => name.endsWith('_fallbacks.sql'))

const columnsOf = (db: Connection, table: string): string[] =>
  db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck().all(table)

/** What of the tables was there before. */
function copy(from: Connection, to: Connection, table: string): void {
  const columns = columnsOf(to, table)
    .map((column) => `"${column}"`)
    .join(', ')
  const rows = from.prepare<[], unknown[]>(`SELECT ${columns} FROM ${table}`).raw().all()
  for (const row of rows)
    to.prepare(`INSERT OR REPLACE INTO ${table} (${columns}) VALUES (${row.map(() => '?').join()})`).run(row)
}

const TABLES = [
  ...['router_configs', 'router_activation', 'runs', 'events', 'route_decisions'],
  ...['step_attempts', 'execution_requests', 'tools', 'workers'],
]

describe('a store from before there were fallbacks', () => {
  it('keeps its decisions as they were, knows whose they are, and falls back from then on', async () => {
    const now = openMemoryStore()
    const desk = await openDesk(now.store, fallbackConfig())
    const tried = await desk.request()
    await desk.fail(await desk.claimOne())
    await desk.request()

    const db = openWriter(':memory:')
    applyMigrations(db, MIGRATIONS.slice(0, FALLBACKS), NOW)
    db.pragma('foreign_keys = OFF')
    for (const table of TABLES) copy(now.db, db, table)
    db.pragma('foreign_keys = ON')
    applyMigrations(db, MIGRATIONS.slice(FALLBACKS), NOW)

    for (const table of ['execution_requests', 'route_decisions']) {
      const all = `SELECT * FROM ${table} ORDER BY 1`
      expect(db.prepare(all).all()).toEqual(now.db.prepare(all).all())
    }
    expect(() => db.exec("UPDATE route_decisions SET record = '{}'")).toThrow('never changed')
    const store = sqliteStore(db, { write_queue_max: 10 })
    onTestFinished(() => store.close())
    const later = new Desk(store)
    later.now = after(NOW, 600_000)
    later.given().newId() // ids go on where those of the other desk ended: by time
    const held = await later.claim({ max: 2 })
    const mine = held.items.find(
      ({ execution_request }) => execution_request.request_id === tried.request_id,
    )!
    expect(await later.fail(mine)).toMatchObject({ assignment: { tool_id: 'codex' }, attempts: 2 })
    expect(chosenIn(await later.storyOf(tried))).toEqual(['aider', 'codex'])
  })
})

describe('the decisions about a request are one list', () => {
  async function twoRequests() {
    const { db, store } = openMemoryStore()
    const desk = await openDesk(store, fallbackConfig())
    const [mine, other] = [await desk.request(), await desk.request()]
    let number = 1_000
    const insert = (execution_request_id: string | null, previous_decision_id: string | null) =>
      db
        .prepare(
          `INSERT INTO route_decisions (route_decision_id, outcome, task_kind, config_version, record,
             execution_request_id, previous_decision_id) VALUES (?, 'unroutable', 'edit', 1, '{}', ?, ?)`,
        )
        .run(ulid(NOW, number++), execution_request_id, previous_decision_id)
    return { mine, other, insert, idOf: (request: typeof mine) => request.assignment!.route_decision_id }
  }

  it('each names the last', async () => {
    const { mine, insert, idOf } = await twoRequests()
    insert(mine.request_id, idOf(mine))
    expect(() => insert(mine.request_id, idOf(mine))).toThrow('names the one before it')
  })

  it('with one beginning', async () => {
    const { mine, insert } = await twoRequests()
    expect(() => insert(mine.request_id, null)).toThrow('names the one before it')
  })

  it('of that request alone', async () => {
    const { mine, other, insert, idOf } = await twoRequests()
    expect(() => insert(mine.request_id, idOf(other))).toThrow('names the one before it')
    expect(() => insert(null, idOf(mine))).toThrow('CHECK')
  })

  it('and a request that is not there has none', async () => {
    const { insert } = await twoRequests()
    expect(() => insert(ulid(NOW, 9_999), null)).toThrow('FOREIGN KEY')
  })
})

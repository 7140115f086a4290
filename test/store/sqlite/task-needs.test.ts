import Database from 'better-sqlite3'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Change } from '../../../src/domain/decision.ts'
import type { Connection } from '../../../src/store/sqlite/connection.ts'
import { openWriter } from '../../../src/store/sqlite/connection.ts'
import { applyMigrations } from '../../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import type { Store } from '../../../src/store/store.ts'
import { Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { ANYBODY, NOW } from '../../support/given.ts'
import { tasksBy, tasksOf } from '../../support/plans.ts'
import { MIGRATIONS, dumpOf, openMemoryStore } from '../../support/store.ts'

describe('a store that was made before there were plans', () => {
  const PLANS = MIGRATIONS.findIndex(({ name }) => name.endsWith('_plans.sql'))
  const columnsOf = (db: Connection, table: string): string[] =>
    db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck().all(table)

  /** What of the tables was there before; the activation is one row that is there from the start. */
  function copy(from: Connection, to: Connection): void {
    const tables = to
      .prepare<[], string>(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_migrations'",
      )
      .pluck()
      .all()
    to.pragma('foreign_keys = OFF')
    for (const table of tables) {
      const columns = columnsOf(to, table).map((column) => `"${column}"`)
      const rows = from.prepare<[], unknown[]>(`SELECT ${columns.join()} FROM "${table}"`).raw().all()
      for (const row of rows)
        to.prepare(
          `INSERT OR REPLACE INTO "${table}" (${columns.join()}) VALUES (${columns.map(() => '?').join()})`,
        ).run(row)
    }
    to.pragma('foreign_keys = ON')
  }

  it('has the same requests, with their task ids, and takes plans', async () => {
    const now = openMemoryStore()
    const desk = await openDesk(now.store)
    const { run_id } = await desk.run()
    await desk.request({ run_id, task_id: 'a' })
    await desk.request({ run_id, task_id: 'a' }) // outside of plans a name is free
    await desk.request({ run_id })
    await desk.fail(await desk.claimOne())
    await desk.complete(await desk.claimOne())

    const db = openWriter(':memory:')
    applyMigrations(db, MIGRATIONS.slice(0, PLANS), NOW)
    copy(now.db, db)
    applyMigrations(db, MIGRATIONS.slice(PLANS), NOW)
    const all = 'SELECT * FROM execution_requests ORDER BY execution_request_id'
    expect(db.prepare(all).all()).toEqual(now.db.prepare(all).all())
    expect(db.pragma('foreign_key_check')).toEqual([])
    const store = sqliteStore(db, { write_queue_max: 10 })
    onTestFinished(() => store.close())
    const later = new Desk(store)
    later.now = '2026-01-05T10:30:00.000Z'
    await later.submit(run_id, tasksOf({ a: [], b: ['a'] }))
    const { items } = await store.listExecutionRequests({ run_id: [run_id], order: 'asc' }, ANYBODY)
    expect(items.map(({ task_id, plan }) => [task_id, plan?.level])).toEqual([
      ['a', undefined],
      ['a', undefined],
      [null, undefined],
      ['a', 0],
      ['b', 1],
    ])
  })
})

describe('the tables keep', () => {
  let db: Connection
  let desk: Desk
  let run_id: string
  beforeEach(async () => {
    const opened = openMemoryStore()
    db = opened.db
    desk = await openDesk(opened.store)
    run_id = (await desk.run()).run_id
    await desk.submit(run_id, tasksOf({ a: [], b: ['a'] }))
    return () => expectAllSound(opened.db, opened.store)
  })
  const refused = (sql: string, why: RegExp) => {
    const before = dumpOf(db)
    expect(() => db.exec(sql)).toThrow(why)
    expect(dumpOf(db)).toEqual(before)
  }

  it('what waits for something from being queued', () =>
    refused("UPDATE execution_requests SET state = 'queued' WHERE task_id = 'b'", /CHECK/))
  it('a count from going below nothing', () =>
    refused("UPDATE execution_requests SET waiting_for = -1 WHERE task_id = 'b'", /CHECK/))
  it.each(['plan', 'task_id'])('%s as it was', (column) =>
    refused(`UPDATE execution_requests SET ${column} = '{}'`, /never changed/),
  )
  it('what is needed as it was', () => {
    refused('DELETE FROM task_needs', /never changed/)
    refused('UPDATE task_needs SET needs_id = execution_request_id', /never changed/)
  })
  it('a task from needing itself, and what is not there', () => {
    refused(
      'INSERT INTO task_needs SELECT run_id, execution_request_id, execution_request_id FROM execution_requests',
      /CHECK/,
    )
    refused("INSERT INTO task_needs SELECT run_id, execution_request_id, 'x' FROM task_needs", /FOREIGN KEY/)
  })
  it('a name for one task of a run', () => {
    const columns = db
      .prepare<[], string>("SELECT name FROM pragma_table_info('execution_requests')")
      .pluck()
      .all()
    const copies = columns.map((column) => (column === 'execution_request_id' ? "'x'" : column))
    refused(
      `INSERT INTO execution_requests (${columns.join()}) SELECT ${copies.join()} FROM execution_requests WHERE task_id = 'a'`,
      /UNIQUE.*run_id.*task_id/,
    )
  })

  it('a count that moved meanwhile from being lowered again', async () => {
    const id = db
      .prepare<[], string>("SELECT execution_request_id FROM execution_requests WHERE task_id = 'b'")
      .pluck()
      .get()!
    const lower = (before: number, after: number): Promise<unknown> => {
      const change: Change = {
        record: 'task_waits',
        execution_request_id: id,
        before,
        after,
        stranded: false,
      }
      return desk.store.change({}, () => ({ changes: [change], events: [], result: () => null }))
    }
    await expect(lower(2, 1)).rejects.toThrow('stale write: execution_requests waiting_for')
    const a = await desk.claimOne()
    await desk.complete(a)
    await expect(lower(0, -1)).rejects.toThrow('stale write: execution_requests waiting_for')
  })
})

describe('with a thousand tasks in five runs, the plan of', () => {
  let ran: string[] = []
  let db: Connection
  let store: Store
  let desk: Desk
  let run_id: string
  beforeAll(async () => {
    db = new Database(':memory:', { verbose: (sql) => void ran.push(String(sql)) })
    applyMigrations(db, MIGRATIONS, NOW)
    store = sqliteStore(db, { write_queue_max: 2_000 })
    desk = await openDesk(store)
    for (let run = 0; run < 5; run++) {
      run_id = (await desk.run({ completion: 'auto', on_failure: 'continue' })).run_id
      await desk.submit(
        run_id,
        tasksBy(200, (place) => (place < 10 ? [] : [place - 10])),
      )
    }
    db.exec('ANALYZE')
  })
  afterAll(() => store.close())

  const ACTS: [name: string, act: () => Promise<unknown>, index: string][] = [
    ['a completion', async () => desk.complete(await desk.claimOne()), 'task_needs_by_need (needs_id=?)'],
    ['a failure', async () => desk.fail(await desk.claimOne(), 'auth'), 'task_needs_by_need (needs_id=?)'],
    [
      'another submission',
      () => desk.submit(run_id, tasksOf({ x: ['t5'] })),
      'execution_requests_by_task (run_id=? AND task_id=?)',
    ],
    ['the plan', () => desk.plan(run_id), 'execution_requests_by_task (run_id=?)'],
    [
      'a diagnosis',
      () =>
        store.view(
          { execution_request_id: idOf('t150'), lease: true, surroundings: { now: NOW }, obstacles: true },
          (before) => expect(before.plan.obstacles).toHaveLength(1),
        ),
      'PRIMARY KEY (run_id=? AND execution_request_id=?)',
    ],
    ['the sweep', () => store.dueRequests(NOW, 10), 'execution_requests_stranded (created_at<?)'],
    ['what comes next', () => store.nextDue(NOW), 'execution_requests_stranded'],
  ]
  const idOf = (task_id: string): string =>
    db
      .prepare<[string], string>('SELECT execution_request_id FROM execution_requests WHERE task_id = ?')
      .pluck()
      .get(task_id)!

  it.each(ACTS)('%s uses its index, and neither scans nor sorts', async (_name, act, index) => {
    ran = []
    await act()
    const statements = [...new Set(ran.filter((sql) => /^\s*(SELECT|UPDATE|DELETE|WITH)/.test(sql)))]
    const planned = statements.map((sql) => ({
      sql,
      plan: (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map(({ detail }) =>
        detail.replace('COVERING INDEX', 'INDEX'),
      ),
    }))
    expect(planned.flatMap(({ plan }) => plan).join('\n')).toContain(index)
    const bad = planned.filter(
      ({ sql, plan }) =>
        !sql.includes('FROM execution_requests WHERE task_id') && // this test's own
        plan.some((detail) =>
          /^SCAN (?!json_each|asked|router_activation|\(subquery|CONSTANT|b$|below|step_attempts USING INDEX step_attempts_running_by_tool)|TEMP B-TREE/.test(
            detail,
          ),
        ),
    )
    expect(bad).toEqual([])
  })
})

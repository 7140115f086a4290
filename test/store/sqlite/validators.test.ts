import Database from 'better-sqlite3'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { ClaimedRequest } from '../../../src/contract/dispatch.ts'
import { type Connection, openWriter } from '../../../src/store/sqlite/connection.ts'
import { applyMigrations } from '../../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import { Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { NOW, after, ulid } from '../../support/given.ts'
import { MIGRATIONS } from '../../support/store.ts'
import { validatedConfig } from '../../support/validations.ts'

let ran: string[]
let db: Connection
let desk: Desk

beforeEach(async () => {
  ran = []
  db = new Database(':memory:', { verbose: (sql) => void ran.push(String(sql)) })
  applyMigrations(db, MIGRATIONS, NOW)
  const store = sqliteStore(db, { write_queue_max: 100 })
  onTestFinished(() => store.close())
  desk = await openDesk(store, validatedConfig())
})

async function statementsOf(act: () => Promise<unknown>): Promise<string[]> {
  ran = []
  await act()
  return ran.filter((sql) => /^\s*(SELECT|UPDATE|DELETE|INSERT|WITH)/.test(sql))
}
const plansOf = (statements: readonly string[]): string[] =>
  statements
    .filter((sql) => !/^\s*INSERT/.test(sql))
    .flatMap((sql) => db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[])
    .map(({ detail }) => detail)

async function lookedAt(): Promise<{ work: ClaimedRequest; validator: ClaimedRequest }> {
  await desk.request()
  const work = await desk.claimOne()
  await desk.complete(work)
  return { work, validator: await desk.claimOne({ tools: ['pytest'] }) }
}

describe('work that nobody looks at', () => {
  it('costs no statement more: neither its decision nor validators are read', async () => {
    await desk.install(validatedConfig({ validate_with: [] }))
    await desk.request()
    const statements = await statementsOf(async () => desk.complete(await desk.claimOne()))
    expect(statements.filter((sql) => /FROM route_decisions|WHERE validates_/.test(sql))).toEqual([])
  })
})

describe('the end of a validator', () => {
  it.each(['complete', 'fail'] as const)('finds who else looks at the work by an index: %s', async (way) => {
    const { validator } = await lookedAt()
    const plans = plansOf(await statementsOf(() => desk[way](validator)))
    expect(plans.join('\n')).toContain(
      'USING INDEX execution_requests_by_validated (validates_execution_request_id=?)',
    )
    expect(
      plans.filter((detail) => /^SCAN (?!json_each|asked|\(subquery|CONSTANT)|TEMP B-TREE/.test(detail)),
    ).toEqual([])
  })
})

describe('two verdicts at once', () => {
  const both = async () => {
    await desk.request()
    await desk.complete(await desk.claimOne())
    const { items } = await desk.claim({ tools: ['pytest', 'eslint'], max: 2 })
    return items as [ClaimedRequest, ClaimedRequest]
  }

  it('decide once: the second of two that agree', async () => {
    const [one, other] = await both()
    await Promise.all([desk.complete(one), desk.complete(other)])
    const { execution_request_id } = one.execution_request.validates!
    expect(await desk.requestNow({ request_id: execution_request_id })).toMatchObject({ state: 'succeeded' })
    await expectAllSound(db, desk.store)
  })

  it('decide once: the first that does not agree, and the other has lost its lease', async () => {
    const [one, other] = await both()
    const [failed, late] = await Promise.allSettled([desk.fail(one), desk.complete(other)])
    expect([failed.status, late]).toMatchObject(['fulfilled', { reason: { code: 'lease_lost' } }])
    const { execution_request_id } = one.execution_request.validates!
    expect(await desk.requestNow({ request_id: execution_request_id })).toMatchObject({ state: 'queued' })
    await expectAllSound(db, desk.store)
  })
})

describe('the row of a validator', () => {
  const set = (column: string, value: unknown, { execution_request }: ClaimedRequest) =>
    db
      .prepare(`UPDATE execution_requests SET ${column} = ? WHERE execution_request_id = ?`)
      .run(value, execution_request.request_id)

  it.each([
    ['validates_required', 0],
    ['validates_execution_request_id', null],
    ['validates_step_attempt_id', ulid(NOW, 9_999)],
  ])('never changes what it looks at: %s', async (column, value) => {
    const { validator } = await lookedAt()
    expect(() => set(column, value, validator)).toThrow('is never changed')
  })

  it('has no validators itself', async () => {
    const { validator } = await lookedAt()
    expect(() => set('validators', '[]', validator)).toThrow('CHECK')
  })
})

describe('a store from before there were validators', () => {
  const VALIDATORS = MIGRATIONS.findIndex(({ name }) => name.endsWith('_validators.sql'))
  const TABLES = [
    ...['router_configs', 'router_activation', 'runs', 'events', 'route_decisions'],
    ...['step_attempts', 'execution_requests', 'tools', 'workers', 'leases'],
  ]
  const columnsOf = (of: Connection, table: string): string =>
    of
      .prepare<[string], string>('SELECT name FROM pragma_table_info(?)')
      .pluck()
      .all(table)
      .map((column) => `"${column}"`)
      .join(', ')

  it('validates what is assigned from then on, and nothing that was assigned before', async () => {
    await desk.request()
    const held = await desk.claimOne()
    const old = openWriter(':memory:')
    applyMigrations(old, MIGRATIONS.slice(0, VALIDATORS), NOW)
    old.pragma('foreign_keys = OFF')
    for (const table of TABLES) {
      const columns = columnsOf(old, table)
      const rows = db.prepare<[], unknown[]>(`SELECT ${columns} FROM ${table}`).raw().all()
      for (const row of rows)
        old
          .prepare(`INSERT OR REPLACE INTO ${table} (${columns}) VALUES (${row.map(() => '?').join()})`)
          .run(row)
    }
    old.pragma('foreign_keys = ON')
    applyMigrations(old, MIGRATIONS.slice(VALIDATORS), NOW)
    const store = sqliteStore(old, { write_queue_max: 10 })
    onTestFinished(() => store.close())
    const later = new Desk(store)
    later.now = after(NOW, 10_000) // its ids come after those of the other desk
    expect((await later.complete(held)).execution_request).toMatchObject({
      state: 'succeeded',
      assignment: { validators: [] },
    })
    await later.request()
    expect((await later.complete(await later.claimOne())).execution_request).toMatchObject({
      state: 'blocked',
    })
  })
})

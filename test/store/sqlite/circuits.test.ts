import { describe, expect, it, onTestFinished } from 'vitest'
import { CLOSED, circuitReset } from '../../../src/domain/circuit.ts'
import { claimRequests } from '../../../src/domain/claim.ts'
import type { Change } from '../../../src/domain/decision.ts'
import { getTool } from '../../../src/domain/tool.ts'
import { type Connection, openWriter } from '../../../src/store/sqlite/connection.ts'
import { applyMigrations } from '../../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import { Desk, openDesk } from '../../support/dispatch.ts'
import { NOW, after } from '../../support/given.ts'
import { MIGRATIONS, dumpOf, openMemoryStore } from '../../support/store.ts'

const CIRCUITS = MIGRATIONS.findIndex(({ name }) => name.endsWith('_circuits.sql'))

/** A tool that has done something, and whose circuit is open. */
async function opened() {
  const { db, store } = openMemoryStore()
  const desk = await openDesk(store)
  await desk.request()
  await desk.request()
  await desk.fail(await desk.claimOne(), 'auth')
  return { db, store, desk }
}

describe('the row of a tool', () => {
  it.each([
    ['a state that no machine knows', "circuit_state = 'broken'"],
    ['a closed circuit with a reason', "circuit_state = 'closed'"],
    ['an open one without a reason', 'circuit_reason = NULL'],
    ['one that opened at no time', 'circuit_opened_at = NULL'],
    ['one that is open for ever', 'circuit_open_until = NULL'],
    ['one that was over before it opened', "circuit_open_until = '2026-01-05T09:29:59.999Z'"],
    ['one that opens for no time', 'circuit_open_seconds = NULL'],
    ['one that opens for 0 seconds', 'circuit_open_seconds = 0'],
    ['fewer failures than none', 'circuit_failures_in_row = -1'],
    ['an open one that counts', "circuit_window = '[[0,1,1]]'"],
    ['a probe of one that is not half open', 'circuit_probe = (SELECT step_attempt_id FROM step_attempts)'],
  ])('cannot say nonsense: %s', async (_, assignment) => {
    const { db } = await opened()
    expect(() => db.exec(`UPDATE tools SET ${assignment}`)).toThrow('CHECK')
  })

  it('names no probe that is not there', async () => {
    const { db } = await opened()
    const move = "UPDATE tools SET circuit_state = 'half_open', circuit_probe = 'nobody'"
    expect(() => db.exec(move)).toThrow('FOREIGN KEY')
  })

  it('is not written over what another has written: no second probe, and no move of another', async () => {
    const { db, store, desk } = await opened()
    desk.pass(60_000)
    const queue = { worker_id: 'w1', tools: ['aider'], limit: 1, now: desk.now, projects: null }
    const stale = await store.view({ worker_id: 'w1', queue, system: 'circuits' }, (before) => ({
      claim: claimRequests(before, desk.given(), { worker_id: 'w1', tools: ['aider'] }),
      book: before.queue!.tool('aider').book,
    }))
    await desk.claimOne({ worker_id: 'w2' })
    const dump = dumpOf(db)
    const { book } = stale
    const tool = stale.claim.changes.filter(({ record }) => record === 'tool')
    expect(tool).toHaveLength(1)
    const after = { ...book, circuit: circuitReset(book.circuit).circuit, version: book.version + 1 }
    for (const change of [...tool, { record: 'tool', before: book, after } as Change]) {
      const decision = { changes: [change], events: [], result: () => null }
      await expect(store.change({}, () => decision)).rejects.toThrow(/stale write: tools|FOREIGN KEY/)
    }
    expect(dumpOf(db)).toEqual(dump)
  })
})

describe('a store from before there were circuits', () => {
  const columnsOf = (db: Connection) =>
    db.prepare<[], string>("SELECT name FROM pragma_table_info('tools')").pluck().all()

  it('has closed ones, of which nothing is counted', async () => {
    const now = openMemoryStore()
    const desk = await openDesk(now.store)
    await desk.request()
    await desk.fail(await desk.claimOne())
    const db = openWriter(':memory:')
    applyMigrations(db, MIGRATIONS.slice(0, CIRCUITS), NOW)
    const columns = columnsOf(db).join(', ')
    const rows = now.db.prepare<[], unknown[]>(`SELECT ${columns} FROM tools`).raw().all()
    expect(rows).toHaveLength(1)
    const insert = db.prepare(`INSERT INTO tools (${columns}) VALUES (${rows[0]!.map(() => '?').join()})`)
    for (const row of rows) insert.run(row)
    applyMigrations(db, MIGRATIONS.slice(CIRCUITS), NOW)
    const store = sqliteStore(db, { write_queue_max: 10 })
    onTestFinished(() => store.close())
    const later = new Desk(store)
    await later.install()
    const { routing } = await store.view({ routing: 'active' }, (before) => before)
    expect(routing!.tools.get('aider')!.circuit).toEqual(CLOSED)
    const shown = await store.view({ routing: 'active' }, (before) => getTool(before, 'aider', NOW))
    expect(shown).toMatchObject({ circuit: { state: 'closed' }, outcomes: { failures: 1 } })
  })
})

describe('time', () => {
  it('comes back for an open circuit, and once', async () => {
    const { store, desk } = await opened()
    const until = after(NOW, 60_000)
    expect(await store.nextDue(NOW)).toBe(until)
    expect(await store.recoveringTools(NOW, after(until, -1))).toEqual([])
    expect(await store.recoveringTools(NOW, until)).toEqual(['aider'])
    expect(await store.recoveringTools(until, after(until, 1))).toEqual([])
    expect(await store.nextDue(until)).toBeNull()
    desk.pass(60_000)
    await desk.claimOne()
    expect(await store.recoveringTools(NOW, until)).not.toContain('aider')
  })
})

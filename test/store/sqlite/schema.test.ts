import { describe, expect, it } from 'vitest'
import { CircuitState } from '../../../src/contract/circuit.ts'
import { ActorType } from '../../../src/contract/event.ts'
import { ExecutionRequestState } from '../../../src/contract/execution-request.ts'
import { LIMITS } from '../../../src/contract/limits.ts'
import { Completion, OnFailure, RunState, TriggerType } from '../../../src/contract/run.ts'
import { StepAttemptState } from '../../../src/contract/step.ts'
import { checkChain, chainStart } from '../../../src/domain/event-chain.ts'
import type { Connection } from '../../../src/store/sqlite/connection.ts'
import { EVENT_COLUMNS } from '../../../src/store/sqlite/events.ts'
import { RUN_COLUMNS } from '../../../src/store/sqlite/runs.ts'
import { STEP_COLUMNS } from '../../../src/store/sqlite/step-attempts.ts'
import { NO_ID } from '../../support/builders.ts'
import { ANYBODY } from '../../support/given.ts'
import { dumpOf, eventsOf, ledgerOf, openMemoryStore, runIn } from '../../support/store.ts'

/** A store with two runs, an attempt and some events. */
async function aFullStore() {
  const { db, store } = openMemoryStore()
  const ledger = ledgerOf(store)
  await ledger.createRun({ labels: { team: 'core' } })
  const { run_id } = await runIn(ledger, 'running')
  const { step_attempt_id } = await ledger.createStep(run_id)
  await ledger.completeStep(step_attempt_id, { status: 'failed' })
  await ledger.appendEvent(run_id, { kind: 'note', payload: { text: 'Grüße' } })
  return { db, store, run_id, step_attempt_id }
}

const sqlOf = (db: Connection, table: string): string =>
  db.prepare<[string], string>('SELECT sql FROM sqlite_schema WHERE name = ?').pluck().get(table) ?? ''

/** The words of `CHECK (column IN ('a', 'b'))`, or of `CHECK ((column = 'a' OR column = 'b'))`. */
function checkedWords(sql: string, column: string): string[] {
  const list =
    new RegExp(`CHECK \\(${column} IN \\(([^)]*)|CHECK \\(\\((${column} = [^)]*)`).exec(sql)?.[0] ?? ''
  return [...list.matchAll(/'(\w+)'/g)].map(([, word]) => word!)
}

describe('a list of words in the schema is the one in the contract', () => {
  it.each([
    ['runs', 'state', RunState],
    ['runs', 'trigger_type', TriggerType],
    ['runs', 'completion', Completion],
    ['runs', 'on_failure', OnFailure],
    ['step_attempts', 'state', StepAttemptState],
    ['events', 'actor_type', ActorType],
    ['tools', 'circuit_state', CircuitState],
    ['execution_requests', 'state', ExecutionRequestState],
  ])('%s.%s', (table, column, words) => {
    const { db } = openMemoryStore()
    expect(checkedWords(sqlOf(db, table), column)).toEqual(words.enum)
  })

  it('and the highest sequence is the one among the limits', () => {
    const { db } = openMemoryStore()
    expect(sqlOf(db, 'step_attempts')).toContain(`sequence BETWEEN 1 AND ${LIMITS.sequence}`)
  })
})

describe('every constraint', () => {
  it('names its words one by one if they are more than two: for a list SQLite fills a table each time', () => {
    const { db } = openMemoryStore()
    const all = db.prepare<[], string>("SELECT sql FROM sqlite_schema WHERE type = 'table'").pluck().all()
    const lists = all.flatMap((sql) =>
      [...sql.matchAll(/ IN \(([^)]*)\)/g)].map(([, list]) => list!.split(',')),
    )
    expect(lists.filter((words) => words.length > 2)).toEqual([])
  })

  it.each([
    ['runs', 'state'],
    ['runs', 'trigger_type'],
    ['runs', 'on_failure'],
    ['step_attempts', 'state'],
    ['tools', 'circuit_state'],
    ['tools', 'paused_by_type'],
    ['execution_requests', 'state'],
  ])('of %s.%s is held', (table, column) => {
    const { db } = openMemoryStore()
    const info = db.pragma(`table_info(${table})`) as { type: string; notnull: number }[]
    const row = info.map(({ type, notnull }) => (notnull === 0 ? 'NULL' : type === 'TEXT' ? "'x'" : '1'))
    db.pragma('foreign_keys = OFF')
    db.pragma('ignore_check_constraints = ON')
    db.exec(`INSERT INTO ${table} VALUES (${row.join(', ')})`)
    db.pragma('ignore_check_constraints = OFF')
    expect(() => db.exec(`UPDATE ${table} SET ${column} = 'nonsense'`)).toThrow(
      `CHECK constraint failed: (${column} = `,
    )
  })
})

describe('every table', () => {
  it('is STRICT', () => {
    const { db } = openMemoryStore()
    const tables = db.prepare('PRAGMA table_list').all() as { schema: string; name: string; strict: number }[]
    const loose = tables.filter(({ name, strict }) => !name.startsWith('sqlite_') && strict === 0)
    expect(loose).toEqual([])
  })

  it.each([
    ['runs', RUN_COLUMNS],
    ['step_attempts', STEP_COLUMNS],
    ['events', EVENT_COLUMNS],
  ] as const)('%s has the columns that its codec knows', (table, columns) => {
    const { db } = openMemoryStore()
    const info = db.pragma(`table_info(${table})`) as { name: string }[]
    expect(info.map(({ name }) => name).toSorted()).toEqual(
      columns.map((column) => column.replaceAll('"', '')).toSorted(),
    )
  })
})

describe('an event', () => {
  it('is never deleted', async () => {
    const { db } = await aFullStore()
    const before = dumpOf(db)
    expect(() => db.exec('DELETE FROM events')).toThrow('events are never deleted')
    expect(() => db.exec('DELETE FROM events WHERE seq = 3')).toThrow('events are never deleted')
    expect(dumpOf(db)).toEqual(before)
  })

  it('is never replaced either, by its seq or by its place', async () => {
    const { db } = await aFullStore()
    const before = dumpOf(db)
    const columns = EVENT_COLUMNS.join(', ')
    const same = `INSERT OR REPLACE INTO events (${columns}) SELECT ${columns} FROM events WHERE seq = 3`
    expect(() => db.exec(same)).toThrow('events are never deleted')
    const others = EVENT_COLUMNS.map((column) => (column === 'seq' ? '99' : column)).join(', ')
    const moved = `INSERT OR REPLACE INTO events (${columns}) SELECT ${others} FROM events WHERE seq = 3`
    expect(() => db.exec(moved)).toThrow('events are never deleted')
    expect(dumpOf(db)).toEqual(before)
  })

  it.each(EVENT_COLUMNS)('is never changed: %s', async (column) => {
    const { db } = await aFullStore()
    const before = dumpOf(db)
    const value = column === 'seq' || column === 'run_seq' ? '4711' : "'other'"
    expect(() => db.exec(`UPDATE events SET ${column} = ${value} WHERE seq = 3`)).toThrow(
      'events are never changed',
    )
    expect(dumpOf(db)).toEqual(before)
  })

  it.each(EVENT_COLUMNS.filter((column) => !column.startsWith('payload')))(
    'is never changed under the cover of an erasure: %s',
    async (column) => {
      const { db } = await aFullStore()
      const value = column === 'seq' || column === 'run_seq' ? '4711' : "'other'"
      const update = `UPDATE events SET payload = NULL, payload_salt = NULL, ${column} = ${value} WHERE seq = 3`
      expect(() => db.exec(update)).toThrow('events are never changed')
    },
  )

  it.each([
    'payload = NULL',
    'payload_salt = NULL',
    "payload = NULL, payload_salt = 'other'",
    "payload_hash = 'other', payload = NULL, payload_salt = NULL",
  ])('is not half erased: %s', async (assignment) => {
    const { db } = await aFullStore()
    expect(() => db.exec(`UPDATE events SET ${assignment} WHERE seq = 3`)).toThrow('events are never changed')
  })

  it('may be erased: payload and salt together, and its chain still verifies', async () => {
    const { db, store, run_id } = await aFullStore()
    db.exec('UPDATE events SET payload = NULL, payload_salt = NULL WHERE seq = 3')
    const [, erased] = await eventsOf(store, run_id)
    expect(erased).toMatchObject({ seq: 3, payload: null, payload_salt: null, kind: 'run_started' })
    const chain = await store.readChain(run_id, { run_seq: 0, limit: 100 })
    expect(checkChain({ head: chainStart(run_id), first_bad: null }, chain).first_bad).toBeNull()
  })

  it('that was erased does not get another payload', async () => {
    const { db } = await aFullStore()
    db.exec('UPDATE events SET payload = NULL, payload_salt = NULL WHERE seq = 3')
    expect(() => db.exec("UPDATE events SET payload = '{}', payload_salt = 'x' WHERE seq = 3")).toThrow(
      'events are never changed',
    )
  })

  it('stands alone at its place in its run', async () => {
    const { db, run_id } = await aFullStore()
    expect(() => insertEvent(db, { run_id, run_seq: 2 })).toThrow('UNIQUE')
    expect(() => insertEvent(db, { run_id, run_seq: 1_000 })).not.toThrow()
  })

  it('stands alone at its place among those without a run, whose NULLs a UNIQUE does not bind', async () => {
    const { db } = await aFullStore()
    insertEvent(db, { run_id: null, run_seq: 1 })
    insertEvent(db, { run_id: null, run_seq: 2 })
    expect(() => insertEvent(db, { run_id: null, run_seq: 1 })).toThrow('UNIQUE')
  })

  it('belongs to a run that is there', async () => {
    const { db } = await aFullStore()
    expect(() => insertEvent(db, { run_id: NO_ID, run_seq: 1 })).toThrow('FOREIGN KEY')
  })
})

function insertEvent(db: Connection, { run_id, run_seq }: { run_id: string | null; run_seq: number }): void {
  db.prepare(
    `INSERT INTO events (event_id, run_id, run_seq, ts, kind, actor_type, payload, payload_salt, payload_hash, hash)
     VALUES ('e', ?, ?, '2026-01-05T09:30:00.000Z', 'note', 'system', '{}', 's', 'p', 'h')`,
  ).run(run_id, run_seq)
}

describe('a run and a step attempt', () => {
  it('are never deleted', async () => {
    const { db, run_id, step_attempt_id } = await aFullStore()
    expect(() => db.prepare('DELETE FROM runs WHERE run_id = ?').run(run_id)).toThrow(
      'runs are never deleted',
    )
    const remove = db.prepare('DELETE FROM step_attempts WHERE step_attempt_id = ?')
    expect(() => remove.run(step_attempt_id)).toThrow('step attempts are never deleted')
  })

  it.each([
    ['a state that no machine knows', 'runs', "state = 'paused'"],
    ['an open run that has ended', 'runs', "ended_at = '2026-01-05T09:30:00.000Z'"],
    ['a closed run that has not', 'runs', "state = 'failed'"],
    ['attempts under way in a run that is not', 'runs', "steps_running = 1, state = 'pending'"],
    ['fewer than no attempts under way', 'runs', 'steps_running = -1'],
    ['version 0', 'runs', 'version = 0'],
    ['a counter below 0', 'runs', 'errors = -1'],
    ['a text where a number stands', 'runs', "version = 'x'"],
    ['an attempt in a state that no machine knows', 'step_attempts', "state = 'paused'"],
    ['a running attempt that has ended', 'step_attempts', "state = 'running'"],
    ['sequence 0', 'step_attempts', 'sequence = 0'],
    ['sequence 1 000 001', 'step_attempts', 'sequence = 1000001'],
    ['attempt 0', 'step_attempts', 'attempt = 0'],
    ['a second attempt that repeats nothing', 'step_attempts', 'attempt = 2'],
    ['a first attempt that repeats one', 'step_attempts', 'retry_of = step_attempt_id'],
  ])('cannot say nonsense: %s', async (_name, table, assignment) => {
    const { db } = await aFullStore()
    expect(() => db.exec(`UPDATE ${table} SET ${assignment}`)).toThrow(/CHECK|cannot store/)
  })

  it('cannot refer to what is not there', async () => {
    const { db } = await aFullStore()
    expect(() => db.prepare('UPDATE step_attempts SET run_id = ?').run(NO_ID)).toThrow('FOREIGN KEY')
  })

  it('keep no labels but those that the run has', async () => {
    const { db, store } = await aFullStore()
    const [labelled] = (await store.listRuns({ label: ['team:core'] }, ANYBODY)).items
    expect(db.prepare('SELECT * FROM run_labels').all()).toEqual([
      { key: 'team', value: 'core', run_id: labelled?.run_id },
    ])
  })
})

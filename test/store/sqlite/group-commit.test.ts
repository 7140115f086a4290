import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Decision, Given, Snapshot } from '../../../src/domain/decision.ts'
import { createRun } from '../../../src/domain/run.ts'
import type { CommittedGroup, Store } from '../../../src/store/store.ts'
import { NO_ID, RUN_BODY, aStep } from '../../support/builders.ts'
import { ANYBODY, given, givens } from '../../support/given.ts'
import { LedgerError } from '../../../src/domain/error.ts'
import { refusalOf } from '../../support/refusal.ts'
import { dumpOf, expectSound, ledgerOf, openFileStore, openMemoryStore } from '../../support/store.ts'

/** The commits in a log: every frame that ends one says how large the database is then. SQLite's file format §4.1. */
function commitsIn(file: string): number {
  const log = readFileSync(`${file}-wal`)
  const frame = 24 + log.readUInt32BE(8)
  const salt = log.subarray(16, 24)
  let commits = 0
  for (let at = 32; at + frame <= log.length; at += frame) {
    const isCurrent = log.subarray(at + 8, at + 16).equals(salt)
    if (isCurrent && log.readUInt32BE(at + 4) !== 0) commits++
  }
  return commits
}

/**
 * An empty store whose log is empty too, and how many commits there were since. The time by which a group is
 * cut short stands still, so that a slow machine makes the same groups.
 */
function opened(options: Parameters<typeof openFileStore>[0] = {}) {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { db, store, file } = openFileStore(options)
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.pragma('wal_autocheckpoint = 0')
  const other = () => {
    const connection = new Database(file, { timeout: 0 })
    onTestFinished(() => void connection.close())
    return connection
  }
  return { db, store, file, ledger: ledgerOf(store), other, commits: () => commitsIn(file) }
}

const many = <T>(count: number, act: () => Promise<T>): Promise<T>[] => Array.from({ length: count }, act)

/** A write that refuses, breaks or succeeds as a test wants it to. */
const write = <T>(store: Store, decide: (before: Snapshot) => Decision<T>) => store.change({}, decide)

describe('writes that come together', () => {
  it('are told as one commit, with how many it carried and how long it took', async () => {
    const groups: CommittedGroup[] = []
    const { ledger } = opened({ onGroup: (group) => void groups.push(group) })
    await Promise.all(many(300, () => ledger.createRun()))
    expect(groups.map(({ operations }) => operations)).toEqual([256, 44])
    for (const { commit_ms } of groups) expect(commit_ms).toBe(0) // its clock stands still here
  })

  it('are not told of what was refused among them, and not at all if all of it was', async () => {
    const groups: CommittedGroup[] = []
    const { ledger } = opened({ onGroup: (group) => void groups.push(group) })
    await Promise.allSettled([ledger.createRun(), ledger.startRun(NO_ID), ledger.createRun()])
    await refusalOf(ledger.startRun(NO_ID))
    expect(groups.map(({ operations }) => operations)).toEqual([2])
  })

  it('are told one by one, where one of them broke the group', async () => {
    const groups: CommittedGroup[] = []
    const { store, ledger } = opened({ onGroup: (group) => void groups.push(group) })
    const first = ledger.createRun()
    const broken = write(store, () => {
      throw new Error('nobody foresaw this')
    })
    await Promise.allSettled([first, broken, ledger.createRun()])
    expect(groups.map(({ operations }) => operations)).toEqual([1, 1])
  })

  it('commit together: far fewer commits than writes', async () => {
    const { ledger, commits } = opened()
    const runs = await Promise.all(many(400, () => ledger.createRun()))
    expect(new Set(runs.map(({ run_id }) => run_id)).size).toBe(400)
    expect(commits()).toBe(2) // of 256 and 144
  })

  it('commit together also where each comes in a callback of its own, as requests do from their sockets', async () => {
    const { ledger, commits } = opened()
    const arriving = many(20, () => nextTurn().then(() => ledger.createRun()))
    await Promise.all(arriving)
    expect(commits()).toBe(1)
  })

  it('commit one by one where a group may hold one', async () => {
    const { ledger, commits } = opened({ group_max: 1 })
    await Promise.all(many(20, () => ledger.createRun()))
    expect(commits()).toBe(20)
  })

  it('are cut into groups of no more than so many', async () => {
    const { ledger, commits } = opened({ group_max: 10 })
    await Promise.all(many(100, () => ledger.createRun()))
    expect(commits()).toBe(10)
  })

  it('are cut into groups of a few milliseconds, so that no commit stops the server for long', async () => {
    const { store, ledger, commits } = opened()
    const next = givens({ start: '2026-02-01T00:00:00.000Z' })
    const slow = () =>
      write(store, (before) => {
        vi.advanceTimersByTime(11)
        return createRun(before, next(), RUN_BODY, null)
      })
    await Promise.all([slow(), slow(), ledger.createRun(), ledger.createRun()])
    expect(commits()).toBe(2)
  })

  it('are answered after their commit, when every other connection sees them', async () => {
    const { ledger, other } = opened()
    const reader = other()
    const answered = many(10, async () => {
      const { run_id } = await ledger.createRun()
      return reader.prepare('SELECT count(*) FROM runs WHERE run_id = ?').pluck().get(run_id)
    })
    expect(await Promise.all(answered)).toEqual(Array.from({ length: 10 }, () => 1))
  })

  it('are not seen before it, also not by reads of the same server', async () => {
    const { store, ledger } = opened()
    const writes = many(3, () => ledger.createRun())
    expect((await store.listRuns({}, ANYBODY)).items).toEqual([])
    await Promise.all(writes)
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(3)
  })
})

describe('a write of many records', () => {
  /** Every look at the clock takes a millisecond, so that a slice has a few records on any machine. */
  function openedSlowly(...options: Parameters<typeof opened>) {
    const here = opened(...options)
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => ++now)
    onTestFinished(() => void vi.restoreAllMocks())
    return here
  }
  const manyRuns = (before: Snapshot, next: () => Given, count = 200): Decision<number> => {
    const decisions = Array.from({ length: count }, () => createRun(before, next(), RUN_BODY, null))
    return {
      changes: decisions.flatMap(({ changes }) => changes),
      events: decisions.flatMap(({ events }) => events),
      result: (seqs) => seqs.length,
    }
  }
  const later = () => givens({ start: '2026-02-01T00:00:00.000Z' })
  const countOf = async (store: Store) => (await store.listRuns({ limit: 500 }, ANYBODY)).items.length

  it('is one commit, over several turns of the event loop, and reads between see nothing of it', async () => {
    const { store, commits } = openedSlowly()
    let isWritten = false
    const seen: number[] = []
    const look = async () => {
      while (!isWritten) {
        await nextTurn()
        seen.push(await countOf(store))
      }
    }
    const looking = look()
    await expect(write(store, (snapshot) => manyRuns(snapshot, later()))).resolves.toBe(200)
    isWritten = true
    await looking
    expect(seen.filter((count) => count === 0).length).toBeGreaterThan(10)
    expect(seen.filter((count) => count !== 0 && count !== 200)).toEqual([])
    expect(commits()).toBe(1)
    for (const { run_id } of (await store.listRuns({ limit: 5 }, ANYBODY)).items)
      await expectSound(store, run_id)
  })

  it('goes by what came before it, and no other write comes between', async () => {
    const { store, ledger } = openedSlowly()
    const order: string[] = []
    const told = (word: string) => () => void order.push(word)
    const first = ledger.createRun().then(told('before'))
    const long = write(store, (before) => {
      void ledger.createRun().then(told('meanwhile'))
      return manyRuns(before, later())
    }).then(told('long'))
    const last = ledger.createRun().then(told('after'))
    await Promise.all([first, long, last])
    await store.close()
    expect(order).toEqual(['before', 'long', 'after', 'meanwhile'])
  })

  it('is rolled back whole where it breaks, and what waits behind it is written', async () => {
    const { db, store, ledger } = openedSlowly()
    const broken = write(store, (before) => {
      const decision = manyRuns(before, later())
      return { ...decision, events: [...decision.events, decision.events[0]!] } // an event twice
    })
    const outcomes = await Promise.allSettled([broken, ledger.createRun()])
    expect(outcomes).toMatchObject([
      { status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_UNIQUE' } },
      { status: 'fulfilled' },
    ])
    expect(await countOf(store)).toBe(1)
    expect(dumpOf(db)['events']).toHaveLength(1)
  })

  it('waits for the lock of another program, and is decided anew then', async () => {
    const { store, other } = openedSlowly()
    const holder = other()
    let decided = 0
    const long = write(store, (before) => {
      decided++
      // In the next turn it begins to write.
      if (decided === 1) setImmediate(() => holder.exec('BEGIN IMMEDIATE'))
      return manyRuns(before, later())
    })
    await vi.waitFor(() => expect(holder.inTransaction).toBe(true))
    await nextTurn()
    expect(await countOf(store)).toBe(0)
    holder.exec('ROLLBACK')
    await expect(long).resolves.toBe(200)
    expect(decided).toBe(2)
  })

  it('is finished when the store closes', async () => {
    const { store, file } = openedSlowly()
    const long = write(store, (before) => manyRuns(before, later()))
    await store.close()
    await expect(long).resolves.toBe(200)
    const after = new Database(file, { readonly: true })
    onTestFinished(() => void after.close())
    expect(after.prepare('SELECT count(*) FROM runs').pluck().get()).toBe(200)
  })

  it('is written at once in memory, where there is no second connection', async () => {
    const { store } = openMemoryStore()
    await expect(write(store, (before) => manyRuns(before, later()))).resolves.toBe(200)
    expect(await countOf(store)).toBe(200)
  })
})

describe('a write that is refused', () => {
  it('leaves its neighbours in their one commit', async () => {
    const { store, ledger, commits } = opened()
    const outcomes = await Promise.allSettled([
      ledger.createRun(),
      ledger.startRun(NO_ID),
      ledger.createRun(),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(2)
    expect(commits()).toBe(1)
  })
})

describe('a write that breaks', () => {
  /** Half of it is written when it breaks: its run is sound, and its second change says nonsense. */
  const half = (before: Snapshot, next = given()): Decision<null> => {
    const decision = createRun(before, next, RUN_BODY, null)
    const [change] = decision.changes
    if (change?.record !== 'run') throw new Error('a creation begins with its run')
    const nonsense = { ...change.after, run: { ...change.after.run, run_id: NO_ID, version: 0 } }
    return {
      changes: [change, { record: 'run', before: null, after: nonsense }],
      events: decision.events,
      result: () => null,
    }
  }

  it('is rolled back alone, and its neighbours commit', async () => {
    const { db, store, ledger } = opened()
    const outcomes = await Promise.allSettled([ledger.createRun(), write(store, half), ledger.createRun()])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { code: 'SQLITE_CONSTRAINT_CHECK' } })
    const { items } = await store.listRuns({}, ANYBODY)
    expect(items).toHaveLength(2)
    for (const { run_id } of items) await expectSound(store, run_id)
    expect(dumpOf(db)['events']).toHaveLength(2)
    expect(db.inTransaction).toBe(false)
  })

  it('lets its neighbours decide again, each on what is true then', async () => {
    const { store, ledger } = opened()
    const { run_id } = await ledger.createRun()
    const next = givens({ start: '2026-02-01T00:00:00.000Z' })
    const outcomes = await Promise.allSettled([
      ledger.startRun(run_id),
      write(store, (before) => half(before, next())),
      ledger.startRun(run_id),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(outcomes[2]).toMatchObject({ reason: { code: 'transition_refused' } })
    await expectSound(store, run_id)
  })

  it('does so with a refusal, too, that comes after its first write', async () => {
    const { db, ledger, store } = opened()
    const next = givens({ start: '2026-02-01T00:00:00.000Z' })
    const late = write(store, (before) => ({
      ...createRun(before, next(), RUN_BODY, null),
      result: () => {
        throw new LedgerError('transition_refused', 'too late')
      },
    }))
    const [first, second] = await Promise.allSettled([ledger.createRun(), late])
    expect(first.status).toBe('fulfilled')
    expect(second).toMatchObject({ reason: { message: 'refused after the first write' } })
    expect(dumpOf(db)['runs']).toHaveLength(1)
  })

  it('does so before anything was written, too', async () => {
    const { store, ledger } = opened()
    const fault = new TypeError('a fault of ours')
    const broken = write(store, () => {
      throw fault
    })
    const outcomes = await Promise.allSettled([ledger.createRun(), broken])
    expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: fault }])
  })

  it('leaves the store as good as it was', async () => {
    const { store, ledger } = opened()
    await expect(write(store, half)).rejects.toThrow('CHECK')
    await expect(ledger.createRun()).resolves.toMatchObject({ state: 'pending' })
  })
})

describe('a commit that fails', () => {
  it('is no success for anybody: all of the group learn it, nothing is written, and the store goes on', async () => {
    const { db, store, ledger } = opened()
    await ledger.createRun()
    const before = dumpOf(db)
    const orphan = aStep({ run_id: NO_ID })
    const fails = write(store, () => {
      db.pragma('defer_foreign_keys = ON') // until the COMMIT of this transaction
      return {
        changes: [{ record: 'step_attempt', before: null, after: orphan }],
        events: [],
        result: () => null,
      }
    })
    const outcomes = await Promise.allSettled([ledger.createRun(), fails, ledger.createRun()])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(dumpOf(db)).toEqual(before)
    expect(db.inTransaction).toBe(false)
    await expect(ledger.createRun()).resolves.toMatchObject({ state: 'pending' })
  })
})

describe('more writes than may wait', () => {
  it('are refused at once, those that wait are done, and then there is room again', async () => {
    const { store, ledger } = opened({ write_queue_max: 5 })
    const outcomes = await Promise.allSettled(many(8, () => ledger.createRun()))
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 5 }, () => 'fulfilled'),
      ...Array.from({ length: 3 }, () => 'rejected'),
    ])
    expect(outcomes[7]).toMatchObject({ reason: { code: 'overloaded' } })
    await ledger.createRun()
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(6)
  })
})

describe('a lock that another program holds', () => {
  it('is waited for, off the event loop; then the writes are done', async () => {
    const { store, ledger, other } = opened()
    const holder = other()
    holder.exec('BEGIN IMMEDIATE')
    const writes = many(3, () => ledger.createRun())
    await nextTurn() // in this turn the group found the lock
    expect((await store.listRuns({}, ANYBODY)).items).toEqual([])
    const late = ledger.createRun()
    holder.exec('ROLLBACK')
    await Promise.all([...writes, late])
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(4)
  })

  it('that stays is answered with store_unavailable; nothing is written, and it heals', async () => {
    const { db, store, ledger, other } = opened()
    const holder = other()
    holder.exec('BEGIN IMMEDIATE')
    const before = dumpOf(db)
    const refusals = await Promise.all(many(3, () => refusalOf(ledger.createRun())))
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['store_unavailable']))
    expect(dumpOf(db)).toEqual(before)
    holder.exec('ROLLBACK')
    await ledger.createRun()
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(1)
  })

  it('counts against the queue while it is waited for', async () => {
    const { ledger, other } = opened({ write_queue_max: 2 })
    const holder = other()
    holder.exec('BEGIN IMMEDIATE')
    const writes = many(2, () => ledger.createRun())
    await nextTurn()
    expect((await refusalOf(ledger.createRun())).code).toBe('overloaded')
    holder.exec('ROLLBACK')
    await Promise.all(writes)
  })

  it('does not keep anybody from reading', async () => {
    const { store, ledger, other } = opened()
    const { run_id } = await ledger.createRun()
    other().exec('BEGIN IMMEDIATE')
    await expect(store.getRun(run_id, ANYBODY)).resolves.toMatchObject({ run_id })
    await expect(store.ping()).resolves.toBeUndefined()
  })
})

describe('a full disk', () => {
  const large = { metadata: { text: 'x'.repeat(60_000) } }

  it('is answered with disk_full and nothing is written; with room again the store goes on', async () => {
    const { db, store, ledger } = opened()
    const { run_id } = await ledger.createRun(large)
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true }))}`)
    const before = dumpOf(db)
    const refusals = await Promise.all(many(3, () => refusalOf(ledger.createRun(large))))
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['disk_full']))
    expect(dumpOf(db)).toEqual(before)
    await expect(store.getRun(run_id, ANYBODY)).resolves.toMatchObject({ run_id })

    db.pragma('max_page_count = 1000000')
    await ledger.createRun(large)
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(2)
    await expectSound(store, run_id)
  })

  it('takes those writes of a group for which there is room', async () => {
    const { db, ledger } = opened()
    const { run_id } = await ledger.createRun()
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true }))}`)
    const outcomes = await Promise.allSettled([ledger.startRun(run_id), ledger.createRun(large)])
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: { state: 'running' } },
      { status: 'rejected', reason: { code: 'disk_full' } },
    ])
  })
})

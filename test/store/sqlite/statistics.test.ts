import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { StatisticsQuery } from '../../../src/contract/statistics-query.ts'
import { windowOf } from '../../../src/domain/statistics-window.ts'
import { statisticsSteps } from '../../../src/store/sqlite/statistics.ts'
import { copyRow } from '../../support/copies.ts'
import { ANYBODY, NOW, after } from '../../support/given.ts'
import { ledgerOf, openTestStore, tempDir } from '../../support/store.ts'

const LATER = after(NOW, 60_000)
const task = (query: StatisticsQuery = {}) => ({ window: windowOf(query, LATER), projects: null })
const never = new AbortController().signal

/** A store with a run, and so many attempts in it. */
async function storeWith(attempts: number, file = ':memory:') {
  const { db, store } = openTestStore(file)
  const ledger = ledgerOf(store)
  const { run_id } = await ledger.createRun()
  await ledger.startRun(run_id)
  const { step_attempt_id: id } = await ledger.createStep(run_id)
  const copied = { table: 'step_attempts', key: 'step_attempt_id', id, copies: attempts - 1 } as const
  if (attempts > 1) copyRow(db, { ...copied, own: { sequence: 'number + 1' } })
  return { db, store }
}

describe('the steps of statistics', () => {
  it.each([1, 499, 500, 501, 1_000, 1_001])('count each of %i rows once', async (attempts) => {
    const { db } = await storeWith(attempts)
    const steps = statisticsSteps(db, task())
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    expect(step.value.total).toMatchObject({ runs: { total: 1 }, step_attempts: { total: attempts } })
  })

  it.each([
    [250, 250, false],
    [250, 251, true],
  ])('with a limit of %i rows refuse %i: %j', async (limit, attempts, isRefused) => {
    const { db } = await storeWith(attempts)
    const run = () => [...statisticsSteps(db, task(), limit)]
    if (!isRefused) return expect(run).not.toThrow()
    expect(run).toThrow(
      expect.objectContaining({
        code: 'window_too_large',
        message: 'More than 250 step attempts were begun in it. Ask for a shorter window.',
        context: { errors: [expect.objectContaining({ parameter: 'from' })] },
      }),
    )
    expect(() => [...statisticsSteps(db, task({ to: NOW }), limit)]).not.toThrow()
  })

  it('walk the primary keys of what they count, and seek the rest', async () => {
    const { db } = await storeWith(1)
    const plans = new Set<string>()
    const told = new Proxy(db, {
      get: (target, name) => {
        if (name === 'transaction') return db.transaction.bind(db)
        if (name !== 'prepare') return Reflect.get(target, name) as unknown
        return (sql: string) => {
          const values = sql.match(/\?/g)?.map(() => '')
          const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as { detail: string }[]
          for (const { detail } of plan) if (/SEARCH|SCAN (?!json_each)/.test(detail)) plans.add(detail)
          return db.prepare(sql)
        }
      },
    })
    statisticsSteps(told, task()).next()
    const walk = (table: string, key: string, index: string) =>
      `SEARCH ${table} USING ${index} (${key}>? AND ${key}<?)`
    expect([...plans].toSorted()).toEqual(
      [
        walk('runs', 'run_id', 'COVERING INDEX sqlite_autoindex_runs_1'),
        walk('runs', 'run_id', 'INDEX sqlite_autoindex_runs_1'),
        walk(
          'execution_requests',
          'execution_request_id',
          'COVERING INDEX sqlite_autoindex_execution_requests_1',
        ),
        walk('request', 'execution_request_id', 'INDEX sqlite_autoindex_execution_requests_1'),
        'SEARCH first USING INDEX sqlite_autoindex_step_attempts_2 (run_id=? AND sequence=? AND attempt=?) LEFT-JOIN',
        walk('step_attempts', 'step_attempt_id', 'COVERING INDEX sqlite_autoindex_step_attempts_1'),
        walk('step', 'step_attempt_id', 'INDEX sqlite_autoindex_step_attempts_1'),
        'SEARCH runs USING INDEX sqlite_autoindex_runs_1 (run_id=?)',
      ].toSorted(),
    )
  })
})

describe('a store that closes', () => {
  it.each([
    ['in a file', () => join(tempDir(), 'signalbox.db')],
    ['in memory', () => ':memory:'],
  ])('%s gives up its statistics, and waits until they have let go', async (_where, file) => {
    const path = file()
    const { db, store } = await storeWith(60_000, path)
    const { window } = task()
    const given_up = expect(store.statistics(window, ANYBODY, never)).rejects.toMatchObject({
      code: 'draining',
    })
    await store.close()
    await given_up
    expect(db.open).toBe(false)
    expect(existsSync(`${path}-wal`)).toBe(false) // a reader that held the file would have left it there
    await expect(store.statistics(window, ANYBODY, never)).rejects.toMatchObject({ code: 'draining' })
  })
})

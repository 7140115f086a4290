import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ANYBODY } from '../../support/given.ts'
import { backtestSteps } from '../../../src/store/sqlite/recorded-decisions.ts'
import { openReader } from '../../../src/store/sqlite/connection.ts'
import { copyDecision } from '../../support/decisions.ts'
import { assemble } from '../../support/http.ts'
import { CONFIG } from '../../support/router.ts'
import { tempDir } from '../../support/store.ts'

const PERIOD = { created_after: '2026-01-05T00:00:00Z', created_before: '2026-01-06T00:00:00Z' }

/** A store with so many decisions. */
async function storeWith(decisions: number, file: string) {
  const { app, db, store } = await assemble({ file })
  onTestFinished(async () => {
    await app.close()
    if (db.open) await store.close()
  })
  const post = (url: string, payload: object, headers = {}) =>
    app.inject({ method: 'POST', url, payload, headers: { host: 'localhost', ...headers } })
  await post('/v1/routing/configs', CONFIG)
  await post('/v1/routing/configs/1/activate', {}, { 'if-match': '"0"' })
  const made = await post('/v1/routing/decisions', { task_kind: 'code_edit' })
  copyDecision(db, made.json<{ route_decision_id: string }>().route_decision_id, decisions - 1)
  const query = { ...PERIOD, config_version: 1 }
  return { db, store, query, task: { document: CONFIG, query, projects: null } }
}

const aFile = () => join(tempDir(), 'signalbox.db')
const never = new AbortController().signal

describe('the steps of a backtest', () => {
  it.each([
    [250, 250, false],
    [200, 250, false],
    [201, 200, true],
    [300, 250, true],
  ])('of %i decisions with a limit of %i say truncated: %j', async (decisions, limit, truncated) => {
    const { db, task } = await storeWith(decisions, ':memory:')
    const steps = backtestSteps(db, task, limit)
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    expect(step.value).toMatchObject({ decisions: Math.min(decisions, limit), truncated })
  })

  it('walk indexes: of the decisions by their id, of the attempts by their decision', async () => {
    const { db, task } = await storeWith(1, ':memory:')
    const plans: string[] = []
    const told = new Proxy(db, {
      get: (target, name) =>
        name !== 'prepare'
          ? (Reflect.get(target, name) as unknown)
          : (sql: string) => {
              const values = sql.match(/\?/g)?.map(() => '')
              const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as { detail: string }[]
              plans.push(...plan.map(({ detail }) => detail))
              return db.prepare(sql)
            },
    })
    backtestSteps(told, task).next()
    expect(plans).toEqual([
      'SEARCH route_decisions USING INDEX sqlite_autoindex_route_decisions_1 (route_decision_id>? AND route_decision_id<?)',
      'SEARCH route_decisions USING INDEX sqlite_autoindex_route_decisions_1 (route_decision_id=?)',
      'SEARCH step_attempts USING INDEX step_attempts_by_decision (route_decision_id=?)',
    ])
  })
})

describe('a store that closes', () => {
  it.each([
    ['in a file', aFile],
    ['in memory', () => ':memory:'],
  ])('%s gives up its backtests, and waits until they have let go', async (_where, file) => {
    const path = file()
    const { db, store, query } = await storeWith(100_000, path)
    const given_up = expect(store.backtest(query, ANYBODY, never)).rejects.toMatchObject({ code: 'draining' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await store.close()
    await given_up
    expect(db.open).toBe(false)
    expect(existsSync(`${path}-wal`)).toBe(false) // a reader that held the file would have left it there
    await expect(store.backtest(query, ANYBODY, never)).rejects.toThrow()
  })

  it('begins nothing for somebody who has gone', async () => {
    const { store, query } = await storeWith(1, aFile())
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(store.backtest(query, ANYBODY, gone)).rejects.toThrow('gone')
  })
})

describe('the connection of a backtest', () => {
  it('cannot write', async () => {
    const file = aFile()
    await storeWith(1, file)
    const db = openReader(file)
    onTestFinished(() => void db.close())
    expect(db.pragma('query_only', { simple: true })).toBe(1)
    expect(() => db.exec('DELETE FROM rotations')).toThrow(/readonly/)
    expect(() => openReader(`${file}.none`)).toThrow()
  })
})

import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { BacktestResult } from '../../src/contract/backtest.ts'
import type { RouteDecision } from '../../src/contract/routing.ts'
import { type Outcome, addDecision, backtestResult, beginBacktest } from '../../src/domain/backtest.ts'
import { compileRouterConfig } from '../../src/domain/compiled-router.ts'
import { copyDecision } from '../support/decisions.ts'
import { type Sent, type TestApp, type TestAppOptions, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { CONFIG, activate, configWith } from '../support/router.ts'
import { tempDir } from '../support/store.ts'

const DAY = { created_after: '2026-01-05T00:00:00Z', created_before: '2026-01-06T00:00:00Z' }
const UNKNOWN: Outcome = { succeeded: null, duration_ms: null, cost_usd_micros: null }

/** The same tools, but codex does every edit. */
const CODEX = {
  ...configWith('fixed'),
  routing: { rules: [{ id: 'edits', match: { task_kind: ['code_edit'] }, select_from: ['codex'] }] },
}

const STORES = {
  'in a file': () => ({ file: join(tempDir(), 'signalbox.db') }),
  'in memory': () => ({}),
} satisfies Record<string, () => TestAppOptions>

async function opened(options: TestAppOptions = {}): Promise<TestApp> {
  const app = await openTestApp(options)
  onTestFinished(() => app.close())
  return app
}

const backtest = (app: TestApp, version: number, body: object = DAY, sent: Sent = {}) =>
  app.request('POST', `/v1/routing/configs/${version}/backtest`, { body, ...sent })

async function decide(app: TestApp, task: object, sent: Sent = {}): Promise<RouteDecision> {
  const { status, body } = await app.request('POST', '/v1/routing/decisions', { body: task, ...sent })
  expect(status).toBe(201)
  return body as RouteDecision
}

/** Lets an attempt carry the decision out, as a claim would. */
async function carryOut(app: TestApp, { route_decision_id, tool_id }: RouteDecision, end: object) {
  const run = await app.request('POST', '/v1/runs', { body: { project_id: 'shop', phase_id: 'build' } })
  await app.request('POST', `/v1/runs/${run.body.run_id}/start`)
  const step = await app.request('POST', `/v1/runs/${run.body.run_id}/steps`, { body: { tool_id } })
  const { step_attempt_id } = step.body
  app.db
    .prepare('UPDATE step_attempts SET route_decision_id = ? WHERE step_attempt_id = ?')
    .run(route_decision_id, step_attempt_id)
  app.pass(250)
  const ended = await app.request('POST', `/v1/steps/${step_attempt_id}/complete`, { body: end })
  expect(ended.status).toBe(200)
}

describe.each(Object.entries(STORES))('a backtest %s', (_where, where) => {
  it('says what the pure function says of the same decisions and outcomes', async () => {
    const app = await opened(where())
    await activate(app)
    const history: [RouteDecision, Outcome][] = []
    const record = async (task: object, outcome: Outcome, end?: object) => {
      const decision = await decide(app, task)
      if (end !== undefined) await carryOut(app, decision, end)
      history.push([decision, outcome])
      app.pass(1_000)
    }
    const edit = { task_kind: 'code_edit' }
    const took = { duration_ms: 250 }
    await record(
      edit,
      { succeeded: true, ...took, cost_usd_micros: 90 },
      {
        status: 'succeeded',
        usage: { cost_usd_micros: 90 },
      },
    )
    await record(edit, { succeeded: false, ...took, cost_usd_micros: null }, { status: 'failed' })
    await record(edit, UNKNOWN, { status: 'failed', error_class: 'invalid_request' })
    await record(edit, UNKNOWN, { status: 'canceled' })
    await record(edit, UNKNOWN)
    await record({ ...edit, input: { prompt: 'x', data: { a: 1, rules: [',"rules":['] } } }, UNKNOWN)
    await record({ task_kind: 'poetry' }, UNKNOWN)
    const config_version = await activate(app, CODEX)

    const test = beginBacktest(compileRouterConfig(CODEX, config_version))
    for (const [decision, outcome] of history) addDecision(test, decision, outcome)
    const { status, body } = await backtest(app, config_version)
    expect(status).toBe(200)
    expect(body).toEqual(backtestResult(test, DAY))
    expect(body).toMatchObject({ decisions: 7, changed: 3, truncated: false, expected: { unroutable: 1 } })
  })

  it('is of the period and the project that were asked for', async () => {
    const app = await opened(where())
    const version = await activate(app)
    const made: RouteDecision[] = []
    for (const project_id of ['shop', 'bank', undefined]) {
      app.pass(60_000)
      made.push(await decide(app, { task_kind: 'code_edit', project_id }))
    }
    const counted = async (body: object) => (await backtest(app, version, body)).body.decisions as number
    const [first, second] = made.map(({ created_at }) => created_at)
    expect(await counted(DAY)).toBe(3)
    expect(await counted({ ...DAY, project_id: 'bank' })).toBe(1)
    expect(await counted({ ...DAY, project_id: null })).toBe(3)
    expect(await counted({ ...DAY, created_after: second })).toBe(2)
    expect(await counted({ created_after: first, created_before: second })).toBe(1)
    expect(await counted({ created_after: second, created_before: first })).toBe(0)
  })

  it('shows a key that is bound to projects nothing of the others', async () => {
    const [all, bound] = [aKey('admin'), aKeyFor(['shop'], 'read')]
    const app = await opened({ ...where(), api_keys: [all.entry, bound.entry] })
    const as = { as: all.key }
    const created = await app.request('POST', '/v1/routing/configs', { body: CONFIG, ...as })
    const { config_version } = created.body
    await app.request('POST', `/v1/routing/configs/${config_version}/activate`, {
      ...as,
      headers: { 'if-match': '"0"' },
    })
    for (const project_id of ['shop', 'bank', undefined])
      await decide(app, { task_kind: 'code_edit', project_id }, as)
    const seen = async (body: object) => {
      const answer = await backtest(app, config_version, body, { as: bound.key })
      return answer.body.decisions as number
    }
    expect((await backtest(app, config_version, DAY, as)).body.decisions).toBe(3)
    expect(await seen(DAY)).toBe(1)
    expect(await seen({ ...DAY, project_id: 'bank' })).toBe(0)
  })

  it('lets the server answer others while it runs, and at most two run', async () => {
    const app = await opened(where())
    const version = await activate(app)
    const { route_decision_id } = await decide(app, { task_kind: 'code_edit' })
    copyDecision(app.db, route_decision_id, 20_000)
    let ended = false
    const long = [backtest(app, version), backtest(app, version)]
    void Promise.race(long).then(() => (ended = true))
    await app.request('GET', '/livez')
    const refused = await backtest(app, version)
    expect(refused.body).toMatchObject({ status: 503, code: 'overloaded', retryable: true })
    expect(refused.headers['retry-after']).toBe('1')
    for (let others = 0; others < 10; others++) {
      const { status } = await app.request('POST', '/v1/runs', {
        body: { project_id: 'shop', phase_id: 'x' },
      })
      expect({ status, ended }).toEqual({ status: 201, ended: false })
    }
    for (const { body } of await Promise.all(long))
      expect(body).toMatchObject({ decisions: 20_001, truncated: false } satisfies Partial<BacktestResult>)
    expect((await backtest(app, version)).status).toBe(200)
  })

  it('ends when its client goes away', async () => {
    const app = await opened(where())
    const version = await activate(app)
    const { route_decision_id } = await decide(app, { task_kind: 'code_edit' })
    copyDecision(app.db, route_decision_id, 100_000)
    await Promise.all([hangUp(app, version), hangUp(app, version)])
    await vi.waitFor(() => expect(app.logs.filter(({ status }) => status === 408)).toHaveLength(2), 5_000)
    const short = { ...DAY, created_before: DAY.created_after }
    expect((await backtest(app, version, short)).status).toBe(200)
  })

  it('answers with a problem if it fails, and serves on', async () => {
    const app = await opened(where())
    const version = await activate(app)
    const { route_decision_id } = await decide(app, { task_kind: 'code_edit' })
    app.db.exec('DROP TRIGGER route_decisions_are_never_changed')
    app.db.prepare("UPDATE route_decisions SET record = 'torn'").run()
    const { body } = await backtest(app, version)
    expect(body).toMatchObject({ status: 500, code: 'internal_error' })
    expect(JSON.stringify(body)).not.toContain('torn')
    expect((await app.request('GET', '/readyz')).status).toBe(200)
    expect(route_decision_id).toBeDefined()
  })

  it('writes nothing', async () => {
    const app = await opened(where())
    const version = await activate(app)
    await decide(app, { task_kind: 'code_edit' })
    const before = app.writes()
    await backtest(app, version, DAY, { headers: { 'idempotency-key': 'ignored' } })
    expect(app.writes()).toBe(before)
  })
})

/** Asks, and hangs up when the server has begun. */
async function hangUp({ port, app }: TestApp, version: number): Promise<void> {
  const body = JSON.stringify(DAY)
  const asked = once(app.server, 'request')
  const request = httpRequest({
    ...{ host: '127.0.0.1', port, method: 'POST', path: `/v1/routing/configs/${version}/backtest` },
    headers: { 'content-type': 'application/json' },
  })
  request.on('error', () => {})
  request.end(body)
  await asked
  setTimeout(() => request.destroy(), 100)
}

describe('backtestRouterConfig', () => {
  it('knows no version that is not there', async () => {
    const app = await opened()
    expect((await backtest(app, 7)).body).toMatchObject({ status: 404, code: 'router_config_not_found' })
  })

  it.each([
    [{}],
    [{ created_after: DAY.created_after }],
    [{ ...DAY, created_before: 'tomorrow' }],
    [{ ...DAY, project_id: '' }],
    [{ ...DAY, limit: 5 }],
  ])('refuses %j, which says no period', async (body) => {
    const app = await opened()
    expect((await backtest(app, 1, body)).body.code).toBe('validation_failed')
  })
})

import { beforeEach, describe, expect, it } from 'vitest'
import type { RouteDecision } from '../../src/contract/routing.ts'
import { NO_ID } from '../support/builders.ts'
import { type Sent, type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { CONFIG, activate, configWith } from '../support/router.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
/** For each test of its own: those of every operation open one for all. */
async function open(): Promise<() => Promise<void>> {
  app = await openTestApp()
  return () => app.close()
}

const DECISIONS = '/v1/routing/decisions'
const EDIT = { task_kind: 'code_edit' }
const decide = (body: unknown = EDIT, sent: Sent = {}) => app.request('POST', DECISIONS, { body, ...sent })
const explain = (body: unknown = EDIT) => app.request('POST', '/v1/routing/explain', { body })
const aRunning = async () => {
  const { body } = await app.request('POST', '/v1/runs', { body: { project_id: 'shop', phase_id: 'build' } })
  const run_id = body.run_id as string
  await app.request('POST', `/v1/runs/${run_id}/start`)
  return run_id
}

describe('createRouteDecision', () => {
  beforeEach(open)

  it('decides, keeps the decision, and answers with its place', async () => {
    await activate(app)
    const { status, headers, body } = await decide()
    expect(status).toBe(201)
    expect(headers['location']).toBe(`${DECISIONS}/${body.route_decision_id}`)
    expect(body).toMatchObject({
      outcome: 'routed',
      tool_id: 'aider',
      rule_id: 'edits',
      strategy: 'round_robin',
      config_version: 1,
      run_id: null,
    })
    const kept = await app.request('GET', headers['location']!)
    expect(kept.body).toEqual(body)
    expect(kept.headers['etag']).toBe(headers['etag'])
  })

  it('says why there is no tool', async () => {
    await activate(app)
    const { status, body } = await decide({ task_kind: 'poetry' })
    expect(status).toBe(201)
    expect(body).toMatchObject({ outcome: 'unroutable', tool_id: null, rule_id: null })
    expect(body.candidates).toHaveLength(3)
  })

  it('is refused while no configuration is active', async () => {
    const { status, body } = await decide()
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'no_active_router_config' })
    expect((await explain()).body.code).toBe('no_active_router_config')
  })

  it.each([
    [{}],
    [{ ...EDIT, kind: 'x' }],
    [{ task_kind: '' }],
    [{ ...EDIT, classification: { risk_tier: 'none' } }],
    [[]],
  ])('refuses %j, which is no task', async (task) => {
    await activate(app)
    expect((await decide(task)).body.code).toBe('validation_failed')
    expect((await explain(task)).body.code).toBe('validation_failed')
  })

  it('tells of it in the run that the task names', async () => {
    await activate(app)
    const run_id = await aRunning()
    const { body } = await decide({ ...EDIT, run_id })
    expect(body.run_id).toBe(run_id)
    const events = await app.request('GET', `/v1/runs/${run_id}/events?kind=task_routed`)
    const { route_decision_id, outcome, tool_id, rule_id } = body
    expect(events.body.items).toMatchObject([
      { run_seq: 3, payload: { route_decision: { route_decision_id, outcome, tool_id, rule_id } } },
    ])
    expect((await app.request('GET', `/v1/runs/${run_id}/events/verify`)).body.valid).toBe(true)
  })

  it('refuses a run that is closed, that is not there, or of another project', async () => {
    await activate(app)
    const run_id = await aRunning()
    const other = await decide({ ...EDIT, run_id, project_id: 'bank' })
    expect(other.body).toMatchObject({
      status: 422,
      code: 'unknown_reference',
      errors: [{ pointer: '#/project_id' }],
    })
    await app.request('POST', `/v1/runs/${run_id}/cancel`)
    const writes = app.writes()
    expect((await decide({ ...EDIT, run_id })).body).toMatchObject({ status: 409, code: 'run_not_running' })
    expect((await decide({ ...EDIT, run_id: NO_ID })).body).toMatchObject({
      status: 422,
      code: 'unknown_reference',
    })
    expect(app.writes()).toBe(writes)
  })

  it('answers a repeated key with the first decision, and takes one turn for it', async () => {
    await activate(app)
    const sent = { headers: { 'idempotency-key': 'once' } }
    const first = await decide(EDIT, sent)
    const again = await decide(EDIT, sent)
    expect(again.text).toBe(first.text)
    expect((await decide({ task_kind: 'test_run' }, sent)).body.code).toBe('idempotency_key_reused')
    expect((await decide()).body.tool_id).toBe('codex')
  })

  it('counts what is running', async () => {
    const aider = { ...CONFIG.apps['aider']!, limits: { max_parallel: 1 } }
    await activate(app, { ...configWith('fixed'), apps: { ...CONFIG.apps, aider } })
    const run_id = await aRunning()
    await app.request('POST', `/v1/runs/${run_id}/steps`, { body: { tool_id: 'aider' } })
    const { body } = await decide()
    expect(body.tool_id).toBe('codex')
    expect(body.inputs.tools[0]).toMatchObject({ tool_id: 'aider', running: 1 })
  })

  it('gives each its turn when 200 ask at once', async () => {
    await activate(app)
    const answers = await Promise.all(Array.from({ length: 200 }, () => decide()))
    const decisions = answers.map(({ body }) => body as RouteDecision)
    decisions.sort((a, b) => (a.route_decision_id < b.route_decision_id ? -1 : 1))
    expect(decisions.map(({ tool_id }) => tool_id)).toEqual(
      Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 'aider' : 'codex')),
    )
  })

  it('begins the turns anew with another configuration', async () => {
    await activate(app)
    await decide()
    await activate(app, { ...CONFIG, version: '2.0.0' })
    expect((await decide()).body).toMatchObject({ tool_id: 'aider', config_version: 2 })
  })
})

describe('explainRoute', () => {
  beforeEach(open)

  it('says what would be decided and what would choose others, and writes nothing', async () => {
    await activate(app)
    const writes = app.writes()
    const { status, body } = await explain()
    expect(status).toBe(200)
    expect(body).toMatchObject({ outcome: 'routed', tool_id: 'aider' })
    expect(body.alternatives).toContainEqual({
      tool_id: 'codex',
      edit: { edit: 'remove_candidate', value: 'aider' },
    })
    expect((await explain()).body.tool_id).toBe('aider')
    expect(app.writes()).toBe(writes)
    expect((await explain({ ...EDIT, run_id: NO_ID })).body.code).toBe('unknown_reference')
  })
})

describe('replayRouteDecision', () => {
  beforeEach(open)

  const replay = (id: string, query = '') => app.request('POST', `${DECISIONS}/${id}/replay${query}`)

  it('gives the same, also after the world has moved on, and writes nothing', async () => {
    await activate(app, configWith('auto'))
    const { body } = await decide()
    const run_id = await aRunning()
    await app.request('POST', `/v1/runs/${run_id}/steps`, { body: { tool_id: 'aider' } })
    await activate(app, configWith('fixed'))
    const writes = app.writes()
    const again = await replay(body.route_decision_id)
    expect(again.body).toEqual({ config_version: 1, identical: true, decision: body })
    expect(app.writes()).toBe(writes)
  })

  it('decides under another configuration', async () => {
    await activate(app)
    await decide()
    const { body } = await decide()
    expect(body.tool_id).toBe('codex')
    await activate(app, configWith('fixed'))
    const other = await replay(body.route_decision_id, '?config_version=2')
    expect(other.body).toMatchObject({ config_version: 2, identical: false, decision: { tool_id: 'aider' } })
  })

  it('refuses what is not there', async () => {
    await activate(app)
    const { body } = await decide()
    expect((await replay(NO_ID)).body.code).toBe('route_decision_not_found')
    expect((await replay('x')).status).toBe(400)
    const unknown = await replay(body.route_decision_id, '?config_version=9')
    expect(unknown.body).toMatchObject({ status: 422, code: 'unknown_reference' })
    expect((await app.request('POST', `${DECISIONS}/${NO_ID}/replay`, { body: { x: 1 } })).status).toBe(400)
  })
})

describe('listRouteDecisions', () => {
  beforeEach(open)

  const list = async (query = '') => (await app.request('GET', `${DECISIONS}${query}`)).body
  const ids = async (query = '') =>
    ((await list(query)).items as RouteDecision[]).map(({ route_decision_id }) => route_decision_id)

  it('lists newest first, and by every filter', async () => {
    await activate(app)
    const run_id = await aRunning()
    const made: string[] = []
    for (const task of [
      EDIT,
      { ...EDIT, run_id },
      { task_kind: 'test_run', project_id: 'bank' },
      { task_kind: 'x' },
    ]) {
      made.push((await decide(task)).body.route_decision_id as string)
      app.pass(1_000)
    }
    const [a, b, c, d] = made as [string, string, string, string]
    expect(await ids()).toEqual([d, c, b, a])
    expect(await ids('?order=asc')).toEqual([a, b, c, d])
    expect(await ids('?tool_id=aider')).toEqual([a])
    expect(await ids('?tool_id=aider&tool_id=codex')).toEqual([b, a])
    expect(await ids('?rule_id=tests')).toEqual([c])
    expect(await ids('?outcome=unroutable')).toEqual([d])
    expect(await ids('?task_kind=code_edit')).toEqual([b, a])
    expect(await ids('?project_id=bank')).toEqual([c])
    expect(await ids('?project_id=shop')).toEqual([b])
    expect(await ids(`?run_id=${run_id}`)).toEqual([b])
    expect(await ids(`?run_id=${run_id}&run_id=${NO_ID}`)).toEqual([b])
    expect(await ids('?created_after=2026-01-05T09:30:02Z')).toEqual([d, c])
    expect(await ids('?created_before=2026-01-05T09:30:02Z')).toEqual([b, a])
    const first = await list('?limit=3')
    expect(await ids(`?limit=3&cursor=${first.next_cursor}`)).toEqual([a])
    expect((await list(`?limit=3&tool_id=aider&cursor=${first.next_cursor}`)).code).toBe('invalid_cursor')
    expect((await list('?kind=x')).status).toBe(400)
  })
})

describe('with keys', () => {
  beforeEach(open)

  const admin = aKey('admin')
  const reader = aKey('read')
  const shop = aKeyFor(['shop'], 'write')

  it('shows a bound key the decisions of its projects only', async () => {
    const keyed = await openTestApp({ api_keys: [admin.entry, reader.entry, shop.entry] })
    const post = (path: string, as: string, body: unknown, headers = {}) =>
      keyed.request('POST', path, { as, body, headers })
    await post('/v1/routing/configs', admin.key, CONFIG)
    await post('/v1/routing/configs/1/activate', admin.key, {}, { 'if-match': '"0"' })
    expect((await post(DECISIONS, reader.key, EDIT)).status).toBe(403)
    expect((await post('/v1/routing/explain', reader.key, EDIT)).status).toBe(200)
    expect((await keyed.request('POST', DECISIONS, { body: EDIT })).status).toBe(401)
    for (const task of [EDIT, { ...EDIT, project_id: 'bank' }]) {
      expect((await post(DECISIONS, shop.key, task)).body.code).toBe('forbidden')
      expect((await post('/v1/routing/explain', shop.key, task)).body.code).toBe('forbidden')
    }
    const own = await post(DECISIONS, shop.key, { ...EDIT, project_id: 'shop' })
    expect(own.status).toBe(201)
    const other = await post(DECISIONS, admin.key, { ...EDIT, project_id: 'bank' })
    const path = `${DECISIONS}/${other.body.route_decision_id}`
    expect((await keyed.request('GET', path, { as: shop.key })).status).toBe(404)
    expect((await post(`${path}/replay`, shop.key, {})).status).toBe(404)
    const { body } = await keyed.request('GET', DECISIONS, { as: shop.key })
    expect(body.items).toEqual([own.body])
    await keyed.close()
  })
})

// Those of configurations have files of their own.
const operations = tagged('routing').filter(({ template }) => !template.startsWith('/v1/routing/configs'))
everyOperation(operations)
meetAllTheyPromise(operations)

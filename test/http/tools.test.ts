import { beforeEach, describe, expect, it } from 'vitest'
import { type Sent, type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { CONFIG, activate, configWith } from '../support/router.ts'
import { clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'
import { breakTool } from './operations-routing.ts'

let app: TestApp
/** For each test of its own: those of every operation open one for all. */
async function open(): Promise<() => Promise<void>> {
  app = await openTestApp()
  return () => app.close()
}

const tool = async (tool_id: string) => (await app.request('GET', `/v1/tools/${tool_id}`)).body
const pause = (tool_id: string, body: unknown = { reason: 'quota' }, sent: Sent = {}) =>
  app.request('POST', `/v1/tools/${tool_id}/pause`, { body, ...sent })
const resume = (tool_id: string) => app.request('POST', `/v1/tools/${tool_id}/resume`)
const decide = async () =>
  (await app.request('POST', '/v1/routing/decisions', { body: { task_kind: 'code_edit' } })).body

async function aRunning(): Promise<string> {
  const { body } = await app.request('POST', '/v1/runs', { body: { project_id: 'shop', phase_id: 'build' } })
  await app.request('POST', `/v1/runs/${body.run_id}/start`)
  return body.run_id as string
}
async function start(run_id: string, tool_id: string): Promise<string> {
  const { body } = await app.request('POST', `/v1/runs/${run_id}/steps`, { body: { tool_id } })
  return body.step_attempt_id as string
}
const complete = (step_attempt_id: string, body: unknown) =>
  app.request('POST', `/v1/steps/${step_attempt_id}/complete`, { body })

describe('what is known of a tool', () => {
  beforeEach(open)

  it('begins with nothing', async () => {
    await activate(app)
    expect(await tool('aider')).toMatchObject({
      tool_id: 'aider',
      config_version: 1,
      running: 0,
      outcomes: { successes: 0, failures: 0, success_rate: null },
      durations: { samples: 0, p50_ms: null },
      last_used_at: null,
      pause: null,
    })
  })

  it('follows its attempts, and fades', async () => {
    await activate(app)
    const run_id = await aRunning()
    const first = await start(run_id, 'aider')
    expect(await tool('aider')).toMatchObject({ running: 1, last_used_at: '2026-01-05T09:30:00.000Z' })
    app.pass(4_000)
    await complete(first, { status: 'succeeded' })
    expect(await tool('aider')).toMatchObject({
      running: 0,
      outcomes: { successes: 1, failures: 0 },
      durations: { samples: 1, p50_ms: 4_000, p99_ms: 4_000 },
      last_used_at: '2026-01-05T09:30:00.000Z',
    })
    await complete(await start(run_id, 'aider'), { status: 'failed', error_class: 'timeout' })
    expect((await tool('aider')).outcomes).toEqual({ successes: 1, failures: 1, success_rate: 0.5 })
    app.pass(3_600_000)
    expect((await tool('aider')).outcomes).toEqual({ successes: 0.5, failures: 0.5, success_rate: 0.5 })
    expect(await tool('codex')).toMatchObject({ running: 0, last_used_at: null })
  })

  it('does not count what was canceled or badly asked', async () => {
    await activate(app)
    const run_id = await aRunning()
    await complete(await start(run_id, 'aider'), { status: 'canceled' })
    await complete(await start(run_id, 'aider'), { status: 'failed', error_class: 'invalid_request' })
    await start(run_id, 'aider')
    await start(run_id, 'aider')
    app.pass(1_000)
    await start(run_id, 'codex')
    await app.request('POST', `/v1/runs/${run_id}/complete`, { body: { status: 'failed' } })
    for (const [tool_id, last_used_at] of [
      ['aider', '2026-01-05T09:30:00.000Z'],
      ['codex', '2026-01-05T09:30:01.000Z'],
    ] as const) {
      expect(await tool(tool_id)).toMatchObject({
        running: 0,
        outcomes: { successes: 0, failures: 0 },
        last_used_at,
      })
    }
  })

  it('is kept for tools that no configuration has yet', async () => {
    const run_id = await aRunning()
    await complete(await start(run_id, 'aider'), { status: 'succeeded' })
    expect((await app.request('GET', '/v1/tools/aider')).body.code).toBe('tool_not_found')
    await activate(app)
    expect((await tool('aider')).outcomes.successes).toBe(1)
  })
})

describe('listTools', () => {
  beforeEach(open)

  it('lists the apps of the active configuration by name', async () => {
    const ids = async (query = '') => {
      const { body } = await app.request('GET', `/v1/tools${query}`)
      return (body.items as { tool_id: string }[]).map(({ tool_id }) => tool_id)
    }
    expect(await ids()).toEqual([])
    await activate(app)
    expect(await ids()).toEqual(['aider', 'codex', 'pytest'])
    expect(await ids('?order=desc')).toEqual(['pytest', 'codex', 'aider'])
    const { body } = await app.request('GET', '/v1/tools?limit=2')
    expect(body.items).toHaveLength(2)
    expect(await ids(`?limit=2&cursor=${body.next_cursor}`)).toEqual(['pytest'])
    expect((await app.request('GET', `/v1/tools?order=desc&cursor=${body.next_cursor}`)).status).toBe(400)
  })

  it('takes names as long and as strange as there are', async () => {
    const name = 'ü/'.repeat(100)
    await activate(app, { ...CONFIG, apps: { ...CONFIG.apps, [name]: CONFIG.apps['pytest'] } })
    expect((await tool(encodeURIComponent(name))).tool_id).toBe(name)
  })
})

describe('pauseTool and resumeTool', () => {
  beforeEach(open)

  it('keeps tasks away until it is resumed, and tells of both', async () => {
    await activate(app, configWith('fixed'))
    const paused = await pause('aider')
    expect(paused.status).toBe(200)
    expect(paused.body.pause).toEqual({
      reason: 'quota',
      until: null,
      paused_at: '2026-01-05T09:30:00.000Z',
      paused_by: { type: 'anonymous', id: null },
    })
    expect(await tool('aider')).toEqual(paused.body)
    expect((await decide()).tool_id).toBe('codex')
    const resumed = await resume('aider')
    expect(resumed.body.pause).toBeNull()
    expect((await decide()).tool_id).toBe('aider')
    const { body } = await app.request('GET', '/v1/events?kind=tool_paused&kind=tool_resumed')
    expect(body.items).toMatchObject([
      {
        kind: 'tool_paused',
        run_id: null,
        run_seq: 3,
        payload: { tool: { tool_id: 'aider', pause: { reason: 'quota' } } },
      },
      { kind: 'tool_resumed', run_seq: 4, payload: { tool: { tool_id: 'aider', pause: null } } },
    ])
  })

  it('ends by itself', async () => {
    await activate(app, configWith('fixed'))
    await pause('aider', { reason: 'quota', until: '2026-01-05T10:31:00+01:00' })
    expect((await tool('aider')).pause.until).toBe('2026-01-05T09:31:00.000Z')
    expect((await decide()).tool_id).toBe('codex')
    app.pass(60_000)
    expect((await tool('aider')).pause).toBeNull()
    expect((await decide()).tool_id).toBe('aider')
    expect((await resume('aider')).body.code).toBe('transition_refused')
    expect((await pause('aider')).status).toBe(200)
  })

  it('refuses an instant that has passed, and what is so already', async () => {
    await activate(app)
    const writes = app.writes()
    const late = await pause('aider', { reason: 'quota', until: '9999-12-31T23:59:59-00:01' })
    expect(late).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/until' }] } })
    for (const until of ['2026-01-05T09:30:00.000Z', '2020-01-01T00:00:00Z']) {
      const { status, body } = await pause('aider', { reason: 'quota', until })
      expect({ status, code: body.code }).toEqual({ status: 422, code: 'until_passed' })
    }
    expect((await resume('aider')).body).toMatchObject({
      status: 409,
      command: 'resume',
      allowed_commands: ['pause'],
    })
    expect((await pause('aider', {})).status).toBe(400)
    expect((await pause('nobody')).body.code).toBe('tool_not_found')
    expect((await resume('nobody')).body.code).toBe('tool_not_found')
    expect(app.writes()).toBe(writes)
    await pause('aider')
    expect((await pause('aider')).body).toMatchObject({ status: 409, state: 'paused', command: 'pause' })
  })

  it('lets one of many pauses win, and repeats the answer of a key', async () => {
    await activate(app)
    const answers = await Promise.all(Array.from({ length: 30 }, () => pause('aider')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    const sent = { headers: { 'idempotency-key': 'once' } }
    const first = await pause('codex', { reason: 'x' }, sent)
    const again = await pause('codex', { reason: 'x' }, sent)
    expect(again.text).toBe(first.text)
  })

  it('keeps what is known of the tool, and the pause when attempts end', async () => {
    await activate(app)
    const run_id = await aRunning()
    await complete(await start(run_id, 'aider'), { status: 'succeeded' })
    const step = await start(run_id, 'aider')
    await pause('aider')
    expect(await tool('aider')).toMatchObject({
      outcomes: { successes: 1 },
      durations: { samples: 1 },
      running: 1,
    })
    await complete(step, { status: 'succeeded' })
    expect(await tool('aider')).toMatchObject({ outcomes: { successes: 2 }, pause: { reason: 'quota' } })
  })

  it('is for administrators of everything', async () => {
    const [admin, writer, bound] = [aKey('admin'), aKey('write'), aKeyFor(['shop'], 'admin')]
    const keyed = await openTestApp({ api_keys: [admin.entry, writer.entry, bound.entry] })
    const post = (path: string, as: string, body: unknown = {}, headers = {}) =>
      keyed.request('POST', path, { as, body, headers })
    await post('/v1/routing/configs', admin.key, CONFIG)
    await post('/v1/routing/configs/1/activate', admin.key, {}, { 'if-match': '"0"' })
    const body = { reason: 'quota' }
    expect((await post('/v1/tools/aider/pause', writer.key, body)).status).toBe(403)
    expect((await post('/v1/tools/aider/pause', bound.key, body)).status).toBe(403)
    expect((await keyed.request('GET', '/v1/tools')).status).toBe(401)
    const paused = await post('/v1/tools/aider/pause', admin.key, body)
    expect(paused.body.pause.paused_by).toEqual({ type: 'key', id: admin.entry.id })
    expect((await post('/v1/tools/aider/resume', bound.key)).status).toBe(403)
    await keyed.close()
  })
})

describe('resetTool', () => {
  beforeEach(open)

  const reset = (tool_id: string, body: unknown = { reason: 'new key' }, sent: Sent = {}) =>
    app.request('POST', `/v1/tools/${tool_id}/reset`, { body, ...sent })
  async function aBroken(): Promise<void> {
    await activate(app, configWith('fixed'))
    await breakTool(clientOf(app), 'aider')
  }

  it('gives work to a tool whose circuit is open, and tells of it', async () => {
    await aBroken()
    expect((await tool('aider')).circuit).toEqual({
      state: 'open',
      reason: 'auth',
      failures_in_row: 1,
      opened_at: '2026-01-05T09:30:00.000Z',
      open_until: '2026-01-05T09:31:00.000Z',
      open_seconds: 60,
    })
    const { body } = await app.request('GET', '/v1/tools')
    expect(body.items[0].circuit.state).toBe('open')
    const decision = await decide()
    expect(decision.tool_id).toBe('codex')
    expect(decision.candidates[0]).toMatchObject({ eligible: false, reason_codes: ['circuit_open'] })
    const answer = await reset('aider')
    expect(answer.status).toBe(200)
    expect(answer.body.circuit).toEqual({
      state: 'closed',
      reason: null,
      failures_in_row: 0,
      opened_at: null,
      open_until: null,
      open_seconds: null,
    })
    expect(await tool('aider')).toEqual(answer.body)
    expect((await decide()).tool_id).toBe('aider')
    const events = (await app.request('GET', '/v1/events?kind=circuit_opened&kind=circuit_closed')).body
    expect(events.items).toMatchObject([
      { kind: 'circuit_opened', run_id: null, run_seq: 3, from: 'closed', to: 'open' },
      {
        kind: 'circuit_closed',
        run_seq: 4,
        from: 'open',
        to: 'closed',
        actor: { type: 'anonymous' },
        payload: { reason: 'new key', tool: { tool_id: 'aider', circuit: { state: 'closed' } } },
      },
    ])
  })

  it('is refused where the circuit is closed, and without a reason', async () => {
    await aBroken()
    const writes = app.writes()
    expect((await reset('codex')).body).toMatchObject({
      status: 409,
      code: 'transition_refused',
      state: 'closed',
      command: 'reset',
      allowed_commands: ['trip'],
    })
    expect((await reset('aider', {})).status).toBe(400)
    expect((await reset('nobody')).body.code).toBe('tool_not_found')
    expect(app.writes()).toBe(writes)
  })

  it('lets one of many win, and repeats the answer of a key', async () => {
    await aBroken()
    const answers = await Promise.all(Array.from({ length: 20 }, () => reset('aider')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    await breakTool(clientOf(app), 'aider')
    const sent = { headers: { 'idempotency-key': 'once' } }
    const first = await reset('aider', { reason: 'x' }, sent)
    expect(first.status).toBe(200)
    expect((await reset('aider', { reason: 'x' }, sent)).text).toBe(first.text)
  })

  it('leaves a pause, and a pause leaves the circuit', async () => {
    await aBroken()
    expect((await pause('aider')).body.circuit.state).toBe('open')
    expect((await reset('aider')).body.pause.reason).toBe('quota')
    expect((await resume('aider')).body.circuit.state).toBe('closed')
  })
})

everyOperation(tagged('tools'))
meetAllTheyPromise(tagged('tools'), { 'resumeTool 422 idempotency_key_reused': 'its only body is {}' })

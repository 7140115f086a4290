import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import { CIRCUIT_DEFAULTS } from '../../src/contract/defaults.ts'
import { LIMITS } from '../../src/contract/limits.ts'
import { ORDER, fallbackConfig } from '../support/fallbacks.ts'
import { START, type TestApp, openTestApp } from '../support/http.ts'
import { activate } from '../support/router.ts'
import { anApp } from '../support/routing.ts'
import { expectFolds } from '../support/requests.ts'
import { tempDir } from '../support/store.ts'
import { clientOf } from './client.ts'
import { CLAIM } from './dispatch-client.ts'

const REQUESTS = '/v1/execution-requests'
const THRESHOLD = CIRCUIT_DEFAULTS.failures_in_row

let app: TestApp

async function open(file?: string): Promise<void> {
  app = await openTestApp(file === undefined ? {} : { file })
  onTestFinished(() => app.close())
}

async function request(task: object = {}): Promise<ExecutionRequest> {
  const body = { task_kind: 'edit', project_id: 'shop', phase_id: 'build', ...task }
  const answer = await app.request('POST', REQUESTS, { body })
  expect(answer.status, answer.text).toBe(201)
  return answer.body
}

async function claim(tools: readonly string[] = ORDER): Promise<ClaimedRequest | undefined> {
  const answer = await app.request('POST', CLAIM, { body: { worker_id: 'w1', tools } })
  return answer.body?.items[0]
}

async function end({ execution_request, lease_token }: ClaimedRequest, error_class?: string) {
  const [way, body] =
    error_class === undefined ? ['complete', { exit_code: 0 }] : ['fail', { error: { class: error_class } }]
  const path = `${REQUESTS}/${execution_request.request_id}/${way}`
  const answer = await app.request('POST', path, { body: { lease_token, ...(body as object) } })
  expect(answer.status, answer.text).toBe(200)
}

const get = async (path: string) => (await app.request('GET', path)).body
const storyOf = ({ request_id }: ExecutionRequest) => get(`${REQUESTS}/${request_id}`)

/** Until there is nothing more to look at now: time stands still. Answers how often it swept. */
async function sweepAll(): Promise<number> {
  for (let sweeps = 1; ; sweeps++) {
    const next = await app.sweep()
    if (next === null || next > START) return sweeps
  }
}

describe('reading an execution request', () => {
  beforeEach(async () => {
    await open()
    await activate(app, fallbackConfig())
  })

  it('tells the whole story: every decision and every attempt', async () => {
    const created = await request()
    await end((await claim())!, 'tool_error')
    app.pass(60_000)
    await end((await claim())!, 'auth')
    await end((await claim())!)
    const { decisions, step_attempts, ...plain } = await storyOf(created)
    expect(plain).toMatchObject({ state: 'succeeded', attempts: 3, tool_attempts: 1 })
    const [first, second] = decisions
    expect(decisions).toEqual([
      {
        route_decision_id: created.assignment!.route_decision_id,
        outcome: 'routed',
        tool_id: 'aider',
        rule_id: 'edits',
        previous_decision_id: null,
        created_at: created.created_at,
      },
      {
        route_decision_id: plain.assignment.route_decision_id,
        outcome: 'routed',
        tool_id: 'codex',
        rule_id: 'edits',
        previous_decision_id: first.route_decision_id,
        created_at: expect.any(String),
      },
    ])
    const tried = step_attempts.map((step: Record<string, unknown>) => [
      step['attempt'],
      step['tool_id'],
      step['state'],
      step['error_class'],
      step['exit_code'],
      step['route_decision_id'],
    ])
    expect(tried).toEqual([
      [1, 'aider', 'failed', 'tool_error', null, first.route_decision_id],
      [2, 'aider', 'failed', 'auth', null, first.route_decision_id],
      [3, 'codex', 'succeeded', null, 0, second.route_decision_id],
    ])
    const { items } = await get(`/v1/runs/${created.run_id}/steps`)
    for (const [i, step] of step_attempts.entries()) expect(items[i]).toMatchObject(step)
    await expectFolds(clientOf(app), created.run_id)
  })

  it('answers the request alone from every other operation', async () => {
    const created = await request()
    expect(created).not.toHaveProperty('decisions')
    expect((await get(REQUESTS)).items[0]).toEqual(created)
    const { decisions, step_attempts, validations, ...plain } = await storyOf(created)
    expect(plain).toEqual(created)
    expect([decisions.length, step_attempts, validations]).toEqual([1, [], []])
  })

  it('makes its decisions again, to the byte', async () => {
    const created = await request()
    await end((await claim())!, 'auth')
    await end((await claim())!, 'auth')
    await end((await claim())!, 'auth')
    const { decisions, state, stop_reason } = await storyOf(created)
    expect([decisions.length, state, stop_reason]).toEqual([3, 'failed', 'not_retryable'])
    for (const { route_decision_id } of decisions) {
      const path = `/v1/routing/decisions/${route_decision_id}/replay`
      expect((await app.request('POST', path, { body: {} })).body.identical).toBe(true)
    }
  })
})

describe('a backtest', () => {
  it('leaves fallbacks out: nobody knows whether there would have been one', async () => {
    await open()
    const version = await activate(app, fallbackConfig())
    await request()
    await end((await claim())!, 'auth')
    const body = { created_after: START, created_before: '2026-01-06T00:00:00.000Z' }
    const answer = await app.request('POST', `/v1/routing/configs/${version}/backtest`, { body })
    expect(answer.body).toMatchObject({ decisions: 1, changed: 0 })
  })
})

describe('a broken tool', () => {
  /** Workers that take whatever there is, one after the other; aider fails at everything. */
  async function work(stop: () => boolean = () => false): Promise<string[]> {
    const tried: string[] = []
    for (let held = await claim(); held !== undefined && !stop(); held = await claim()) {
      const { tool_id } = held.step_attempt
      tried.push(tool_id)
      await end(held, tool_id === 'aider' ? 'tool_error' : undefined)
      await app.sweep()
    }
    return tried
  }
  const many = (count: number, task: object = {}) =>
    Promise.all(Array.from({ length: count }, () => request(task)))
  const aiders = (tried: string[]) => tried.filter((tool_id) => tool_id === 'aider').length

  it('gets at most its threshold of attempts before the others take over', async () => {
    await open()
    await activate(app, fallbackConfig({ required: true }, { max_attempts: 100 }))
    const queued = await many(20)
    expect(queued.every(({ assignment }) => assignment!.tool_id === 'aider')).toBe(true)
    const tried = await work()
    expect(aiders(tried)).toBe(THRESHOLD)
    expect(tried).toHaveLength(THRESHOLD + 20)
    const later = await many(5)
    expect(later.every(({ assignment }) => assignment!.tool_id === 'codex')).toBe(true)
    expect(aiders(await work())).toBe(0)
    const { items } = await get(`${REQUESTS}?state=succeeded&limit=100`)
    expect(items).toHaveLength(25)
  })

  it('and over a restart too: what waits for it is found when the server starts', async () => {
    const file = join(tempDir(), 'signalbox.db')
    await open(file)
    await activate(app, fallbackConfig({}, { max_attempts: 100 }))
    await many(20)
    for (let i = 0; i < THRESHOLD; i++) await end((await claim())!, 'tool_error')
    await app.close() // before any sweep
    await open(file)
    expect(await claim(['aider'])).toBeUndefined()
    await app.sweep()
    expect((await get(`${REQUESTS}?tool_id=aider`)).items).toEqual([])
    const tried = await work()
    expect(aiders(tried)).toBe(0)
    expect((await get(`${REQUESTS}?state=succeeded&limit=100`)).items).toHaveLength(20)
  })

  it('is left by all that wait for it, a batch at a time, and by nobody who has nowhere to go', async () => {
    await open()
    await activate(app, fallbackConfig())
    await app.sweep()
    await many(LIMITS.sweep_batch)
    await many(50, { excluded_tools: ['codex', 'gemini'] })
    await end((await claim())!, 'rate_limited')
    expect(await sweepAll()).toBeGreaterThanOrEqual(2) // a batch may end earlier: it has a bound in time, too
    const of = async (tool_id: string) => (await get(`${REQUESTS}?tool_id=${tool_id}&limit=500`)).items.length
    expect([await of('aider'), await of('codex')]).toEqual([50, LIMITS.sweep_batch])
    const before = app.writes()
    await app.sweep()
    expect(app.writes()).toBe(before)
  })

  describe('that nobody could take over from, is left when a tool of the order returns:', () => {
    const HOUR = 3_600_000
    const post = async (path: string, body: object = {}) => {
      const answer = await app.request('POST', path, { body })
      expect(answer.status, answer.text).toBe(200)
    }
    const fail = async (tool_id: string, retry_after_ms = HOUR) => {
      const { execution_request, lease_token } = (await claim([tool_id]))!
      const error = { class: 'rate_limited' }
      const path = `${REQUESTS}/${execution_request.request_id}/fail`
      await post(path, { lease_token, error, retry_after_ms, retryable: false })
    }
    const pause = (body: object = {}) => post('/v1/tools/codex/pause', { reason: 'updating', ...body })
    const config = fallbackConfig()
    const until = new Date(Date.parse(START) + 60_000).toISOString()

    const RETURNS: [how: string, away: () => Promise<unknown>, back: () => Promise<unknown>][] = [
      ['it is resumed', pause, () => post('/v1/tools/codex/resume')],
      ['its pause ends', () => pause({ until }), async () => app.pass(60_000)],
      [
        'its circuit is reset',
        () => fail('codex'),
        () => post('/v1/tools/codex/reset', { reason: 'a new key' }),
      ],
      ['its circuit lets an attempt through', () => fail('codex', 60_000), async () => app.pass(60_000)],
      [
        'its circuit closes',
        async () => {
          await fail('codex', 60_000)
          app.pass(60_000)
          return (probe = (await claim(['codex']))!)
        },
        () => end(probe),
      ],
      [
        'its probe shows nothing',
        async () => {
          await fail('codex', 60_000)
          app.pass(60_000)
          return (probe = (await claim(['codex']))!)
        },
        () => end(probe, 'invalid_request'),
      ],
      [
        'a configuration lets it edit',
        () => activate(app, { ...config, apps: { ...config.apps, codex: anApp({ kinds: ['test'] }) } }),
        () => activate(app, fallbackConfig({}, { max_attempts: 3 })),
      ],
    ]
    let probe: ClaimedRequest
    const toolOf = async (created: ExecutionRequest) => (await storyOf(created)).assignment.tool_id

    it.each(RETURNS)('%s', async (_how, away, back) => {
      await open()
      await activate(app, config)
      await request({ allowed_tools: ['codex'] }) // to try it with
      await request({ allowed_tools: ['codex'] })
      await request({ classification: { priority: 'critical' } })
      const waits = await request({ excluded_tools: ['gemini'] })
      const stays = await request({ excluded_tools: ['codex', 'gemini'] })
      await away()
      await fail('aider')
      await sweepAll()
      expect(await toolOf(waits)).toBe('aider')
      await back()
      await sweepAll()
      expect([await toolOf(waits), await toolOf(stays)]).toEqual(['codex', 'aider'])
      const { items } = await get('/v1/tools')
      expect(items[0].circuit.state).toBe('open')
    })
  })

  it('gives what waits for it to a worker that waits for another', async () => {
    await open()
    await activate(app, fallbackConfig())
    await request({ excluded_tools: ['codex', 'gemini'] })
    const held = (await claim(['aider']))!
    const { request_id } = await request()
    const waiting = app.request('POST', `${CLAIM}?wait_seconds=60`, {
      body: { worker_id: 'w2', tools: ['gemini', 'codex'], max: 2 },
    })
    await end(held, 'rate_limited')
    await app.sweep()
    expect((await waiting).body.items[0].execution_request).toMatchObject({
      request_id,
      assignment: { tool_id: 'codex' },
    })
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandStatus, RunTransitions } from '../../src/contract/machine.ts'
import type { Run } from '../../src/contract/run.ts'
import { START, type TestApp, openTestApp } from '../support/http.ts'
import { aRequest } from '../support/requests.ts'
import { activate } from '../support/router.ts'
import { type Client, RUN_STATES, clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

const pathOf = ({ run_id }: Run) => `/v1/runs/${run_id}`

describe('creating a run', () => {
  it('answers 201 with the run, where it is, and its version', async () => {
    const { status, headers, body } = await client.post('/v1/runs', { project_id: 'shop', phase_id: 'build' })
    expect(status).toBe(201)
    expect(headers).toMatchObject({ location: `/v1/runs/${body.run_id}`, etag: '"1"' })
    expect((await client.get(headers['location']!)).body).toEqual(body)
  })

  it('is pending, and has null or a default where nothing was given', async () => {
    const { run_id: _, ...run } = await client.aRun()
    expect(run).toEqual({
      project_id: 'shop',
      phase_id: 'build',
      workstream_id: null,
      execution_request_id: null,
      state: 'pending',
      state_reason: null,
      origin: { trigger_type: 'other', trigger_ref: null, requested_by: null },
      counters: { step_attempts: 0, patches_created: 0, patches_applied: 0, errors: 0 },
      exit_code: null,
      error_message: null,
      labels: {},
      metadata: {},
      completion: 'manual',
      on_failure: 'fail',
      traceparent: null,
      created_at: START,
      started_at: null,
      ended_at: null,
      updated_at: START,
      version: 1,
    })
  })

  it('keeps all that was given', async () => {
    const given = {
      project_id: 'a shop: «ünïcödé» 🛒',
      phase_id: "build'; DROP TABLE runs; --",
      workstream_id: 'w',
      execution_request_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
      origin: { trigger_type: 'ci', trigger_ref: 'refs/pull/42', requested_by: 'ci@shop' },
      labels: { team: 'core', constructor: '', 'a.b/c-d_e': 'x'.repeat(256) },
      metadata: { deep: { list: [1, -0.5, 1e3, null, true, { '': 'empty key' }] }, hasOwnProperty: 1 },
      completion: 'auto',
      on_failure: 'quarantine',
    }
    expect(await client.aRun('pending', given)).toMatchObject(given)
  })

  it('takes null for absent', async () => {
    const absent = { workstream_id: null, origin: null, labels: null, metadata: null, on_failure: null }
    expect(await client.aRun('pending', absent)).toMatchObject({
      workstream_id: null,
      origin: { trigger_type: 'other' },
      labels: {},
      metadata: {},
      on_failure: 'fail',
    })
  })

  it('keeps a valid traceparent, starts a new trace for an invalid one, and makes none up', async () => {
    const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const withHeader = async (traceparent: string) =>
      (await client.post('/v1/runs', { project_id: 'p', phase_id: 'b' }, { traceparent })).body.traceparent
    expect(await withHeader(valid)).toBe(valid)
    expect(await withHeader(valid.toUpperCase())).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(await withHeader('garbage')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  it('writes run_created in the same breath', async () => {
    const run = await client.aRun()
    const { body } = await client.get(`${pathOf(run)}/events`)
    expect(body.items).toMatchObject([{ kind: 'run_created', run_seq: 1, from: null, to: 'pending' }])
    expect(body.items[0].payload).toEqual({ run })
  })
})

describe('commands to a run', () => {
  it('starts, completes and closes it, one version and one event each', async () => {
    const created = await client.aRun()
    app.pass(1_000)
    const started = await client.post(`${pathOf(created)}/start`)
    expect(started).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { state: 'running' } })
    app.pass(1_000)
    const status = { status: 'succeeded', exit_code: 0 }
    const { headers, body } = await client.post(`${pathOf(created)}/complete`, status)
    expect(headers['etag']).toBe('"3"')
    expect(body).toEqual({
      ...started.body,
      state: 'succeeded',
      exit_code: 0,
      ended_at: body.updated_at,
      updated_at: body.updated_at,
      version: 3,
    })
    expect(Date.parse(body.updated_at) - Date.parse(started.body.updated_at)).toBe(1_000)
    const events = await client.get(`${pathOf(created)}/events`)
    expect(events.body.items.map((event: { kind: string }) => event.kind)).toEqual([
      'run_created',
      'run_started',
      'run_completed',
    ])
  })

  it('keeps why a run failed, and quarantine does not overwrite it', async () => {
    const failed = await client.aRun('failed')
    expect(failed).toMatchObject({ exit_code: 2, error_message: 'two tests failed', state_reason: null })
    app.pass(1_000)
    const { body } = await client.post(`${pathOf(failed)}/quarantine`, { reason: 'poisoned cache' })
    expect(body).toMatchObject({
      state: 'quarantined',
      state_reason: 'poisoned cache',
      exit_code: 2,
      error_message: 'two tests failed',
      ended_at: failed.ended_at,
    })
  })

  it('keeps why a run was canceled, if somebody says so', async () => {
    const said = await client.post(`${pathOf(await client.aRun('running'))}/cancel`, { reason: 'superseded' })
    const unsaid = await client.post(`${pathOf(await client.aRun())}/cancel`)
    expect([said.body.state_reason, unsaid.body.state_reason]).toEqual(['superseded', null])
  })

  it('refuses a success while attempts are running, and names them: the first twenty, and how many', async () => {
    const run = await client.aRun('running')
    const ids: string[] = []
    for (let i = 0; i < 21; i++) ids.push((await client.aStepIn(run)).step_attempt_id)
    const { status, body } = await client.post(`${pathOf(run)}/complete`, { status: 'succeeded' })
    expect(status).toBe(409)
    expect(body).toMatchObject({
      code: 'steps_running',
      state: 'running',
      command: 'succeed',
      allowed_commands: ['fail', 'quarantine', 'cancel'],
      steps_running: 21,
      step_attempt_ids: ids.slice(0, 20),
    })
  })

  it('refuses a success while execution requests are open', async () => {
    await activate(app)
    const run = await client.aRun('running')
    const { request_id } = await aRequest(client, { run_id: run.run_id })
    const { body } = await client.post(`${pathOf(run)}/complete`, { status: 'succeeded' })
    expect(body).toMatchObject({
      status: 409,
      code: 'requests_open',
      requests_open: 1,
      execution_request_ids: [request_id],
    })
  })

  it.each([
    ['complete', { status: 'failed' }],
    ['quarantine', { reason: 'corrupted worktree' }],
    ['cancel', {}],
  ])('%s cancels the attempts that are running', async (command, body) => {
    const run = await client.aRun('running')
    const step = await client.aStepIn(run)
    const { status, body: closed } = await client.post(`${pathOf(run)}/${command}`, body)
    expect(status).toBe(200)
    const { body: ended } = await client.get(`/v1/steps/${step.step_attempt_id}`)
    expect(ended).toMatchObject({
      state: 'canceled',
      state_reason: `run_${closed.state}`,
      ended_at: closed.ended_at,
    })
  })

  it.each([{ status: 'succeeded', exit_code: 1 }])('refuses %o, which contradicts itself', async (body) => {
    const run = await client.aRun('running')
    const answer = await client.post(`${pathOf(run)}/complete`, body)
    expect(answer).toMatchObject({ status: 422, body: { code: 'exit_code_contradicts' } })
    expect(answer.body.errors).toMatchObject([{ pointer: '#/exit_code' }])
    expect((await client.get(pathOf(run))).body).toEqual(run)
  })
})

const BODIES: Record<string, object> = {
  start: {},
  succeed: { status: 'succeeded' },
  fail: { status: 'failed' },
  quarantine: { reason: 'corrupted worktree' },
  cancel: {},
}

describe('what can be done with a run', () => {
  const SITUATIONS = [...RUN_STATES, 'running over a step attempt'] as const

  async function aRunIn(situation: (typeof SITUATIONS)[number]): Promise<Run> {
    if (situation !== 'running over a step attempt') return client.aRun(situation)
    const run = await client.aRun('running')
    await client.aStepIn(run)
    return (await client.get(pathOf(run))).body
  }

  it.each(SITUATIONS)('is what its operations answer when it is %s', async (situation) => {
    const run = await aRunIn(situation)
    const { body } = await client.get(`${pathOf(run)}/transitions`)
    const { run_id, state, commands }: RunTransitions = body
    expect({ run_id, state }).toEqual({ run_id: run.run_id, state: run.state })
    expect(commands.map(({ command }) => command).sort()).toEqual(Object.keys(BODIES).sort())
    for (const status of commands) {
      const subject = await aRunIn(situation)
      expect(await answerTo(status, subject, run)).toEqual(status.allowed ? 200 : refusalIn(status))
    }
  })

  const refusalIn = ({ code, detail }: CommandStatus) => ({ status: 409, code, detail })

  /** Gives the command to another run in the same situation, so that each meets it as it was described. */
  async function answerTo({ command, method, href }: CommandStatus, subject: Run, described: Run) {
    const path = href!.replace(described.run_id, subject.run_id)
    const before = app.writes()
    const { status, body } = await app.request(method!, path, { body: BODIES[command] })
    if (status === 200) return status
    expect(app.writes()).toBe(before)
    expect((await client.get(pathOf(subject))).body).toEqual(subject)
    expect(body).toMatchObject({ state: subject.state, command })
    expect(body.allowed_commands).not.toContain(command)
    return { status, code: body.code, detail: body.detail }
  }
})

describe('changing labels and metadata', () => {
  it.each(RUN_STATES)('is allowed when the run is %s', async (state) => {
    const run = await client.aRun(state)
    const { status, headers, body } = await client.patch(pathOf(run), { labels: { triaged: 'yes' } })
    expect(status).toBe(200)
    expect(headers['etag']).toBe(`"${run.version + 1}"`)
    expect(body).toEqual({ ...run, labels: { triaged: 'yes' }, version: run.version + 1 })
  })

  it.each(['application/json', 'application/merge-patch+json', 'Application/JSON; charset=UTF-8'])(
    'takes %s',
    async (type) => {
      const run = await client.aRun()
      const answer = await client.patch(pathOf(run), { labels: { a: 'b' } }, { 'content-type': type })
      expect(answer).toMatchObject({ status: 200, body: { labels: { a: 'b' } } })
    },
  )

  const given = { labels: { team: 'core', env: 'ci' }, metadata: { a: { b: 1, c: [1, 2] }, d: 'x' } }

  it.each([
    ['nothing', {}, given],
    ['a label', { labels: { env: 'dev' } }, { labels: { team: 'core', env: 'dev' } }],
    ['null for a label, which removes it', { labels: { env: null } }, { labels: { team: 'core' } }],
    ['null for a label that is not there', { labels: { os: null } }, given],
    ['null for all labels', { labels: null }, { labels: {}, metadata: given.metadata }],
    ['null for all metadata', { metadata: null }, { metadata: {}, labels: given.labels }],
    ['a member deep inside', { metadata: { a: { b: 2 } } }, { metadata: { a: { b: 2, c: [1, 2] }, d: 'x' } }],
    ['null deep inside', { metadata: { a: { b: null } } }, { metadata: { a: { c: [1, 2] }, d: 'x' } }],
    ['a list, which replaces', { metadata: { a: { c: [] } } }, { metadata: { a: { b: 1, c: [] }, d: 'x' } }],
    [
      'an object for a text',
      { metadata: { d: { e: null, f: 1 } } },
      { metadata: { a: given.metadata.a, d: { f: 1 } } },
    ],
    [
      'null inside a list, which stays',
      { metadata: { d: [null] } },
      { metadata: { a: given.metadata.a, d: [null] } },
    ],
  ])('merges %s (RFC 7396)', async (_name, patch, expected) => {
    const run = await client.aRun('pending', given)
    const { body } = await client.patch(pathOf(run), patch)
    expect({ labels: body.labels, metadata: body.metadata }).toEqual({ ...given, ...expected })
  })

  it('changes nothing, and writes no event, where the patch leaves things as they are', async () => {
    const run = await client.aRun('pending', given)
    app.pass(1_000)
    const before = app.writes()
    const patch = { labels: { team: 'core', os: null }, metadata: { d: 'x', a: { b: 1 } } }
    const { status, headers, body } = await client.patch(pathOf(run), patch)
    expect({ status, etag: headers['etag'], body }).toEqual({ status: 200, etag: '"1"', body: run })
    expect(app.writes()).toBe(before)
  })

  it('counts limits after the merge', async () => {
    const labels = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`l${i}`, 'x']))
    const run = await client.aRun('pending', { labels, metadata: { a: 'x'.repeat(65_000) } })
    const before = app.writes()
    const one_more = await client.patch(pathOf(run), { labels: { another: 'x' } })
    expect(one_more).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/labels' }] } })
    const too_long = await client.patch(pathOf(run), { metadata: { b: 'x'.repeat(1_000) } })
    expect(too_long).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/metadata' }] } })
    expect(app.writes()).toBe(before)
    const exchanged = await client.patch(pathOf(run), { labels: { another: 'x', l0: null } })
    expect(exchanged.status).toBe(200)
  })
})

// The list and the summary have files of their own.
const ELSEWHERE = ['listRuns', 'getRunSummary']
const operations = tagged('runs').filter(({ operation_id }) => !ELSEWHERE.includes(operation_id))
everyOperation(operations)
meetAllTheyPromise(operations, { 'startRun 422 idempotency_key_reused': 'its only body is {}' })

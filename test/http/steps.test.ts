import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunState } from '../../src/contract/run.ts'
import type { StepAttempt, StepAttemptState } from '../../src/contract/step.ts'
import { START, type TestApp, openTestApp } from '../support/http.ts'
import { type Client, RUN_STATES, clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { aClaimed } from './operations-dispatch.ts'
import { UNKNOWN_ID, tagged } from './operations.ts'

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

const pathOf = ({ step_attempt_id }: StepAttempt) => `/v1/steps/${step_attempt_id}`
/** No worker says anything of it. */
const NOTHING_SAID = { progress: null, output: null }
const ENDED: StepAttemptState[] = ['succeeded', 'failed', 'canceled']

describe('recording a step attempt', () => {
  it('answers 201 with the attempt, where it is, and its version', async () => {
    const run = await client.aRun('running')
    const answer = await client.post(`/v1/runs/${run.run_id}/steps`, { tool_id: 'pytest' })
    const { step_attempt_id } = answer.body
    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({ location: `/v1/steps/${step_attempt_id}`, etag: '"1"' })
    const read = (await client.get(answer.headers['location']!)).body
    expect(read).toEqual({ ...answer.body, ...NOTHING_SAID })
    expect(answer.body).toEqual({
      step_attempt_id,
      run_id: run.run_id,
      sequence: 1,
      attempt: 1,
      retry_of: null,
      tool_id: 'pytest',
      tool_run_id: null,
      execution_request_id: null,
      route_decision_id: null,
      prompt_id: null,
      input_prompt: null,
      state: 'running',
      state_reason: null,
      exit_code: null,
      signal: null,
      error_class: null,
      error_code: null,
      error_log: null,
      stdout_tail: null,
      stderr_tail: null,
      outputs: { patch_ids: [], logs_path: null, raw_response_path: null },
      usage: { tokens_input: null, tokens_output: null, cost_usd_micros: null, duration_ms: null },
      metadata: {},
      started_at: START,
      ended_at: null,
      version: 1,
    })
  })

  it('keeps all that was given', async () => {
    const given = {
      sequence: 7,
      tool_run_id: 'pytest-4711',
      prompt_id: UNKNOWN_ID,
      input_prompt: 'run the\nunit tests «schnell»',
      metadata: { shard: 3 },
    }
    expect(await client.aStep('running', given)).toMatchObject(given)
  })

  it('takes the place after the highest so far, unless another is given', async () => {
    const run = await client.aRun('running')
    const sequences: number[] = []
    for (const given of [{}, { sequence: 10 }, { sequence: null }, { sequence: 3 }, {}]) {
      sequences.push((await client.aStepIn(run, given)).sequence)
    }
    expect(sequences).toEqual([1, 10, 11, 3, 12])
  })

  it('refuses a place that is taken, also by an attempt that has ended', async () => {
    const step = await client.aStep('failed', { sequence: 5 })
    const before = app.writes()
    const { status, body } = await client.post(`/v1/runs/${step.run_id}/steps`, { tool_id: 'x', sequence: 5 })
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'sequence_taken' })
    expect(body.errors).toMatchObject([{ pointer: '#/sequence' }])
    expect(app.writes()).toBe(before)
  })

  it('counts in the run, whose version moves with it', async () => {
    const run = await client.aRun('running')
    await client.aStepIn(run)
    const { body } = await client.get(`/v1/runs/${run.run_id}`)
    expect(body).toEqual({
      ...run,
      counters: { ...run.counters, step_attempts: 1 },
      version: run.version + 1,
    })
  })

  it.each(RUN_STATES.filter((state) => state !== 'running'))(
    'is refused in a run that is %s',
    async (state) => {
      const run = await client.aRun(state)
      const before = app.writes()
      const answer = await client.post(`/v1/runs/${run.run_id}/steps`, { tool_id: 'pytest' })
      expect(answer).toMatchObject({ status: 409, body: { code: 'run_not_running', state } })
      expect(app.writes()).toBe(before)
    },
  )
})

describe('completing a step attempt', () => {
  const report = {
    exit_code: 137,
    signal: 'SIGKILL',
    error_class: 'timeout',
    error_code: 'E_TIME',
    error_log: 'killed after 60 s',
    stdout_tail: '3 passed',
    stderr_tail: '«tränen»',
    outputs: { patch_ids: [UNKNOWN_ID], logs_path: 'logs/1.txt', raw_response_path: 'raw/1.json' },
    usage: { tokens_input: 1, tokens_output: 0, cost_usd_micros: 9_007_199_254_740_991, duration_ms: 60_000 },
  }

  it('keeps what it left behind and used up', async () => {
    const step = await client.aStep()
    app.pass(60_000)
    const { status, headers, body } = await client.post(`${pathOf(step)}/complete`, {
      status: 'failed',
      ...report,
    })
    expect({ status, etag: headers['etag'] }).toEqual({ status: 200, etag: '"2"' })
    const ended_at = new Date(Date.parse(step.started_at) + 60_000).toISOString()
    expect(body).toEqual({ ...step, ...report, state: 'failed', ended_at, version: 2 })
  })

  it('has null for what nobody reported', async () => {
    const step = await client.aStep()
    const body = { status: 'succeeded', outputs: { logs_path: null }, usage: null }
    const answer = await client.post(`${pathOf(step)}/complete`, body)
    expect(answer.body).toEqual({ ...step, state: 'succeeded', ended_at: answer.body.ended_at, version: 2 })
  })

  it.each(ENDED)('counts an error in the run only if it failed: %s', async (state) => {
    const step = await client.aStep(state)
    const { body } = await client.get(`/v1/runs/${step.run_id}`)
    expect(body.counters).toMatchObject({ step_attempts: 1, errors: state === 'failed' ? 1 : 0 })
  })

  it.each(ENDED.flatMap((from) => ENDED.map((to) => [from, to] as const)))(
    'refuses to turn %s into %s',
    async (from, status) => {
      const step = await client.aStep(from)
      const before = app.writes()
      const answer = await client.post(`${pathOf(step)}/complete`, { status })
      expect(answer).toMatchObject({ status: 409, body: { code: 'transition_refused', state: from } })
      expect(answer.body.allowed_commands).toEqual(from === 'succeeded' ? [] : ['retry'])
      expect(app.writes()).toBe(before)
      expect((await client.get(pathOf(step))).body).toEqual({ ...step, ...NOTHING_SAID })
    },
  )

  it('refuses a success with another exit code than 0', async () => {
    const step = await client.aStep()
    const answer = await client.post(`${pathOf(step)}/complete`, { status: 'succeeded', exit_code: -1 })
    expect(answer).toMatchObject({ status: 422, body: { code: 'exit_code_contradicts' } })
    expect(answer.body.errors).toMatchObject([{ pointer: '#/exit_code' }])
    expect((await client.get(pathOf(step))).body).toEqual({ ...step, ...NOTHING_SAID })
  })
})

describe('retrying a step attempt', () => {
  const given = { sequence: 4, input_prompt: 'run them all', prompt_id: UNKNOWN_ID, metadata: { shard: 3 } }

  it.each(['failed', 'canceled'] as const)(
    'makes a new attempt at the place of one that %s',
    async (state) => {
      const step = await client.aStep(state, { ...given, tool_run_id: 'first' })
      const { status, headers, body } = await client.post(`${pathOf(step)}/retry`)
      expect({ status, etag: headers['etag'] }).toEqual({ status: 201, etag: '"1"' })
      expect(headers['location']).toBe(`/v1/steps/${body.step_attempt_id}`)
      expect(body).toMatchObject({
        ...given,
        run_id: step.run_id,
        attempt: 2,
        retry_of: step.step_attempt_id,
        tool_id: 'pytest',
        tool_run_id: null,
        state: 'running',
      })
      expect((await client.get(pathOf(step))).body).toEqual({ ...step, ...NOTHING_SAID })
    },
  )

  it('may give it another tool, prompt and metadata', async () => {
    const step = await client.aStep('failed', given)
    const other = { tool_id: 'vitest', input_prompt: 'only the slow ones', metadata: {} }
    const { body } = await client.post(`${pathOf(step)}/retry`, other)
    expect(body).toMatchObject({ ...other, sequence: 4, attempt: 2 })
  })

  it('is possible again after the retry has failed too', async () => {
    const first = await client.aStep('failed')
    const second = (await client.post(`${pathOf(first)}/retry`)).body
    await client.post(`${pathOf(second)}/complete`, { status: 'failed' })
    const third = (await client.post(`${pathOf(second)}/retry`)).body
    expect(third).toMatchObject({ attempt: 3, sequence: 1, retry_of: second.step_attempt_id })
  })

  it('is refused for an attempt that was retried already, with the newest one', async () => {
    const step = await client.aStep('failed')
    const { body: retry } = await client.post(`${pathOf(step)}/retry`)
    const before = app.writes()
    const { status, body } = await client.post(`${pathOf(step)}/retry`)
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'already_retried' })
    expect(body.newest_step_attempt_id).toBe(retry.step_attempt_id)
    expect(app.writes()).toBe(before)
  })

  it.each(['running', 'succeeded'] as const)('is refused for an attempt that is %s', async (state) => {
    const step = await client.aStep(state)
    const answer = await client.post(`${pathOf(step)}/retry`)
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'transition_refused', state, command: 'retry' },
    })
  })

  it.each<[RunState, string, object]>([
    ['failed', 'complete', { status: 'failed' }],
    ['quarantined', 'quarantine', { reason: 'corrupted worktree' }],
    ['canceled', 'cancel', {}],
    ['succeeded', 'complete', { status: 'succeeded' }],
  ])('is refused once the run is %s', async (state, command, body) => {
    const step = await client.aStep('failed')
    await client.post(`/v1/runs/${step.run_id}/${command}`, body)
    const answer = await client.post(`${pathOf(step)}/retry`)
    expect(answer).toMatchObject({ status: 409, body: { code: 'run_not_running', state } })
  })
})

describe('listing step attempts', () => {
  it('begins with the oldest, retries included, and with order=desc with the newest', async () => {
    const first = await client.aStep('failed')
    const second = await client.aStepIn(first, { tool_id: 'second' })
    const retry = (await client.post(`${pathOf(first)}/retry`)).body
    const stepsOf = async (query: string) =>
      (await client.get(`/v1/runs/${first.run_id}/steps${query}`)).body.items
    expect(await stepsOf('')).toEqual([first, second, retry])
    expect(await stepsOf('?order=desc')).toEqual([retry, second, first])
  })

  it('goes on from page to page', async () => {
    const run = await client.aRun('running')
    const made: StepAttempt[] = []
    for (let i = 0; i < 3; i++) made.push(await client.aStepIn(run))
    const first = await client.get(`/v1/runs/${run.run_id}/steps?limit=2`)
    expect(first.body.items).toEqual(made.slice(0, 2))
    const next = `/v1/runs/${run.run_id}/steps?limit=2&cursor=${first.body.next_cursor}`
    expect(first.headers['link']).toBe(`<${next}>; rel="next"`)
    const second = await client.get(next)
    expect(second.body).toEqual({ items: made.slice(2), next_cursor: null })
    expect(second.headers['link']).toBeUndefined()
  })

  it('is empty for a run without any', async () => {
    const { run_id } = await client.aRun()
    expect((await client.get(`/v1/runs/${run_id}/steps`)).body).toEqual({ items: [], next_cursor: null })
  })

  it('refuses a cursor of another run', async () => {
    const one = await client.aStep()
    await client.aStepIn(one)
    const other = await client.aStep()
    const { next_cursor } = (await client.get(`/v1/runs/${one.run_id}/steps?limit=1`)).body
    const answer = await client.get(`/v1/runs/${other.run_id}/steps?cursor=${next_cursor}`)
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } })
  })
})

describe('an attempt that a lease owns', () => {
  it.each(['complete', 'retry'])('refuses %s, and names the request that ends it', async (command) => {
    const { step_attempt, execution_request } = await aClaimed(client)
    const before = app.writes()
    const body = command === 'complete' ? { status: 'succeeded' } : {}
    const answer = await client.post(`${pathOf(step_attempt)}/${command}`, body)
    expect(answer).toMatchObject({ status: 409, body: { code: 'attempt_leased' } })
    expect(answer.body.execution_request_id).toBe(execution_request.request_id)
    expect(app.writes()).toBe(before)
  })
})

everyOperation(tagged('steps'))
meetAllTheyPromise(tagged('steps'))

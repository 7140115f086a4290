import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import type { RunSummary } from '../../src/contract/run-summary.ts'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { NO_ID } from '../support/builders.ts'
import { type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { type Workshop, workshopOf } from './dispatch-client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

const SECOND = 1_000

describe('the summary of a run', () => {
  let app: TestApp
  let client: Client
  let workshop: Workshop

  beforeAll(async () => {
    app = await openTestApp()
    client = clientOf(app)
    workshop = await workshopOf(app)
  })
  afterAll(() => app.close())

  const summaryOf = async ({ run_id }: Pick<Run, 'run_id'>): Promise<RunSummary> => {
    const { status, text, body } = await client.get(`/v1/runs/${run_id}/summary`)
    expect(status, text).toBe(200)
    return body
  }
  const complete = ({ step_attempt_id }: StepAttempt, body: object) =>
    client.post(`/v1/steps/${step_attempt_id}/complete`, body)
  const retry = async ({ step_attempt_id }: StepAttempt, body: object = {}): Promise<StepAttempt> =>
    (await client.post(`/v1/steps/${step_attempt_id}/retry`, body)).body

  const NOTHING = { running: 0, succeeded: 0, failed: 0, canceled: 0 }
  const UNUSED = { tokens_input: 0, tokens_output: 0, cost_usd_micros: 0 }

  it('is all zeros where nothing has happened', async () => {
    const run = await client.aRun()
    app.pass(SECOND)
    expect(await summaryOf(run)).toEqual({
      run_id: run.run_id,
      state: 'pending',
      as_of: '2026-01-05T09:30:01.000Z',
      step_attempts: { total: 0, ...NOTHING, retries: 0, fallbacks: 0 },
      execution_requests: { blocked: 0, queued: 0, claimed: 0, succeeded: 0, failed: 0, canceled: 0 },
      durations: { run_ms: null, attempts_ms: 0, queue_ms: 0, queue_requests: 0 },
      usage: UNUSED,
      by_tool: [],
      other_tools: null,
    })
  })

  it('adds up what attempts did, took and used, also by tool', async () => {
    const run = await client.aRun('running')
    const first = await client.aStepIn(run, { tool_id: 'vitest' })
    app.pass(2 * SECOND)
    await complete(first, { status: 'failed', usage: { tokens_input: 5, cost_usd_micros: 7 } })
    const second = await retry(first)
    app.pass(3 * SECOND)
    await complete(second, { status: 'canceled', usage: { tokens_input: 10, tokens_output: 1 } })
    const third = await retry(second, { tool_id: 'aider' })
    const beside = await client.aStepIn(run, { tool_id: 'vitest' })
    app.pass(4 * SECOND)
    await complete(third, { status: 'succeeded' })
    await complete(beside, { status: 'succeeded', usage: { duration_ms: 1 } })
    await client.aStepIn(run, { tool_id: 'aider' })
    app.pass(5 * SECOND)
    expect(await summaryOf(run)).toMatchObject({
      state: 'running',
      step_attempts: {
        total: 5,
        running: 1,
        succeeded: 2,
        failed: 1,
        canceled: 1,
        retries: 2,
        fallbacks: 1,
      },
      durations: { run_ms: 14 * SECOND, attempts_ms: 18 * SECOND },
      usage: { tokens_input: 15, tokens_output: 1, cost_usd_micros: 7 },
      by_tool: [
        {
          ...UNUSED,
          ...NOTHING,
          tool_id: 'aider',
          attempts: 2,
          running: 1,
          succeeded: 1,
          duration_ms: 9_000,
        },
        {
          tool_id: 'vitest',
          attempts: 3,
          ...NOTHING,
          succeeded: 1,
          failed: 1,
          canceled: 1,
          duration_ms: 9_000,
          tokens_input: 15,
          tokens_output: 1,
          cost_usd_micros: 7,
        },
      ],
    })
  })

  it('counts requests by state, and how long they waited for their first claim', async () => {
    const { run_id } = await client.aRun()
    for (let i = 0; i < 6; i++) await workshop.request({ run_id })
    app.pass(SECOND)
    await workshop.end(await workshop.claimed(), 'complete')
    app.pass(SECOND)
    await workshop.end(await workshop.claimed(), 'fail', { error: { class: 'invalid_request' } })
    await workshop.end(await workshop.claimed(), 'fail', {
      error: { class: 'tool_error' },
      retry_after_ms: 1,
    })
    const { execution_request } = await workshop.claimed()
    const [newest] = (await client.get('/v1/execution-requests')).body.items
    await client.post(`/v1/execution-requests/${newest.request_id}/cancel`)
    app.pass(8 * SECOND)
    await workshop.claimed() // the one that failed once: its first claim was the one that counts
    const summary = await summaryOf({ run_id })
    expect(execution_request.attempts).toBe(0)
    expect(summary.execution_requests).toEqual({
      blocked: 0,
      queued: 1,
      claimed: 2,
      succeeded: 1,
      failed: 1,
      canceled: 1,
    })
    expect(summary.durations).toMatchObject({ run_ms: 9 * SECOND, queue_ms: 7 * SECOND, queue_requests: 4 })
    expect(summary.step_attempts).toMatchObject({ total: 5, retries: 1, fallbacks: 0 })
  })

  it('stands still when the run has ended', async () => {
    const run = await client.aRun('running')
    await client.aStepIn(run)
    app.pass(SECOND)
    await client.post(`/v1/runs/${run.run_id}/cancel`)
    const ended = await summaryOf(run)
    expect(ended).toMatchObject({
      state: 'canceled',
      step_attempts: { running: 0, canceled: 1 },
      durations: { run_ms: SECOND, attempts_ms: SECOND },
    })
    app.pass(SECOND)
    const { as_of } = await summaryOf(run)
    expect(Date.parse(as_of) - Date.parse(ended.as_of)).toBe(SECOND)
    expect(await summaryOf(run)).toEqual({ ...ended, as_of })
  })

  it('is exact up to 2^53 − 1, and never more', async () => {
    const run = await client.aRun('running')
    const use = async (tokens_input: number) =>
      complete(await client.aStepIn(run), { status: 'succeeded', usage: { tokens_input } })
    await use(LIMITS.integer - 1)
    expect((await summaryOf(run)).usage.tokens_input).toBe(LIMITS.integer - 1)
    await use(1)
    expect((await summaryOf(run)).usage.tokens_input).toBe(LIMITS.integer)
    await use(LIMITS.integer)
    const { usage, by_tool } = await summaryOf(run)
    expect([usage.tokens_input, by_tool[0]?.tokens_input]).toEqual([LIMITS.integer, LIMITS.integer])
  })

  it('adds up nothing of other runs', async () => {
    await client.aStep('failed')
    const run = await client.aRun('running')
    await client.aStepIn(run)
    expect((await summaryOf(run)).step_attempts).toMatchObject({ total: 1, failed: 0 })
  })

  it('is not there without its run', async () => {
    const { status, body } = await client.get(`/v1/runs/${NO_ID}/summary`)
    expect({ status, code: body.code }).toEqual({ status: 404, code: 'run_not_found' })
  })
})

describe('the summary of a run of another project', () => {
  const keys = { all: aKey('read', 'write'), bank: aKeyFor(['bank'], 'read') }
  let app: TestApp
  afterAll(() => app.close())

  it('is not there for a key that is bound', async () => {
    app = await openTestApp({ api_keys: Object.values(keys).map(({ entry }) => entry) })
    const client = clientOf(app, keys.all.key)
    const bound = clientOf(app, keys.bank.key)
    const statusOf = async (project_id: string) => {
      const { run_id } = await client.aRun('pending', { project_id })
      return (await bound.get(`/v1/runs/${run_id}/summary`)).status
    }
    expect([await statusOf('bank'), await statusOf('shop')]).toEqual([200, 404])
  })
})

const operations = tagged('runs').filter(({ operation_id }) => operation_id === 'getRunSummary')
everyOperation(operations)
meetAllTheyPromise(operations)

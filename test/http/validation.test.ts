import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import { triedIn } from '../support/fallbacks.ts'
import { START, type Sent, type TestApp, openTestApp } from '../support/http.ts'
import { REQUESTS, expectFolds } from '../support/requests.ts'
import { activate } from '../support/router.ts'
import { tempDir } from '../support/store.ts'
import { validatedConfig, verdictsIn } from '../support/validations.ts'
import { clientOf } from './client.ts'
import { CLAIM, EVENTUALLY } from './dispatch-client.ts'

let app: TestApp

async function open(file?: string): Promise<void> {
  const opened = await openTestApp(file === undefined ? {} : { file })
  app = opened
  onTestFinished(() => {
    opened.drain() // who still waits must not keep the server
    return opened.close()
  })
}
const using = (rule: object = {}, defaults: object = {}) => activate(app, validatedConfig(rule, defaults))

async function request(task: object = {}): Promise<ExecutionRequest> {
  const body = { task_kind: 'edit', project_id: 'shop', phase_id: 'build', ...task }
  const answer = await app.request('POST', REQUESTS, { body })
  expect(answer.status, answer.text).toBe(201)
  return answer.body
}

async function claim(tool_id: string): Promise<ClaimedRequest> {
  const answer = await app.request('POST', CLAIM, { body: { worker_id: 'w1', tools: [tool_id] } })
  expect(answer.status, answer.text).toBe(200)
  return answer.body.items[0]
}

const send = ({ execution_request, lease_token }: ClaimedRequest, way: string, sent: Sent = {}) =>
  app.request('POST', `${REQUESTS}/${execution_request.request_id}/${way}`, {
    ...sent,
    body: { lease_token, ...(sent.body as object) },
  })

async function does(tool_id: string): Promise<ExecutionRequest> {
  const answer = await send(await claim(tool_id), 'complete', { body: { exit_code: 0 } })
  expect(answer.status, answer.text).toBe(200)
  return answer.body.execution_request
}

async function rejects(tool_id: string): Promise<void> {
  const body = { exit_code: 1, stdout_tail: '1 failed', error: { class: 'tool_error' } }
  expect((await send(await claim(tool_id), 'fail', { body })).status).toBe(200)
}

const get = async (path: string) => (await app.request('GET', path)).body
const storyOf = ({ request_id }: ExecutionRequest): Promise<ExecutionRequestStory> =>
  get(`${REQUESTS}/${request_id}`)
const runOf = ({ run_id }: ExecutionRequest) => get(`/v1/runs/${run_id}`)
const folds = ({ run_id }: ExecutionRequest) => expectFolds(clientOf(app), run_id)

describe('work with validators', () => {
  beforeEach(async () => {
    await open()
    await using()
  })

  it('waits for them, and succeeds with the last, as its run does', async () => {
    const made = await request({ input: { files: ['src/basket.ts'] } })
    expect(await does('aider')).toMatchObject({ state: 'blocked', stop_reason: null, ended_at: null })
    const { items } = await get(`${REQUESTS}?run_id=${made.run_id}&state=queued`)
    expect(items.map(({ input }: ExecutionRequest) => input!.files)).toEqual([
      ['src/basket.ts'],
      ['src/basket.ts'],
    ])
    await does('pytest')
    await does('eslint')
    expect(await storyOf(made)).toMatchObject({ state: 'succeeded', attempts: 1 })
    expect(await runOf(made)).toMatchObject({ state: 'succeeded' })
    await folds(made)
  })

  it('tells who looks at it, and what they said', async () => {
    const made = await request()
    await does('aider')
    await does('pytest')
    const { validations, step_attempts } = await storyOf(made)
    const validated_attempt_id = step_attempts[0]!.step_attempt_id
    expect(validations).toEqual([
      {
        execution_request_id: expect.any(String),
        tool_id: 'pytest',
        required: true,
        validated_attempt_id,
        state: 'succeeded',
        stop_reason: 'succeeded',
        step_attempt_id: expect.any(String),
        created_at: START,
        ended_at: START,
      },
      {
        execution_request_id: expect.any(String),
        tool_id: 'eslint',
        required: true,
        validated_attempt_id,
        state: 'queued',
        stop_reason: null,
        step_attempt_id: null,
        created_at: START,
        ended_at: null,
      },
    ])
    const validator = await get(`${REQUESTS}/${validations[0]!.execution_request_id}`)
    expect(validator).toMatchObject({
      validates: { execution_request_id: made.request_id, step_attempt_id: validated_attempt_id },
      step_attempts: [{ step_attempt_id: validations[0]!.step_attempt_id, state: 'succeeded' }],
      validations: [],
    })
  })

  it('says in its diagnosis that it waits for them', async () => {
    const made = await request()
    await does('aider')
    const { findings } = await get(`${REQUESTS}/${made.request_id}/diagnosis`)
    expect(findings).toMatchObject([
      { code: 'validating', detail: expect.stringMatching(/pytest \(queued, .*eslint \(queued, /) },
    ])
  })

  it('is rejected, tried again, and accepted', async () => {
    const made = await request()
    await does('aider')
    await rejects('pytest')
    const story = await storyOf(made)
    expect(story).toMatchObject({
      state: 'queued',
      validation_error: { class: 'validation_failed', code: 'pytest', message: '1 failed' },
    })
    expect(verdictsIn(story)).toEqual(['pytest failed', 'eslint canceled'])
    expect(story.validation_error!.execution_request_id).toBe(story.validations[0]!.execution_request_id)
    app.pass(60_000)
    await does('aider')
    await does('pytest')
    await does('eslint')
    expect(await storyOf(made)).toMatchObject({ state: 'succeeded', attempts: 2, validation_error: null })
    expect(await runOf(made)).toMatchObject({ state: 'succeeded' })
    await folds(made)
  })

  it('is not failed by a validator that runs out of time: that one is tried again', async () => {
    const made = await request()
    await does('aider')
    const held = await claim('eslint') // its tool has a minute
    app.pass(60_000)
    await app.sweep()
    expect((await send(held, 'complete')).body).toMatchObject({ code: 'lease_lost' })
    expect(verdictsIn(await storyOf(made))).toEqual(['pytest queued', 'eslint queued'])
    app.pass(60_000)
    await does('eslint')
    await does('pytest')
    expect(await storyOf(made)).toMatchObject({ state: 'succeeded', attempts: 1 })
    await folds(made)
  })

  it('is canceled with those that look at it, whoever holds them', async () => {
    const made = await request()
    await does('aider')
    const held = await claim('pytest')
    const canceled = await app.request('POST', `${REQUESTS}/${made.request_id}/cancel`, { body: {} })
    expect(canceled.body).toMatchObject({ state: 'canceled', stop_reason: 'canceled' })
    const beat = await send(held, 'heartbeat')
    expect(beat.body).toMatchObject({ lease_lost: true })
    expect(await send(held, 'complete')).toMatchObject({ status: 409, body: { code: 'lease_lost' } })
    expect(verdictsIn(await storyOf(made))).toEqual(['pytest canceled', 'eslint canceled'])
    expect(await runOf(made)).toMatchObject({ state: 'canceled' })
    await folds(made)
  })

  it.each([[undefined], ['k1']])(
    'answers a repeat of its end as the first time, under the key %s',
    async (key) => {
      const made = await request()
      const held = await claim('aider')
      const sent = { body: { exit_code: 0 }, headers: key === undefined ? {} : { 'idempotency-key': key } }
      const first = await send(held, 'complete', sent)
      expect(first.body.execution_request.state).toBe('blocked')
      const same = async () => {
        const before = app.writes()
        const again = await send(held, 'complete', sent)
        expect([again.status, again.text]).toEqual([200, first.text])
        expect(again.headers['idempotency-replayed']).toBe('true')
        expect(app.writes()).toBe(before)
      }
      await same()
      await does('pytest')
      await does('eslint')
      expect(await storyOf(made)).toMatchObject({ state: 'succeeded' })
      await same()
    },
  )

  it('wakes who waits for the work of its validators', async () => {
    await request()
    const held = await claim('aider')
    const waiting = app.request('POST', `${CLAIM}?wait_seconds=60`, {
      body: { worker_id: 'w2', tools: ['eslint'] },
    })
    const noted = app.db.prepare("SELECT 1 FROM workers WHERE worker_id = 'w2'")
    await expect.poll(() => noted.all().length, EVENTUALLY).toBe(1)
    await send(held, 'complete')
    expect((await waiting).body.items[0].step_attempt.tool_id).toBe('eslint')
  })

  it('is known by decisions that can be made again, and that no backtest counts', async () => {
    const made = await request()
    await does('aider')
    const { validations } = await storyOf(made)
    for (const { execution_request_id } of validations) {
      const { assignment, decisions } = await get(`${REQUESTS}/${execution_request_id}`)
      const { route_decision_id } = assignment
      expect(decisions).toMatchObject([{ route_decision_id, rule_id: 'edits', previous_decision_id: null }])
      const path = `/v1/routing/decisions/${route_decision_id}/replay`
      expect((await app.request('POST', path, { body: {} })).body.identical).toBe(true)
    }
    const body = { created_after: START, created_before: '2026-01-06T00:00:00.000Z' }
    const answer = await app.request('POST', '/v1/routing/configs/1/backtest', { body })
    expect(answer.body).toMatchObject({ decisions: 1, changed: 0 })
  })
})

describe('work whose tool is not up to its validators', () => {
  it('goes to the next tool', async () => {
    await open()
    await using({ validate_with: ['pytest'], fallback_to: ['codex'] }, { max_attempts: 1 })
    const made = await request()
    await does('aider')
    await rejects('pytest')
    await does('codex')
    await does('pytest')
    const story = await storyOf(made)
    expect(story).toMatchObject({ state: 'succeeded', attempts: 2, tool_attempts: 1 })
    expect(triedIn(story)).toEqual(['aider', 'codex'])
    await folds(made)
  })
})

describe('an analyzer that finds fault', () => {
  it('fails neither the work nor the run', async () => {
    await open()
    await using({ validate_with: ['metrics'] })
    const made = await request()
    expect(await does('aider')).toMatchObject({ state: 'succeeded' })
    expect(await runOf(made)).toMatchObject({ state: 'running' })
    await rejects('metrics')
    expect(verdictsIn(await storyOf(made))).toEqual(['metrics failed'])
    expect(await runOf(made)).toMatchObject({ state: 'succeeded' })
    await folds(made)
  })
})

describe('a server that stops in the middle', () => {
  it('goes on where it was: with the validators that are open, and the ones that are not', async () => {
    const file = join(tempDir(), 'signalbox.db')
    await open(file)
    await using()
    const made = await request()
    const first = await send(await claim('aider'), 'complete')
    await does('pytest')
    const held = await claim('eslint')
    await app.close()
    await open(file)
    expect(verdictsIn(await storyOf(made))).toEqual(['pytest succeeded', 'eslint claimed'])
    expect((await send(held, 'heartbeat')).body).toMatchObject({ lease_lost: false })
    expect((await send(held, 'complete')).status).toBe(200)
    expect(await storyOf(made)).toMatchObject({
      state: 'succeeded',
      version: first.body.execution_request.version + 1,
    })
    expect(await runOf(made)).toMatchObject({ state: 'succeeded' })
    await folds(made)
  })

  it('has not forgotten a validator that nobody can run', async () => {
    const file = join(tempDir(), 'signalbox.db')
    await open(file)
    await using()
    const made = await request()
    const held = await claim('aider')
    const { apps, ...config } = validatedConfig({ validate_with: ['eslint'] })
    const { pytest: _, ...others } = apps
    await activate(app, { ...config, apps: others })
    await send(held, 'complete')
    await app.close() // before any sweep
    await open(file)
    await app.sweep()
    expect(await storyOf(made)).toMatchObject({
      state: 'failed',
      stop_reason: 'not_retryable',
      validation_error: { code: 'pytest' },
    })
    await folds(made)
  })
})

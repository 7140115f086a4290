import { beforeEach, describe, expect, it } from 'vitest'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import { NO_ID } from '../support/builders.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { REQUESTS, aRequest, eventsIn, expectFolds, requestPath, withoutStory } from '../support/requests.ts'
import { activate } from '../support/router.ts'
import { type Client, clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
let client: Client
/** For each test of its own: those of every operation open one for all. */
async function open(): Promise<() => Promise<void>> {
  app = await openTestApp()
  client = clientOf(app)
  await activate(app)
  return () => app.close()
}

const read = async (request: ExecutionRequest) => withoutStory((await client.get(requestPath(request))).body)
const runOf = async ({ run_id }: { run_id: string }) => (await client.get(`/v1/runs/${run_id}`)).body
const within = ({ run_id }: { run_id: string }) => ({ run_id })
const cancel = (request: ExecutionRequest) => client.post(`${requestPath(request)}/cancel`)

describe('the list of execution requests', () => {
  beforeEach(open)

  const list = async (query = '') => (await client.get(`${REQUESTS}${query}`)).body
  const ids = async (query = '') =>
    ((await list(query)).items as ExecutionRequest[]).map(({ request_id }) => request_id)

  it('is newest first, and takes every filter', async () => {
    const { run_id } = await client.aRun('running')
    const made: ExecutionRequest[] = []
    for (const task of [{}, { run_id }, { project_id: 'bank' }, { task_kind: 'test_run', run_id }]) {
      made.push(await aRequest(client, task))
      app.pass(1_000)
    }
    await cancel(made[1]!)
    const [a, b, c, d] = made.map(({ request_id }) => request_id)
    expect(await ids()).toEqual([d, c, b, a])
    expect(await ids('?order=asc')).toEqual([a, b, c, d])
    expect(await ids(`?run_id=${run_id}`)).toEqual([d, b])
    expect(await ids(`?run_id=${run_id}&run_id=${made[0]!.run_id}`)).toEqual([d, b, a])
    expect(await ids(`?run_id=${NO_ID}`)).toEqual([])
    expect(await ids('?state=canceled')).toEqual([b])
    expect(await ids('?state=queued&state=canceled')).toEqual([d, c, b, a])
    expect(await ids('?state=blocked')).toEqual([])
    expect(await ids('?tool_id=aider')).toEqual([c, a])
    expect(await ids('?tool_id=codex&tool_id=pytest')).toEqual([d, b])
    expect(await ids('?project_id=bank')).toEqual([c])
    expect(await ids('?created_after=2026-01-05T09:30:02Z')).toEqual([d, c])
    expect(await ids('?created_before=2026-01-05T09:30:02Z')).toEqual([b, a])
    expect(await ids(`?run_id=${run_id}&state=queued&tool_id=pytest`)).toEqual([d])
    expect((await list('?order=asc')).items[1]).toEqual(await read(made[1]!))
  })

  it('comes page by page, with nothing twice and nothing left out', async () => {
    const made: string[] = []
    for (let i = 0; i < 7; i++) made.unshift((await aRequest(client)).request_id)
    const seen: string[] = []
    let next = ''
    do {
      const { headers, body } = await client.get(`${REQUESTS}?limit=3${next}`)
      seen.push(...(body.items as ExecutionRequest[]).map(({ request_id }) => request_id))
      expect(headers['link'] === undefined).toBe(body.next_cursor === null)
      if (seen.length === 3) await aRequest(client) // newer than all: only on a first page
      next = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
    } while (next !== '')
    expect(seen).toEqual(made)
  })

  it.each(['state=waiting', 'run_id=latest', 'limit=0', 'limit=501', 'created_after=today', 'kind=x'])(
    'refuses %s',
    async (query) => expect((await list(`?${query}`)).code).toBe('validation_failed'),
  )

  it('refuses a cursor that was made for other filters', async () => {
    await aRequest(client)
    await aRequest(client)
    const { next_cursor } = await list('?limit=1')
    expect((await list(`?limit=1&state=queued&cursor=${next_cursor}`)).code).toBe('invalid_cursor')
  })
})

describe('a run that ends by itself', () => {
  beforeEach(open)

  it('is canceled with its only request', async () => {
    const request = await aRequest(client)
    await cancel(request)
    expect(await runOf(request)).toMatchObject({
      state: 'canceled',
      state_reason: 'Of its execution requests 0 succeeded, 0 failed and 1 were canceled.',
      version: 2,
    })
    const told = (await eventsIn(client, request.run_id)).map(({ kind }) => kind)
    expect(told).toEqual([
      'run_created',
      'task_routed',
      'request_created',
      'request_completed',
      'run_canceled',
    ])
    await expectFolds(client, request.run_id)
  })

  it('waits for the last of several', async () => {
    const run = await client.aRun('running', { completion: 'auto' })
    const requests = [await aRequest(client, within(run)), await aRequest(client, within(run))] as const
    await cancel(requests[0])
    expect((await runOf(run)).state).toBe('running')
    await cancel(requests[1])
    expect((await runOf(run)).state).toBe('canceled')
  })

  it('is left open where its completion is manual', async () => {
    const run = await client.aRun()
    await cancel(await aRequest(client, within(run)))
    expect(await runOf(run)).toEqual(run)
  })
})

describe('a run that is closed', () => {
  beforeEach(open)

  it.each([
    ['cancel', {}, 'canceled'],
    ['complete', { status: 'failed' }, 'failed'],
    ['quarantine', { reason: 'corrupted worktree' }, 'quarantined'],
  ])('by %s cancels its open requests first', async (command, body, state) => {
    const run = await client.aRun('running')
    await client.aStepIn(run)
    const ended = await aRequest(client, within(run))
    await cancel(ended)
    const before = await read(ended)
    const requests = [await aRequest(client, within(run)), await aRequest(client, within(run))]
    const told = (await eventsIn(client, run.run_id)).length
    app.pass(1_000)
    expect((await client.post(`/v1/runs/${run.run_id}/${command}`, body)).body.state).toBe(state)
    const now = '2026-01-05T09:30:01.000Z'
    for (const request of requests) {
      expect(await read(request)).toEqual({
        ...request,
        state: 'canceled',
        stop_reason: `run_${state}`,
        ended_at: now,
        updated_at: now,
        version: 2,
      })
    }
    expect(await read(ended)).toEqual(before)
    expect((await eventsIn(client, run.run_id)).slice(told)).toMatchObject([
      { kind: 'step_completed' },
      ...requests.map(({ request_id }) => ({
        kind: 'request_completed',
        from: 'queued',
        to: 'canceled',
        payload: { execution_request: { request_id, stop_reason: `run_${state}` } },
      })),
      { to: state },
    ])
    await expectFolds(client, run.run_id)
  })

  it('cannot succeed while requests of it are open: it names the first 20, and how many there are', async () => {
    const run = await client.aRun('running')
    const requests: ExecutionRequest[] = []
    for (let i = 0; i < 21; i++) requests.push(await aRequest(client, within(run)))
    const before = app.writes()
    const complete = () => client.post(`/v1/runs/${run.run_id}/complete`, { status: 'succeeded' })
    expect((await complete()).body).toMatchObject({
      status: 409,
      code: 'requests_open',
      requests_open: 21,
      execution_request_ids: requests.slice(0, 20).map(({ request_id }) => request_id),
      command: 'succeed',
    })
    expect(app.writes()).toBe(before)
    const { body } = await client.get(`/v1/runs/${run.run_id}/transitions`)
    const succeed = body.commands.find(({ command }: { command: string }) => command === 'succeed')
    expect(succeed).toMatchObject({ allowed: false, code: 'requests_open' })
    for (const request of requests) await cancel(request)
    expect((await complete()).body.state).toBe('succeeded')
  })
})

const operations = tagged('requests').filter(({ operation_id }) => operation_id === 'listExecutionRequests')
everyOperation(operations)
meetAllTheyPromise(operations)

import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { beforeEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import { type ExecutionRequest, requestDocumentFields } from '../../src/contract/execution-request.ts'
import { NO_ID } from '../support/builders.ts'
import { START, type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { FULL_TASK, REQUESTS, TASK, aRequest, eventsIn, requestPath } from '../support/requests.ts'
import { CONFIG, activate } from '../support/router.ts'
import { dumpOf } from '../support/store.ts'
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

const create = (task: object = {}, headers = {}) => client.post(REQUESTS, { ...TASK, ...task }, headers)
const kindsIn = async (run_id: string) => (await eventsIn(client, run_id)).map(({ kind }) => kind)

/** The fields that never change, and those that the machine moves. */
function documentOf({
  content_hash: _,
  run_id: __,
  plan: ___,
  created_at: ____,
  ...request
}: ExecutionRequest) {
  const isFixed = ([field]: [string, unknown]) => field in requestDocumentFields
  const [document = [], progress = []] = [true, false].map((fixed) =>
    Object.entries(request).filter((entry) => isFixed(entry) === fixed),
  )
  return { document: Object.fromEntries(document), progress: Object.fromEntries(progress) }
}

describe('creating an execution request', () => {
  beforeEach(open)

  it('answers 201 with the request, where it is, and its version', async () => {
    const { status, headers, body } = await create()
    expect(status).toBe(201)
    expect(headers).toMatchObject({ location: `${REQUESTS}/${body.request_id}`, etag: '"1"' })
    const read = await client.get(headers['location']!)
    expect(read.body).toMatchObject(body)
    expect(read.headers['etag']).toBe('"1"')
  })

  it('resolves what was left out', async () => {
    const { request_id, content_hash: _, run_id: __, ...request } = await aRequest(client)
    expect(request).toEqual({
      ...TASK,
      workstream_id: null,
      task_id: null,
      origin: { created_by: 'anonymous', created_at: START },
      classification: { priority: 'normal' },
      labels: {},
      resource_scope: { read: [], write: [], create: [], forbidden: [] },
      constraints: {},
      routing: {
        strategy: 'round_robin',
        excluded_tools: [],
        max_attempts: 3,
        timeout_seconds: 600,
        queue_timeout_seconds: null,
        total_timeout_seconds: null,
      },
      input: null,
      plan: null,
      validates: null,
      created_at: START,
      state: 'queued',
      stop_reason: null,
      assignment: {
        route_decision_id: expect.any(String),
        tool_id: 'aider',
        command: 'aider',
        args: [],
        validators: [],
      },
      attempts: 0,
      tool_attempts: 0,
      fence: 0,
      worker_id: null,
      rejected_by: [],
      sequence: null,
      step_attempt_id: null,
      available_at: START,
      queue_expires_at: null,
      cancel_requested_at: null,
      cancel_reason: null,
      validation_error: null,
      updated_at: START,
      ended_at: null,
      version: 1,
    })
    expect(request_id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
  })

  it('keeps all that was given', async () => {
    const { limits, allowed_tools, excluded_tools, ...given } = FULL_TASK
    const request = await aRequest(client, FULL_TASK)
    expect(request).toMatchObject({
      ...given,
      routing: { strategy: 'round_robin', allowed_tools, excluded_tools, ...limits },
      assignment: { tool_id: 'aider' },
    })
    expect((await client.get(requestPath(request))).body).toMatchObject(request)
  })

  it.each([
    ['the least task', {}],
    ['a full one', FULL_TASK],
    ['one with nulls', { labels: null, input: { prompt: null }, constraints: { patch_only: null } }],
  ])('hashes the canonical text of what never changes: %s', async (_name, task) => {
    const request = await aRequest(client, task)
    const { document } = documentOf(request)
    expect(request.content_hash).toBe(createHash('sha256').update(canonicalize(document)!).digest('hex'))
    const canceled = (await client.post(`${requestPath(request)}/cancel`)).body
    expect(documentOf(canceled).document).toEqual(document)
    expect(canceled.content_hash).toBe(request.content_hash)
  })

  it('makes a run of its own for it, which ends by itself', async () => {
    const request = await aRequest(client, FULL_TASK)
    const { body: run } = await client.get(`/v1/runs/${request.run_id}`)
    expect(run).toMatchObject({
      project_id: 'shop',
      phase_id: 'build',
      workstream_id: 'checkout',
      execution_request_id: request.request_id,
      labels: { team: 'core' },
      state: 'pending',
      completion: 'auto',
      version: 1,
    })
    expect(await kindsIn(request.run_id)).toEqual(['run_created', 'task_routed', 'request_created'])
  })

  it.each(['pending', 'running'] as const)('adds it to a %s run that is named', async (state) => {
    const run = await client.aRun(state)
    const before = (await kindsIn(run.run_id)).length
    const request = await aRequest(client, { run_id: run.run_id })
    expect(request.run_id).toBe(run.run_id)
    expect((await client.get(`/v1/runs/${run.run_id}`)).body).toEqual(run)
    const told = (await eventsIn(client, run.run_id)).slice(before)
    const { route_decision_id, tool_id } = request.assignment!
    expect(told).toMatchObject([
      { kind: 'task_routed', payload: { route_decision: { route_decision_id, tool_id } } },
      { kind: 'request_created', from: null, to: 'queued', payload: { execution_request: request } },
    ])
    expect((await client.get(`/v1/runs/${run.run_id}/events/verify`)).body.valid).toBe(true)
  })

  it('keeps the decision, which can be made again', async () => {
    const request = await aRequest(client)
    await aRequest(client)
    const path = `/v1/routing/decisions/${request.assignment!.route_decision_id}`
    const { body: decision } = await client.get(path)
    expect(decision).toMatchObject({ outcome: 'routed', tool_id: 'aider', run_id: request.run_id })
    const { body: replayed } = await client.post(`${path}/replay`)
    expect(replayed).toEqual({ config_version: 1, identical: true, decision })
  })

  it('takes turns, as decisions do', async () => {
    const tools = []
    for (let i = 0; i < 3; i++) tools.push((await aRequest(client)).assignment!.tool_id)
    expect(tools).toEqual(['aider', 'codex', 'aider'])
  })

  it('answers a repeated key with the first request, and makes one of many at once', async () => {
    const headers = { 'idempotency-key': 'once' }
    const answers = await Promise.all(Array.from({ length: 30 }, () => create({}, headers)))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect((await client.get(REQUESTS)).body.items).toEqual([answers[0]!.body])
    expect((await client.get('/v1/runs')).body.items).toHaveLength(1)
  })

  it('is a document of the framework, whatever became of it', async () => {
    const requests = [await aRequest(client), await aRequest(client, FULL_TASK)]
    const { body: canceled } = await client.post(`${requestPath(requests[0]!)}/cancel`)
    for (const request of [...requests, canceled]) {
      const { body } = await client.post('/v1/schemas/execution_request.v1/validate', request)
      expect(body).toEqual({ valid: true, errors: [], complete: true })
    }
    const { document } = documentOf(canceled)
    expect((await client.post('/v1/schemas/execution_request.v1/validate', document)).body.valid).toBe(true)
    const wrong = { ...canceled, claimed_by: 'nobody' }
    expect((await client.post('/v1/schemas/execution_request.v1/validate', wrong)).body.valid).toBe(false)
  })
})

describe('the bounds of the work', () => {
  beforeEach(open)

  const aider = { ...CONFIG.apps['aider']!, limits: { timeout_seconds: 120 } }
  const slow = { ...CONFIG, apps: { ...CONFIG.apps, aider } }
  const defaults = { max_attempts: 5, timeout_seconds: 240 }
  it.each([
    ['the task’s', { ...slow, defaults }, { max_attempts: 2, timeout_seconds: 30 }, [2, 30]],
    ['else the tool’s, with the configuration’s tries', { ...slow, defaults }, {}, [5, 120]],
    ['else the configuration’s', { ...CONFIG, defaults }, {}, [5, 240]],
    ['else 3 tries of 600 seconds', CONFIG, {}, [3, 600]],
    ['one by one', { ...slow, defaults }, { max_attempts: 9 }, [9, 120]],
  ])('are %s', async (_name, document, limits, [max_attempts, timeout_seconds]) => {
    await activate(app, document)
    const { routing } = await aRequest(client, { limits })
    expect(routing).toMatchObject({ max_attempts, timeout_seconds, total_timeout_seconds: null })
  })
})

describe('an execution request that cannot be', () => {
  beforeEach(open)

  const refused = async (task: object, expected: object, headers = {}) => {
    const before = dumpOf(app.db)
    expect((await create(task, headers)).body).toMatchObject(expected)
    expect(dumpOf(app.db)).toEqual(before)
  }

  it('is refused where no tool can do it: with every reason, and nothing stored', async () => {
    await client.post('/v1/tools/codex/pause', { reason: 'quota' })
    const candidates = [
      { tool_id: 'aider', reason_codes: ['excluded'] },
      { tool_id: 'codex', reason_codes: ['paused'] },
      { tool_id: 'pytest', reason_codes: ['task_kind'] },
    ]
    const problem = { status: 422, code: 'no_routable_tool', candidates }
    await refused({ excluded_tools: ['aider'] }, problem, { 'idempotency-key': 'unused' })
    const { run_id } = await client.aRun()
    await refused({ excluded_tools: ['aider'], run_id }, problem)
    expect((await create({}, { 'idempotency-key': 'unused' })).status).toBe(201)
  })

  it('is refused with every pattern of its scope that cannot be kept to', async () => {
    const resource_scope = {
      read: ['src/**', '../secret'],
      write: ['/etc/passwd'],
      forbidden: ['a\\b', '{a'],
    }
    await refused(
      { resource_scope },
      {
        status: 422,
        code: 'resource_scope_invalid',
        errors: ['read/1', 'write/0', 'forbidden/0', 'forbidden/1'].map((place) => ({
          pointer: `#/resource_scope/${place}`,
        })),
      },
    )
  })

  it('is refused in a run that is not there, that is another project’s, or that is closed', async () => {
    const unknown = { status: 422, code: 'unknown_reference' }
    await refused({ run_id: NO_ID }, { ...unknown, errors: [{ pointer: '#/run_id' }] })
    const { run_id } = await client.aRun()
    await refused({ run_id, project_id: 'bank' }, { ...unknown, errors: [{ pointer: '#/project_id' }] })
    await client.post(`/v1/runs/${run_id}/cancel`)
    await refused({ run_id }, { status: 409, code: 'run_not_running' })
  })

  it('is refused in a run that has no place left for its attempt', async () => {
    const run = await client.aRun('running')
    await client.aStepIn(run, { sequence: LIMITS.sequence - 1 })
    await aRequest(client, { run_id: run.run_id })
    const before = app.writes()
    const refused = await client.post(REQUESTS, { ...TASK, run_id: run.run_id })
    expect(refused).toMatchObject({ status: 409, body: { code: 'sequence_taken' } })
    const step = await client.post(`/v1/runs/${run.run_id}/steps`, { tool_id: 'pytest' })
    expect(step).toMatchObject({ status: 409, body: { code: 'sequence_taken' } })
    expect(app.writes()).toBe(before)
    const claim = { worker_id: 'w1', tools: ['aider', 'codex'] }
    const { body } = await client.post(`${REQUESTS}/claim`, claim)
    expect(body.items[0].step_attempt.sequence).toBe(LIMITS.sequence)
  })

  it('is refused while no configuration is active', async () => {
    const fresh = await openTestApp()
    const { status, body } = await clientOf(fresh).post(REQUESTS, TASK)
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'no_active_router_config' })
    await fresh.close()
  })

  it.each([
    ['without a project', { project_id: undefined }, '#/project_id'],
    ['without a phase', { phase_id: undefined }, '#/phase_id'],
    ['with a run that has no id', { run_id: 'latest' }, '#/run_id'],
    ['with a priority that is none', { classification: { priority: 'asap' } }, '#/classification/priority'],
    ['with a bound of none', { limits: { max_attempts: 0 } }, '#/limits/max_attempts'],
    ['with a field of its own', { tool_id: 'aider' }, '#/tool_id'],
  ])('is refused %s', async (_name, task, pointer) => {
    await refused(task, { status: 400, code: 'validation_failed', errors: [{ pointer }] })
  })
})

describe('a key that is bound to projects', () => {
  beforeEach(open)

  const keys = { admin: aKey('admin'), shop: aKeyFor(['shop'], 'write') }

  it('makes and sees the requests of its projects only', async () => {
    const keyed = await openTestApp({ api_keys: Object.values(keys).map(({ entry }) => entry) })
    await activate(keyed, CONFIG, keys.admin.key)
    const [admin, shop] = [clientOf(keyed, keys.admin.key), clientOf(keyed, keys.shop.key)]
    const own = await aRequest(shop)
    expect(own.origin.created_by).toBe(keys.shop.entry.id)
    const theirs = await aRequest(admin, { project_id: 'bank' })
    const foreign = await shop.post(REQUESTS, { ...TASK, project_id: 'bank' })
    expect(foreign.body).toMatchObject({ status: 403, code: 'forbidden' })
    const hidden = await shop.post(REQUESTS, { ...TASK, run_id: theirs.run_id })
    expect(hidden.body).toMatchObject({ status: 422, code: 'unknown_reference' })
    const nowhere = [shop.get(requestPath(theirs)), shop.post(`${requestPath(theirs)}/cancel`)]
    for (const { body } of await Promise.all(nowhere)) {
      expect(body).toMatchObject({ status: 404, code: 'execution_request_not_found' })
    }
    expect((await shop.get(REQUESTS)).body.items).toEqual([own])
    expect((await shop.get(`${REQUESTS}?project_id=bank`)).body.items).toEqual([])
    expect((await admin.get(requestPath(theirs))).body).toMatchObject(theirs)
    await keyed.close()
  })
})

describe('canceling an execution request', () => {
  beforeEach(open)

  it('ends it, with the reason, and tells of it', async () => {
    const { run_id } = await client.aRun()
    const request = await aRequest(client, { run_id })
    app.pass(1_000)
    const { status, headers, body } = await client.post(`${requestPath(request)}/cancel`, { reason: 'stale' })
    const now = '2026-01-05T09:30:01.000Z'
    const changed = { state: 'canceled', stop_reason: 'stale', ended_at: now, updated_at: now, version: 2 }
    expect({ status, etag: headers['etag'] }).toEqual({ status: 200, etag: '"2"' })
    expect(body).toEqual({ ...request, ...changed })
    expect((await client.get(requestPath(request))).body).toMatchObject(body)
    const { request_id } = request
    expect((await eventsIn(client, run_id)).at(-1)).toMatchObject({
      kind: 'request_completed',
      from: 'queued',
      to: 'canceled',
      payload: { execution_request: { request_id, ...changed } },
    })
  })

  it('is refused once it has ended', async () => {
    const path = `${requestPath(await aRequest(client))}/cancel`
    expect((await client.post(path)).body.stop_reason).toBe('canceled')
    const before = app.writes()
    expect((await client.post(path)).body).toMatchObject({
      status: 409,
      code: 'transition_refused',
      state: 'canceled',
      command: 'cancel',
      allowed_commands: [],
    })
    expect(app.writes()).toBe(before)
  })

  it('needs the current version, where one is named', async () => {
    const path = `${requestPath(await aRequest(client))}/cancel`
    const stale = await client.post(path, {}, { 'if-match': '"2"' })
    expect({ status: stale.status, etag: stale.headers['etag'] }).toEqual({ status: 412, etag: '"1"' })
    expect((await client.post(path, {}, { 'if-match': '"1"' })).status).toBe(200)
    expect((await client.post(path, {}, { 'if-match': '"1"' })).status).toBe(412)
  })

  it('answers a repeated key with the first answer', async () => {
    const path = `${requestPath(await aRequest(client))}/cancel`
    const headers = { 'idempotency-key': 'once', 'if-match': '"1"' }
    const first = await client.post(path, {}, headers)
    const again = await client.post(path, {}, headers)
    expect(again.headers['idempotency-replayed']).toBe('true')
    expect({ text: again.text, etag: again.headers['etag'] }).toEqual({ text: first.text, etag: '"2"' })
  })

  it('lets one of many win', async () => {
    const path = `${requestPath(await aRequest(client))}/cancel`
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.post(path)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19)
  })
})

// The list, and what becomes of requests when their run ends, have a file of their own.
const operations = tagged('requests').filter(({ operation_id }) => operation_id !== 'listExecutionRequests')
everyOperation(operations)
meetAllTheyPromise(operations)

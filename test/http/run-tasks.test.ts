import { beforeEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import type { PlanTask } from '../../src/contract/plan.ts'
import { NO_ID } from '../support/builders.ts'
import { type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { aTask, tasksBy, tasksOf } from '../support/plans.ts'
import { eventsIn, expectFolds } from '../support/requests.ts'
import { activate } from '../support/router.ts'
import { dumpOf } from '../support/store.ts'
import { type Client, clientOf } from './client.ts'
import { CONFIG, type Workshop, workshopOf } from './dispatch-client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
let client: Client
let workshop: Workshop
/** For each test of its own: those of every operation open one for all. */
async function open(): Promise<() => Promise<void>> {
  app = await openTestApp()
  client = clientOf(app)
  workshop = await workshopOf(app)
  return () => app.close()
}

const submit = (run_id: string, tasks: unknown[], more: object = {}, headers = {}) =>
  client.post(`/v1/runs/${run_id}/tasks`, { tasks, ...more }, headers)

async function submitted(tasks: PlanTask[], run: object = { completion: 'auto' }, more: object = {}) {
  const { run_id } = await client.aRun('pending', run)
  const { status, text, body } = await submit(run_id, tasks, more)
  expect(status, text).toBe(201)
  return { run_id, tasks: body.tasks as { task_id: string; execution_request_id: string; state: string }[] }
}

const planOf = async (run_id: string) => (await client.get(`/v1/runs/${run_id}/plan`)).body
const runOf = async (run_id: string) => (await client.get(`/v1/runs/${run_id}`)).body
/** By task, its state; after an @ why it ended. */
async function statesIn(run_id: string): Promise<string> {
  const { items } = (await client.get(`/v1/execution-requests?run_id=${run_id}&order=asc&limit=500`)).body
  return items
    .map(({ task_id, state, stop_reason }: Record<string, string>) =>
      stop_reason === null || stop_reason === 'succeeded'
        ? `${task_id}:${state}`
        : `${task_id}:${state}@${stop_reason}`,
    )
    .join(' ')
}

describe('submitting tasks', () => {
  beforeEach(open)

  it('is refused in a run that has no place left for their attempts', async () => {
    const run = await client.aRun('running')
    await client.aStepIn(run, { sequence: LIMITS.sequence - 1 })
    const before = app.writes()
    const refused = await submit(run.run_id, tasksOf({ a: [], b: ['a'] }))
    expect(refused).toMatchObject({ status: 409, body: { code: 'sequence_taken' } })
    expect(app.writes()).toBe(before)
    expect((await submit(run.run_id, tasksOf({ a: [] }))).status).toBe(201)
  })

  it('answers 201 with what became of each, in their order, and where the plan is', async () => {
    const { run_id } = await client.aRun()
    const { status, headers, body } = await submit(run_id, tasksOf({ c: ['a', 'b'], a: [], b: ['a'] }))
    expect([status, headers['location']]).toEqual([201, `/v1/runs/${run_id}/plan`])
    expect(body.warnings).toEqual([])
    const id = expect.any(String)
    expect(body.tasks).toEqual([
      { task_id: 'c', execution_request_id: id, state: 'blocked', tool_id: null, level: 2 },
      { task_id: 'a', execution_request_id: id, state: 'queued', tool_id: 'aider', level: 0 },
      { task_id: 'b', execution_request_id: id, state: 'blocked', tool_id: null, level: 1 },
    ])
    const ids = body.tasks.map((task: { execution_request_id: string }) => task.execution_request_id)
    expect(ids).toEqual(ids.toSorted())
    await expectFolds(client, run_id)
  })

  it('makes an execution request of each, which says what it needs', async () => {
    const { tasks } = await submitted(tasksOf({ a: [], b: ['a'] }))
    const [a, b] = tasks.map(({ execution_request_id }) => execution_request_id)
    const { body } = await client.get(`/v1/execution-requests/${b}`)
    expect(body).toMatchObject({
      task_id: 'b',
      task_kind: 'edit',
      state: 'blocked',
      assignment: null,
      plan: { name: 'Task b', level: 1, needs: [a] },
      routing: { strategy: 'fixed', max_attempts: 3, timeout_seconds: 600 },
    })
    const { body: valid } = await client.post('/v1/schemas/execution_request.v1/validate', body)
    expect(valid.valid).toBe(true)
    const { findings } = (await client.get(`/v1/execution-requests/${b}/diagnosis`)).body
    expect(findings).toMatchObject([
      { code: 'blocked', detail: 'It waits for these tasks to succeed: a (queued).' },
    ])
  })

  it('takes the example of task_spec.v1, and warns of each field without effect', async () => {
    await activate(app)
    const { run_id } = await client.aRun()
    const { body: schema } = await client.get('/v1/schemas/task_spec.v1')
    const read_up = { task_id: 'read-up', name: 'Read', kind: 'code_edit' }
    const { status, text, body } = await submit(run_id, [read_up, ...schema.examples])
    expect(status, text).toBe(201)
    expect(body.warnings.map(({ pointer }: { pointer: string }) => pointer)).toEqual(
      ['allow_parallel', 'prompt_template_ref', 'error_handling', 'acceptance'].map(
        (field) => `#/tasks/1/${field}`,
      ),
    )
  })

  it('may be done several times in an open run: later tasks may need earlier ones', async () => {
    const { run_id } = await submitted(tasksOf({ a: [], b: ['a'] }), { completion: 'manual' })
    await workshop.end(await workshop.claimed(), 'complete') // a
    const { status, body } = await submit(run_id, tasksOf({ d: ['c'], c: ['a', 'b'], e: ['a'] }))
    expect(status).toBe(201)
    expect(body.tasks).toMatchObject([
      { task_id: 'd', state: 'blocked', level: 3 },
      { task_id: 'c', state: 'blocked', level: 2 },
      { task_id: 'e', state: 'queued', level: 1 },
    ])
    await workshop.end(await workshop.claimed(), 'complete') // b: c is ready
    expect(await statesIn(run_id)).toBe('a:succeeded b:succeeded d:blocked c:queued e:queued')
    expect((await planOf(run_id)).nodes).toHaveLength(5)
    await expectFolds(client, run_id)
  })

  it('ends at once what needs a task that has failed, and what needs that', async () => {
    const { run_id } = await submitted(tasksOf({ a: [], z: [] }), { completion: 'manual' })
    await workshop.end(await workshop.claimed(), 'fail', { error: { class: 'invalid_request' } })
    const { status, body } = await submit(run_id, tasksOf({ c: ['b'], b: ['a'], d: [] }))
    expect(status).toBe(201)
    expect(body.tasks.map(({ state }: { state: string }) => state)).toEqual([
      'canceled',
      'canceled',
      'queued',
    ])
    expect(await statesIn(run_id)).toBe(
      'a:failed@not_retryable z:queued c:canceled@dependency_failed b:canceled@dependency_failed d:queued',
    )
    await expectFolds(client, run_id)
  })

  it('answers a repeated key with the first tasks, and makes them once', async () => {
    const { run_id } = await client.aRun()
    const headers = { 'idempotency-key': 'once' }
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => submit(run_id, tasksOf({ a: [], b: ['a'] }), {}, headers)),
    )
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect((await planOf(run_id)).nodes).toHaveLength(2)
  })

  it('names the version of the run in If-Match', async () => {
    const { run_id } = await client.aRun('running')
    const stale = await submit(run_id, tasksOf({ a: [] }), {}, { 'if-match': '"1"' })
    expect([stale.status, stale.headers['etag']]).toEqual([412, '"2"'])
    expect((await submit(run_id, tasksOf({ a: [] }), {}, { 'if-match': '"2"' })).status).toBe(201)
  })

  it('merges what a task says over the defaults', async () => {
    const defaults = { labels: { team: 'core' }, resource_scope: { read: ['src/**'], write: ['a'] } }
    const task = aTask('a', [], { resource_scope_delta: { write: ['b'] }, execution: { max_attempts: 1 } })
    const { tasks } = await submitted([task], {}, { defaults })
    const { body } = await client.get(`/v1/execution-requests/${tasks[0]!.execution_request_id}`)
    expect(body).toMatchObject({
      labels: { team: 'core' },
      resource_scope: { read: ['src/**'], write: ['b'] },
      routing: { max_attempts: 1 },
    })
  })
})

describe('a submission that cannot be', () => {
  beforeEach(open)

  const refused = async (run_id: string, tasks: unknown[], expected: object, more: object = {}) => {
    const before = dumpOf(app.db)
    const { body } = await submit(run_id, tasks, more, { 'idempotency-key': 'unused' })
    expect(body).toMatchObject(expected)
    expect(dumpOf(app.db)).toEqual(before)
  }
  const aRun = async () => (await client.aRun()).run_id

  it('is refused whole, with every fault at its place', async () => {
    const tasks = [
      ...tasksOf({ a: ['b'], b: ['c'], c: ['a'], d: ['d', 'nobody'] }),
      aTask('a'),
      aTask('e', [], { resource_scope_delta: { write: ['/etc'] } }),
    ]
    const problem = { status: 422, code: 'plan_invalid' }
    const errors = [
      { pointer: '#/tasks/4/task_id', detail: 'is the task_id of #/tasks/0 too' },
      { pointer: '#/tasks/3/depends_on/0', detail: 'is the task itself' },
      { pointer: '#/tasks/3/depends_on/1' },
      { pointer: '#/tasks/0/depends_on/0', detail: 'leads back to where it began: a → b → c → a' },
      { pointer: '#/tasks/5/resource_scope_delta/write/0', detail: 'must be relative to the project' },
    ]
    await refused(await aRun(), tasks, { ...problem, errors })
  })

  it('is refused with names that the run has', async () => {
    const { run_id } = await submitted(tasksOf({ a: [] }))
    const errors = [{ pointer: '#/tasks/0/task_id', detail: 'is the task_id of an earlier task of the run' }]
    await refused(run_id, tasksOf({ a: [] }), { code: 'plan_invalid', errors })
  })

  it('names as many faults as one answer may hold', async () => {
    const tasks = tasksBy(1_000, () => [5_000, 5_001, 5_002])
    const { body } = await submit(await aRun(), tasks)
    expect(body.detail).toContain('3000 fault(s)')
    expect(body.errors).toHaveLength(LIMITS.document_faults)
  })

  it.each([
    ['more than 1 000 tasks', tasksBy(1_001, () => []), 400, '#/tasks'],
    ['no task', [], 400, '#/tasks'],
    ['a field that is none', [{ ...aTask('a'), id: 'a' }], 400, '#/tasks/0/id'],
    ['an empty name', [aTask('')], 400, '#/tasks/0/task_id'],
    [
      'a priority that is none',
      [aTask('a', [], { classification: { priority: 'asap' as never } })],
      400,
      '#/tasks/0/classification/priority',
    ],
    ['too much in all', tasksBy(300, (i) => Array.from({ length: i }, (_, n) => n)), 422, '#/tasks'],
  ])('is refused with %s', async (_name, tasks, status, pointer) => {
    await refused(await aRun(), tasks, { status, errors: [{ pointer }] })
  })

  it('is refused with a task that no tool could ever do, and says why for each tool', async () => {
    const tasks = [aTask('a'), aTask('b', ['a'], { kind: 'deploy' }), aTask('c', [], { kind: 'test' })]
    const detail =
      'no tool could ever do it (aider: it cannot do tasks of this kind; pytest: it cannot do tasks of this kind)'
    const problem = { status: 422, code: 'no_routable_tool', errors: [{ pointer: '#/tasks/1', detail }] }
    await refused(await aRun(), tasks, problem)
  })

  it('is refused in a run that is closed, that is not there, or without a configuration', async () => {
    for (const state of ['succeeded', 'failed', 'canceled', 'quarantined'] as const) {
      const { run_id } = await client.aRun(state)
      await refused(run_id, tasksOf({ a: [] }), { status: 409, code: 'run_not_running' })
    }
    await refused(NO_ID, tasksOf({ a: [] }), { status: 404, code: 'run_not_found' })
    const fresh = await openTestApp()
    const { run_id } = await clientOf(fresh).aRun()
    const { body } = await clientOf(fresh).post(`/v1/runs/${run_id}/tasks`, { tasks: tasksOf({ a: [] }) })
    expect(body.code).toBe('no_active_router_config')
    await fresh.close()
  })
})

describe('what waits for other tasks', () => {
  beforeEach(open)

  it('is routed and queued in the transaction in which the last of them succeeds', async () => {
    const { run_id } = await submitted(tasksOf({ a: [], b: [], c: ['a', 'b'] }))
    await workshop.end(await workshop.claimed(), 'complete')
    expect(await statesIn(run_id)).toBe('a:succeeded b:queued c:blocked')
    app.pass(5_000)
    await workshop.end(await workshop.claimed(), 'complete')
    expect(await statesIn(run_id)).toBe('a:succeeded b:succeeded c:queued')
    const [done, routed, queued] = (await eventsIn(client, run_id)).slice(-3)
    expect([done!.kind, routed!.kind, queued!.kind]).toEqual([
      'request_completed',
      'task_routed',
      'request_queued',
    ])
    expect(new Set([done!.ts, queued!.ts]).size).toBe(1)
    await workshop.end(await workshop.claimed(), 'complete')
    expect((await runOf(run_id)).state).toBe('succeeded')
    await expectFolds(client, run_id)
  })

  it('is claimed by a worker that waits', async () => {
    await submitted(tasksOf({ a: [], b: ['a'] }))
    const held = await workshop.claimed()
    const { answer } = await workshop.waiting('w2')
    await workshop.end(held, 'complete')
    expect((await answer).body.items[0].execution_request.task_id).toBe('b')
  })

  it.each([
    ['fail', 'failed', 'run_failed'],
    ['quarantine', 'quarantined', 'run_quarantined'],
  ])(
    'ends all the way down with what failed, and the rest with its run: on_failure %s',
    async (on_failure, state, rest) => {
      const { run_id } = await submitted(tasksOf({ a: [], b: ['a'], c: ['b', 'z'], z: [] }), {
        completion: 'auto',
        on_failure,
      })
      await workshop.end(await workshop.claimed(), 'fail', { error: { class: 'invalid_request' } })
      expect(await statesIn(run_id)).toBe(
        `a:failed@not_retryable b:canceled@dependency_failed c:canceled@dependency_failed z:canceled@${rest}`,
      )
      expect((await runOf(run_id)).state).toBe(state)
      await expectFolds(client, run_id)
    },
  )

  it('ends alone where the run goes on', async () => {
    const run = { completion: 'auto', on_failure: 'continue' }
    const { run_id } = await submitted(tasksOf({ a: [], b: ['a'], z: [], y: ['z'] }), run)
    await workshop.end(await workshop.claimed(), 'fail', { error: { class: 'invalid_request' } })
    await workshop.end(await workshop.claimed(), 'complete')
    await workshop.end(await workshop.claimed(), 'complete')
    expect(await statesIn(run_id)).toBe(
      'a:failed@not_retryable b:canceled@dependency_failed z:succeeded y:succeeded',
    )
    expect(await runOf(run_id)).toMatchObject({
      state: 'failed',
      error_message: 'Of its execution requests 2 succeeded, 1 failed and 1 were canceled.',
    })
    expect((await planOf(run_id)).progress).toMatchObject({
      total: 4,
      done: 2,
      failed: 1,
      canceled: 1,
      percent: 50,
    })
  })

  it.each([
    [
      'a task that is canceled',
      async (id: string) => void (await client.post(`/v1/execution-requests/${id}/cancel`)),
    ],
    [
      'one that waited too long',
      async () => {
        app.pass(60_000)
        await app.sweep()
      },
    ],
  ])('ends with %s', async (_name, end) => {
    const limits = { queue_timeout_seconds: 60 }
    const tasks = tasksOf({ a: [], b: ['a'], c: ['b'] })
    tasks[0]!.execution_request_template = { limits }
    const { run_id, tasks: made } = await submitted(tasks, { completion: 'manual' })
    await end(made[0]!.execution_request_id)
    expect(await statesIn(run_id)).toMatch(
      /^a:(canceled@canceled|failed@queue_timeout) b:canceled@dependency_failed c:canceled@dependency_failed$/,
    )
    await expectFolds(client, run_id)
  })

  it('takes its total time from the submission on', async () => {
    const b = aTask('b', ['a'], { execution_request_template: { limits: { total_timeout_seconds: 30 } } })
    const { run_id } = await submitted([aTask('a'), b, aTask('c', ['b'])], { completion: 'manual' })
    app.pass(30_000)
    await app.sweep()
    expect(await statesIn(run_id)).toBe('a:queued b:failed@total_timeout c:canceled@dependency_failed')
  })

  it('fails where no tool is there when it is ready, and ends what needs it; the decision says why', async () => {
    const { run_id } = await submitted([aTask('a'), aTask('b', ['a'], { kind: 'test' }), aTask('c', ['b'])], {
      completion: 'manual',
    })
    await client.post('/v1/tools/pytest/pause', { reason: 'broken' })
    await workshop.end(await workshop.claimed(), 'complete')
    expect(await statesIn(run_id)).toBe('a:succeeded b:blocked c:blocked')
    await app.sweep()
    expect(await statesIn(run_id)).toBe('a:succeeded b:failed@unroutable c:canceled@dependency_failed')
    const { body } = await client.get(`/v1/routing/decisions?run_id=${run_id}&outcome=unroutable`)
    expect(body.items).toMatchObject([{ task: { task_id: 'b' }, tool_id: null }])
    await expectFolds(client, run_id)
  })

  it('goes on where the tool is back before the sweep looks', async () => {
    await client.post('/v1/tools/aider/pause', { reason: 'quota' })
    const { run_id, tasks } = await submitted(tasksOf({ a: [], b: ['a'] }))
    expect(tasks.map(({ state }) => state)).toEqual(['blocked', 'blocked'])
    await client.post('/v1/tools/aider/resume')
    await app.sweep()
    expect(await statesIn(run_id)).toBe('a:queued b:blocked')
    await expectFolds(client, run_id)
  })

  it('takes turns: several that become ready at once go to different tools', async () => {
    await activate(app)
    const tasks = [
      aTask('a', [], { kind: 'test_run' }),
      ...['b', 'c', 'd'].map((id) => aTask(id, ['a'], { kind: 'code_edit' })),
    ]
    const { run_id } = await submitted(tasks)
    await workshop.end(await workshop.claimed({ tools: ['pytest'] }), 'complete')
    const tools = (await planOf(run_id)).nodes.map(({ tool_id }: { tool_id: string }) => tool_id)
    expect(tools).toEqual(['pytest', 'aider', 'codex', 'aider'])
    expect(app.db.prepare('SELECT tool_order, version FROM rotations').all()).toEqual([
      { tool_order: '["codex","aider"]', version: 1 },
    ])
  })
})

describe('a run with tasks', () => {
  beforeEach(open)

  it('cannot succeed while one is blocked, and ends them when it is closed otherwise', async () => {
    const { run_id } = await submitted(tasksOf({ a: [], b: ['a'] }), { completion: 'manual' })
    await client.post(`/v1/runs/${run_id}/start`)
    const { body } = await client.post(`/v1/runs/${run_id}/complete`, { status: 'succeeded' })
    expect(body).toMatchObject({ status: 409, code: 'requests_open', requests_open: 2 })
    await client.post(`/v1/runs/${run_id}/cancel`)
    expect(await statesIn(run_id)).toBe('a:canceled@run_canceled b:canceled@run_canceled')
    await expectFolds(client, run_id)
  })

  it('shows its plan: what needs what, how far it is, what took long, what remains', async () => {
    const { run_id } = await submitted(tasksOf({ a: [], b: ['a'], c: ['b'] }))
    const held = await workshop.claimed()
    app.pass(30_000)
    await workshop.end(held, 'complete')
    await workshop.claimed()
    app.pass(10_000)
    const plan = await planOf(run_id)
    expect(plan.nodes).toMatchObject([
      { task_id: 'a', state: 'succeeded', blocks: ['b'], duration_ms: 30_000, attempts: 1 },
      { task_id: 'b', state: 'claimed', needs: ['a'], blocked_by: [], duration_ms: 10_000 },
      { task_id: 'c', state: 'blocked', needs: ['b'], blocked_by: ['b'], tool_id: null },
    ])
    expect(plan).toMatchObject({
      run_id,
      levels: 3,
      progress: { total: 3, done: 1, running: 1, blocked: 1, percent: 33 },
      critical_path: { task_ids: ['a', 'b'], duration_ms: 40_000 },
      estimate: { remaining_ms: 50_000, known: 2, of: 2 },
    })
  })

  it('and without any has an empty plan', async () => {
    expect((await planOf((await client.aRun()).run_id)).nodes).toEqual([])
  })
})

describe('a key that is bound to projects', () => {
  it('submits and reads plans of its projects only', async () => {
    const keys = { admin: aKey('admin'), shop: aKeyFor(['shop'], 'write') }
    const keyed = await openTestApp({ api_keys: Object.values(keys).map(({ entry }) => entry) })
    await activate(keyed, CONFIG, keys.admin.key)
    const [admin, shop] = [clientOf(keyed, keys.admin.key), clientOf(keyed, keys.shop.key)]
    const own = `/v1/runs/${(await shop.aRun()).run_id}`
    const theirs = `/v1/runs/${(await admin.aRun('pending', { project_id: 'bank' })).run_id}`
    const body = { tasks: tasksOf({ a: [] }) }
    expect((await shop.post(`${own}/tasks`, body)).status).toBe(201)
    expect((await shop.get(`${own}/plan`)).body.nodes).toHaveLength(1)
    for (const { status } of [await shop.post(`${theirs}/tasks`, body), await shop.get(`${theirs}/plan`)])
      expect(status).toBe(404)
    expect((await admin.get(`${theirs}/plan`)).body.nodes).toEqual([])
    await keyed.close()
  })
})

describe('every operation of plans', () => {
  const plans = tagged('plans')
  everyOperation(plans)
  meetAllTheyPromise(plans)
})

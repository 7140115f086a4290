import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/contract/worker.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { activate } from '../support/router.ts'
import { aConfig } from '../support/routing.ts'
import { tempDir } from '../support/store.ts'
import { type Workshop, workshopOf } from './dispatch-client.ts'

let app: TestApp
let shop: Workshop

async function opened(file?: string): Promise<void> {
  app = await openTestApp(file === undefined ? {} : { file })
  shop = await workshopOf(app)
}

const close = () => {
  app.drain() // who still waits must not keep the server
  return app.close()
}

/** One more refusal for its credentials: the circuit opens, or stays open for twice as long. */
async function fail(error_class = 'auth', more: object = {}): Promise<void> {
  await shop.end(await shop.claimed(), 'fail', { error: { class: error_class }, ...more })
}

/** A tool that is broken, and a request that waits for it. */
async function broken() {
  const [, waiting] = [await shop.request(), await shop.request()]
  await fail()
  return waiting
}

const circuit = async () => (await app.request('GET', '/v1/tools/aider')).body.circuit
const findings = async (execution_request_id: string): Promise<Finding[]> =>
  (await app.request('GET', `/v1/execution-requests/${execution_request_id}/diagnosis`)).body.findings
const idIn = ({ body }: { body: { items: { execution_request: { request_id: string } }[] } }) =>
  body.items[0]!.execution_request.request_id

beforeEach(async () => {
  await opened()
  return close
})

describe('a claim that waits for a tool whose circuit is open', () => {
  it('is woken when the circuit lets an attempt through, and not before', async () => {
    const { request_id } = await broken()
    const { answer, isDone } = await shop.waiting('w2')
    app.pass(59_999)
    expect(await app.sweep()).toBe('2026-01-05T09:31:00.000Z')
    await shop.claim({ worker_id: 'w3' })
    expect(isDone()).toBe(false)
    app.pass(1)
    await app.sweep()
    expect(idIn(await answer)).toBe(request_id)
    expect((await circuit()).state).toBe('half_open')
  })

  it('is woken when the probe of another succeeds', async () => {
    await broken()
    const next = await shop.request()
    app.pass(60_000)
    const probe = await shop.claimed()
    const { answer, isDone } = await shop.waiting('w2')
    expect(isDone()).toBe(false)
    await shop.end(probe, 'complete')
    expect(idIn(await answer)).toBe(next.request_id)
  })

  it('is woken when the probe of another ends without showing anything', async () => {
    await broken()
    const next = await shop.request()
    app.pass(60_000)
    const probe = await shop.claimed()
    const { answer } = await shop.waiting('w2')
    await shop.end(probe, 'fail', { error: { class: 'invalid_request' } })
    expect(idIn(await answer)).toBe(next.request_id)
  })

  it('is woken by a reset, and so are all the others', async () => {
    await broken()
    await shop.request()
    const claims = [await shop.waiting('w2'), await shop.waiting('w3')]
    await app.request('POST', '/v1/tools/aider/reset', { body: { reason: 'new key' } })
    for (const { answer } of claims) expect((await answer).status).toBe(200)
  })

  it('is woken when a tool that was told to wait may be asked again', async () => {
    const { request_id } = await shop.request()
    await fail('rate_limited', { retry_after_ms: 700 })
    const { answer } = await shop.waiting('w2')
    app.pass(699)
    expect(await app.sweep()).toBe('2026-01-05T09:30:00.700Z')
    app.pass(1)
    await app.sweep()
    expect(idIn(await answer)).toBe(request_id)
  })
})

describe('diagnoseExecutionRequest', () => {
  it('says until when the circuit is open, and what it waits for then', async () => {
    const { request_id } = await broken()
    await shop.request()
    expect(await findings(request_id)).toContainEqual({
      code: 'circuit_open',
      detail:
        'The circuit of the tool aider is open: it lets one attempt through from 2026-01-05T09:31:00.000Z on.',
      until: '2026-01-05T09:31:00.000Z',
      held_by: [],
    })
    app.pass(60_000)
    expect((await findings(request_id)).map(({ code }) => code)).toEqual(['worker_expected'])
    const probe = await shop.claimed()
    const behind = await shop.request()
    expect(await findings(behind.request_id)).toContainEqual({
      code: 'circuit_open',
      detail:
        'The circuit of the tool aider is half open: it has let one attempt through, and waits for its end.',
      until: null,
      held_by: [],
    })
    await shop.end(probe, 'complete')
    expect((await findings(behind.request_id)).map(({ code }) => code)).not.toContain('circuit_open')
  })
})

describe('the runs that need attention for a circuit', () => {
  const phases = async (more = '') => {
    const { status, body } = await app.request(
      'GET',
      `/v1/runs?needs_attention=circuit_open&order=asc${more}`,
    )
    expect(status).toBe(200)
    return body.items.map(({ phase_id }: { phase_id: string }) => phase_id)
  }
  const run = async (phase_id: string) =>
    (await app.request('POST', '/v1/runs', { body: { project_id: 'shop', phase_id } })).body
  const inRun = ({ run_id, phase_id }: { run_id: string; phase_id: string }, task: object = {}) =>
    shop.request({ run_id, phase_id, ...task })

  it('are those with work in the queue of the tool, started or not, while it lets nothing through', async () => {
    const [both, held] = [await run('held and waiting'), await run('held')]
    await run('empty')
    await inRun(both)
    await inRun(held, { limits: { timeout_seconds: 3_600 } })
    await shop.claimed({ lease_seconds: 3_600 })
    await shop.claimed({ lease_seconds: 3_600 })
    await inRun(both)
    await inRun(await run('not started'))
    await inRun(await run('of another tool'), { task_kind: 'test' })
    await shop.request({ phase_id: 'of its own', task_kind: 'edit' })
    expect(await phases()).toEqual([])
    await shop.request({ phase_id: 'tried', classification: { priority: 'critical' } })
    await shop.end(await shop.claimed(), 'fail', { error: { class: 'rate_limited' } })
    const all = ['held and waiting', 'not started', 'of its own', 'tried']
    expect(await phases()).toEqual(all)
    expect(await phases('&state=pending')).toEqual(['not started', 'of its own'])
    expect(await phases('&needs_attention=retrying&limit=500')).toEqual(all)
    app.pass(60_000)
    expect(await phases()).toEqual([]) // the next claim is let through
    const probe = await shop.claimed()
    expect(probe.execution_request.phase_id).toBe('tried')
    expect(await phases()).toEqual(all.slice(0, 3))
    await shop.end(probe, 'complete')
    expect(await phases()).toEqual([])
  })
})

describe('a task where every circuit is open', () => {
  const CONFIG = aConfig({ apps: { aider: { kinds: ['edit'] } } })

  it('waits in the queue of the tool, unless the configuration says otherwise', async () => {
    await broken()
    const { state, assignment } = await shop.request()
    expect([state, assignment?.tool_id]).toEqual(['queued', 'aider'])
  })

  it('is refused where the configuration says so', async () => {
    await broken()
    await activate(app, { ...CONFIG, defaults: { when_all_open: 'fail' } })
    const body = { task_kind: 'edit', project_id: 'shop', phase_id: 'build' }
    const refused = await app.request('POST', '/v1/execution-requests', { body })
    expect(refused.body).toMatchObject({
      status: 422,
      code: 'no_routable_tool',
      candidates: [{ tool_id: 'aider', reason_codes: ['circuit_open'] }],
    })
    app.pass(60_000)
    expect((await app.request('POST', '/v1/execution-requests', { body })).status).toBe(201)
  })
})

describe('a server that starts again', () => {
  it('knows which circuits are open, and which probe is under way', async () => {
    const file = join(tempDir(), 'signalbox.db')
    await close()
    await opened(file)
    const { request_id } = await broken()
    const next = await shop.request()
    const before = await circuit()
    await close()
    await opened(file)
    expect(await circuit()).toEqual(before)
    expect(await app.sweep()).toBe(before.open_until)
    const { answer } = await shop.waiting('w2')
    app.pass(60_000)
    await app.sweep()
    const held = (await answer).body.items[0]
    expect(held.execution_request.request_id).toBe(request_id)
    await close()
    await opened(file)
    expect((await circuit()).state).toBe('half_open')
    expect((await shop.claim({ worker_id: 'w3' })).status).toBe(204)
    await shop.end(held, 'complete')
    expect((await circuit()).state).toBe('closed')
    expect((await shop.claimed({ worker_id: 'w3' })).execution_request.request_id).toBe(next.request_id)
  })
})

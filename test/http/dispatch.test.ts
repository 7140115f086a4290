import { beforeEach, describe, expect, it } from 'vitest'
import { type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { CONFIG, CLAIM, type Ending, BODIES, type Workshop, workshopOf } from './dispatch-client.ts'
import { activate } from '../support/router.ts'

let app: TestApp
let shop: Workshop
beforeEach(async () => {
  app = await openTestApp()
  shop = await workshopOf(app)
  return () => app.close()
})

const ENDINGS = Object.keys(BODIES) as Ending[]

describe('claimExecutionRequests', () => {
  it('answers 204 where there is nothing to do', async () => {
    expect(await shop.claim()).toMatchObject({ status: 204, text: '' })
  })

  it('answers 200 with what is the worker’s', async () => {
    const { request_id } = await shop.request()
    const { status, body, headers } = await shop.claim({ max: 2, lease_seconds: 10 })
    expect(status).toBe(200)
    expect(body.items).toMatchObject([
      {
        execution_request: { request_id, state: 'claimed', worker_id: 'w1' },
        step_attempt: { state: 'running', attempt: 1 },
        fence: 1,
        lease_expires_at: '2026-01-05T09:30:10.000Z',
      },
    ])
    expect(headers['etag']).toBeUndefined()
  })

  it('gives the same items again for the same Idempotency-Key, and remembers no empty answer', async () => {
    const headers = { 'idempotency-key': 'k1' }
    expect((await shop.claim({}, { headers })).status).toBe(204)
    await shop.request()
    const first = await shop.claim({}, { headers })
    expect(first.status).toBe(200)
    await shop.request()
    const again = await shop.claim({}, { headers })
    expect(again).toMatchObject({ status: 200, text: first.text })
    expect(again.headers['idempotency-replayed']).toBe('true')
    expect((await shop.claim({ max: 2 }, { headers })).body.code).toBe('idempotency_key_reused')
  })

  it('takes a tool that is named twice for one', async () => {
    await shop.request()
    expect((await shop.claim({ tools: ['aider', 'aider'], max: 5 })).body.items).toHaveLength(1)
  })

  it.each([
    ['', { prefer: 'wait=0' }, 'wait=0'],
    ['', { prefer: 'respond-async, wait=0; x=1, return=minimal' }, 'wait=0'],
    ['', { prefer: ['respond-async', 'WAIT="0"'] }, 'wait=0'],
    ['?wait_seconds=0', { prefer: 'wait=60' }, undefined],
    ['', { prefer: 'awaits=9, wait=soon' }, undefined],
    ['', {}, undefined],
  ])('says what it applied of %s %j: %s', async (query, headers, applied) => {
    const empty = await shop.claim({}, { query, headers })
    expect([empty.status, empty.headers['preference-applied']]).toEqual([204, applied])
    await shop.request()
    const full = await shop.claim({}, { query, headers })
    expect([full.status, full.headers['preference-applied']]).toEqual([200, applied])
  })
})

describe('heartbeatExecutionRequest', () => {
  it('keeps the lease, and says when it is lost', async () => {
    const held = await shop.held()
    app.pass(59_999)
    expect((await shop.heartbeat(held)).body).toEqual({
      lease_expires_at: '2026-01-05T09:31:59.999Z',
      cancel_requested: false,
      lease_lost: false,
    })
    app.pass(60_000)
    const before = app.writes()
    expect(await shop.heartbeat(held)).toMatchObject({ status: 200, body: { lease_lost: true } })
    expect(app.writes()).toBe(before)
  })

  it.each([
    [{ reason: 'superseded' }, 'superseded'],
    [{}, 'canceled'],
  ])(
    'tells that a cancel was asked, whose reason %j stays when the worker has stopped',
    async (body, why) => {
      const held = await shop.held()
      const path = `/v1/execution-requests/${held.execution_request.request_id}/cancel`
      const asked = await app.request('POST', path, { body })
      expect(asked).toMatchObject({
        status: 200,
        body: { state: 'claimed', cancel_reason: why, stop_reason: null },
      })
      expect((await shop.heartbeat(held)).body).toMatchObject({ cancel_requested: true })
      const stopped = await shop.end(held, 'fail', { error: { class: 'canceled' } })
      expect(stopped.body).toMatchObject({ state: 'canceled', stop_reason: why })
    },
  )
})

describe.each(ENDINGS)('%s', (ending) => {
  it('repeated with the same token and body gives the same bytes, also when all has moved on', async () => {
    const held = await shop.held()
    const first = await shop.end(held, ending)
    expect(first.status, first.text).toBe(200)
    app.pass(120_000)
    await shop.claim()
    const before = app.writes()
    const again = await shop.end(held, ending)
    expect([again.status, again.text, again.headers['etag']]).toEqual([
      200,
      first.text,
      first.headers['etag'],
    ])
    expect(again.headers['idempotency-replayed']).toBe('true')
    expect(app.writes()).toBe(before)
  })

  it.each(ENDINGS)('and then %s with the same token is the first answer, or lease_lost', async (other) => {
    const held = await shop.held()
    await shop.end(held, ending)
    const before = app.writes()
    const { status, body } = await shop.end(held, other)
    expect([status, body.code]).toEqual(other === ending ? [200, undefined] : [409, 'lease_lost'])
    expect(app.writes()).toBe(before)
  })

  it('with the same token and another body has lost the lease', async () => {
    const held = await shop.held()
    await shop.end(held, ending)
    const other = ending === 'complete' || ending === 'fail' ? { stdout_tail: 'x' } : { reason: 'another' }
    const answer = await shop.end(held, ending, { ...BODIES[ending], ...other })
    expect(answer).toMatchObject({ status: 409, body: { code: 'lease_lost' } })
  })

  it.each([
    ['k1', 'k1'],
    ['k1', undefined],
    [undefined, 'k1'],
    ['k1', 'k2'],
  ])('under the key %s is repeated under %s', async (one, other) => {
    const held = await shop.held()
    const keyed = (key?: string) => (key === undefined ? {} : { 'idempotency-key': key })
    const first = await shop.end(held, ending, BODIES[ending], keyed(one))
    const again = await shop.end(held, ending, BODIES[ending], keyed(other))
    expect([again.status, again.text]).toEqual([200, first.text])
  })

  it('with a token that is none, or for a request that is none, is refused', async () => {
    const held = await shop.held()
    const before = app.writes()
    const bad = await shop.end({ ...held, lease_token: 'x' }, ending)
    expect(bad).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/lease_token' }] } })
    const other = await shop.end({ ...held, lease_token: 'f'.repeat(32) }, ending)
    expect(other).toMatchObject({ status: 409, body: { code: 'lease_lost' } })
    const execution_request = { ...held.execution_request, request_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4' }
    const unknown = await shop.end({ ...held, execution_request }, ending)
    expect(unknown).toMatchObject({ status: 404, body: { code: 'execution_request_not_found' } })
    expect(app.writes()).toBe(before)
  })
})

describe('complete with claim_next', () => {
  it('gives the next request in the same transaction, and the same one to a repeat', async () => {
    await shop.request()
    const second = await shop.request()
    await shop.request()
    const held = await shop.claimed()
    const first = await shop.completeAndGoOn(held)
    expect(first.body).toMatchObject({
      execution_request: { state: 'succeeded' },
      next: { execution_request: { request_id: second.request_id, state: 'claimed' }, fence: 1 },
    })
    expect((await shop.completeAndGoOn(held)).text).toBe(first.text)
    expect(app.db.prepare('SELECT count(*) FROM leases').pluck().get()).toBe(1)
  })

  it('gives null where there is nothing', async () => {
    expect((await shop.completeAndGoOn(await shop.held())).body.next).toBeNull()
  })
})

describe('keys', () => {
  const worker = aKey('worker')
  const bank = aKeyFor(['bank'], 'worker')
  const keys = [worker, bank, aKey('write'), aKey('read'), aKey('admin')]

  it('need the scope worker, and see only their projects', async () => {
    const admin = keys[4]!
    const guarded = await openTestApp({ api_keys: keys.map(({ entry }) => entry) })
    const ask = (as: string, method: string, path: string, body?: unknown) =>
      guarded.request(method, path, { as, body })
    await activate(guarded, CONFIG, admin.key)
    const task = { task_kind: 'edit', project_id: 'shop', phase_id: 'build' }
    const made = await ask(admin.key, 'POST', '/v1/execution-requests', task)
    expect(made.status, made.text).toBe(201)
    const claim = { worker_id: 'w1', tools: ['aider'] }
    for (const { key } of keys.slice(2)) {
      const refused = await ask(key, 'POST', CLAIM, claim)
      expect(refused).toMatchObject({ status: 403, body: { code: 'forbidden', needed_scope: 'worker' } })
    }
    expect((await ask(bank.key, 'POST', CLAIM, claim)).status).toBe(204)
    const { body } = await ask(worker.key, 'POST', CLAIM, claim)
    const [held] = body.items
    expect(held.execution_request.request_id).toBe(made.body.request_id)
    const path = `/v1/execution-requests/${made.body.request_id}/complete`
    const { lease_token } = held
    expect((await ask(bank.key, 'POST', path, { lease_token })).status).toBe(404)
    expect((await ask(worker.key, 'POST', path, { lease_token })).status).toBe(200)
    await guarded.close()
  })
})

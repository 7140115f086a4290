import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { BODIES, type Ending, type Workshop, workshopOf } from './dispatch-client.ts'

let app: TestApp
let shop: Workshop
let held: ClaimedRequest
beforeAll(async () => {
  app = await openTestApp()
  shop = await workshopOf(app)
  held = await shop.held()
  await shop.request()
})
afterAll(() => app.close())

describe('claimExecutionRequests', () => {
  it.each([
    [{ worker_id: '' }, '/worker_id'],
    [{ worker_id: 'x'.repeat(201) }, '/worker_id'],
    [{ tools: [] }, '/tools'],
    [{ tools: Array.from({ length: 201 }, (_, i) => `t${i}`) }, '/tools'],
    [{ tools: [''] }, '/tools/0'],
    [{ max: 0 }, '/max'],
    [{ max: 33 }, '/max'],
    [{ max: '1' }, '/max'],
    [{ lease_seconds: 4 }, '/lease_seconds'],
    [{ lease_seconds: 3_601 }, '/lease_seconds'],
    [{ more: 1 }, '/more'],
  ])('refuses %j', async (body, pointer) => {
    const before = app.writes()
    const answer = await shop.claim(body)
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(answer.body.errors[0].pointer).toBe(`#${pointer}`)
    expect(app.writes()).toBe(before)
  })

  it.each([
    ['?wait_seconds=61', {}, { parameter: 'wait_seconds' }],
    ['?wait_seconds=-1', {}, { parameter: 'wait_seconds' }],
    ['?wait=1', {}, { parameter: 'wait' }],
    ['', { prefer: 'wait=61' }, { parameter: 'Prefer' }],
  ])('refuses to wait so: %s %j', async (query, headers, fault) => {
    const { status, body } = await shop.claim({}, { query, headers })
    expect([status, body.errors[0]]).toMatchObject([400, fault])
  })
})

describe('the end of a lease', () => {
  it.each<[Ending, object, string]>([
    ['complete', { exit_code: 'x' }, '/exit_code'],
    ['complete', { more: 1 }, '/more'],
    ['complete', { stdout_tail: 'x'.repeat(65_537) }, '/stdout_tail'],
    ['fail', { error: undefined }, '/error'],
    ['fail', { error: {} }, '/error/class'],
    ['fail', { error: { class: '' } }, '/error/class'],
    ['fail', { retry_after_ms: -1 }, '/retry_after_ms'],
    ['fail', { retry_after_ms: 86_400_001 }, '/retry_after_ms'],
    ['fail', { retryable: 'no' }, '/retryable'],
    ['reject', { reason: '' }, '/reason'],
    ['reject', { reason: undefined }, '/reason'],
    ['release', { reason: 'x'.repeat(1_001) }, '/reason'],
    ['release', { lease_token: 'F'.repeat(32) }, '/lease_token'],
  ])('by %s refuses %j', async (ending, body, pointer) => {
    const before = app.writes()
    const answer = await shop.end(held, ending, { ...BODIES[ending], ...body })
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(answer.body.errors[0].pointer).toBe(`#${pointer}`)
    expect(app.writes()).toBe(before)
  })

  it('after all that is still possible', async () => {
    expect((await shop.end(held, 'complete')).status).toBe(200)
  })
})

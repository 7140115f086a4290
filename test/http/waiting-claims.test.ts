import { request as httpRequest } from 'node:http'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type TestApp, openTestApp } from '../support/http.ts'
import { activate } from '../support/router.ts'
import { CLAIM, CONFIG, EVENTUALLY, type Workshop, workshopOf } from './dispatch-client.ts'

let app: TestApp
let shop: Workshop
beforeEach(async () => {
  app = await openTestApp()
  shop = await workshopOf(app)
  return () => {
    app.drain() // who still waits must not keep the server
    return app.close()
  }
})

const idsIn = ({ body }: { body: { items: { execution_request: { request_id: string } }[] } }) =>
  body.items.map(({ execution_request }) => execution_request.request_id)

describe('a waiting claim', () => {
  it('is answered 204 when its time is over', async () => {
    const { status, headers } = await shop.claim({}, { headers: { prefer: 'wait=1' } })
    expect([status, headers['preference-applied']]).toEqual([204, 'wait=1'])
  })

  it('is woken by new work', async () => {
    const { answer } = await shop.waiting('w1')
    const { request_id } = await shop.request()
    expect(idsIn(await answer)).toEqual([request_id])
  })

  it('is not woken by work for other tools', async () => {
    const { answer, isDone } = await shop.waiting('w1', { tools: ['pytest'] })
    await shop.request()
    expect((await shop.claim({ worker_id: 'w2' })).status).toBe(200)
    expect(isDone()).toBe(false)
    const { request_id } = await shop.request({ task_kind: 'test' })
    expect(idsIn(await answer)).toEqual([request_id])
  })

  it('is woken by a request that is handed back', async () => {
    const held = await shop.held()
    const { answer } = await shop.waiting('w2')
    await shop.end(held, 'reject')
    expect(idsIn(await answer)).toEqual([held.execution_request.request_id])
  })

  it('is woken by a retry when it becomes available, and not before', async () => {
    const held = await shop.held()
    const { answer, isDone } = await shop.waiting('w2')
    await shop.end(held, 'fail', { error: { class: 'tool_error' }, retry_after_ms: 700 })
    app.pass(699)
    expect(await app.sweep()).toBe('2026-01-05T09:30:00.700Z')
    await shop.claim({ worker_id: 'w3' })
    expect(isDone()).toBe(false)
    app.pass(1)
    await app.sweep()
    expect(idsIn(await answer)).toEqual([held.execution_request.request_id])
  })

  it('is woken by what the end of a lease gives back', async () => {
    const held = await shop.held()
    const { answer } = await shop.waiting('w2')
    app.pass(60_000)
    await app.sweep() // the attempt has failed, and is tried again after a while
    app.pass(1_000)
    await app.sweep()
    expect(idsIn(await answer)).toEqual([held.execution_request.request_id])
  })

  it('is woken when the tool is resumed', async () => {
    const { request_id } = await shop.request()
    await app.request('POST', '/v1/tools/aider/pause', { body: { reason: 'quota' } })
    const { answer, isDone } = await shop.waiting('w1')
    await shop.claim({ worker_id: 'w2' })
    expect(isDone()).toBe(false)
    await app.request('POST', '/v1/tools/aider/resume')
    expect(idsIn(await answer)).toEqual([request_id])
  })

  it('is woken when the pause of a tool ends by itself', async () => {
    const { request_id } = await shop.request()
    const until = '2026-01-05T09:40:00.000Z'
    await app.request('POST', '/v1/tools/aider/pause', { body: { reason: 'quota', until } })
    const { answer, isDone } = await shop.waiting('w1')
    expect(await app.sweep()).toBe(until)
    app.pass(599_999)
    await app.sweep()
    await shop.claim({ worker_id: 'w2' })
    expect(isDone()).toBe(false)
    app.pass(1)
    await app.sweep()
    expect(idsIn(await answer)).toEqual([request_id])
  })

  it('is woken when a tool that was full has room again', async () => {
    const task = { task_kind: 'test' }
    const tools = ['pytest']
    await shop.request(task)
    const { request_id } = await shop.request(task)
    const held = await shop.claimed({ tools })
    const { answer, isDone } = await shop.waiting('w2', { tools })
    expect(isDone()).toBe(false)
    await shop.end(held, 'complete')
    expect(idsIn(await answer)).toEqual([request_id])
  })

  it('is woken by another configuration that gives the tool more room', async () => {
    const task = { task_kind: 'test' }
    const tools = ['pytest']
    await shop.request(task)
    const { request_id } = await shop.request(task)
    await shop.claimed({ tools })
    const { answer } = await shop.waiting('w2', { tools })
    const pytest = { ...CONFIG.apps['pytest']!, limits: { max_parallel: 2 } }
    await activate(app, { ...CONFIG, apps: { ...CONFIG.apps, pytest } })
    expect(idsIn(await answer)).toEqual([request_id])
  })
})

describe('the line of waiting claims', () => {
  it('gives one item to one of them, in the order in which they came', async () => {
    const line = [await shop.waiting('w1'), await shop.waiting('w2'), await shop.waiting('w3')]
    for (const [index, { answer }] of line.entries()) {
      const { request_id } = await shop.request()
      const { body } = await answer
      expect(idsIn({ body })).toEqual([request_id])
      expect(body.items[0].execution_request.worker_id).toBe(`w${index + 1}`)
      expect(line.map(({ isDone }) => isDone())).toEqual([0, 1, 2].map((place) => place <= index))
    }
  })

  it('passes an item over whom it is not for', async () => {
    const held = await shop.held()
    await shop.end(held, 'reject') // w1 is not offered it again
    const first = await shop.waiting('w1')
    const back = await shop.claimed({ worker_id: 'w9' })
    const second = await shop.waiting('w2')
    await shop.end(back, 'release')
    expect(idsIn(await second.answer)).toEqual([held.execution_request.request_id])
    expect(first.isDone()).toBe(false)
  })

  it('closes up when a client goes away', async () => {
    const body = JSON.stringify({ worker_id: 'gone', tools: ['aider'] })
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    const path = `${CLAIM}?wait_seconds=60`
    const gone = httpRequest({
      port: app.port,
      host: '127.0.0.1',
      method: 'POST',
      path,
      headers,
      agent: false,
    })
    gone.on('error', () => {})
    gone.end(body)
    await shop.stands('gone')
    const { answer } = await shop.waiting('w2')
    const connections = () =>
      new Promise<number>((resolve) => app.app.server.getConnections((_error, count) => resolve(count)))
    const before = await connections()
    gone.destroy()
    await vi.waitFor(async () => expect(await connections()).toBe(before - 1), EVENTUALLY)
    const { request_id } = await shop.request()
    expect(idsIn(await answer)).toEqual([request_id])
  })

  it('goes home at once when the server stops', async () => {
    const line = [await shop.waiting('w1'), await shop.waiting('w2')]
    const before = app.writes()
    app.drain()
    for (const { answer } of line) expect((await answer).status).toBe(204)
    expect(app.writes()).toBe(before)
  })
})

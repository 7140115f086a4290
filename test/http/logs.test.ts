import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Json, type TestApp, aKey, connected, exchange, openTestApp } from '../support/http.ts'
import { clientOf } from './client.ts'

const { key, entry } = aKey('admin')
let app: TestApp

beforeAll(async () => {
  app = await openTestApp({ api_keys: [entry], allowed_origins: ['https://board.example'] })
})

afterAll(() => app.close())

beforeEach(() => {
  app.logs.length = 0
})

const create = { body: { project_id: 'p', phase_id: 'b' }, as: key }

/** A wait ends with what is waited for: this is only when to give up. */
const PATIENCE = { timeout: 10_000 }

/** The line is written once the answer is out: a moment after the client has it. */
const lines = (count: number): Promise<Json[]> =>
  vi.waitFor(() => {
    expect(app.logs).toHaveLength(count)
    return app.logs
  }, PATIENCE)

describe('the log', () => {
  it('has one line for a request: what was asked, by whom, and what came of it', async () => {
    const asked = performance.now()
    const { headers } = await app.request('POST', '/v1/runs', create)
    const [line] = await lines(1)
    const took = performance.now() - asked
    const { time: _, pid: __, hostname: ___, duration_ms, ...rest } = line
    expect(rest).toEqual({
      level: 30,
      msg: 'request',
      http_request_id: headers['x-request-id'],
      method: 'POST',
      path: '/v1/runs',
      status: 201,
      actor: entry.id,
    })
    expect(duration_ms).toBeGreaterThan(0)
    expect(duration_ms).toBeLessThan(took)
  })

  it.each([
    ['GET', '/v1/runs', { as: key }, 200],
    ['HEAD', '/v1/runs', { as: key }, 200],
    ['GET', '/livez', {}, 200],
    ['GET', '/docs', {}, 200],
    ['GET', '/v1/runs', {}, 401],
    ['GET', '/v1/runs/x', { as: key }, 400],
    ['GET', '/v1/runs/%FF', { as: key }, 400],
    ['GET', '/v1/nothing', {}, 404],
    ['GET', '/docs/static/nothing.js', {}, 404],
    ['DELETE', '/v1/runs', {}, 405],
    ['POST', '/v1/runs', { as: key, raw: '{', headers: { 'content-type': 'application/json' } }, 400],
    ['POST', '/v1/runs', { as: key, raw: '{}', headers: { 'content-type': 'text/plain' } }, 415],
    ['POST', '/v1/runs', { as: key, raw: '{}', headers: { expect: 'magic' } }, 417],
    ['GET', '/livez', { headers: { 'x-long': 'x'.repeat(17_000) } }, 431],
    [
      'OPTIONS',
      '/v1/runs',
      { headers: { origin: 'https://board.example', 'access-control-request-method': 'POST' } },
      204,
    ],
  ])('has one line for %s %s %o', async (method, path, sent, status) => {
    const answer = await exchange({ port: app.port, method, path, sent })
    expect(answer.status).toBe(status)
    const [line] = await lines(1)
    expect(line).toMatchObject({ msg: 'request', status })
    if (status !== 204) expect(line.http_request_id).toBe(answer.headers['x-request-id'])
  })

  it('has one line for a client that hung up before its answer, which took effect all the same', async () => {
    const before = app.writes()
    const socket = await connected(app.port)
    const body = JSON.stringify(create.body)
    socket.write(
      `POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nX-Request-Id: gone\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    socket.resetAndDestroy()
    await once(socket, 'close')
    expect(await lines(1)).toMatchObject([{ http_request_id: 'gone', path: '/v1/runs', status: 201 }])
    expect(app.writes()).toBeGreaterThan(before)
    await app.request('GET', '/livez')
    expect((await lines(2))[1]).toMatchObject({ path: '/livez' }) // and no second line in between
  })

  it('keeps queries to itself: they may hold anything', async () => {
    await app.request('GET', '/v1/runs?project_id=secret-project', { as: key })
    expect((await lines(1))[0].path).toBe('/v1/runs')
    expect(JSON.stringify(app.logs)).not.toContain('secret-project')
  })

  it('never holds a key, whatever becomes of the request', async () => {
    const secret = key.slice(`sbx_${entry.id}_`.length)
    const unknown = aKey('admin').key
    const paths = ['/v1/runs', '/v1/runs/x', '/v1/nothing', '/v1/runs/%FF', `/v1/runs?key=${key}`]
    for (const path of paths) {
      for (const authorization of [`Bearer ${key}`, `Basic ${key}`, `Bearer ${unknown}`, key]) {
        const headers = { authorization, cookie: `session=${key}` }
        await exchange({ port: app.port, method: 'GET', path, sent: { headers } })
      }
    }
    const expectation = { authorization: `Bearer ${key}`, expect: 'magic' }
    await exchange({ port: app.port, method: 'POST', path: '/v1/runs', sent: { headers: expectation } })
    const text = JSON.stringify(await lines(paths.length * 4 + 1))
    for (const word of [key, secret, unknown, entry.sha256]) expect(text).not.toContain(word)
    expect(text.toLowerCase()).not.toMatch(/bearer|authorization|cookie/)
  })

  it('says what failed in the server, and the caller only under which id to look', async () => {
    const broken = await openTestApp({ api_keys: [entry] })
    broken.db.close()
    const answer = await broken.request('POST', '/v1/runs', {
      ...create,
      headers: { 'x-request-id': 'mine' },
    })
    expect(answer).toMatchObject({ status: 500, body: { http_request_id: 'mine', code: 'internal_error' } })
    expect(answer.body.detail).toBe('The server failed at this request. Nothing was written.')
    await vi.waitFor(() => expect(broken.logs).toHaveLength(2), PATIENCE)
    const [error, request] = broken.logs
    expect(error).toMatchObject({ level: 50, http_request_id: 'mine', msg: 'internal error' })
    expect(error.err.stack).toContain('.ts:')
    expect(request).toMatchObject({ http_request_id: 'mine', status: 500 })
    expect(JSON.stringify(broken.logs)).not.toContain(key)
    await broken.close()
  })
})

describe('the log of a store that another program holds', () => {
  it('says why it failed, and the caller only that it did', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'signalbox-http-'))
    const file = join(directory, 'signalbox.db')
    const held = await openTestApp({ file, api_keys: [entry] })
    held.db.pragma('journal_mode = DELETE') // with a WAL nobody can lock readers out
    const other = new Database(file)
    other.exec('BEGIN EXCLUSIVE')
    const answer = await held.request('GET', '/v1/runs', { as: key, headers: { 'x-request-id': 'mine' } })
    other.close()
    expect(answer).toMatchObject({ status: 503, body: { code: 'store_unavailable' } })
    await vi.waitFor(() => expect(held.logs).toHaveLength(2), PATIENCE)
    expect(held.logs[0]).toMatchObject({ level: 40, http_request_id: 'mine', err: { code: 'SQLITE_BUSY' } })
    expect(JSON.stringify(held.logs)).not.toContain(key)
    await held.close()
    rmSync(directory, { recursive: true })
  })
})

describe('X-Request-Id', () => {
  const idFor = async (id: string | string[]) =>
    (await app.request('GET', '/livez', { headers: { 'x-request-id': id } })).headers['x-request-id']
  const OURS = /^[0-9A-Za-z-]{16,}$/

  it.each(['abc', '01JD8Z6V3QK0T2M4N6P8R0S2T4', 'a/b:c@d~e.f_g-h+i=j', 'x'.repeat(128)])(
    'that is safe comes back: %s',
    async (id) => expect(await idFor(id)).toBe(id),
  )

  it.each([
    'x'.repeat(129),
    'a b',
    'a"b',
    'a,b',
    '{"level":60}',
    '<script>',
    '%0a',
    'ä',
    "a'; DROP TABLE events; --",
    '$(id)',
    'a\tb',
    '',
  ])('that is not is replaced: %s', async (id) => {
    const made = await idFor(id)
    expect(made).not.toBe(id)
    expect(made).toMatch(OURS)
  })

  it('that comes twice is replaced', async () => expect(await idFor(['one', 'two'])).toMatch(OURS))

  it('is made for every request that brings none', async () => {
    const ids = await Promise.all([1, 2, 3].map(async () => (await clientOf(app).get('/livez')).headers))
    expect(new Set(ids.map((headers) => headers['x-request-id'])).size).toBe(3)
  })

  it('stands in the problem and in the event', async () => {
    const headers = { 'x-request-id': 'trace-me' }
    const refused = await app.request('GET', '/v1/nothing', { headers })
    expect(refused.body.http_request_id).toBe('trace-me')
    const { body } = await app.request('POST', '/v1/runs', { ...create, headers })
    const events = await app.request('GET', `/v1/runs/${body.run_id}/events`, { as: key })
    expect(events.body.items[0].http_request_id).toBe('trace-me')
  })
})

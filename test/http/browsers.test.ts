import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestApp, type TestAppOptions, aKey, exchange, openTestApp } from '../support/http.ts'

const create = { body: { project_id: 'p', phase_id: 'b' } }

function opened(options: TestAppOptions): () => TestApp {
  let app: TestApp
  beforeAll(async () => {
    app = await openTestApp(options)
  })
  afterAll(() => app.close())
  return () => app
}

/** What a page that somebody visits could do to a server on the same machine. */
describe('a server without keys, which only this machine reaches', () => {
  const app = opened({ allowed_hosts: ['signalbox.local'] })

  it.each(['localhost', 'LOCALHOST:8710', '127.0.0.1:1', '[::1]', '[::1]:8710', 'signalbox.local:80'])(
    'answers to %s',
    async (host) => {
      expect((await app().request('GET', '/v1/runs', { headers: { host } })).status).toBe(200)
    },
  )

  it.each([
    'rebound.example',
    'localhost.rebound.example',
    'localhost@rebound.example',
    '127.0.0.1.rebound.example:8710',
    '127.0.0.2',
    '[::2]',
    '::1',
    'localhost:8710:1',
    '0.0.0.0',
  ])('does not answer to %s', async (host) => {
    for (const [method, path, sent] of [
      ['GET', '/v1/runs', {}],
      ['POST', '/v1/runs', create],
      ['GET', '/livez', {}],
    ] as const) {
      const before = app().writes()
      const answer = await app().request(method, path, { ...sent, headers: { host } })
      expect(answer).toMatchObject({ status: 421, body: { code: 'misdirected_request' } })
      expect(app().writes()).toBe(before)
    }
  })

  it('takes requests of its own pages, and of programs, which have no origin', async () => {
    const own = `http://127.0.0.1:${app().port}`
    const headers = { host: `127.0.0.1:${app().port}`, origin: own }
    expect((await app().request('POST', '/v1/runs', { ...create, headers })).status).toBe(201)
    expect((await app().request('POST', '/v1/runs', create)).status).toBe(201)
  })

  it.each([
    'https://elsewhere.example',
    'http://localhost:1',
    'http://127.0.0.1',
    'null',
    'file://',
    '',
    'http://127.0.0.1:8710.elsewhere.example',
  ])('takes none of a page of %j, and gives it no CORS headers', async (origin) => {
    for (const [method, sent] of [
      ['GET', {}],
      ['POST', create],
    ] as const) {
      const before = app().writes()
      const answer = await app().request(method, '/v1/runs', { ...sent, headers: { origin } })
      expect(answer).toMatchObject({ status: 403, body: { code: 'origin_refused' } })
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
      expect(app().writes()).toBe(before)
    }
  })

  it('answers no preflight', async () => {
    const headers = { origin: 'https://elsewhere.example', 'access-control-request-method': 'POST' }
    const answer = await exchange({ port: app().port, method: 'OPTIONS', path: '/livez', sent: { headers } })
    expect(answer).toMatchObject({ status: 403, body: { code: 'origin_refused' } })
  })
})

describe.each([
  ['without keys', []],
  ['with keys', [aKey('admin').entry]],
])('a server %s that allows an origin', (_name, api_keys) => {
  const origin = 'https://board.example'
  const app = opened({ allowed_origins: [origin], api_keys })

  it('answers its preflight, and says what it may send and see', async () => {
    const headers = {
      origin,
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'authorization,content-type,if-match,idempotency-key',
    }
    const preflight = await exchange({
      port: app().port,
      method: 'OPTIONS',
      path: '/v1/runs',
      sent: { headers },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': headers['access-control-request-headers'],
    })
    expect(preflight.headers['access-control-allow-methods']!.split(', ')).toContain('PATCH')
  })

  it.each([
    ['GET', '/livez'],
    ['GET', '/v1/runs'],
    ['GET', '/v1/runs?limit=0'],
    ['GET', '/v1/nothing'],
    ['DELETE', '/v1/runs'],
  ])('lets it read the answer, a refusal too: %s %s', async (method, path) => {
    const { headers } = await app().request(method, path, { headers: { origin } })
    expect(headers['access-control-allow-origin']).toBe(origin)
    expect(headers['access-control-expose-headers']!.split(', ')).toEqual(
      expect.arrayContaining(['ETag', 'Location', 'Link', 'X-Request-Id', 'Retry-After']),
    )
    expect(headers['vary']).toContain('Origin')
  })

  it('refuses an OPTIONS that is no preflight as it does every other method', async () => {
    for (const headers of [{}, { origin }]) {
      const answer = await app().request('OPTIONS', '/v1/runs', { headers })
      expect(answer).toMatchObject({ status: 405, body: { code: 'method_not_allowed' } })
      expect(answer.headers['allow']!.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST'])
    }
    expect((await app().request('OPTIONS', '/v1/nothing')).status).toBe(404)
  })

  it('lets another origin read nothing', async () => {
    const elsewhere = { origin: 'https://elsewhere.example', 'access-control-request-method': 'GET' }
    for (const method of ['GET', 'OPTIONS']) {
      const sent = { headers: elsewhere }
      const { headers } = await exchange({ port: app().port, method, path: '/livez', sent })
      expect(headers['access-control-allow-origin']).toBeUndefined()
    }
  })
})

describe('a server with keys, which others reach', () => {
  const { key, entry } = aKey('admin')
  const app = opened({ api_keys: [entry], is_loopback: false })

  it('answers to any name and any origin: the key is what counts, and a page has none', async () => {
    const headers = { host: 'signalbox.example', origin: 'https://elsewhere.example' }
    const answer = await app().request('GET', '/v1/runs', { as: key, headers })
    expect(answer.status).toBe(200)
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    expect((await app().request('GET', '/v1/runs', { headers })).status).toBe(401)
  })
})

describe('a server without keys that others reach all the same', () => {
  const app = opened({ is_loopback: false })

  it('answers to any name, but not to the pages of others', async () => {
    const host = 'signalbox.example'
    expect((await app().request('GET', '/v1/runs', { headers: { host } })).status).toBe(200)
    const origin = 'https://elsewhere.example'
    expect((await app().request('GET', '/v1/runs', { headers: { host, origin } })).status).toBe(403)
    const own = { host, origin: `http://${host}` }
    expect((await app().request('GET', '/v1/runs', { headers: own })).status).toBe(200)
  })
})

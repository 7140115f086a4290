import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestApp, aKey, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { COMMITTED, OPERATIONS, READS, UNKNOWN_ID, table } from './operations.ts'

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

const METHODS = ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PURGE']

/** What differs between two requests for the same. */
const lasting = ({ date: _, 'x-request-id': __, ...headers }: Record<string, string>) => headers

describe('HEAD', () => {
  // Metrics count that they were asked for: the second answer is longer.
  const lengthens = (operation_id: string) => operation_id === 'getMetrics'

  it.each(table(READS))('has the status and the headers of %s, and no body', async (name, operation) => {
    const { path } = await operation.prepare(client)
    const got = await client.get(path)
    const head = await app.request('HEAD', path)
    expect({ status: head.status, text: head.text }).toEqual({ status: got.status, text: '' })
    const length = lengthens(name) ? { 'content-length': expect.stringMatching(/^\d+$/) } : {}
    expect(lasting(head.headers)).toEqual({ ...lasting(got.headers), ...length })
  })

  it.each([`/v1/runs/${UNKNOWN_ID}`, '/v1/runs?limit=0', '/v1/nothing'])(
    'has the status of the refusal too: %s',
    async (path) => {
      const got = await client.get(path)
      const head = await app.request('HEAD', path)
      expect({ status: head.status, text: head.text }).toEqual({ status: got.status, text: '' })
    },
  )
})

describe('another method than those of a path', () => {
  const paths = Object.keys(COMMITTED.paths)
  // `/execution-requests/claim` reads as `/execution-requests/{execution_request_id}` as well.
  const reads = (template: string, path: string) =>
    new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(path)
  const methodsOf = (path: string): string[] => {
    const operations = OPERATIONS.filter(({ template }) => template === path || reads(template, path))
    const methods = operations.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    return [...new Set(methods)].sort()
  }

  const cases = paths.flatMap((path) =>
    METHODS.filter((method) => !methodsOf(path).includes(method)).map((method) => [method, path] as const),
  )

  it.each(cases)('is 405 and told the right ones: %s %s', async (method, path) => {
    const before = app.writes()
    const { status, headers, body } = await app.request(method, path.replace(/\{\w+_id\}/, UNKNOWN_ID))
    expect(status).toBe(405)
    expect(headers['allow']!.split(', ').sort()).toEqual(methodsOf(path))
    if (method !== 'HEAD') expect(body.allowed_methods.toSorted()).toEqual(methodsOf(path))
    expect(app.writes()).toBe(before)
  })
})

describe('a path that does not exist', () => {
  it.each([
    '/',
    '/v1',
    '/v2/runs',
    '/V1/runs',
    '/v1/runs/',
    '//v1/runs',
    '/v1/runs//start',
    `/v1/runs/${UNKNOWN_ID}/start/`,
    `/v1/runs/${UNKNOWN_ID}:start`,
    `/v1/runs/${UNKNOWN_ID}/constructor`,
    '/favicon.ico',
    '/.env',
    '/metrics/',
  ])('is refused: %s', async (path) => {
    const { status, body } = await app.request('GET', path)
    expect([400, 404]).toContain(status)
    expect(body.instance).toBe(path)
  })

  it('is 404 before anybody is asked for a key', async () => {
    const keyed = await openTestApp({ api_keys: [aKey('read').entry] })
    for (const method of ['GET', 'POST']) {
      const answer = await keyed.request(method, '/v1/nothing')
      expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
    }
    expect((await keyed.request('DELETE', '/v1/runs')).status).toBe(405)
    await keyed.close()
  })
})

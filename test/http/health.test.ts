import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestApp, aKey, openTestApp } from '../support/http.ts'
import { clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp

beforeAll(async () => {
  app = await openTestApp({ api_keys: [aKey('admin').entry] })
})

afterAll(() => app.close())

describe.each(['/livez', '/readyz'])('%s', (path) => {
  it('answers without a key, and is never kept', async () => {
    const { status, headers, body } = await clientOf(app).get(path)
    expect({ status, body }).toEqual({ status: 200, body: { status: 'ok' } })
    expect(headers['cache-control']).toBe('no-store')
  })
})

describe('while the server stops', () => {
  beforeAll(() => app.drain())
  afterAll(() => app.drain(false))

  it('/livez says that the process is alive', async () => {
    expect((await clientOf(app).get('/livez')).status).toBe(200)
  })

  it('/readyz says that no more requests should come, and is not kept either', async () => {
    const { status, headers, body } = await clientOf(app).get('/readyz')
    expect({ status, code: body.code, retryable: body.retryable }).toEqual({
      status: 503,
      code: 'draining',
      retryable: true,
    })
    expect(headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' })
  })
})

const operations = tagged('health').filter(({ template }) => template.endsWith('z'))
everyOperation(operations)
meetAllTheyPromise(operations, { 'getLiveness 500 internal_error': 'it looks at nothing' })

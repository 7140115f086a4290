import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Answer, TestApp } from '../support/http.ts'
import { openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { type Ask, OPERATIONS, hasHeader, sentOf, table, withUnknownId } from './operations.ts'

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

const named = (header: string) => table(OPERATIONS.filter((operation) => hasHeader(operation, header)))

const etagAt = async (path: string) => (await client.get(path)).headers['etag']!

describe.each(named('If-None-Match'))('If-None-Match at %s', (_name, operation) => {
  const read = async (condition: (etag: string) => string | string[], method = 'GET') => {
    const { path } = await operation.prepare(client)
    const etag = await etagAt(path)
    const answer = await app.request(method, path, { headers: { 'if-none-match': condition(etag) } })
    return { ...answer, current: etag }
  }

  it.each<[string, (etag: string) => string | string[]]>([
    ['the current version', (etag) => etag],
    ['a weak tag of it', (etag) => `W/${etag}`],
    ['a list with it', (etag) => `"0", ${etag},"77"`],
    ['two headers, one with it', (etag) => ['"77"', etag]],
    ['any version', () => '*'],
  ])('answers 304 without a body to %s', async (_case, condition) => {
    const { status, headers, text, current } = await read(condition)
    expect({ status, etag: headers['etag'], text }).toEqual({ status: 304, etag: current, text: '' })
    expect(headers['content-type']).toBeUndefined()
    expect((await read(condition, 'HEAD')).status).toBe(304)
  })

  it.each<[string, (etag: string) => string]>([
    ['another version', () => '"77"'],
    ['a list without the current one', () => '"0", W/"77"'],
    ['its number without quotes', (etag) => etag.slice(1, -1)],
    ['what is no tag at all', () => 'yesterday'],
  ])('answers in full to %s', async (_case, condition) => {
    expect((await read(condition)).status).toBe(200)
  })
})

describe.each(named('If-Match'))('If-Match at %s', (_name, operation) => {
  const send = ({ path, body }: Ask, if_match: string | string[]) =>
    app.request(operation.method, path, { body, headers: { 'if-match': if_match } })

  const sent = async (condition: (etag: string) => string | string[]) => {
    const ask = await operation.prepare(client)
    const current = await etagAt(ask.version_of!)
    const before = app.writes()
    const answer: Answer = await send(ask, condition(current))
    return { ...answer, current, written: app.writes() - before, ask }
  }

  it.each<[string, (etag: string) => string | string[]]>([
    ['the current version', (etag) => etag],
    ['a list with it', (etag) => `"0" ,${etag}, W/"77"`],
    ['two headers, one with it', (etag) => ['"77"', etag]],
    ['any version', () => '*'],
  ])('lets %s pass', async (_case, condition) => {
    expect((await sent(condition)).status).toBeLessThan(300)
  })

  it.each<[string, (etag: string) => string]>([
    ['another version', () => '"77"'],
    ['a weak tag of the current one', (etag) => `W/${etag}`],
    ['a list without it', () => '"0", "77"'],
    ['an empty tag', () => '""'],
  ])('refuses %s, and says which is the current one', async (_case, condition) => {
    const { status, body, headers, current, written, ask } = await sent(condition)
    expect({ status, code: body.code, etag: headers['etag'], written }).toEqual({
      status: 412,
      code: 'precondition_failed',
      etag: current,
      written: 0,
    })
    expect(await etagAt(ask.version_of!)).toBe(current)
  })

  it.each(['3', '"3', '3"', "'3'", '"1" "2"', '*, "1"', 'W/3', 'w/"3"', '"3";', ''])(
    'refuses %j, which is no list of tags',
    async (header) => {
      const { status, body, written } = await sent(() => header)
      expect({ status, code: body.code, written }).toEqual({
        status: 400,
        code: 'validation_failed',
        written: 0,
      })
      expect(body.errors).toMatchObject([{ parameter: 'If-Match' }])
    },
  )

  it('is looked at only where the resource exists', async () => {
    const ask = await operation.prepare(client)
    const nowhere = { ...ask, path: withUnknownId(operation, ask.path) }
    expect((await send(nowhere, '"77"')).status).toBe(404)
  })

  it('comes before the state: a command that is stale is 412, whatever it would be otherwise', async () => {
    const ask = await operation.prepare(client)
    const etag = await etagAt(ask.version_of!)
    await app.request(operation.method, ask.path, sentOf(operation, ask))
    expect((await send(ask, etag)).status).toBe(AGAIN[operation.operation_id] ?? 412)
  })
})

/** What leaves the version of what it commands as it is, so that the tag is still good. */
const AGAIN: Record<string, number> = { appendRunEvent: 201, retryStepAttempt: 409, submitTasks: 422 }

describe('the version of a resource', () => {
  it('grows by one with each change, and is the ETag of every answer', async () => {
    const { run_id } = await client.aRun()
    const path = `/v1/runs/${run_id}`
    const etags = [
      await client.get(path),
      await client.patch(path, { labels: { a: 'b' } }),
      await client.patch(path, { labels: { a: 'b' } }),
      await client.post(`${path}/start`),
      await client.post(`${path}/complete`, { status: 'succeeded' }),
      await client.get(path),
    ].map(({ headers }) => headers['etag'])
    expect(etags).toEqual(['"1"', '"2"', '"2"', '"3"', '"4"', '"4"'])
  })

  it('lets one of two win who both change what they have read', async () => {
    const { run_id } = await client.aRun()
    const path = `/v1/runs/${run_id}`
    const etag = await etagAt(path)
    const change = (who: string) => client.patch(path, { labels: { who } }, { 'if-match': etag })
    const answers = await Promise.all(['one', 'two', 'three'].map(change))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412])
    const winner = answers.find(({ status }) => status === 200)!
    expect((await client.get(path)).body).toEqual(winner.body)
  })
})

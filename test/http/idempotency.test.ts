import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, type Sent, type TestApp, aKey, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { type Ask, READS, WRITES, table } from './operations.ts'

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

let keys = 0
const aNewKey = () => `key-${++keys}`

/** All that a client sees of an answer, but for what belongs to the single request. */
const seen = ({ status, text, headers }: Answer) => ({
  status,
  text,
  etag: headers['etag'],
  location: headers['location'],
  type: headers['content-type'],
})

const isReplay = ({ headers }: Answer) => headers['idempotency-replayed'] === 'true'

/** The same members in another order, all the way down. */
function reordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reordered(member)]),
  )
}

async function writesOf(act: () => Promise<unknown>): Promise<number> {
  const before = app.writes()
  await act()
  return app.writes() - before
}

describe.each(table(WRITES))('a repeated key at %s', (_name, operation) => {
  const send = ({ path, body, headers }: Ask, key: string | string[], more: Sent = {}) =>
    app.request(operation.method, path, {
      body,
      ...more,
      headers: { ...headers, 'idempotency-key': key, ...more.headers },
    })

  it('gets the first answer again, and has no effect', async () => {
    const [ask, key] = [await operation.prepare(client), aNewKey()]
    const first = await send(ask, key)
    expect(isReplay(first)).toBe(false)
    const before = app.writes()
    for (const _ of [1, 2]) {
      const again = await send(ask, key)
      expect(isReplay(again)).toBe(true)
      expect(seen(again)).toEqual(seen(first))
      expect(again.headers['x-request-id']).not.toBe(first.headers['x-request-id'])
    }
    expect(app.writes()).toBe(before)
  })

  it('gets it although the resource has moved on, and although If-Match is stale', async () => {
    const [ask, key] = [await operation.prepare(client), aNewKey()]
    const etag = ask.version_of === undefined ? '*' : (await client.get(ask.version_of)).headers['etag']!
    const first = await send(ask, key, { headers: { 'if-match': etag } })
    app.pass(1_000)
    await client.patch(`/v1/runs/${first.body.run_id}`, { labels: { moved: 'on' } })
    for (const if_match of [etag, '"77"']) {
      const again = await send(ask, key, { headers: { 'if-match': if_match } })
      expect(isReplay(again)).toBe(true)
      expect(seen(again)).toEqual(seen(first))
    }
  })

  it('is the same with its members in another order, and with other white space', async () => {
    const [ask, key] = [await operation.prepare(client), aNewKey()]
    await send(ask, key)
    const raw = ` ${JSON.stringify(reordered(ask.body), null, '\t')}\n`
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    expect(isReplay(await send(ask, key, { body: undefined, raw, headers }))).toBe(true)
  })

  it('is the same quoted and bare', async () => {
    const [ask, key] = [await operation.prepare(client), aNewKey()]
    await send(ask, key)
    expect(isReplay(await send(ask, `"${key}"`))).toBe(true)
  })

  it('with another body is 422', async () => {
    const [ask, key] = [await operation.prepare(client), aNewKey()]
    if (ask.other_body === undefined) return
    await send(ask, key)
    const before = app.writes()
    const { status, body } = await send(ask, key, { body: ask.other_body })
    expect({ status, code: body.code }).toEqual({ status: 422, code: 'idempotency_key_reused' })
    expect(body.errors).toMatchObject([{ parameter: 'Idempotency-Key' }])
    expect(app.writes()).toBe(before)
  })

  it('was not used up by a request that was refused', async () => {
    const [ask, key] = [await operation.prepare(client), aNewKey()]
    const refused = await send(ask, key, { body: { nothing: 'of the kind' } })
    expect(refused.status).toBe(400)
    if (ask.version_of !== undefined) {
      const stale = await send(ask, key, {
        body: ask.other_body ?? ask.body,
        headers: { 'if-match': '"77"' },
      })
      expect(stale.status).toBe(412)
    }
    const accepted = await send(ask, key)
    expect(accepted.status).toBeLessThan(300)
    expect(isReplay(accepted)).toBe(false)
  })

  it('of several requests at once has the effect of one', async () => {
    const [ask, alone, key] = [await operation.prepare(client), await operation.prepare(client), aNewKey()]
    let answers: Answer[] = []
    const written = await writesOf(async () => {
      answers = await Promise.all([send(ask, key), send(ask, key), send(ask, key)])
    })
    expect(written).toBe(await writesOf(() => send(alone, aNewKey())))
    expect(answers.filter(isReplay)).toHaveLength(2)
    expect(new Set(answers.map((answer) => JSON.stringify(seen(answer)))).size).toBe(1)
  })

  it('must come once, with 1 to 255 visible ASCII characters', async () => {
    const ask = await operation.prepare(client)
    const before = app.writes()
    const bad = [
      ['one', 'two'],
      'x'.repeat(256),
      `"${'x'.repeat(256)}"`,
      '',
      '""',
      'a b',
      '"a b"',
      'ä',
      'a\tb',
    ]
    for (const key of bad) {
      const { status, body } = await send(ask, key)
      expect({ key, status, code: body.code }).toEqual({ key, status: 400, code: 'validation_failed' })
      expect(body.errors).toMatchObject([{ parameter: 'Idempotency-Key' }])
    }
    expect(app.writes()).toBe(before)
    expect((await send(ask, 'x'.repeat(255))).status).toBeLessThan(300)
  })
})

describe('a key', () => {
  const create = (key: string, headers = {}, as = client) =>
    as.post('/v1/runs', { project_id: 'shop', phase_id: 'build' }, { 'idempotency-key': key, ...headers })

  it('is one name for each path: two runs may be started with the same', async () => {
    const headers = { 'idempotency-key': aNewKey() }
    for (const run of [await client.aRun(), await client.aRun()]) {
      const answer = await client.post(`/v1/runs/${run.run_id}/start`, {}, headers)
      expect({ status: answer.status, replay: isReplay(answer) }).toEqual({ status: 200, replay: false })
    }
  })

  it('is one name for each operation', async () => {
    const { run_id } = await client.aRun()
    const headers = { 'idempotency-key': aNewKey() }
    await client.post(`/v1/runs/${run_id}/start`, {}, headers)
    const canceled = await client.post(`/v1/runs/${run_id}/cancel`, {}, headers)
    expect({ state: canceled.body.state, replay: isReplay(canceled) }).toEqual({
      state: 'canceled',
      replay: false,
    })
  })

  it('may hold commas and quotes', async () => {
    for (const [key, same] of [
      ['a,b', '"a,b"'],
      ['a"b', String.raw`"a\"b"`],
      [String.raw`a\b`, String.raw`"a\\b"`],
    ]) {
      const first = await create(key!)
      expect((await create(same!)).text).toBe(first.text)
    }
  })

  it('of two different requests at once serves one, and refuses the other', async () => {
    const key = { 'idempotency-key': aNewKey() }
    const bodies = ['build', 'deploy'].map((phase_id) => ({ project_id: 'shop', phase_id }))
    const answers = await Promise.all(bodies.map((body) => client.post('/v1/runs', body, key)))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 422])
  })

  it('that a guard has refused is decided afresh once the guard gives way', async () => {
    const { run_id } = await client.aRun()
    const headers = { 'idempotency-key': aNewKey() }
    const complete = (status: string) => client.post(`/v1/runs/${run_id}/complete`, { status }, headers)
    expect((await complete('succeeded')).status).toBe(409)
    await client.post(`/v1/runs/${run_id}/start`)
    const answer = await complete('failed')
    expect({ state: answer.body.state, replay: isReplay(answer) }).toEqual({ state: 'failed', replay: false })
  })

  it('belongs to its caller', async () => {
    const [one, two] = [aKey('write'), aKey('write')]
    const keyed = await openTestApp({ api_keys: [one.entry, two.entry] })
    const [by_one, by_two] = [clientOf(keyed, one.key), clientOf(keyed, two.key)]
    const first = await create('the-same', {}, by_one)
    const second = await create('the-same', {}, by_two)
    expect({ status: second.status, replay: isReplay(second) }).toEqual({ status: 201, replay: false })
    expect(second.body.run_id).not.toBe(first.body.run_id)
    expect((await create('the-same', {}, by_one)).text).toBe(first.text)
    await keyed.close()
  })

  it('is remembered after a restart', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'signalbox-http-'))
    const file = join(directory, 'signalbox.db')
    const before = await openTestApp({ file })
    const first = await create('durable', {}, clientOf(before))
    await before.close()
    const after = await openTestApp({ file })
    const again = await create('durable', {}, clientOf(after))
    expect(isReplay(again)).toBe(true)
    expect(seen(again)).toEqual(seen(first))
    await after.close()
    rmSync(directory, { recursive: true })
  })

  it.each(table(READS))('means nothing to %s', async (_name, operation) => {
    const { path } = await operation.prepare(client)
    const before = app.writes()
    for (const key of ['same', 'same', ['one', 'two'], '']) {
      const answer = await app.request('GET', path, { headers: { 'idempotency-key': key } })
      expect({ status: answer.status, replay: isReplay(answer) }).toEqual({ status: 200, replay: false })
    }
    expect(app.writes()).toBe(before)
  })
})

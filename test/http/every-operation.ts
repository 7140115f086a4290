import { afterAll, beforeAll, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import { promisesOf } from '../support/document.ts'
import {
  type Answer,
  type Sent,
  type TestApp,
  type TestAppOptions,
  aKey,
  openTestApp,
} from '../support/http.ts'
import { clientOf } from './client.ts'
import {
  type Ask,
  COMMITTED,
  type KnownOperation,
  WITHOUT_CHOICE,
  hasHeader,
  idOf,
  isWrite,
  mayAnswer,
  scopeOf,
  sentOf,
  table,
  withMalformedId,
  withUnknownId,
} from './operations.ts'
import { troublesOfTheStore } from './store-troubles.ts'

/**
 * What operations answer because of what they are, whatever they are for: each refusal that the document lists
 * for them, and the store's own troubles. Every answer is held against the document.
 */
export function everyOperation(all: KnownOperation[]): void {
  refusalsOfRequests(all)
  refusalsOfCallers(all)
  troublesOfTheStore(all)
}

/** The last test of a file: it looks at what the others were answered. `except` says what cannot be met, and why. */
export function meetAllTheyPromise(all: KnownOperation[], except: Record<string, string> = {}): void {
  it('met in this file every status and code that the document lists for these operations', () => {
    const ids = all.map(({ operation_id }) => operation_id)
    expect(promisesOf(COMMITTED).unmet(ids)).toEqual(Object.keys(except))
  })
}

function opened(options: TestAppOptions = {}): { app: () => TestApp } {
  let app: TestApp
  beforeAll(async () => {
    app = await openTestApp(options)
  })
  afterAll(() => app.close())
  return { app: () => app }
}

function refusalsOfRequests(all: KnownOperation[]): void {
  const { app } = opened()
  const ask = async (
    operation: KnownOperation,
    change: (ask: Ask) => Sent & { path?: string } = () => ({}),
  ) => {
    const prepared = await operation.prepare(clientOf(app()))
    const before = app().writes()
    const { path = prepared.path, ...sent } = change(prepared)
    const headers = { ...prepared.headers, ...sent.headers }
    const answer = await app().request(operation.method, path, {
      ...sentOf(operation, prepared),
      ...sent,
      headers,
    })
    const written = app().writes() - before
    return { answer, written }
  }
  const refusal = ({ answer, written }: { answer: Answer; written: number }) => ({
    status: answer.status,
    code: answer.body.code,
    written,
  })
  const withBodies = all.filter(({ method }) => method !== 'GET')
  const withIds = all.filter((operation) => idOf(operation) !== null)

  it.each(table(all))('%s succeeds as documented', async (_name, operation) => {
    const { answer } = await ask(operation)
    expect(answer.status).toBeLessThan(300)
  })

  it.each(table(all))('%s refuses a query parameter that it does not know', async (_name, operation) => {
    const refused = await ask(operation, ({ path }) => ({
      path: `${path}${path.includes('?') ? '&' : '?'}dry_run=true`,
    }))
    expect(refusal(refused)).toEqual({ status: 400, code: 'validation_failed', written: 0 })
    expect(refused.answer.body.errors).toEqual([{ parameter: 'dry_run', detail: 'is not known here' }])
  })

  it.each(table(all))('%s refuses a name of the server that is not its own', async (_name, operation) => {
    const refused = await ask(operation, () => ({ headers: { host: 'rebound.example' } }))
    expect(refusal(refused)).toEqual({ status: 421, code: 'misdirected_request', written: 0 })
  })

  it.each(table(all))('%s refuses a web page of another origin', async (_name, operation) => {
    const refused = await ask(operation, () => ({ headers: { origin: 'https://elsewhere.example' } }))
    expect(refusal(refused)).toEqual({ status: 403, code: 'origin_refused', written: 0 })
  })

  it.each(table(withIds))('%s refuses an id that can be none', async (_name, operation) => {
    const refused = await ask(operation, ({ path }) => ({ path: withMalformedId(operation, path) }))
    expect(refusal(refused)).toEqual({ status: 400, code: 'validation_failed', written: 0 })
    expect(refused.answer.body.errors[0].parameter).toBe(idOf(operation))
  })

  it.each(table(withIds))('%s finds nothing under an unknown id', async (_name, operation) => {
    const refused = await ask(operation, ({ path }) => ({ path: withUnknownId(operation, path) }))
    expect(refusal(refused)).toMatchObject({ status: 404, written: 0 })
  })

  it.each(table(all.filter((operation) => hasHeader(operation, 'If-None-Match'))))(
    '%s sends no body to who has the current version',
    async (_name, operation) => {
      const { answer } = await ask(operation, () => ({ headers: { 'if-none-match': '*' } }))
      expect(answer.status).toBe(304)
    },
  )

  it.each(table(withBodies))('%s refuses a body that is not JSON', async (_name, operation) => {
    const headers = { 'content-type': 'application/json' }
    const refused = await ask(operation, () => ({ body: undefined, raw: '{"a":', headers }))
    expect(refusal(refused)).toEqual({ status: 400, code: 'malformed_json', written: 0 })
  })

  it.each(table(withBodies))('%s refuses a body above 1 MiB', async (_name, operation) => {
    const headers = { 'content-type': 'application/json' }
    const raw = `{}${' '.repeat(LIMITS.body_bytes)}`
    const refused = await ask(operation, () => ({ body: undefined, raw, headers }))
    expect(refusal(refused)).toEqual({ status: 413, code: 'body_too_large', written: 0 })
  })

  it.each(table(withBodies))('%s refuses a body that is not declared as JSON', async (_name, operation) => {
    const headers = { 'content-type': 'text/plain' }
    const refused = await ask(operation, () => ({ body: undefined, raw: '{}', headers }))
    expect(refusal(refused)).toEqual({ status: 415, code: 'unsupported_media_type', written: 0 })
  })

  it.each(table(all.filter((operation) => mayAnswer(operation, 412))))(
    '%s refuses another version than the current one',
    async (_name, operation) => {
      const refused = await ask(operation, () => ({ headers: { 'if-match': '"77"' } }))
      expect(refusal(refused)).toEqual({ status: 412, code: 'precondition_failed', written: 0 })
    },
  )

  it.each(table(all.filter((operation) => mayAnswer(operation, 428))))(
    '%s asks for the version that the caller has seen',
    async (_name, operation) => {
      const { path, body } = await operation.prepare(clientOf(app()))
      const before = app().writes()
      const answer = await app().request(operation.method, path, { body })
      const refused = { answer, written: app().writes() - before }
      expect(refusal(refused)).toEqual({ status: 428, code: 'precondition_required', written: 0 })
    },
  )

  it.each(table(all.filter(isWrite)).filter(([name]) => !WITHOUT_CHOICE.includes(name)))(
    '%s refuses a key that came with another body',
    async (_name, operation) => {
      const { path, body, other_body } = await operation.prepare(clientOf(app()))
      const headers = { 'idempotency-key': 'once' }
      await app().request(operation.method, path, { body, headers })
      const before = app().writes()
      const answer = await app().request(operation.method, path, { body: other_body, headers })
      const refused = { answer, written: app().writes() - before }
      expect(refusal(refused)).toEqual({ status: 422, code: 'idempotency_key_reused', written: 0 })
    },
  )

  it.each(table(all.filter((operation) => mayAnswer(operation, 503, 'draining'))))(
    '%s is refused while the server stops',
    async (_name, operation) => {
      const prepared = await operation.prepare(clientOf(app()))
      app().drain()
      const answer = await app().request(operation.method, prepared.path, sentOf(operation, prepared))
      app().drain(false)
      expect(answer).toMatchObject({ status: 503, body: { code: 'draining', retryable: true } })
    },
  )
}

function refusalsOfCallers(all: KnownOperation[]): void {
  const keyed = all.filter((operation) => mayAnswer(operation, 401))
  if (keyed.length === 0) return
  const keys = {
    admin: aKey('admin'),
    write: aKey('write'),
    worker: aKey('worker'),
    read: aKey('read'),
    none: aKey(),
    all: aKey('admin', 'worker'),
  }
  const { app } = opened({ api_keys: Object.values(keys).map(({ entry }) => entry) })
  const ask = async (operation: KnownOperation, as?: string) => {
    const prepared = await operation.prepare(clientOf(app(), keys.all.key))
    const before = app().writes()
    const sent = { ...sentOf(operation, prepared), ...(as === undefined ? {} : { as }) }
    const { status, body, headers } = await app().request(operation.method, prepared.path, sent)
    return {
      status,
      code: body?.code, // a stream is not JSON
      written: app().writes() - before,
      challenge: headers['www-authenticate'],
    }
  }

  it.each(table(keyed))('%s asks a caller without a key for one', async (_name, operation) => {
    const refused = { status: 401, code: 'unauthenticated', written: 0, challenge: 'Bearer' }
    expect(await ask(operation)).toEqual(refused)
  })

  it.each(table(keyed))('%s needs its scope', async (_name, operation) => {
    const scope = scopeOf(operation)
    const too_little = { read: keys.none, write: keys.worker, worker: keys.admin, admin: keys.write }[scope]
    expect(await ask(operation, too_little.key)).toMatchObject({ status: 403, code: 'forbidden', written: 0 })
    expect((await ask(operation, keys[scope].key)).status).toBeLessThan(300)
  })
}

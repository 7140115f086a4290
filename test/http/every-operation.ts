import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
  UNKNOWN_ID,
  hasHeader,
  mayAnswer,
  withId,
} from './operations.ts'

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

const table = (operations: KnownOperation[]) =>
  operations.map((operation) => [operation.operation_id, operation] as const)

const sentOf = ({ method }: KnownOperation, { body }: Ask): Sent => (method === 'GET' ? {} : { body })

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
    const answer = await app().request(operation.method, path, { ...sentOf(operation, prepared), ...sent })
    const written = app().writes() - before
    return { answer, written }
  }
  const refusal = ({ answer, written }: { answer: Answer; written: number }) => ({
    status: answer.status,
    code: answer.body.code,
    written,
  })
  const writes = all.filter(({ method }) => method !== 'GET')
  const withIds = all.filter(({ template }) => template.includes('_id}'))

  it.each(table(all))('%s succeeds as documented', async (_name, operation) => {
    const { answer } = await ask(operation)
    expect(answer.status).toBeLessThan(300)
  })

  it.each(table(all))('%s refuses a query parameter that it does not know', async (_name, operation) => {
    const refused = await ask(operation, ({ path }) => ({ path: `${path}?dry_run=true` }))
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

  it.each(table(withIds))('%s refuses an id that is no ULID', async (_name, operation) => {
    const refused = await ask(operation, ({ path }) => ({ path: withId(path, 'latest') }))
    expect(refusal(refused)).toEqual({ status: 400, code: 'validation_failed', written: 0 })
    expect(refused.answer.body.errors[0].parameter).toMatch(/^(run|step_attempt)_id$/)
  })

  it.each(table(withIds))('%s finds nothing under an unknown id', async (_name, operation) => {
    const refused = await ask(operation, ({ path }) => ({ path: withId(path, UNKNOWN_ID) }))
    expect(refusal(refused)).toMatchObject({ status: 404, written: 0 })
  })

  it.each(table(all.filter((operation) => hasHeader(operation, 'If-None-Match'))))(
    '%s sends no body to who has the current version',
    async (_name, operation) => {
      const { answer } = await ask(operation, () => ({ headers: { 'if-none-match': '*' } }))
      expect(answer.status).toBe(304)
    },
  )

  it.each(table(writes))('%s refuses a body that is not JSON', async (_name, operation) => {
    const headers = { 'content-type': 'application/json' }
    const refused = await ask(operation, () => ({ body: undefined, raw: '{"a":', headers }))
    expect(refusal(refused)).toEqual({ status: 400, code: 'malformed_json', written: 0 })
  })

  it.each(table(writes))('%s refuses a body above 1 MiB', async (_name, operation) => {
    const headers = { 'content-type': 'application/json' }
    const raw = `{}${' '.repeat(LIMITS.body_bytes)}`
    const refused = await ask(operation, () => ({ body: undefined, raw, headers }))
    expect(refusal(refused)).toEqual({ status: 413, code: 'body_too_large', written: 0 })
  })

  it.each(table(writes))('%s refuses a body that is not declared as JSON', async (_name, operation) => {
    const headers = { 'content-type': 'text/plain' }
    const refused = await ask(operation, () => ({ body: undefined, raw: '{}', headers }))
    expect(refusal(refused)).toEqual({ status: 415, code: 'unsupported_media_type', written: 0 })
  })

  it.each(table(writes.filter((operation) => mayAnswer(operation, 412))))(
    '%s refuses another version than the current one',
    async (_name, operation) => {
      const refused = await ask(operation, () => ({ headers: { 'if-match': '"77"' } }))
      expect(refusal(refused)).toEqual({ status: 412, code: 'precondition_failed', written: 0 })
    },
  )

  it.each(table(writes).filter(([name]) => name !== 'startRun'))(
    // its only body is {}
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
  const keys = { admin: aKey('admin'), write: aKey('write'), read: aKey('read'), none: aKey() }
  const { app } = opened({ api_keys: Object.values(keys).map(({ entry }) => entry) })
  const ask = async (operation: KnownOperation, as?: string) => {
    const prepared = await operation.prepare(clientOf(app(), keys.admin.key))
    const before = app().writes()
    const sent = { ...sentOf(operation, prepared), ...(as === undefined ? {} : { as }) }
    const { status, body, headers } = await app().request(operation.method, prepared.path, sent)
    return {
      status,
      code: body.code,
      written: app().writes() - before,
      challenge: headers['www-authenticate'],
    }
  }

  it.each(table(keyed))('%s asks a caller without a key for one', async (_name, operation) => {
    const refused = { status: 401, code: 'unauthenticated', written: 0, challenge: 'Bearer' }
    expect(await ask(operation)).toEqual(refused)
  })

  it.each(table(keyed))('%s needs the scope of its method', async (_name, operation) => {
    const [enough, too_little] = operation.method === 'GET' ? [keys.read, keys.none] : [keys.write, keys.read]
    expect(await ask(operation, too_little.key)).toMatchObject({ status: 403, code: 'forbidden', written: 0 })
    expect((await ask(operation, enough.key)).status).toBeLessThan(300)
  })
}

function troublesOfTheStore(all: KnownOperation[]): void {
  const stored = all.filter(({ operation_id }) => !WITHOUT_STORE.has(operation_id))
  const writes = stored.filter(({ method }) => method !== 'GET')
  if (stored.length === 0) return

  let directory: string
  const asks = new Map<string, Ask>()
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'signalbox-http-'))
    const app = await openTestApp({ file: join(directory, 'well.db') })
    for (const { operation_id, prepare } of stored) asks.set(operation_id, await prepare(clientOf(app)))
    await app.close()
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  /** A copy of a store that was filled over HTTP; then the trouble begins. */
  const inTrouble: InTrouble = (trouble) => {
    let app: TestApp
    beforeAll(async () => {
      const file = join(mkdtempSync(join(directory, 'trouble-')), 'signalbox.db')
      copyFileSync(join(directory, 'well.db'), file)
      app = await trouble(file)
    })
    afterAll(() => app.close())
    return async (operation) => {
      const prepared = asks.get(operation.operation_id)!
      const sent = sentOf(operation, prepared)
      const { status, body, headers } = await app.request(operation.method, prepared.path, sent)
      return { status, code: body.code, retryable: body.retryable, retry_after: headers['retry-after'] }
    }
  }
  describe('with a store that fails in a way that nobody foresaw', () => failing(stored, inTrouble))
  describe('with a store that another program holds', () => held(stored, inTrouble))
  if (writes.length === 0) return
  describe('with too many writes waiting', () => overloaded(writes, inTrouble))
  describe('with a full disk', () => full(writes, inTrouble))
}

type InTrouble = (
  trouble: (file: string) => Promise<TestApp>,
) => (operation: KnownOperation) => Promise<object>

/** They answer from memory, whatever happens to the store. */
export const WITHOUT_STORE = new Set([
  'listStateMachines',
  'getLiveness',
  'getOpenApiJson',
  'getOpenApiYaml',
  'explainProblem',
])

function failing(stored: KnownOperation[], inTrouble: InTrouble): void {
  const ask = inTrouble(async (file) => {
    const app = await openTestApp({ file })
    app.db.close()
    return app
  })
  it.each(table(stored))('%s answers a bare 500', async (_name, operation) => {
    expect(await ask(operation)).toMatchObject({ status: 500, code: 'internal_error', retryable: false })
  })
}

function held(stored: KnownOperation[], inTrouble: InTrouble): void {
  let other: Database.Database
  const ask = inTrouble(async (file) => {
    const app = await openTestApp({ file })
    app.db.pragma('journal_mode = DELETE') // with a WAL nobody can lock readers out
    other = new Database(file)
    other.exec('BEGIN EXCLUSIVE')
    return app
  })
  // All at once: a write waits some two seconds for the lock before it gives up.
  const asked = new Map<string, Promise<object>>()
  beforeAll(async () => {
    for (const operation of stored) asked.set(operation.operation_id, ask(operation))
    await Promise.allSettled(asked.values())
  })
  afterAll(() => other.close())
  it.each(table(stored))('%s is refused, to be tried again', async (name) => {
    const refused = { status: 503, code: 'store_unavailable', retryable: true, retry_after: '1' }
    expect(await asked.get(name)).toEqual(refused)
  })
}

function overloaded(writes: KnownOperation[], inTrouble: InTrouble): void {
  const ask = inTrouble((file) => openTestApp({ file, write_queue_max: 0 }))
  it.each(table(writes))('%s is refused at once, to be tried again', async (_name, operation) => {
    const refused = { status: 503, code: 'overloaded', retryable: true, retry_after: '1' }
    expect(await ask(operation)).toEqual(refused)
  })
}

function full(writes: KnownOperation[], inTrouble: InTrouble): void {
  const ask = inTrouble(async (file) => {
    const app = await openTestApp({ file })
    await fill(app)
    return app
  })
  it.each(table(writes))('%s is refused', async (_name, operation) => {
    expect(await ask(operation)).toMatchObject({ status: 507, code: 'disk_full', retryable: true })
  })
}

/** Lets the file grow no more, and uses up what is left in it, down to the smallest event there can be. */
async function fill(app: TestApp): Promise<void> {
  const client = clientOf(app)
  const { run_id } = await client.aRun()
  app.db.pragma(`max_page_count = ${String(app.db.pragma('page_count', { simple: true }))}`)
  const notes = [{ text: 'x'.repeat(1_000) }, {}]
  for (const payload of notes) {
    const note = () => client.post(`/v1/runs/${run_id}/events`, { kind: 'note', payload })
    while ((await note()).status !== 507);
  }
}

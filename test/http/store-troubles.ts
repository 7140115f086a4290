import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestApp, openTestApp } from '../support/http.ts'
import { clientOf } from './client.ts'
import { type Ask, type KnownOperation, mayAnswer, sentOf, table } from './operations.ts'

/** What operations answer when the store does not do its part. */
export function troublesOfTheStore(all: KnownOperation[]): void {
  const stored = all.filter(({ operation_id }) => !WITHOUT_STORE.has(operation_id))
  const onWriter = stored.filter(({ operation_id }) => operation_id !== READS_BESIDE)
  const writes = onWriter.filter((operation) => mayAnswer(operation, 503, 'overloaded'))
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
  if (onWriter.length > 0)
    describe('with a store that fails in a way that nobody foresaw', () => failing(onWriter, inTrouble))
  describe('with a store that another program holds', () => held(stored, inTrouble))
  if (writes.length === 0) return
  describe('with too many writes waiting', () => overloaded(writes, inTrouble))
  describe('with a full disk', () => full(writes.filter(isGrowing), inTrouble))
}

type InTrouble = (
  trouble: (file: string) => Promise<TestApp>,
) => (operation: KnownOperation) => Promise<object>

/** A heartbeat moves a row that is there: it needs no room but that of the WAL. */
const isGrowing = ({ operation_id }: KnownOperation) => operation_id !== 'heartbeatExecutionRequest'

/** They answer from memory, whatever happens to the store. */
const WITHOUT_STORE = new Set([
  'listStateMachines',
  'listSchemas',
  'getSchema',
  'validateDocument',
  'getLiveness',
  'getMetrics',
  'getOpenApiJson',
  'getOpenApiYaml',
  'explainProblem',
])

/** It has a connection of its own, and its own test of what happens when that fails. */
const READS_BESIDE = 'getStatistics'

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

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http'
import { type AddressInfo, type Socket, connect } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { type Clock, createClock } from '../../src/clock.ts'
import { createEntropy, requestIds } from '../../src/entropy.ts'
import { buildApp } from '../../src/http/app.ts'
import type { KnownKey } from '../../src/http/auth.ts'
import type { App } from '../../src/http/deps.ts'
import { type KeyScope, newKey } from '../../src/keys.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { startAlarm } from '../../src/orchestrator/alarm.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import { type Connection, openWriter } from '../../src/store/sqlite/connection.ts'
import { applyMigrations, pendingMigrations, readMigrations } from '../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../src/store/sqlite/store.ts'
import { type Document, type Json, promisesOf } from './document.ts'

export type { Json } from './document.ts'

const MIGRATIONS = readMigrations(fileURLToPath(new URL('../../migrations/sqlite', import.meta.url)))

/** When the clock of a test app starts. It stands still until it is moved. */
export const START = '2026-01-05T09:30:00.000Z'

export interface TestAppOptions {
  api_keys?: readonly KnownKey[]
  is_loopback?: boolean
  allowed_hosts?: readonly string[]
  allowed_origins?: readonly string[]
  write_queue_max?: number
  max_streams?: number
  /** Where the data are; absent is in memory. */
  file?: string
  /** Milliseconds since 1970: a wall that goes on by itself. Absent, time stands still until it is moved. */
  wall?: () => number
}

export type Headers = Record<string, string | string[]>

export interface Sent {
  /** Sent as JSON. */
  body?: unknown
  /** Sent as it is, without a content type. */
  raw?: string | Buffer
  /** A list is as many headers. */
  headers?: Headers
  /** The API key of the caller. */
  as?: string
}

export interface Answer {
  status: number
  headers: Record<string, string>
  text: string
  body: Json
}

/** The real app over a real store, listening on a port of its own. */
export interface TestApp {
  app: App
  port: number
  db: Connection
  document: Document
  /** What the logger was given, as parsed lines. */
  logs: Json[]
  /** Sends a request and holds the answer against the OpenAPI document. */
  request(method: string, path: string, sent?: Sent): Promise<Answer>
  /** How many rows were ever written: what a refusal must leave as it is. */
  writes(): number
  clock: Clock
  /** Moves the clock, where it does not go on by itself. */
  pass(ms: number): void
  /** Ends what time has ended, as the alarm of the server does. */
  sweep(): Promise<string | null>
  /** From now on the alarm of the server does that, until the app is closed. */
  startAlarm(): void
  /** From now on the server is stopping, or no more; who waits for work waits no longer. */
  drain(on?: boolean): void
  close(): Promise<void>
}

export async function openTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const { app, db, store, orchestrator, time, logs, draining } = await assemble(options)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo // a TCP server that listens has one
  const { document, hold } = (contract ??= contractOf(app))
  const writes = db.prepare<[], number>('SELECT total_changes()').pluck()
  let stopAlarm = () => {}
  logs.length = 0
  return {
    app,
    port,
    db,
    document,
    logs,
    async request(method, path, sent = {}) {
      const answer = await exchange({ port, method, path, sent })
      hold({ method, path, ...answer })
      return answer
    },
    writes: () => writes.get() ?? 0,
    clock: time.clock,
    pass: time.pass,
    sweep: orchestrator.sweep,
    startAlarm() {
      const onError = (error: unknown) => app.log.error(error)
      const alarm = startAlarm({ clock: time.clock, sweep: orchestrator.sweep, onError })
      orchestrator.onDue(alarm.at)
      stopAlarm = alarm.stop
    },
    drain(on = true) {
      draining.now = on
      if (on) orchestrator.endWaiting()
    },
    async close() {
      stopAlarm()
      await app.close()
      if (db.open) await store.close()
    },
  }
}

/** What the apps of a test file promise: all of them the same, and to read it anew takes as long as to build an app. */
let contract: ReturnType<typeof contractOf> | undefined

function contractOf(app: App) {
  const document: Document = JSON.parse(JSON.stringify(app.swagger()))
  return { document, hold: promisesOf(document).hold }
}

/** All parts of a test app, before it listens. */
export async function assemble(options: TestAppOptions = {}) {
  const { file = ':memory:', write_queue_max = 4_096, wall, ...gate } = options
  const db = openWriter(file)
  applyMigrations(db, pendingMigrations(db, MIGRATIONS), START)
  const { max_streams = 2_000 } = options
  const metrics = createMetrics({ version: '0.0.0', max_streams, write_queue_max })
  const store = sqliteStore(db, { write_queue_max, onGroup: metrics.committed })
  const time = wall === undefined ? movableClock() : runningClock(wall)
  const entropy = createEntropy()
  const logs: Json[] = []
  const draining = { now: false }
  const orchestrator = createOrchestrator({ store, clock: time.clock, entropy })
  orchestrator.onLease(metrics.leased)
  const app = await buildApp({
    orchestrator,
    reads: store,
    logger: pino({ level: 'trace' }, { write: (line) => void logs.push(JSON.parse(line)) }),
    newRequestId: requestIds(entropy.hex(8)),
    version: '0.0.0',
    metrics,
    max_streams,
    api_keys: [],
    is_loopback: true,
    allowed_hosts: [],
    allowed_origins: [],
    isDraining: () => draining.now,
    ...gate,
  })
  return { app, db, store, orchestrator, time, logs, draining }
}

/** The product's clock over a wall that tests move. */
function movableClock(): { clock: Clock; pass: (ms: number) => void } {
  let now = Date.parse(START)
  const clock = createClock(null, { wall: () => now, monotonic: () => now })
  return { clock, pass: (ms) => void (now += ms) }
}

const runningClock = (wall: () => number): ReturnType<typeof movableClock> => ({
  clock: createClock(null, { wall }),
  pass() {
    throw new Error('this clock goes on by itself')
  },
})

const agent = new Agent({ keepAlive: true, maxSockets: 200 })

/** One request as it is, and its answer as it came. */
export async function exchange(asked: {
  port: number
  method: string
  path: string
  sent?: Sent
}): Promise<Answer> {
  const { port, method, path, sent = {} } = asked
  const json = sent.body === undefined ? {} : { 'content-type': 'application/json' }
  const key = sent.as === undefined ? {} : { authorization: `Bearer ${sent.as}` }
  const request = httpRequest({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent,
    headers: { ...json, ...key, ...sent.headers },
  })
  request.end(sent.raw ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body)))
  const [response] = await once(request, 'response')
  const text = await (isStream(response) ? firstOf(response) : textOf(response))
  const isJson = /[/+]json/.test(response.headers['content-type'] ?? '') && text !== ''
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
  }
}

const isStream = ({ headers }: IncomingMessage): boolean =>
  headers['content-type']?.startsWith('text/event-stream') ?? false

/** A stream may have no end: what comes first is its answer, and then nobody listens any more. */
async function firstOf(response: IncomingMessage): Promise<string> {
  for await (const chunk of response) return String(chunk)
  return ''
}

/** An API key, and the entry by which a server knows it. */
export const aKey = (...scopes: KeyScope[]) => newKey({ scopes, randomBytes })

export const aKeyFor = (projects: string[], ...scopes: KeyScope[]) =>
  newKey({ scopes, projects, randomBytes })

/** Bytes on a socket, and everything that comes back until the server closes it. */
export async function exchangeBytes(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = await connected(port)
  for (const part of parts) socket.write(part)
  return textOf(socket)
}

export async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

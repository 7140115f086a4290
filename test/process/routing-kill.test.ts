import Database from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import type { EventVerification } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { RouteDecision } from '../../src/contract/routing.ts'
import type { Run } from '../../src/contract/run.ts'
import { databaseFile } from '../../src/store/sqlite/open.ts'
import {
  type Connection,
  Unanswered,
  bodyOf,
  inLanes,
  onConnections,
  randomFrom,
  readAll,
} from '../support/client.ts'
import { type ServerProcess, cleanUp, temporaryDirectory } from '../support/process.ts'
import { REQUESTS, withoutStory } from '../support/requests.ts'
import { expectStrictTurns, readDecisions, startRouter } from './routing.ts'

afterEach(cleanUp)

const KILLS = 5
const CLIENTS = 16
const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

const DECISIONS = '/v1/routing/decisions'
const TASK = { task_kind: 'code_edit', project_id: 'shop', phase_id: 'build' }

/** What a client asks for, once: under its key it may take several requests. */
interface Wish {
  path: string
  body: object
  headers: { 'idempotency-key': string }
  /** Where the answer can be read again. */
  place: (text: string) => string
}

interface Client {
  name: string
  random: () => number
  wishes: number
  pending: Wish | null
  /** Requests of its own that it may still cancel. */
  open: string[]
}

/** What was acknowledged last, by where it can be read. */
type Journal = Map<string, string>

const placeOfDecision = (text: string) =>
  `${DECISIONS}/${(JSON.parse(text) as RouteDecision).route_decision_id}`
const placeOfRequest = (text: string) => `${REQUESTS}/${(JSON.parse(text) as ExecutionRequest).request_id}`

/** A decision, a request with a run of its own or in the shared one, or the end of an earlier request. */
function wishOf(client: Client, shared_run_id: string): Wish {
  const headers = { 'idempotency-key': `${client.name}-${++client.wishes}` }
  const dice = client.random()
  if (dice < 0.4) return { path: DECISIONS, body: TASK, headers, place: placeOfDecision }
  const place = placeOfRequest
  const own = dice < 0.6 ? client.open.pop() : undefined
  if (own !== undefined) return { path: `${own}/cancel`, body: {}, headers, place }
  const body = dice < 0.8 ? TASK : { ...TASK, run_id: shared_run_id }
  return { path: REQUESTS, body, headers, place }
}

/** Sends what is pending until it is answered. @throws Unanswered */
async function settle(connection: Connection, client: Client, journal: Journal): Promise<void> {
  if (client.pending === null) return
  const { path, body, headers, place } = client.pending
  const reply = await connection.post(path, body, headers)
  bodyOf(reply)
  journal.set(place(reply.text), reply.text)
  if (path === REQUESTS) client.open.push(place(reply.text))
  client.pending = null
}

interface Load {
  server: ServerProcess
  clients: Client[]
  journal: Journal
  shared_run_id: string
  /** The server is killed at this wish: as it is sent, or as it is answered. */
  most: number
  at: 'sent' | 'answered'
}

async function wishUntilKilled({ server, clients, journal, shared_run_id, most, at }: Load): Promise<void> {
  const count = { sent: 0, answered: 0 }
  const tell = (what: Load['at']) => {
    if (++count[what] === most && what === at) server.signal('SIGKILL')
  }
  const wish = async (connection: Connection, client: Client): Promise<never> => {
    await settle(connection, client, journal)
    for (;;) {
      client.pending = wishOf(client, shared_run_id)
      const answered = settle(connection, client, journal)
      tell('sent')
      await answered
      tell('answered')
    }
  }
  await onConnections(server, clients.length, (lanes) =>
    inLanes(lanes, clients, (lane, client) => wish(lane, client).catch(unlessUnanswered)),
  )
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' })
}

function unlessUnanswered(error: unknown): void {
  if (!(error instanceof Unanswered)) throw error
}

/** What was answered is there, as it was answered; only a cancel that was not answered may have moved it on. */
async function expectKept(server: ServerProcess, journal: Journal, clients: readonly Client[]) {
  const canceling = new Set(clients.map(({ pending }) => pending?.path))
  await onConnections(server, CLIENTS, (lanes) =>
    inLanes(lanes, [...journal], async (lane, [place, text]) => {
      const kept = await lane.get(place)
      const moved = canceling.has(`${place}/cancel`) && bodyOf<ExecutionRequest>(kept).state === 'canceled'
      if (moved) return
      if (place.startsWith(REQUESTS)) expect(withoutStory(bodyOf(kept))).toEqual(JSON.parse(text))
      else expect(kept.text).toBe(text)
    }),
  )
}

/** Every wish took effect once: nothing is missing, nothing is twice, nothing was never asked for. */
async function expectOnce(server: ServerProcess, journal: Journal): Promise<void> {
  await onConnections(server, CLIENTS, async (lanes) => {
    const decisions = await readDecisions(lanes[0]!)
    const requests = await readAll<ExecutionRequest>(lanes[0]!, `${REQUESTS}?limit=500`)
    const of = new Set(requests.map(({ assignment }) => assignment!.route_decision_id))
    const alone = decisions.filter(({ route_decision_id }) => !of.has(route_decision_id))
    const places = [
      ...alone.map(({ route_decision_id }) => `${DECISIONS}/${route_decision_id}`),
      ...requests.map(({ request_id }) => `${REQUESTS}/${request_id}`),
    ]
    expect(places.sort()).toEqual([...journal.keys()].sort())
    expect(of.size).toBe(requests.length)
    expect(alone.length + of.size).toBe(decisions.length)
    expectStrictTurns(decisions)

    const runs = new Set(requests.map(({ run_id }) => run_id))
    await inLanes(lanes, [...runs], async (lane, run_id) => {
      const verdict = bodyOf<EventVerification>(await lane.get(`/v1/runs/${run_id}/events/verify`))
      expect(verdict.valid).toBe(true)
    })
  })
}

/** What the rows of the runs say of their requests, beside what the rows of the requests say. */
function expectCounts(data_dir: string): void {
  const db = new Database(databaseFile(data_dir), { readonly: true })
  const counted = db.prepare(`
    SELECT run_id, requests_open AS open, requests_succeeded AS succeeded, requests_failed AS failed,
      requests_canceled AS canceled FROM runs ORDER BY run_id`)
  const there = db.prepare(`
    SELECT runs.run_id, count(*) FILTER (WHERE request.state IN ('blocked', 'queued', 'claimed')) AS open,
      count(*) FILTER (WHERE request.state = 'succeeded') AS succeeded,
      count(*) FILTER (WHERE request.state = 'failed') AS failed,
      count(*) FILTER (WHERE request.state = 'canceled') AS canceled
    FROM runs LEFT JOIN execution_requests AS request USING (run_id) GROUP BY runs.run_id ORDER BY runs.run_id`)
  const counts = counted.all() as { open: number; canceled: number }[]
  expect(counts).toEqual(there.all())
  expect(counts.some(({ open }) => open > 1)).toBe(true)
  expect(counts.some(({ canceled }) => canceled > 0)).toBe(true)
  db.close()
}

async function startSharedRun(server: ServerProcess): Promise<string> {
  return onConnections(server, 1, async ([lane]) => {
    const run = { project_id: 'shop', phase_id: 'build' }
    const { run_id } = bodyOf<Run>(await lane!.post('/v1/runs', run))
    bodyOf(await lane!.post(`/v1/runs/${run_id}/start`))
    return run_id
  })
}

describe(`a router killed with SIGKILL under load (SEED=${seed})`, () => {
  it(
    `keeps, over ${KILLS} kills, all that it acknowledged, the turns, and the counts of its runs`,
    { timeout: 120_000 },
    async () => {
      const data_dir = temporaryDirectory()
      const random = randomFrom(seed)
      const clients = Array.from({ length: CLIENTS }, (_, i): Client => ({
        name: `client${seed}-${i}`,
        random: randomFrom(seed + i + 1),
        wishes: 0,
        pending: null,
        open: [],
      }))
      const journal: Journal = new Map()
      let server = await startRouter(data_dir)
      const shared_run_id = await startSharedRun(server)
      let unanswered = 0
      for (let kill = 0; kill < KILLS; kill++) {
        const most = 20 + Math.floor(random() * 150)
        const at = kill % 2 === 0 ? 'answered' : 'sent'
        await wishUntilKilled({ server, clients, journal, shared_run_id, most, at })
        unanswered += clients.filter(({ pending }) => pending !== null).length
        server = await server.restart()
        await expectKept(server, journal, clients)
      }
      expect(unanswered).toBeGreaterThan(0)
      await onConnections(server, CLIENTS, (lanes) =>
        inLanes(lanes, clients, (lane, client) => settle(lane, client, journal)),
      )
      await expectOnce(server, journal)
      expect(await server.stop()).toEqual({ code: 0, signal: null })
      expectCounts(data_dir)
    },
  )
})

import Database from 'better-sqlite3'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type { ClaimResult, ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { Event, EventVerification } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { Run } from '../../src/contract/run.ts'
import { databaseFile } from '../../src/store/sqlite/open.ts'
import {
  type Connection,
  type Reply,
  Unanswered,
  bodyOf,
  inLanes,
  onConnections,
  randomFrom,
  readAll,
} from '../support/client.ts'
import { ORDER, fallbackConfig } from '../support/fallbacks.ts'
import { fold } from '../support/fold.ts'
import { type ServerProcess, cleanUp, temporaryDirectory } from '../support/process.ts'
import { startRouter } from './routing.ts'

afterEach(cleanUp)

const KILLS = 4
const CLIENTS = 12
const RUNS = 4
const REQUESTS = '/v1/execution-requests'
const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

/** Circuits that open soon, and not for long, so that work moves all the time. */
const circuit = { failures_in_row: 2, open_seconds: 1, max_open_seconds: 1 }
const plain = fallbackConfig({}, { max_attempts: 2 })
const CONFIG: RouterConfig = {
  ...plain,
  apps: Object.fromEntries(Object.entries(plain.apps).map(([id, app]) => [id, { ...app, circuit }])),
}

/** A call that may be repeated until it is answered: under its key, or as the end of one lease. */
interface Call {
  path: string
  body: object
  headers: Record<string, string>
  heard: (reply: Reply) => void
}

interface Client {
  name: string
  random: () => number
  calls: number
  pending: Call | null
  held: ClaimedRequest | null
}

/** The last version of each request that was acknowledged. */
type Journal = Map<string, number>

function note(journal: Journal, { request_id, version }: ExecutionRequest): void {
  journal.set(request_id, Math.max(version, journal.get(request_id) ?? 0))
}

/** Brings work, takes it, and ends it in every way that may move it to another tool. */
function callOf(client: Client, journal: Journal, run_ids: readonly string[]): Call {
  const { random, held } = client
  const headers = { 'idempotency-key': `${client.name}-${++client.calls}` }
  if (held !== null) return endOf(client, held, journal)
  if (random() < 0.5) {
    const run_id = run_ids[Math.floor(random() * run_ids.length)]
    const body = { task_kind: 'edit', project_id: 'load', phase_id: 'build', run_id }
    return { path: REQUESTS, body, headers, heard: (reply) => note(journal, bodyOf<ExecutionRequest>(reply)) }
  }
  const body = { worker_id: client.name, tools: ORDER, lease_seconds: 60 }
  const heard = (reply: Reply) => {
    if (reply.status === 204) return
    client.held = bodyOf<ClaimResult>(reply).items[0]!
    note(journal, client.held.execution_request)
  }
  return { path: `${REQUESTS}/claim`, body, headers, heard }
}

function endOf(client: Client, { execution_request, lease_token }: ClaimedRequest, journal: Journal): Call {
  const dice = client.random()
  const failure = (error_class: string, more: object = {}) => ({ error: { class: error_class }, ...more })
  const [way, body]: [string, object] =
    dice < 0.35
      ? ['complete', {}]
      : dice < 0.7
        ? ['fail', failure('tool_error', { retry_after_ms: 0 })]
        : dice < 0.85
          ? ['fail', failure('rate_limited', { retry_after_ms: Math.floor(client.random() * 400) })]
          : ['release', { reason: 'not now' }]
  const heard = (reply: Reply) => {
    client.held = null
    const answer = bodyOf<ExecutionRequest | { execution_request: ExecutionRequest }>(reply)
    note(journal, 'execution_request' in answer ? answer.execution_request : answer)
  }
  const path = `${REQUESTS}/${execution_request.request_id}/${way}`
  return { path, body: { lease_token, ...body }, headers: {}, heard }
}

/** Sends what is pending until it is answered. @throws Unanswered */
async function settle(connection: Connection, client: Client): Promise<void> {
  if (client.pending === null) return
  const { path, body, headers, heard } = client.pending
  heard(await connection.post(path, body, headers))
  client.pending = null
}

interface Load {
  server: ServerProcess
  clients: Client[]
  journal: Journal
  run_ids: readonly string[]
  /** The server is killed with this answer: others of the same commit are often still on their way. */
  most: number
}

async function workUntilKilled({ server, clients, journal, run_ids, most }: Load): Promise<void> {
  let answered = 0
  const work = async (connection: Connection, client: Client): Promise<never> => {
    await settle(connection, client)
    for (;;) {
      client.pending = callOf(client, journal, run_ids)
      await settle(connection, client)
      if (++answered === most) server.signal('SIGKILL')
    }
  }
  await onConnections(server, clients.length, (lanes) =>
    inLanes(lanes, clients, (lane, client) => work(lane, client).catch(unlessUnanswered)),
  )
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' })
}

function unlessUnanswered(error: unknown): void {
  if (!(error instanceof Unanswered)) throw error
}

interface DecisionRow {
  route_decision_id: string
  execution_request_id: string
  previous_decision_id: string | null
  tool_id: string | null
}
interface RequestRow {
  execution_request_id: string
  route_decision_id: string
  tool_id: string
  version: number
}

/** What the file says, whatever the server makes of it: of each request one list of decisions, and its end assigned. */
function expectWholeLists(data_dir: string, journal: Journal): { moved: number; longest: number } {
  const db = new Database(databaseFile(data_dir), { readonly: true })
  const read = db.transaction(() => ({
    decisions: db
      .prepare<[], DecisionRow>(
        `SELECT route_decision_id, execution_request_id, previous_decision_id, tool_id FROM route_decisions
         WHERE execution_request_id IS NOT NULL ORDER BY rowid`,
      )
      .all(),
    requests: db
      .prepare<[], RequestRow>(
        'SELECT execution_request_id, route_decision_id, tool_id, version FROM execution_requests',
      )
      .all(),
  }))
  const { decisions, requests } = read() // of one moment: the sweep goes on
  db.close()
  const lists = Map.groupBy(decisions, ({ execution_request_id }) => execution_request_id)
  expect(lists.size).toBe(requests.length)
  for (const { execution_request_id, route_decision_id, tool_id, version } of requests) {
    const list = lists.get(execution_request_id)!
    expect(list.map(({ previous_decision_id }) => previous_decision_id)).toEqual([
      null,
      ...list.slice(0, -1).map((each) => each.route_decision_id),
    ])
    const routed = list.filter((each) => each.tool_id !== null)
    expect(routed.at(-1)).toMatchObject({ route_decision_id, tool_id })
    expect(new Set(routed.map((each) => each.tool_id)).size).toBe(routed.length)
    expect(version).toBeGreaterThanOrEqual(journal.get(execution_request_id) ?? 1)
  }
  const known = new Set(requests.map(({ execution_request_id }) => execution_request_id))
  expect([...journal.keys()].filter((id) => !known.has(id))).toEqual([])
  const lengths = [...lists.values()].map((list) => list.filter((each) => each.tool_id !== null).length)
  return { moved: lengths.filter((length) => length > 1).length, longest: Math.max(...lengths) }
}

/** How often a circuit opened, and a request in the queue changed its tool. */
function happenedIn(data_dir: string): { opened: number; reassigned: number } {
  const db = new Database(databaseFile(data_dir), { readonly: true })
  const count = (where: string) =>
    db.prepare<[], number>(`SELECT count(*) FROM events WHERE ${where}`).pluck().get()!
  const opened = count("kind = 'circuit_opened'")
  const reassigned = count(`kind = 'request_queued' AND "from" = 'queued'`)
  db.close()
  return { opened, reassigned }
}

/** The chain verifies, and its events fold to the requests that are there. */
async function expectWholeRun(lane: Connection, run_id: string): Promise<void> {
  const verdict = bodyOf<EventVerification>(await lane.get(`/v1/runs/${run_id}/events/verify`))
  expect(verdict).toMatchObject({ valid: true, first_bad: null })
  const agree = async () => {
    const events = await readAll<Event>(lane, `/v1/runs/${run_id}/events?limit=500`)
    const rows = await readAll<ExecutionRequest>(lane, `${REQUESTS}?run_id=${run_id}&limit=500&order=asc`)
    expect(fold(events).execution_requests).toEqual(rows)
  }
  await vi.waitFor(agree, { timeout: 10_000, interval: 50 }) // the sweep may move something between the two
}

const startRuns = (server: ServerProcess): Promise<string[]> =>
  onConnections(server, RUNS, (lanes) =>
    Promise.all(
      lanes.map(async (lane) => {
        const body = { project_id: 'load', phase_id: 'build' }
        return bodyOf<Run>(await lane.post('/v1/runs', body)).run_id
      }),
    ),
  )

describe(`a server killed with SIGKILL while circuits open and requests fall back (SEED=${seed})`, () => {
  it(
    `keeps, over ${KILLS} kills, one whole list of decisions for each request, and what it acknowledged`,
    { timeout: 120_000 },
    async () => {
      const data_dir = temporaryDirectory()
      const random = randomFrom(seed)
      const clients = Array.from({ length: CLIENTS }, (_, i): Client => ({
        name: `client${seed}-${i}`,
        random: randomFrom(seed + i + 1),
        calls: 0,
        pending: null,
        held: null,
      }))
      const journal: Journal = new Map()
      let server = await startRouter(data_dir, CONFIG)
      const run_ids = await startRuns(server)
      let moved = { moved: 0, longest: 0 }
      for (let kill = 0; kill < KILLS; kill++) {
        const most = 150 + Math.floor(random() * 200)
        await workUntilKilled({ server, clients, journal, run_ids, most })
        server = await server.restart()
        moved = expectWholeLists(data_dir, journal)
        await onConnections(server, RUNS, (lanes) => inLanes(lanes, run_ids, expectWholeRun))
      }
      expect(await server.stop()).toEqual({ code: 0, signal: null })

      // The load was a load: circuits opened, requests went on to other tools, also from the queue.
      expect(moved.longest).toBeGreaterThan(1)
      expect(moved.moved).toBeGreaterThan(10)
      const { opened, reassigned } = happenedIn(data_dir)
      expect(opened).toBeGreaterThan(KILLS)
      expect(reassigned).toBeGreaterThan(0)
    },
  )
})

import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { type Connection, Unanswered, bodyOf, inLanes, onConnections, randomFrom } from '../support/client.ts'
import { type ServerProcess, startServer } from '../support/process.ts'
import { verifyEverything, verifyWrites } from './history.ts'
import { type Worker, type Write, createWorker, request, writeOf } from './workload.ts'

export interface KillOptions {
  data_dir: string
  /** At least so many; more, where none of them hit a write that had happened and one that had not. */
  kills: number
  /** How many connections write at once. */
  connections: number
  /** The server is killed after so many acknowledged writes, chosen anew each time. */
  writes: readonly [least: number, most: number]
  seed: number
}

/** What the load came to, so that a test can show that there was one. */
export interface KillSummary {
  /** Acknowledged writes, by what they do. */
  done: Record<string, number>
  refused: number
  /** Writes that were not answered and repeated with their key: these had happened, those had not. */
  found_done: number
  found_undone: number
}

/** A kill at a random moment may miss, so this many times as many have to. */
const MOST = 5

const hasHitBoth = (journal: readonly Write[]): boolean => {
  const { found_done, found_undone } = summaryOf(journal)
  return found_done > 0 && found_undone > 0
}

interface Client {
  worker: Worker
  /** What it had sent when the server was killed. */
  pending: Write | null
}

/**
 * Kills a server again and again while clients write. After each restart, everything that was acknowledged
 * is held against what is there; then the clients repeat what was not answered, and go on.
 */
export async function killAgainAndAgain(options: KillOptions): Promise<KillSummary> {
  const { data_dir, kills, connections, writes, seed } = options
  const random = randomFrom(seed)
  const clients = Array.from({ length: connections }, (_, index): Client => {
    const worker = createWorker({ name: `w${seed}-${index}`, random: randomFrom(seed + index + 1) })
    return { worker, pending: null }
  })
  const journal: Write[] = []
  let server = await startServer({ data_dir })
  for (let kill = 0; kill < kills || (kill < MOST * kills && !hasHitBoth(journal)); kill++) {
    const from = journal.length
    const most = writes[0] + Math.floor(random() * (writes[1] - writes[0]))
    await writeUntilKilled({ server, clients, journal, most, delay_ms: random() < 0.5 ? 0 : random() * 5 })
    server = await server.restart()
    await onConnections(server, connections, (lanes) => verifyWrites(lanes, journal.slice(from), journal))
  }
  await onConnections(server, connections, async (lanes) => {
    await inLanes(lanes, clients, settle)
    await verifyEverything(lanes, journal)
  })
  expect(await server.stop()).toEqual({ code: 0, signal: null })
  return summaryOf(journal)
}

interface Load {
  server: ServerProcess
  clients: Client[]
  journal: Write[]
  /** The server is killed after so many acknowledged writes … */
  most: number
  /** … and so much later. At once, it is often still answering the others of the same commit. */
  delay_ms: number
}

async function writeUntilKilled({ server, clients, journal, most, delay_ms }: Load): Promise<void> {
  let left = most
  const acknowledged = (): void => {
    if (--left !== 0) return
    if (delay_ms === 0) server.signal('SIGKILL')
    else void wait(delay_ms).then(() => server.signal('SIGKILL'))
  }
  async function write(connection: Connection, client: Client, shared_run_id: string): Promise<void> {
    await settle(connection, client)
    for (;;) {
      client.pending = client.worker.next(shared_run_id)
      journal.push(client.pending)
      await settle(connection, client)
      acknowledged()
    }
  }
  await onConnections(server, clients.length, async (lanes) => {
    const shared_run_id = await startSharedRun(lanes[0]!, journal)
    await inLanes(lanes, clients, (connection, client) =>
      write(connection, client, shared_run_id).catch(unlessUnanswered),
    )
  })
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' })
}

function unlessUnanswered(error: unknown): void {
  if (!(error instanceof Unanswered)) throw error
}

async function startSharedRun(connection: Connection, journal: Write[]): Promise<string> {
  const create = writeOf({
    does: 'create',
    path: '/v1/runs',
    body: { project_id: 'kill', phase_id: 'shared' },
    run_id: null,
  })
  await send(connection, create)
  const { run_id } = bodyOf<Run>(create.reply!)
  const start = writeOf({ does: 'start', path: `/v1/runs/${run_id}/start`, body: {}, run_id })
  await send(connection, start)
  journal.push(create, start)
  return run_id
}

/** Sends what is pending, for the first time or again. What cannot be repeated is given up. */
async function settle(connection: Connection, client: Client): Promise<void> {
  const { pending, worker } = client
  if (pending === null) return
  if (pending.request_ids.length > 0 && pending.key === null) {
    if (!pending.shared) worker.giveUp()
  } else await send(connection, pending)
  client.pending = null
}

/** @throws Unanswered */
async function send(connection: Connection, write: Write): Promise<void> {
  const reply = await request(connection, write)
  if (write.shared && reply.status === 409) return
  if (reply.status > 299) throw new Error(`${write.does} was answered ${reply.status}: ${reply.text}`)
  write.learn(reply)
}

function summaryOf(journal: readonly Write[]): KillSummary {
  const acknowledged = journal.filter(({ reply }) => reply !== null && reply.status < 300)
  const repeated = acknowledged.filter(({ request_ids }) => request_ids.length > 1)
  const done: Record<string, number> = {}
  for (const { does } of acknowledged) done[does] = (done[does] ?? 0) + 1
  return {
    done,
    refused: journal.filter(({ reply }) => reply?.status === 409).length,
    found_done: repeated.filter(({ replayed }) => replayed).length,
    found_undone: repeated.filter(({ replayed }) => !replayed).length,
  }
}

import { expect } from 'vitest'
import { onConnections, randomFrom } from '../support/client.ts'
import { type LeaseTold, type LeasesTold, foldLeases, msBetween } from '../support/leases.ts'
import { type Program, type ServerProcess, startProgram } from '../support/process.ts'
import {
  CONFIG,
  LOADED,
  MAX_PARALLEL,
  delaysOf,
  eventsUntilAllEnded,
  expectRowsAsTold,
  handOn,
  submitAll,
} from './claim-ledger.ts'
import type { Word } from './claimer.ts'
import { startRouter } from './routing.ts'

const PROCESSES = 8
const CLAIMERS = 8
const WRITERS = 16

export interface ClaimOptions {
  data_dir: string
  requests: number
  /** How many client processes are killed while there is work. */
  kills: number
  seed: number
  timeout_ms: number
}

/** What the load came to, so that a test can show that there was one. */
export interface ClaimSummary {
  /** How often each thing was done, as the clients tell. */
  words: Record<string, number>
  /** Requests by how they ended. */
  ended: Record<string, number>
  peaks: LeasesTold['peaks']
  /** Leases that time ended; those of them that a killed client left behind. */
  expired: number
  orphaned: number
  /** How long after their end, by the ledger: the least and the most. */
  expired_after_ms: [least: number, most: number]
  /** The longest that such a request could then be claimed and was not, where its tool had room. */
  reclaimed_after_ms: number
}

/**
 * Has requests carried out by 64 claimers in 8 processes, of which one after the other is killed and replaced, and holds
 * the ledger against what must be true of it at each event and at the end.
 */
export async function claimUnderKills(options: ClaimOptions): Promise<ClaimSummary> {
  const { data_dir, requests, seed, timeout_ms } = options
  const server = await startRouter(data_dir, CONFIG)
  const crowd = startCrowd(server, options)
  const events = await onConnections(server, WRITERS, async (lanes) => {
    const submitted = submitAll(lanes.slice(2), requests, randomFrom(seed))
    await Promise.race([Promise.all([submitted, handOn(lanes)]), crowd.failed])
    return Promise.race([eventsUntilAllEnded(lanes[0]!, requests + 1, timeout_ms), crowd.failed])
  })
  await crowd.end()
  const told = foldLeases(events, MAX_PARALLEL)
  expect(told.requests.size).toBe(requests + 1)
  await onConnections(server, WRITERS, (lanes) => expectRowsAsTold(lanes, events, told))
  expect(await server.stop()).toEqual({ code: 0, signal: null })
  return summaryOf(told, crowd)
}

interface Crowd {
  words: Word[]
  /** Rejects as soon as a client ends that was not killed. */
  failed: Promise<never>
  /** Kills all of them. */
  end(): Promise<void>
}

/** Keeps so many processes at work. Each kill comes when so much more was done, of whichever process it may be. */
function startCrowd({ url }: ServerProcess, { requests, kills, seed }: ClaimOptions): Crowd {
  const random = randomFrom(seed + 1)
  const words: Word[] = []
  const killed = new Set<Program>()
  const killing: Promise<unknown>[] = []
  let fail: (error: Error) => void
  const failed = new Promise<never>((_resolve, reject) => (fail = reject))
  let started = 0
  let done = 0
  const moments = Array.from({ length: kills }, (_, i) => ((i + random()) * 0.9 * requests) / kills)

  const start = (): Program => {
    const number = ++started
    const args = [url, `p${number}`, String(seed + 1_000 * number), String(CLAIMERS), ...LOADED]
    const program = startProgram('test/process/claim-client.ts', ...args)
    program.lines.on('line', (line) => hear(JSON.parse(line) as Word))
    void program.exited.then((exit) => {
      if (!killed.has(program)) fail(new Error(`client ${number} ended: ${JSON.stringify(exit)}`))
    })
    return program
  }
  const kill = (program: Program): void => {
    killed.add(program)
    killing.push(program.kill().then((exit) => expect(exit).toEqual({ code: null, signal: 'SIGKILL' })))
  }
  const hear = (word: Word): void => {
    words.push(word)
    if ((word.did !== 'complete' && word.did !== 'give up') || !(++done >= moments[0]!)) return
    moments.shift()
    const place = Math.floor(random() * PROCESSES)
    kill(programs[place]!)
    programs[place] = start()
  }
  const programs = Array.from({ length: PROCESSES }, start)
  return {
    words,
    failed,
    async end() {
      expect(moments, 'kills that never came').toEqual([])
      programs.forEach(kill)
      await Promise.all(killing)
    },
  }
}

function summaryOf(told: LeasesTold, { words }: Crowd): ClaimSummary {
  const expired = told.leases.filter(({ ended_by }) => ended_by === 'time')
  const held = new Set(words.flatMap((word) => (word.did === 'hold' ? [word.request_id] : [])))
  const delays = delaysOf(told, words).map(({ delay_ms }) => delay_ms)
  return {
    words: countsOf(
      words.map((word) => (word.did === 'answer late' && !word.accepted ? 'refused late' : word.did)),
    ),
    ended: countsOf([...told.requests.values()].map(String)),
    peaks: told.peaks,
    expired: expired.length,
    orphaned: expired.filter(({ request_id }) => !held.has(request_id)).length,
    expired_after_ms: [Math.min(...delays), Math.max(...delays)],
    reclaimed_after_ms: Math.max(...waitsIn(told, expired)),
  }
}

/** How long requests that time gave back could be claimed and were not, where their tool had room. */
function waitsIn({ leases }: LeasesTold, expired: readonly LeaseTold[]): number[] {
  const claims = new Map(leases.map((lease) => [`${lease.request_id} ${lease.fence}`, lease.claimed_at]))
  return expired.flatMap(({ request_id, fence, tool_id, available_at }) => {
    const isRoomy = (tool_id === 'wide' || tool_id === 'apart') && available_at !== null
    return isRoomy ? [msBetween(available_at, claims.get(`${request_id} ${fence + 1}`)!)] : []
  })
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

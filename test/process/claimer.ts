import { setTimeout as wait } from 'node:timers/promises'
import type {
  ClaimResult,
  ClaimedRequest,
  CompletedRequest,
  HeartbeatResult,
} from '../../src/contract/dispatch.ts'
import type { Problem } from '../../src/contract/problem.ts'
import { type Connection, type Reply, bodyOf, connect } from '../support/client.ts'

export const LEASE_SECONDS = 5
export const CLAIM = '/v1/execution-requests/claim?wait_seconds=30'
/** How far around the end of its lease a late answer comes. */
const AROUND_MS = 25
/** How far the server's clock, which never falls, may be before a wall that was set back a little. */
const SKEW_MS = 1_000
/** Long enough that the lease would be over without the heartbeats. */
const LONG_WORK_BEATS = 6

type Ending = 'complete' | 'fail' | 'give up' | 'reject' | 'release'

/** What a claimer tells of its work, as it happens. */
export type Word =
  | { did: Ending | 'lose' | 'hold'; request_id: string }
  /** Told before each heartbeat with null, for it may take effect unheard, and after it with the new end. */
  | { did: 'beat'; request_id: string; fence: number; lease_expires_at: string | null }
  /** The answer that came about the end of a lease. */
  | { did: 'answer late'; request_id: string; accepted: boolean }

export interface ClaimerOptions {
  url: string
  worker_id: string
  tools: readonly string[]
  random: () => number
  say: (word: Word) => void
  /** Milliseconds, by the clock that the server follows. */
  now: () => number
  isDone: () => boolean
}

/** A lease that the claimer believes to have. */
interface Held {
  claimed: ClaimedRequest
  /** When it ends, as far as the claimer was told. */
  end: string
}

/**
 * A client of the bare protocol: it claims and carries out until it is done, in ever different ways. Some requests it
 * holds and never answers for in time. An answer that it has no right to get ends it with an error.
 */
export async function work(options: ClaimerOptions): Promise<void> {
  const [lane, late] = [connect(options.url), connect(options.url)]
  const answering: Promise<void>[] = []
  const claimer = claimerOn(lane, options, (held) => void answering.push(answerLate(late, held, options)))
  let held: Held | null = null
  while (!options.isDone()) {
    held ??= await claimer.claim()
    if (held !== null) held = await claimer.carryOut(held)
  }
  await Promise.all(answering)
  for (const connection of [lane, late]) connection.close()
}

function claimerOn(lane: Connection, options: ClaimerOptions, hold: (held: Held) => void) {
  const { worker_id, tools, random, say } = options

  const send = (held: Held, command: string, body: object = {}) => sendFor(lane, held, command, body)
  const ended = async (held: Held, did: Ending, command: string, body: object): Promise<Reply | null> => {
    const reply = await endLease(lane, held, { command, body }, options)
    say({ did: reply === null ? 'lose' : did, request_id: idOf(held) })
    return reply
  }

  async function complete(held: Held, query = ''): Promise<Held | null> {
    const reply = await ended(held, 'complete', `complete${query}`, { exit_code: 0 })
    if (reply === null) return null
    const { next } = bodyOf<CompletedRequest>(reply)
    return next === null ? null : heldOf(next)
  }

  async function end(held: Held, did: Exclude<Ending, 'complete'>): Promise<null> {
    const retry = random() < 0.5 ? {} : { retry_after_ms: Math.floor(random() * 200) }
    const bodies = {
      fail: { error: { class: 'tool_error' }, ...retry },
      'give up': { error: { class: 'tool_error' }, retryable: false },
      reject: { reason: 'not here' },
      release: { reason: 'not now' },
    }
    await ended(held, did, did === 'give up' ? 'fail' : did, bodies[did])
    return null
  }

  /** False if the lease was lost. */
  async function beat(held: Held): Promise<boolean> {
    const word = { did: 'beat', request_id: idOf(held), fence: held.claimed.fence } as const
    say({ ...word, lease_expires_at: null })
    const reply = await send(held, 'heartbeat')
    const { lease_lost, lease_expires_at } = bodyOf<HeartbeatResult>(reply)
    if (lease_lost) expectOver(held, options, reply)
    held.end = lease_expires_at ?? held.end
    say({ ...word, lease_expires_at: held.end })
    return !lease_lost
  }

  async function workLong(held: Held, beats: number, pause_ms: number): Promise<Held | null> {
    for (let i = 0; i < beats; i++) {
      if (!(await beat(held))) return null
      await wait(pause_ms)
    }
    return complete(held)
  }

  return {
    /** Null where there is no work for a while. */
    async claim(): Promise<Held | null> {
      const body = { worker_id, tools, lease_seconds: LEASE_SECONDS }
      const reply = await lane.post(CLAIM, body)
      return reply.status === 204 ? null : heldOf(bodyOf<ClaimResult>(reply).items[0]!)
    },

    /** Gives the request that came with the answer. */
    async carryOut(held: Held): Promise<Held | null> {
      const dice = random()
      if (dice < 0.35) return complete(held)
      if (dice < 0.65) return complete(held, '?claim_next=true')
      if (dice < 0.73) return end(held, 'fail')
      if (dice < 0.76) return end(held, 'give up')
      if (dice < 0.8) return end(held, 'reject')
      if (dice < 0.84) return end(held, 'release')
      if (dice < 0.965) return workLong(held, 1 + Math.floor(random() * 3), 0)
      if (dice < 0.97) return workLong(held, LONG_WORK_BEATS, 1_000)
      if (held.claimed.fence > 1) return complete(held) // so that the load comes to an end
      say({ did: 'hold', request_id: idOf(held) })
      hold(held)
      return null
    },
  }
}

/** Answers about when the lease ends. After its end that is refused, whatever became of the request. */
async function answerLate(lane: Connection, held: Held, options: ClaimerOptions): Promise<void> {
  const { random, now, say } = options
  const at = Date.parse(held.end) + (2 * random() - 1) * AROUND_MS
  await wait(Math.max(0, at - now()))
  const reply = await endLease(lane, held, { command: 'complete', body: {} }, options)
  say({ did: 'answer late', request_id: idOf(held), accepted: reply !== null })
}

const heldOf = (claimed: ClaimedRequest): Held => ({ claimed, end: claimed.lease_expires_at })

const idOf = ({ claimed }: Held): string => claimed.execution_request.request_id

function sendFor(lane: Connection, held: Held, command: string, body: object): Promise<Reply> {
  const { lease_token } = held.claimed
  return lane.post(`/v1/execution-requests/${idOf(held)}/${command}`, { lease_token, ...body })
}

/** Null where the lease was lost. @throws for every other refusal, and where it was lost before its end or kept after */
async function endLease(
  lane: Connection,
  held: Held,
  { command, body }: { command: string; body: object },
  options: ClaimerOptions,
): Promise<Reply | null> {
  const sent_at = options.now()
  const reply = await sendFor(lane, held, command, body)
  if (reply.status === 409 && (JSON.parse(reply.text) as Problem).code === 'lease_lost') {
    expectOver(held, options, reply)
    return null
  }
  bodyOf(reply)
  if (sent_at >= Date.parse(held.end)) throw new Error(`accepted after ${held.end}: ${reply.text}`)
  return reply
}

function expectOver({ end }: Held, { now }: ClaimerOptions, { text }: Reply): void {
  if (now() < Date.parse(end) - SKEW_MS) throw new Error(`lost before ${end}: ${text}`)
}

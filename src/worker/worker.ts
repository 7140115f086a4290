import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { type Answer, Refused, Unanswered } from '../client/connection.ts'
import { persist } from '../client/patience.ts'
import type { ClaimResult, ClaimedRequest } from '../contract/dispatch.ts'
import { makeDirectory } from '../directory.ts'
import { EXIT, ExitError } from '../exit.ts'
import type { Attempt } from './attempt.ts'
import { checkedClaim } from './checked.ts'
import { type Client, createClient } from './client.ts'
import { createHealth } from './health.ts'
import type { Log } from './log.ts'
import { LAST_WORD_MS, type SlotDeps, carryOut, giveBack, isStillOurs } from './slot.ts'
import type { Tools } from './tools-file.ts'

export interface WorkerOptions {
  server: URL
  /** The API key; null where the server needs none. */
  key: string | null
  name: string
  tools: Tools
  concurrency: number
  data_dir: string
  lease_seconds: number
  /** How long what runs may go on after the first signal. */
  grace_seconds: number
  /** Whether to end as soon as there is nothing to do, instead of waiting for work. */
  until_idle: boolean
  env: NodeJS.ProcessEnv
  log: Log
}

export interface Running {
  claimed: ClaimedRequest
  attempt: Attempt
}

export interface Worker {
  /** Settles when it has stopped, and nothing runs. @throws ExitError where the server refuses it */
  done: Promise<void>
  running: ReadonlySet<Running>
  /** Claims no more and lets finish what runs, for a while; the second time ends it at once. */
  stop(): void
  isStopping(): boolean
  /** Kills what runs, without a word: for the very end of the process. */
  killAll(): void
}

/** Seconds that an idle claim waits for work. */
const WAIT_SECONDS = 30

/** @throws ExitError 73 where its directory cannot be made */
export function startWorker(options: WorkerOptions): Worker {
  const data_dir = resolve(options.data_dir)
  makeOwn(data_dir)
  const client = createClient(options)
  const running = new Set<Running>()
  const stopping = new AbortController()
  const gaveUp = new AbortController()
  const saidAll = new AbortController()
  const isStopping = () => stopping.signal.aborted
  const killAll = () => running.forEach(({ attempt }) => attempt.kill())
  const deps: SlotDeps = {
    ...options,
    client,
    data_dir,
    health: createHealth(data_dir),
    stopping: stopping.signal,
    gaveUp: gaveUp.signal,
    saidAll: saidAll.signal,
    onRunning(claimed, attempt) {
      const one = { claimed, attempt }
      running.add(one)
      return () => void running.delete(one)
    },
  }
  const giveUp = (): void => {
    gaveUp.abort()
    setTimeout(() => saidAll.abort(), LAST_WORD_MS).unref()
    running.forEach(({ attempt }) => attempt.end('stopped'))
  }
  let grace: NodeJS.Timeout | undefined
  return {
    running,
    killAll,
    isStopping,
    done: claimLoop(options, deps).finally(() => clearTimeout(grace)),
    stop() {
      if (isStopping()) {
        giveUp()
        return killAll()
      }
      options.log('info', 'stopping', { running: running.size, grace_seconds: options.grace_seconds })
      stopping.abort()
      grace = setTimeout(giveUp, options.grace_seconds * 1_000)
    },
  }
}

function makeOwn(path: string): void {
  try {
    makeDirectory(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ExitError(EXIT.cannot_create, `The data directory ${path} cannot be made: ${code}.`)
  }
}

/** Fills free slots until it is stopped, then waits for those that are busy. */
async function claimLoop(options: WorkerOptions, deps: SlotDeps): Promise<void> {
  const { stopping, health } = deps
  const busy = new Set<Promise<void>>()
  const stopped = firing(stopping)
  const fill = (claimed: ClaimedRequest): void => {
    const slot = carryOut(claimed, deps).finally(() => busy.delete(slot))
    busy.add(slot)
  }
  try {
    while (!stopping.aborted) {
      const free = options.concurrency - busy.size
      if (free === 0) {
        await Promise.race([...busy, stopped])
        continue
      }
      if (!health.isWell() && !(await recovers(options, deps))) continue
      // The first after a fault shows whether it is over, so it is alone.
      const items = await claim(options, deps, health.isWell() ? free : 1)
      items.forEach(fill)
      if (items.length > 0 || !options.until_idle) continue
      if (busy.size === 0) break
      await Promise.race([...busy, stopped])
    }
  } finally {
    await Promise.all(busy)
  }
}

/** @throws ExitError 73 where nobody waits for it */
async function recovers({ until_idle, data_dir, log }: WorkerOptions, deps: SlotDeps): Promise<boolean> {
  try {
    await deps.health.recover(deps.stopping)
    return !deps.stopping.aborted
  } catch (error) {
    const reason = (error as Error).message
    if (until_idle) throw new ExitError(EXIT.cannot_create, `Nothing can be kept in ${data_dir}: ${reason}.`)
    log('warn', 'claims nothing while it cannot keep files', { reason })
    return false
  }
}

const firing = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

/** What the server has for the free slots; nothing once the worker stops. */
async function claim(
  { name, tools, lease_seconds, until_idle, log }: WorkerOptions,
  deps: SlotDeps,
  free: number,
): Promise<ClaimedRequest[]> {
  const { stopping } = deps
  const body = { worker_id: name, tools: [...tools.keys()], max: free, lease_seconds }
  const key = randomUUID()
  const wait_seconds = until_idle ? 0 : WAIT_SECONDS
  const asked = () => deps.client.claim(body, { key, wait_seconds, signal: stopping })
  const onFailure = ({ message }: Unanswered, failures: number) =>
    stopping.aborted || log('warn', 'the claim was not answered', { reason: message, failures })
  try {
    const answer = await persist(asked, { signal: stopping, onFailure })
    return await ours(answer, deps)
  } catch (error) {
    if (error instanceof Refused) throw refusedWorker(error)
    if (!(error instanceof Unanswered)) throw error
    await giveBackUnheard(deps, () => deps.client.claim(body, { key, wait_seconds: 0, timeout_ms: 2_000 }))
    return []
  }
}

async function ours({ body, is_replay }: Answer<ClaimResult>, deps: SlotDeps): Promise<ClaimedRequest[]> {
  const items = body.items.map(checkedClaim)
  if (!is_replay) return items
  const kept = await Promise.all(items.map((item) => isStillOurs(item, deps)))
  return items.filter((_item, index) => kept[index])
}

/** The claim that was broken off may have found something after all: under its key the server says what. */
async function giveBackUnheard(deps: SlotDeps, again: () => ReturnType<Client['claim']>): Promise<void> {
  try {
    const { body } = await again()
    await Promise.all(body.items.map((item) => giveBack(checkedClaim(item), deps)))
  } catch (error) {
    deps.log('warn', 'the claim was not answered', { reason: (error as Error).message })
  }
}

function refusedWorker({ status, message }: Refused): ExitError {
  const isKey = status === 401 || status === 403
  const advice = isKey ? ' Give the worker a key with the scope worker by --key-file.' : ''
  return new ExitError(
    isKey ? EXIT.config : EXIT.failure,
    `The server refuses to give work: ${message}${advice}`,
  )
}

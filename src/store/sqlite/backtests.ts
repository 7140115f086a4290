import { extname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { BacktestResult } from '../../contract/backtest.ts'
import { LIMITS } from '../../contract/limits.ts'
import { LedgerError } from '../../domain/error.ts'
import type { WorkerReply, WorkerTask } from './backtest-worker.ts'
import type { Connection } from './connection.ts'
import { type BacktestTask, backtestSteps } from './recorded-decisions.ts'

/** A source in a checkout, compiled in a package: with the extension of this file. */
const PROGRAM = new URL(`./backtest-worker${extname(import.meta.url)}`, import.meta.url)

/** Beyond it the thread ends, and not the server. */
const HEAP_MB = 512

/**
 * Runs backtests beside everything else: of a file on a thread with a connection of its own. A store in memory has no
 * second connection; there they take turns with the requests.
 */
export function backtests(db: Connection) {
  const running = new Map<AbortController, Promise<BacktestResult>>()
  let isClosed = false
  return {
    /** @throws LedgerError `overloaded`, `draining`; the signal's reason */
    async run(task: BacktestTask, signal: AbortSignal): Promise<BacktestResult> {
      if (isClosed) throw closing()
      if (running.size >= LIMITS.backtests) throw tooMany()
      const end = new AbortController()
      const either = AbortSignal.any([signal, end.signal])
      const result = db.memory ? inTurns(db, task, either) : onThread(db.name, task, either)
      running.set(end, result)
      try {
        return await result
      } finally {
        running.delete(end)
      }
    },
    /** Ends those that run, and waits for their connections to be closed: a few milliseconds. */
    async close(): Promise<void> {
      isClosed = true
      for (const end of running.keys()) end.abort(closing())
      await Promise.allSettled(running.values())
    },
  }
}

async function inTurns(db: Connection, task: BacktestTask, signal: AbortSignal): Promise<BacktestResult> {
  const steps = backtestSteps(db, task)
  for (;;) {
    signal.throwIfAborted()
    const step = steps.next()
    if (step.done === true) return step.value
    await nextTurn()
  }
}

/**
 * Settles when the thread has ended. To stop, it is asked: `terminate()` would cut it off inside the driver of
 * SQLite, which is native code and does not expect that.
 */
function onThread(file: string, task: BacktestTask, signal: AbortSignal): Promise<BacktestResult> {
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const workerData: WorkerTask = { ...task, file, stop }
  const worker = new Worker(PROGRAM, { workerData, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } })
  const ask = (): void => void Atomics.store(stop, 0, 1)
  if (signal.aborted) ask()
  signal.addEventListener('abort', ask)
  return new Promise((resolve, reject) => {
    let reply: WorkerReply | undefined
    let failure = new Error('the thread of a backtest ended without an answer')
    worker.on('message', (message: WorkerReply) => void (reply = message))
    worker.on('error', (error: Error) => void (failure = error))
    worker.on('exit', () => {
      signal.removeEventListener('abort', ask)
      if (reply === undefined) reject(failure)
      else if ('result' in reply) resolve(reply.result)
      else if ('refused' in reply) reject(new LedgerError(reply.refused.code, reply.refused.message))
      else reject(signal.reason as Error)
    })
  })
}

const closing = () =>
  new LedgerError(
    'draining',
    'The server is stopping, and gave the backtest up. Send the request again later.',
  )

const tooMany = () =>
  new LedgerError(
    'overloaded',
    `${LIMITS.backtests} backtests are running, and no more may. Send the request again when one has ended.`,
  )

import { extname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { LedgerError } from '../../domain/error.ts'
import type { Connection } from './connection.ts'
import { LONG_READS, type LongRead, type ResultOf, type TaskOf } from './long-read-steps.ts'
import type { WorkerReply, WorkerTask } from './long-read-worker.ts'

/** A source in a checkout, compiled in a package: with the extension of this file. */
const PROGRAM = new URL(`./long-read-worker${extname(import.meta.url)}`, import.meta.url)

/** Beyond it the thread ends, and not the server. */
const HEAP_MB = 512

/**
 * Runs long reads beside everything else: of a file on a thread with a connection of its own. A store in memory has no
 * second connection; there they take turns with the requests.
 */
export function longReads(db: Connection) {
  const running = new Map<AbortController, { read: LongRead; result: Promise<unknown> }>()
  let isClosed = false
  return {
    /** @throws LedgerError `overloaded`, `draining`, or what the read refuses; the signal's reason */
    async run<R extends LongRead>(read: R, task: TaskOf<R>, signal: AbortSignal): Promise<ResultOf<R>> {
      if (isClosed) throw closing()
      const others = [...running.values()].filter((other) => other.read === read)
      if (others.length >= LONG_READS[read].at_once) throw tooMany(read)
      const end = new AbortController()
      const either = AbortSignal.any([signal, end.signal])
      const result = db.memory ? inTurns(db, read, task, either) : onThread(db.name, read, task, either)
      running.set(end, { read, result })
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
      await Promise.allSettled([...running.values()].map(({ result }) => result))
    },
  }
}

async function inTurns<R extends LongRead>(
  db: Connection,
  read: R,
  task: TaskOf<R>,
  signal: AbortSignal,
): Promise<ResultOf<R>> {
  const steps = LONG_READS[read].steps(db, task as never) as Generator<void, ResultOf<R>> // its own task
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
function onThread<R extends LongRead>(
  file: string,
  read: R,
  task: TaskOf<R>,
  signal: AbortSignal,
): Promise<ResultOf<R>> {
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const workerData: WorkerTask<R> = { file, stop, read, task }
  const worker = new Worker(PROGRAM, { workerData, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } })
  const ask = (): void => void Atomics.store(stop, 0, 1)
  if (signal.aborted) ask()
  signal.addEventListener('abort', ask)
  return new Promise((resolve, reject) => {
    let reply: WorkerReply | undefined
    let failure = new Error('the thread of a long read ended without an answer')
    worker.on('message', (message: WorkerReply) => void (reply = message))
    worker.on('error', (error: Error) => void (failure = error))
    worker.on('exit', () => {
      signal.removeEventListener('abort', ask)
      if (reply === undefined) reject(failure)
      else if ('result' in reply) resolve(reply.result as ResultOf<R>)
      else if ('refused' in reply) reject(refusalOf(reply.refused))
      else reject(signal.reason as Error)
    })
  })
}

const refusalOf = ({ code, message, context }: Pick<LedgerError, 'code' | 'message' | 'context'>) =>
  new LedgerError(code, message, context)

const closing = () =>
  new LedgerError('draining', 'The server is stopping, and gave this up. Send the request again later.')

const tooMany = (read: LongRead) =>
  new LedgerError(
    'overloaded',
    `${LONG_READS[read].at_once} ${LONG_READS[read].called} are running, and no more may. Send the request again when one has ended.`,
  )

// The program of the thread that a long read runs on (long-reads.ts starts it), on a connection of its own.
import { parentPort, workerData } from 'node:worker_threads'
import { LedgerError } from '../../domain/error.ts'
import { openReader } from './connection.ts'
import { translated } from './errors.ts'
import { LONG_READS, type LongRead, type TaskOf } from './long-read-steps.ts'

export interface WorkerTask<R extends LongRead = LongRead> {
  file: string
  /** Shared: anything but 0 asks it to stop. */
  stop: Int32Array
  read: R
  task: TaskOf<R>
}

/** Errors lose their class on the way between threads; a refusal goes as what it is made of. */
export type WorkerReply =
  { result: unknown } | { refused: Pick<LedgerError, 'code' | 'message' | 'context'> } | { stopped: true }

// Whoever started this thread gave it that, and is there to be told.
parentPort!.postMessage(replyTo(workerData as WorkerTask))

function replyTo(task: WorkerTask): WorkerReply {
  try {
    return run(task)
  } catch (error) {
    const known = translated(error)
    if (!(known instanceof LedgerError)) throw error
    return { refused: { code: known.code, message: known.message, context: known.context } }
  }
}

function run({ file, stop, read, task }: WorkerTask): WorkerReply {
  const db = openReader(file)
  try {
    const steps = LONG_READS[read].steps(db, task as never) // whoever started this gave it the task of that read
    while (Atomics.load(stop, 0) === 0) {
      const step = steps.next()
      if (step.done === true) return { result: step.value }
    }
    return { stopped: true }
  } finally {
    db.close()
  }
}

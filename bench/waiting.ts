import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { WaitingSample } from './plan.ts'
import { SERVER_CORE, ask, kill, nextMessage, startPinned } from './processes.ts'
import type { Question } from './server.ts'
import { claimBody } from './work.ts'

const CLAIMS = 500
const QUIET_MS = 10_000
const WAIT_SECONDS = 30
/** Until all of them have looked once, and wait. */
const SETTLE_MS = 2_000

/** What the store runs while claims wait and nothing comes: not a matter of rounds, it is the same each time. */
export async function measureWaiting(options: {
  module: (name: string) => string
  scratch: string
  progress: (text: string) => void
}): Promise<WaitingSample[]> {
  const { module, scratch, progress } = options
  progress(`waiting: ${CLAIMS} claims for ${QUIET_MS / 1_000} s`)
  const args = ['--dir', join(scratch, 'waiting'), '--counted']
  const child = startPinned({ core: SERVER_CORE, file: module('server.js'), args })
  const question: Question = 'statements'
  const statements = async () => (await ask<{ statements: number }>(child, { question })).statements
  const gone = new AbortController()
  try {
    const { port } = await nextMessage<{ port: number }>(child)
    let answered = 0
    for (let worker = 0; worker < CLAIMS; worker++) {
      void claim(port, worker, gone.signal).then(
        () => answered++,
        () => answered++,
      )
    }
    await wait(SETTLE_MS)
    const before = await statements()
    if (!(before >= CLAIMS)) throw new Error(`${CLAIMS} claims have looked with ${before} statements`)
    await wait(QUIET_MS)
    const after = await statements()
    if (answered > 0) throw new Error(`${answered} of ${CLAIMS} claims did not wait`)
    return [{ statements: after - before }]
  } finally {
    gone.abort()
    await kill(child)
  }
}

const claim = (port: number, worker: number, signal: AbortSignal) =>
  fetch(`http://127.0.0.1:${port}/v1/execution-requests/claim`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: `wait=${WAIT_SECONDS}` },
    body: JSON.stringify(claimBody(worker)),
    signal,
  })

import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { cleanUp } from '../support/process.ts'
import { endWorkers, js, outcome, startToolServer, startWorker } from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

afterEach(async () => {
  await endWorkers()
  await cleanUp()
})

const FILE_BYTES = 100_000
const ALL_BYTES = 1_000_000

// A limit of the process ends a file like a disk that is full: in the middle of a chunk, and then with an error.
it.skipIf(spawnSync('prlimit').error !== undefined)(
  'what a full disk did not take of an output is counted to the byte',
  async () => {
    const server = await startToolServer(['loud'])
    const worker = await startWorker(server, {
      tools: { loud: { argv: js(`process.stdout.write('y'.repeat(${ALL_BYTES}))`) } },
      through: ['prlimit', `--fsize=${FILE_BYTES}`],
    })
    const { attempt } = await outcome(server, worker, 'loud')
    expect(attempt).toMatchObject({ state: 'succeeded', exit_code: 0 })
    expect(statSync(join(attempt.outputs.logs_path!, 'stdout.log')).size).toBe(FILE_BYTES)
    const ended = await worker.said('ended')
    expect(ended['stdout']).toEqual({ bytes: ALL_BYTES, dropped: ALL_BYTES - FILE_BYTES })
  },
)

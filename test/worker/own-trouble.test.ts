import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ServerProcess, cleanUp, temporaryDirectory } from '../support/process.ts'
import {
  type WorkerProcess,
  endWorkers,
  js,
  read,
  startToolServer,
  startWorker,
  submit,
} from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const TOOLS = { quick: { argv: js('') } }

let server: ServerProcess

beforeEach(async () => {
  server = await startToolServer(['quick'])
})
afterEach(async () => {
  await endWorkers()
  await cleanUp()
})

/** As a disk does that is full: it lets nothing be made. */
const breakDisk = ({ data_dir }: Pick<WorkerProcess, 'data_dir'>) =>
  writeFileSync(join(data_dir, 'attempts'), 'in the way')
const mendDisk = ({ data_dir }: Pick<WorkerProcess, 'data_dir'>) => rmSync(join(data_dir, 'attempts'))
const says = (worker: WorkerProcess, msg: string) => worker.lines.filter((line) => line.msg === msg)

describe('a worker that cannot keep its files', () => {
  it('gives one request back, for others, and draws no more until it can', async () => {
    const worker = await startWorker(server, { tools: TOOLS, flags: ['--lease-seconds', '30'] })
    breakDisk(worker)
    const first = await submit(server, 'quick')
    await worker.said('rejected')
    const second = await submit(server, 'quick')
    await worker.said('claims nothing while it cannot keep files')
    expect(await read(server, second)).toMatchObject({ state: 'queued', fence: 0, rejected_by: [] })
    mendDisk(worker)
    await worker.said('reported', { execution_request_id: second.request_id, call: 'complete' })
    expect(says(worker, 'rejected')).toHaveLength(1)

    expect(await read(server, first)).toMatchObject({
      state: 'queued',
      attempts: 0,
      rejected_by: ['tester'],
    })
    const other = await startWorker(server, { tools: TOOLS, flags: ['--name', 'other', '--until-idle'] })
    expect(await other.exit()).toEqual({ code: 0, signal: null })
    expect(await read(server, first)).toMatchObject({ state: 'succeeded', attempts: 1, worker_id: 'other' })
  })

  it('says nothing of the tool by that', async () => {
    const worker = await startWorker(server, { tools: TOOLS, flags: ['--concurrency', '8'] })
    breakDisk(worker)
    for (let i = 0; i < 6; i++) await submit(server, 'quick')
    await worker.said('claims nothing while it cannot keep files')
    const response = await fetch(`${server.url}/v1/tools/quick`)
    expect(await response.json()).toMatchObject({ circuit: { state: 'closed', failures_in_row: 0 } })
  })

  it('does not wait for room where it was to end when it is idle', async () => {
    for (let i = 0; i < 2; i++) await submit(server, 'quick')
    const data_dir = temporaryDirectory()
    breakDisk({ data_dir })
    const worker = await startWorker(server, {
      tools: TOOLS,
      flags: ['--until-idle', '--data-dir', data_dir],
    })
    expect(await worker.exit()).toEqual({ code: 73, signal: null })
  })

  it('stops at once when it is told to', async () => {
    const worker = await startWorker(server, { tools: TOOLS })
    breakDisk(worker)
    await submit(server, 'quick')
    await worker.said('rejected')
    worker.signal('SIGTERM')
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
  })
})

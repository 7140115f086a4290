import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ServerProcess, cleanUp, temporaryDirectory } from '../support/process.ts'
import {
  type WorkerProcess,
  endWorkers,
  js,
  lineIn,
  read,
  startToolServer,
  startWorker,
  submit,
} from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let notes: string
let server: ServerProcess
let worker: WorkerProcess

const note = (name: string) => join(notes, name)
const go = () => writeFileSync(note('go'), '')

beforeEach(async () => {
  notes = temporaryDirectory()
  server = await startToolServer(['waits'])
  const waits = `fs.writeFileSync(${JSON.stringify(note('waits'))}, process.pid + '\\n')
    setInterval(() => fs.existsSync(${JSON.stringify(note('go'))}) && process.exit(0), 10)`
  worker = await startWorker(server, { tools: { waits: { argv: js(waits) } } })
})
afterEach(async () => {
  await endWorkers()
  await cleanUp()
})

describe('a worker whose terminal has gone finishes what runs', () => {
  it('though it gets SIGHUP twice, and what it says cannot be written', async () => {
    const request = await submit(server, 'waits')
    await lineIn(note('waits'))
    worker.signal('SIGHUP')
    await worker.said('stopping')
    worker.closeOutput()
    worker.signal('SIGHUP')
    go()
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(await read(server, request)).toMatchObject({ state: 'succeeded' })
  })

  it('though nothing but its lines says so, and each does so again', async () => {
    worker.closeOutput()
    const request = await submit(server, 'waits')
    await lineIn(note('waits'))
    go()
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(await read(server, request)).toMatchObject({ state: 'succeeded' })
  })
})

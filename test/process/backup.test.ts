import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import { bodyOf, connect, inLanes, readEvents } from '../support/client.ts'
import {
  type ServerProcess,
  cleanUp,
  refusedServer,
  signalbox,
  startServer,
  temporaryDirectory,
} from '../support/process.ts'
import { readWholeHistory } from './history.ts'
import { startLoad } from './load.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 60_000 })

let data_dir: string
let copy: string

beforeEach(() => {
  data_dir = temporaryDirectory()
  copy = join(temporaryDirectory(), 'copy.db')
})
afterEach(cleanUp)

/** All events, after every run of them was read and found whole. */
async function wholeLedger({ url }: ServerProcess): Promise<Event[]> {
  const lanes = Array.from({ length: 8 }, () => connect(url))
  const events = await readEvents(lanes[0]!)
  const run_ids = [...new Set(events.flatMap((event) => event.run_id ?? []))]
  await inLanes(lanes, run_ids, async (lane, run_id) => void (await readWholeHistory(lane, run_id)))
  for (const lane of lanes) lane.close()
  return events
}

/** What an operator does to bring a backup back: the one file takes the place of all three. */
function restore(into: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(join(into, `signalbox.db${end}`), { force: true })
  copyFileSync(copy, join(into, 'signalbox.db'))
}

describe('a backup that is made under load', () => {
  it('has all that was acknowledged before it began, whole, and keeps nobody from writing', async () => {
    const server = await startServer({ data_dir })
    const load = startLoad(server)
    await load.reaches(300)
    const acknowledged = [...load.acknowledged]
    const { code, stdout, stderr } = await signalbox(['backup', copy, '--data-dir', data_dir])
    await load.stop()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(load.unavailable).toBe(0)
    await server.stop()

    const elsewhere = temporaryDirectory()
    restore(elsewhere)
    const restored = await startServer({ data_dir: elsewhere })
    const events = await wholeLedger(restored)
    expect(await restored.stop()).toEqual({ code: 0, signal: null })
    const runs = new Set(events.map((event) => event.run_id)).size
    expect(stdout).toContain(`verified: ${runs} runs, ${events.length} events`)
    expect(events.map((event) => event.http_request_id)).toEqual(expect.arrayContaining(acknowledged))
    expect(events.length).toBeLessThan(load.acknowledged.length) // it is of then, not of the end
  })
})

describe('a backup that is made between writes', () => {
  it('has everything, in one file without a WAL beside it', async () => {
    const server = await startServer({ data_dir })
    const load = startLoad(server)
    await load.reaches(50)
    await load.stop()
    await signalbox(['backup', copy, '--data-dir', data_dir])
    await server.kill()
    for (const end of ['-wal', '-shm', '-journal', '.partial']) expect(existsSync(copy + end)).toBe(false)

    const elsewhere = temporaryDirectory()
    restore(elsewhere)
    const events = await wholeLedger(await startServer({ data_dir: elsewhere }))
    expect(events.map((event) => event.http_request_id).sort()).toEqual(load.acknowledged.sort())
  })
})

describe('a backup that is put back over a store that went on', () => {
  it('is refused as a loss, until somebody accepts it; then it is served, and goes on from there', async () => {
    let server = await startServer({ data_dir })
    const load = startLoad(server)
    await load.reaches(50)
    await signalbox(['backup', copy, '--data-dir', data_dir])
    await load.stop()
    await server.stop()
    restore(data_dir)

    const refused = await refusedServer({ data_dir })
    expect(refused.code).toBe(78)
    expect(refused.stderr).toMatch(/^signalbox: .*lost events.*--accept-loss.*\n$/)

    server = await startServer({ data_dir, flags: ['--accept-loss'] })
    const connection = connect(server.url)
    bodyOf(await connection.post('/v1/runs', { project_id: 'load', phase_id: 'after' }))
    connection.close()
    const kinds = (await wholeLedger(server)).map(({ kind }) => kind)
    expect(kinds.slice(-2)).toEqual(['audit_loss_accepted', 'run_created'])
  })
})

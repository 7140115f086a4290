import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { type Connection, type Reply, bodyOf, connect, readEvents } from '../support/client.ts'
import { type ServerProcess, cleanUp, startServer, temporaryDirectory } from '../support/process.ts'
import { type SmallDisk, canMount, mountSmallDisk } from '../support/small-disk.ts'
import { readWholeHistory } from './history.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 60_000 })

const RUN = { project_id: 'disk', phase_id: 'build', metadata: { fill: 'x'.repeat(20_000) } }

/** The runs whose creation was acknowledged, in that order. */
let acknowledged: Run[]

beforeEach(() => {
  acknowledged = []
})
afterEach(cleanUp)

async function createRun(connection: Connection, key: string): Promise<Reply> {
  const reply = await connection.post('/v1/runs', RUN, { 'idempotency-key': key })
  if (reply.status === 201) acknowledged.push(bodyOf<Run>(reply))
  return reply
}

/** Writes until one is refused: space that the files have already may still take a few. */
async function writeUntilRefused(connection: Connection): Promise<{ reply: Reply; key: string }> {
  for (let i = 0; i < 1_000; i++) {
    const key = `key-${i}`
    const reply = await createRun(connection, key)
    if (reply.status !== 201) return { reply, key }
  }
  throw new Error('a thousand writes went to a disk that should not take them')
}

/** Every acknowledged run is there and whole, and no other. */
async function expectAcknowledgedOnly(connection: Connection): Promise<void> {
  const events = await readEvents(connection)
  expect(events.map((event) => event.run_id)).toEqual(acknowledged.map((run) => run.run_id))
  for (const run of acknowledged) {
    expect((await readWholeHistory(connection, run.run_id)).run).toEqual(run)
  }
}

// Needs root, or a machine where everybody may make a user namespace; the store's own tests fill a database
// to its page limit everywhere.
describe.skipIf(!canMount())('a full disk', () => {
  let disk: SmallDisk
  let server: ServerProcess
  let connection: Connection

  beforeEach(async () => {
    disk = await mountSmallDisk({ megabytes: 8 })
    server = await startServer({ data_dir: join(disk.path, 'data'), through: disk.through })
    connection = connect(server.url)
  })
  afterEach(async () => {
    connection.close()
    await cleanUp()
    await disk.unmount()
  })

  it('is 507, writes nothing, and reads go on', async () => {
    await createRun(connection, 'before')
    disk.fill()
    const { reply } = await writeUntilRefused(connection)
    expect(reply).toMatchObject({
      status: 507,
      headers: { 'content-type': 'application/problem+json; charset=utf-8' },
    })
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'disk_full', retryable: true })

    const others = ['a', 'b', 'c', 'd'].map((key) => ({ key, connection: connect(server.url) }))
    const more = await Promise.all(others.map((other) => createRun(other.connection, other.key)))
    for (const other of others) other.connection.close()
    expect(more.map(({ status }) => status)).toEqual([507, 507, 507, 507])
    await expectAcknowledgedOnly(connection)
    expect((await connection.get('/readyz')).status).toBe(200)
  })

  it('is overcome without a restart, and the refused write succeeds with its key', async () => {
    await createRun(connection, 'before')
    disk.fill()
    const { key } = await writeUntilRefused(connection)
    disk.free()
    const after = await createRun(connection, key)
    expect(after.status).toBe(201)
    expect(after.headers['idempotency-replayed']).toBeUndefined()
    await expectAcknowledgedOnly(connection)
    expect(await server.stop()).toEqual({ code: 0, signal: null })
  })

  it('takes nothing that was acknowledged with it, when the server is killed on it', async () => {
    await createRun(connection, 'before')
    disk.fill()
    await writeUntilRefused(connection)
    await server.kill()
    disk.free()
    server = await server.restart()
    connection = connect(server.url)
    await expectAcknowledgedOnly(connection)
  })

  it('does not keep the server from ending in good order, nor from starting again', async () => {
    await createRun(connection, 'before')
    disk.fill()
    await writeUntilRefused(connection)
    expect(await server.stop()).toEqual({ code: 0, signal: null })
    expect(server.stderr()).toBe('')
    server = await server.restart()
    connection = connect(server.url)
    await expectAcknowledgedOnly(connection)
  })
})

describe('a disk that refuses to write', () => {
  /** Lets the server write files of any size again, while it runs. */
  const liftLimit = ({ pid }: ServerProcess): void => {
    execFileSync('prlimit', ['--pid', String(pid), '--fsize=unlimited:unlimited'])
  }

  it('is 503, and is overcome without a restart', async () => {
    const through = ['prlimit', '--fsize=1000000:unlimited'] // a new store fits; a write beyond fails as on a broken disk
    const server = await startServer({ data_dir: temporaryDirectory(), through })
    const connection = connect(server.url)
    await createRun(connection, 'before')
    const { reply, key } = await writeUntilRefused(connection)
    expect(reply).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'store_unavailable', retryable: true })
    expect(reply.text).not.toMatch(/SQLITE|\/tmp/)

    liftLimit(server)
    const after = await createRun(connection, key)
    expect(after.status).toBe(201)
    await expectAcknowledgedOnly(connection)
    connection.close()
    expect(await server.stop()).toEqual({ code: 0, signal: null })
  })
})

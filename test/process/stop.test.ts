import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import {
  type RawConnection,
  type Reply,
  bodyOf,
  connect,
  connectRaw,
  rawRequest,
  readEvents,
} from '../support/client.ts'
import { type ServerProcess, cleanUp, startServer, temporaryDirectory } from '../support/process.ts'
import { startLoad } from './load.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 60_000 })

let data_dir: string

beforeEach(() => {
  data_dir = temporaryDirectory()
})
afterEach(cleanUp)

const RUN = { project_id: 'stop', phase_id: 'build' }

const walFile = () => join(data_dir, 'signalbox.db-wal')
const anchor = () => JSON.parse(readFileSync(join(data_dir, 'anchor.json'), 'utf8')) as unknown

/** What a stop leaves behind: one file that needs no recovery, and an anchor that tells of all of it. */
async function expectCleanEnd(server: ServerProcess): Promise<void> {
  expect(existsSync(walFile())).toBe(false)
  const again = await server.restart()
  const connection = connect(again.url)
  const events = await readEvents(connection)
  connection.close()
  const { seq, hash } = events.at(-1)!
  expect(anchor()).toEqual({ seq, hash, count: events.length })
  expect(await again.stop()).toEqual({ code: 0, signal: null })
}

describe.each(['SIGTERM', 'SIGINT'] as const)('%s under load', (signal) => {
  it('ends the process with 0 within 5 s, and everything that took effect was answered', async () => {
    const server = await startServer({ data_dir })
    const load = startLoad(server)
    await load.reaches(200)
    const since = performance.now()
    expect(await server.stop(signal)).toEqual({ code: 0, signal: null })
    expect(performance.now() - since).toBeLessThan(5_000)

    await load.ended
    const again = await server.restart()
    const connection = connect(again.url)
    const events = await readEvents(connection)
    connection.close()
    await again.stop()
    expect(events.map((event) => event.http_request_id).sort()).toEqual(load.acknowledged.sort())
  })

  it('leaves a file without a WAL, and an anchor at the last event', async () => {
    const server = await startServer({ data_dir })
    const load = startLoad(server)
    await load.reaches(200)
    await server.stop(signal)
    await load.ended
    await expectCleanEnd(server)
  })
})

/** Asks on an open connection until the server says that it stops; the connection's end bounds it. */
async function drainSeen(watcher: RawConnection): Promise<Reply> {
  for (;;) {
    watcher.write(rawRequest('GET', '/readyz'))
    const reply = await watcher.answer()
    if (reply.status !== 200) return reply
  }
}

describe('while the server stops', () => {
  let server: ServerProcess
  /** Open, and used before the stop begins. */
  let watcher: RawConnection
  let other: RawConnection

  beforeEach(async () => {
    server = await startServer({ data_dir })
    watcher = await openConnection()
    other = await openConnection()
    watcher.write(rawRequest('POST', '/v1/runs', JSON.stringify(RUN)))
    expect((await watcher.answer()).status).toBe(201)
  })

  async function openConnection(): Promise<RawConnection> {
    const connection = await connectRaw(server.url)
    connection.write(rawRequest('GET', '/livez'))
    expect((await connection.answer()).status).toBe(200)
    return connection
  }

  it('/readyz on an open connection is 503 and asks to leave, and /livez is still 200', async () => {
    const stopped = server.stop()
    const reply = await drainSeen(watcher)
    expect(reply.status).toBe(503)
    expect(reply.headers).toMatchObject({
      'retry-after': '1',
      'cache-control': 'no-store',
      connection: 'close',
    })
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'draining', retryable: true })
    other.write(rawRequest('GET', '/livez'))
    expect((await other.answer()).status).toBe(200)
    await stopped
  })

  it('new requests are 503 draining, on open and on new connections, and write nothing', async () => {
    const stopped = server.stop()
    await drainSeen(watcher)
    for (const connection of [other, await connectRaw(server.url)]) {
      connection.write(rawRequest('POST', '/v1/runs', JSON.stringify(RUN)))
      const reply = await connection.answer()
      expect(reply).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'draining', retryable: true })
    }
    await stopped
    const again = await server.restart()
    const connection = connect(again.url)
    expect(await readEvents(connection)).toHaveLength(1) // the one of the beginning
    connection.close()
  })

  it('a request whose body is still under way is answered, and its run is there', async () => {
    const body = JSON.stringify(RUN)
    const slow = await beginRequest(server, body.slice(0, 10), body.length)
    const stopped = server.stop()
    await drainSeen(watcher)
    slow.write(body.slice(10))
    const reply = await slow.answer()
    expect(reply.status).toBe(201)
    expect(await stopped).toEqual({ code: 0, signal: null })

    const again = await server.restart()
    const connection = connect(again.url)
    const run = bodyOf<Run>(reply)
    expect(bodyOf(await connection.get(`/v1/runs/${run.run_id}`))).toEqual(run)
    connection.close()
  })

  it('open connections are closed, and one that never ends its request is cut within 5 s', async () => {
    const stuck = await beginRequest(server, '{', 100)
    const since = performance.now()
    expect(await server.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - since).toBeLessThan(5_000)
    await Promise.all([stuck.closed, watcher.closed, other.closed])
    await expectCleanEnd(server)
  })

  /** A request of which the server has seen the beginning: what was sent after it is answered already. */
  async function beginRequest({ url }: ServerProcess, part: string, length: number): Promise<RawConnection> {
    const connection = await connectRaw(url)
    connection.write(rawRequest('POST', '/v1/runs', part, length))
    for (const before of [other, watcher]) {
      before.write(rawRequest('GET', '/livez'))
      expect((await before.answer()).status).toBe(200)
    }
    return connection
  }
})

describe('an error that nothing caught', () => {
  /** Throws out of nowhere, as a fault in a timer would. */
  const faulty = `data:text/javascript,process.on('SIGWINCH',()=>{throw new Error('out of nowhere')})`

  it('is logged, and the server stops in good order with 1', async () => {
    const server = await startServer({ data_dir, node: ['--import', faulty] })
    const connection = connect(server.url)
    bodyOf(await connection.post('/v1/runs', RUN))
    connection.close()
    const fatal = server.logged('the server stops after an error')
    server.signal('SIGWINCH')
    expect(await fatal).toMatchObject({ level: 60, err: { message: 'out of nowhere' } })
    expect(await server.exited).toEqual({ code: 1, signal: null })
    await expectCleanEnd(server)
  })
})

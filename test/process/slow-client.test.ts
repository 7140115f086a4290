import { afterAll, beforeAll, describe, it } from 'vitest'
import {
  type Connection,
  type RawConnection,
  type Reply,
  connect,
  connectRaw,
  rawRequest,
} from '../support/client.ts'
import { type ServerProcess, cleanUp, startServer, temporaryDirectory } from '../support/process.ts'

/** The server gives headers 10 s and whole requests 15 s, and looks once a second. */
const SLOWEST = { timeout: 40_000, concurrent: true }
const PACE_MS = 250

let server: ServerProcess
let connection: Connection

beforeAll(async () => {
  server = await startServer({ data_dir: temporaryDirectory() })
  connection = connect(server.url)
})
afterAll(async () => {
  connection.close()
  await cleanUp()
})

/** Sends a character at a time, so that the connection is never idle; somebody else writes in between. */
async function dribble(slow: RawConnection): Promise<{ reply: Reply; others: Reply[] }> {
  const done: Promise<Reply>[] = []
  const pace = setInterval(() => {
    slow.write('x')
    done.push(connection.post('/v1/runs', { project_id: 'slow', phase_id: 'others' }))
  }, PACE_MS)
  const reply = await slow.answer().finally(() => clearInterval(pace))
  return { reply, others: await Promise.all(done) }
}

describe('a client that takes its time', () => {
  it.for([
    ['with its headers', 'POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nX-Slow: '],
    ['with its body', rawRequest('POST', '/v1/runs', '{"project_id":"', 1_000)],
  ])('%s gets 408 and is let go; the others are served', SLOWEST, async ([_part, beginning], { expect }) => {
    const slow = await connectRaw(server.url)
    slow.write(beginning!)
    const { reply, others } = await dribble(slow)
    expect(reply).toMatchObject({
      status: 408,
      headers: { 'content-type': 'application/problem+json; charset=utf-8' },
    })
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'request_timeout', status: 408, retryable: true })
    await slow.closed
    expect(others.length).toBeGreaterThan(20)
    expect(new Set(others.map(({ status }) => status))).toEqual(new Set([201]))
  })

  it('without a word is let go, too', SLOWEST, async ({ expect }) => {
    const silent = await connectRaw(server.url)
    expect((await silent.answer()).status).toBe(408)
    await silent.closed
  })
})

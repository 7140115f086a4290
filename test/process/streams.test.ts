import { afterEach, describe, expect, it, vi } from 'vitest'
import { connect } from '../support/client.ts'
import { ROOT, type ServerProcess, cleanUp, startServer, temporaryDirectory } from '../support/process.ts'
import { follow } from '../support/streams.ts'
import { readersThatNeverRead } from './slow-readers.ts'
import { reconnectAgainAndAgain } from './stream-scenario.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 120_000 })

afterEach(cleanUp)

const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

describe(`readers that come and go at random (SEED=${seed})`, () => {
  it('miss nothing and get nothing twice, over two restarts of the server', async () => {
    const data_dir = temporaryDirectory()
    const summary = await reconnectAgainAndAgain({ data_dir, reconnects: 150, restarts: 2, seed })
    expect(summary.with_news).toBeGreaterThan(0)
    expect(summary.without).toBeGreaterThan(0)
    expect(summary.ended).toBeGreaterThanOrEqual(2)
  })
})

describe('readers that never read', () => {
  it('are cut off, cost the server their bound and no more, and the others nothing', async () => {
    await readersThatNeverRead({ data_dir: temporaryDirectory(), readers: 60, silent: 6 })
  })
})

describe('SIGTERM with 1 000 open streams and 100 waiting claims', () => {
  it('ends the process with 0 within 2 s, and each of them in good order', async () => {
    const flags = ['--router-config', `${ROOT}/examples/router_config.json`]
    const server = await startServer({ data_dir: temporaryDirectory(), flags })
    const claims = await waitingClaims(server, 100)
    const { run_id } = await aRun(server)
    const paths = ['/v1/events/stream', `/v1/runs/${run_id}/events/stream`]
    const streams = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => follow(server.url + paths[i % 2]!)),
    )
    await Promise.all(streams.map(({ reaches }) => reaches(1)))

    const since = performance.now()
    expect(await server.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - since).toBeLessThan(2_000)
    const ends = await Promise.all(streams.map(({ over }) => over))
    expect(ends.filter((end) => end === 'ended')).toHaveLength(1_000)
    expect((await Promise.all(claims)).map(({ status }) => status)).toEqual(
      Array.from({ length: 100 }, () => 204),
    )
  })
})

async function aRun({ url }: ServerProcess): Promise<{ run_id: string }> {
  const connection = connect(url)
  const { text } = await connection.post('/v1/runs', { project_id: 'stop', phase_id: 'build' })
  connection.close()
  return JSON.parse(text) as { run_id: string }
}

/** The answers of claims that stand in the line. */
async function waitingClaims({ url }: ServerProcess, count: number) {
  const body = (worker: number) => JSON.stringify({ worker_id: `w${worker}`, tools: ['aider'] })
  const headers = { 'content-type': 'application/json', prefer: 'wait=60' }
  const answers = Array.from({ length: count }, (_, worker) =>
    fetch(`${url}/v1/execution-requests/claim`, { method: 'POST', headers, body: body(worker) }),
  )
  const connection = connect(url)
  await vi.waitFor(
    async () => {
      const { text } = await connection.get('/v1/workers?limit=500')
      expect((JSON.parse(text) as { items: unknown[] }).items).toHaveLength(count)
    },
    { timeout: 15_000 },
  )
  connection.close()
  return answers
}

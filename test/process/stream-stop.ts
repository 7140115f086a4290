import { expect, vi } from 'vitest'
import { connect } from '../support/client.ts'
import { ROOT, type ServerProcess, startServer } from '../support/process.ts'
import { follow } from '../support/streams.ts'

export interface StopOptions {
  data_dir: string
  streams: number
  claims: number
}

/** Stops a server with so much under way, which all ends in good order. Gives how long that took, in milliseconds. */
export async function stopWithOpen({ data_dir, ...counts }: StopOptions): Promise<number> {
  const flags = ['--router-config', `${ROOT}/examples/router_config.json`]
  const server = await startServer({ data_dir, flags })
  const claims = await waitingClaims(server, counts.claims)
  const { run_id } = await aRun(server)
  const paths = ['/v1/events/stream', `/v1/runs/${run_id}/events/stream`]
  const streams = await Promise.all(
    Array.from({ length: counts.streams }, (_, i) => follow(server.url + paths[i % 2]!)),
  )
  await Promise.all(streams.map(({ reaches }) => reaches(1)))

  const since = performance.now()
  expect(await server.stop()).toEqual({ code: 0, signal: null })
  const took_ms = performance.now() - since
  const ends = await Promise.all(streams.map(({ over }) => over))
  expect(ends.filter((end) => end === 'ended')).toHaveLength(counts.streams)
  const answers = (await Promise.all(claims)).map(({ status }) => status)
  expect(answers).toEqual(Array.from({ length: counts.claims }, () => 204))
  return took_ms
}

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

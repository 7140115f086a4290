import { expect } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { type Connection, type Reply, Unanswered, bodyOf, connect } from '../support/client.ts'
import { type ServerProcess, within } from '../support/process.ts'

/** Many clients that write, each on a connection of its own: a run, its start, a note; then the next run. */
export interface Load {
  /** The X-Request-Ids of the writes that were acknowledged. */
  acknowledged: string[]
  /** How many were answered 503. */
  unavailable: number
  /** Waits until so many were acknowledged. */
  reaches(count: number): Promise<void>
  /** Waits until the server answers nobody any more. */
  ended: Promise<void>
  /** Lets every client finish what it is at. */
  stop(): Promise<void>
}

export function startLoad({ url }: ServerProcess, { connections = 16 } = {}): Load {
  const waiting = new Map<number, () => void>()
  let stopping = false

  /** Null if the server does not take it now. */
  async function write(
    connection: Connection,
    path: string,
    body: unknown,
    id: string,
  ): Promise<Reply | null> {
    const reply = await connection.post(path, body, { 'x-request-id': id })
    if (reply.status === 503) load.unavailable++
    if (reply.status === 503) return null
    expect(reply.status, reply.text).toBeLessThan(300)
    waiting.get(load.acknowledged.push(id))?.()
    return reply
  }

  async function client(name: string): Promise<void> {
    const connection = connect(url)
    for (let i = 0; !stopping; i++) {
      const id = `${name}-${i}`
      const created = await write(
        connection,
        '/v1/runs',
        { project_id: 'load', phase_id: name },
        `${id}-create`,
      )
      if (created === null) continue
      const path = `/v1/runs/${bodyOf<Run>(created).run_id}`
      await write(connection, `${path}/start`, {}, `${id}-start`)
      await write(connection, `${path}/events`, { kind: 'note', payload: { id } }, `${id}-note`)
    }
    connection.close()
  }

  const load: Load = {
    acknowledged: [],
    unavailable: 0,
    reaches(count) {
      if (load.acknowledged.length >= count) return Promise.resolve()
      const reached = new Promise<void>((resolve) => waiting.set(count, resolve))
      return within(`the load did not come to ${count} writes`, Promise.race([reached, load.ended]))
    },
    ended: Promise.resolve(),
    stop() {
      stopping = true
      return load.ended
    },
  }
  load.ended = untilUnanswered(Array.from({ length: connections }, (_, index) => client(`client-${index}`)))
  return load
}

async function untilUnanswered(clients: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(clients)) {
    if (end.status === 'rejected' && !(end.reason instanceof Unanswered)) throw end.reason
  }
}

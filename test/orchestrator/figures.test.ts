import { beforeEach, describe, expect, it } from 'vitest'
import { type Orchestrator, createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import type { Connection } from '../../src/store/sqlite/connection.ts'
import { type Desk, openDesk } from '../support/dispatch.ts'
import { countingEntropy, handClock } from '../support/given.ts'
import { openMemoryStore } from '../support/store.ts'

let db: Connection
let desk: Desk
let orchestrator: Orchestrator

beforeEach(async () => {
  const opened = openMemoryStore()
  db = opened.db
  desk = await openDesk(opened.store)
  const { clock } = handClock()
  orchestrator = createOrchestrator({ store: opened.store, clock, entropy: countingEntropy() })
})

/** As many more like the one that is queued: what a day of trouble leaves behind. */
function queueLikeIt(count: number): void {
  const columns = db
    .prepare<[], { name: string }>('PRAGMA table_info(execution_requests)')
    .all()
    .map(({ name }) => name)
  const values = columns.map((name) => (name === 'execution_request_id' ? "printf('%026d', value)" : name))
  db.pragma('foreign_keys = OFF')
  db.prepare(
    `WITH RECURSIVE numbers (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < ?)
     INSERT INTO execution_requests (${columns.join(', ')})
     SELECT ${values.join(', ')} FROM execution_requests, numbers`,
  ).run(count)
}

describe('what is queued', () => {
  it('is counted to the last one, however much it is, and others have turns meanwhile', async () => {
    await desk.request()
    queueLikeIt(20_000)
    let turns = 0
    let isCounting = true
    const turn = (): void => {
      turns++
      if (isCounting) setImmediate(turn)
    }
    setImmediate(turn)
    const { queues } = await orchestrator.getDispatchFigures()
    isCounting = false
    expect(queues).toEqual([{ tool_id: 'aider', queued: 20_001, waiting_ms: 0 }])
    expect(turns).toBeGreaterThanOrEqual(4) // one for each five thousand
  })

  it('is told for tools that the active configuration does not have, too', async () => {
    await desk.request()
    db.exec("UPDATE execution_requests SET tool_id = 'gone'")
    const { tools, queues } = await orchestrator.getDispatchFigures()
    expect(tools.map(({ tool_id }) => tool_id)).toEqual(['aider', 'pytest'])
    expect(queues.map(({ tool_id, queued }) => [tool_id, queued])).toEqual([['gone', 1]])
  })
})

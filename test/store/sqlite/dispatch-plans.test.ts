import Database from 'better-sqlite3'
import { beforeAll, afterAll, describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../../src/contract/dispatch.ts'
import type { Connection } from '../../../src/store/sqlite/connection.ts'
import { applyMigrations } from '../../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import type { Store } from '../../../src/store/store.ts'
import { type Desk, openDesk } from '../../support/dispatch.ts'
import { NOW, after } from '../../support/given.ts'
import { MIGRATIONS } from '../../support/store.ts'

// With a thousand requests in the queue, each statement of a worker's call goes through the index made for it, without
// statistics: the product does not gather any, and with them the planner knows better.

let ran: string[] = []
let db: Connection
let store: Store
let desk: Desk
let held: ClaimedRequest[]

beforeAll(async () => {
  db = new Database(':memory:', { verbose: (sql) => void ran.push(String(sql)) })
  applyMigrations(db, MIGRATIONS, NOW)
  store = sqliteStore(db, { write_queue_max: 2_000 })
  desk = await openDesk(store)
  const limits = { queue_timeout_seconds: 600 }
  await Promise.all(Array.from({ length: 1_000 }, () => desk.request({ limits })))
  held = (await desk.claim({ max: 32 })).items
})
afterAll(() => store.close())

interface Planned {
  sql: string
  plan: string[]
}

async function plansOf(act: () => Promise<unknown>): Promise<Planned[]> {
  ran = []
  await act()
  const statements = ran.filter((sql) => /^\s*(SELECT|UPDATE|DELETE|WITH)/.test(sql))
  return statements.map((sql) => ({
    sql,
    plan: (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map(({ detail }) =>
      detail.replace('COVERING INDEX', 'INDEX'),
    ),
  }))
}

const START = { priority_rank: -1, execution_request_id: '' }
const one = () => held.pop()!
const ACTS: [name: string, act: () => Promise<unknown>, index: string][] = [
  ['a claim', () => desk.claim({ worker_id: 'w2', max: 4 }), 'execution_requests_queued (tool_id=?)'],
  ['the room of a tool', () => desk.claim({ worker_id: 'w2' }), 'leases_by_tool (tool_id=?)'],
  ['a heartbeat', () => desk.heartbeat(one()), 'sqlite_autoindex_leases_1 (execution_request_id=?)'],
  ['a completion', () => desk.complete(one()), 'sqlite_autoindex_leases_1 (execution_request_id=?)'],
  [
    'a completion with the next',
    () => desk.complete(one(), {}, true),
    'execution_requests_queued (tool_id=?)',
  ],
  ['a failure', () => desk.fail(one()), 'execution_requests_open (run_id=?)'],
  ['a rejection', () => desk.reject(one()), 'step_attempts_running (run_id=?)'],
  [
    'an expiry',
    () => desk.expire(one().execution_request),
    'sqlite_autoindex_leases_1 (execution_request_id=?)',
  ],
  ['leases that have ended', () => store.dueRequests(NOW, 10), 'leases_by_end (<expr><?)'],
  [
    'what has waited too long',
    () => store.dueRequests(NOW, 10),
    'execution_requests_waiting (queue_expires_at<?)',
  ],
  [
    'what can be claimed now',
    () => store.availableTools(NOW, after(NOW, 1)),
    'execution_requests_available (available_at>? AND available_at<?)',
  ],
  [
    'circuits that let one through',
    () => store.recoveringTools(NOW, after(NOW, 1)),
    'tools_open (circuit_open_until>? AND circuit_open_until<?)',
  ],
  ['which circuit comes next', () => store.nextDue(NOW), 'tools_open (circuit_open_until>?)'],
  [
    'what waits for a tool whose circuit has opened',
    () =>
      store.waitingBehind('aider', { priority_rank: 2, execution_request_id: '0' }, { now: NOW, limit: 10 }),
    'execution_requests_queued (tool_id=? AND (priority_rank,execution_request_id)>(?,?))',
  ],
  [
    'the last decision about a request',
    () => desk.fallBack(one().execution_request),
    'route_decisions_by_request (execution_request_id=?)',
  ],
  [
    'the story of a request',
    () => desk.storyOf(one().execution_request),
    'route_decisions_by_request (execution_request_id=?)',
  ],
  ['what comes next', () => store.nextDue(NOW), 'execution_requests_available (available_at>?)'],
  ['the pauses that end next', () => store.nextDue(NOW), 'tools_paused (paused_until>?)'],
  [
    'the pauses that have ended',
    () => store.resumedTools(NOW, after(NOW, 1)),
    'tools_paused (paused_until>? AND paused_until<?)',
  ],
  ['the tools for which something waits', () => store.queuedTools(), 'execution_requests_queued (tool_id>?)'],
  [
    'a part of a queue',
    () => store.countQueued('aider', { after: START, limit: 10 }),
    'execution_requests_queued (tool_id=? AND (priority_rank,execution_request_id)>(?,?))',
  ],
  [
    'the rest of a queue',
    () => store.countQueued('aider', { after: START, limit: 10_000 }),
    'execution_requests_queued (tool_id=? AND (priority_rank,execution_request_id)>(?,?))',
  ],
  [
    'since when something waits',
    () => store.queuedSince('aider'),
    'execution_requests_queued (tool_id=? AND priority_rank=?)',
  ],
  ['whether anything waits', () => store.hasQueued('aider', NOW), 'execution_requests_queued (tool_id=?)'],
]

describe('while circuits are closed', () => {
  it.each([
    ['a claim', () => desk.claim({ worker_id: 'w2' }), 1],
    ['a completion', () => desk.complete(one()), 1],
    ['a completion with the next', () => desk.complete(one(), {}, true), 1],
  ] as const)('%s reads no end of their chain, and the active configuration once', async (_, act, reads) => {
    const statements = (await plansOf(act)).map(({ sql }) => sql)
    expect(statements.filter((sql) => sql.includes('run_id IS NULL'))).toEqual([])
    expect(statements.filter((sql) => sql.includes('FROM router_activation'))).toHaveLength(reads)
    expect(statements.filter((sql) => sql.includes('FROM tools')).length).toBeLessThanOrEqual(2)
  })
})

describe('the plan of', () => {
  it.each(ACTS)('%s uses its index, and neither scans nor sorts', async (_name, act, index) => {
    const planned = await plansOf(act)
    expect(planned.flatMap(({ plan }) => plan).join('\n')).toContain(`USING INDEX ${index}`)
    const bad = planned.filter(({ plan }) =>
      plan.some((detail) => /^SCAN (?!json_each|asked|queued$|\(subquery|CONSTANT)|TEMP B-TREE/.test(detail)),
    )
    expect(bad).toEqual([])
  })
})

describe('a diagnosis', () => {
  it('counts what comes first along the queue', async () => {
    const waiting = await desk.request({ classification: { priority: 'low' } })
    const planned = await plansOf(() => desk.diagnosis(waiting))
    const counting = planned.find(({ sql }) => sql.includes('(priority_rank, execution_request_id) <'))
    expect(counting!.plan.filter((detail) => detail.includes('execution_requests'))).toEqual([
      'SEARCH execution_requests USING INDEX execution_requests_queued (tool_id=? AND (priority_rank,execution_request_id)<(?,?))',
    ])
  })
})

import { type ChainCheck, chainStart, checkChain, checkHead } from '../src/domain/event-chain.ts'
import type { ChainHead } from '../src/domain/decision.ts'
import type { Connection } from '../src/store/sqlite/connection.ts'
import type { Store } from '../src/store/store.ts'

/** What a ledger holds after a load. */
export interface Audit {
  events: number
  decisions: number
  /** Events of requests. */
  claimed: number
  completed: number
  /** Requests that a worker holds. */
  leases: number
  runs: number
  /** How many runs had their chain of events recomputed. */
  runs_checked: number
  /** What is wrong with them; empty is well. */
  faults: string[]
}

/** All of them would take longer than the load that made them. */
const SAMPLE = 5_000
const LONGEST_CHAIN = 1_000

export async function auditStore(db: Connection, store: Store): Promise<Audit> {
  const count = (sql: string) => db.prepare<[], number>(sql).pluck().get() ?? 0
  const runs = count('SELECT count(*) FROM runs')
  const events = count('SELECT count(*) FROM events')
  const decisions = count('SELECT count(*) FROM route_decisions')
  const events_of = (kind: string) =>
    db.prepare<[string], number>('SELECT count(*) FROM events WHERE kind = ?').pluck().get(kind) ?? 0
  const told =
    count('SELECT sum(event_count) FROM runs') + count('SELECT count(*) FROM events WHERE run_id IS NULL')
  const faults = told === events ? [] : [`the runs tell of ${told} events, and there are ${events}`]
  const stride = Math.max(1, Math.floor(runs / SAMPLE))
  const sample = db
    .prepare<[number], ChainHead & { run_id: string }>(
      'SELECT run_id, event_count, last_hash FROM runs WHERE rowid % ? = 0',
    )
    .all(stride)
  for (const { run_id, ...head } of sample) {
    const chain = await store.readChain(run_id, { run_seq: 0, limit: LONGEST_CHAIN })
    const start: ChainCheck = { head: chainStart(run_id), first_bad: null }
    const { first_bad } = checkHead(checkChain(start, chain), head)
    if (first_bad !== null) faults.push(`run ${run_id}: ${first_bad.detail}`)
  }
  const work = {
    claimed: events_of('request_claimed'),
    completed: events_of('request_completed'),
    leases: count('SELECT count(*) FROM leases'),
  }
  return { events, decisions, ...work, runs, runs_checked: sample.length, faults }
}

import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import type { RunsQuery } from '../../../src/contract/run.ts'
import type { Store } from '../../../src/store/store.ts'
import { once } from '../../../src/domain/idempotency.ts'
import { recordLoss } from '../../../src/domain/loss.ts'
import type { Connection } from '../../../src/store/sqlite/connection.ts'
import { applyMigrations } from '../../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import { ANYBODY, NOW, given } from '../../support/given.ts'
import { type Ledger, MIGRATIONS, ledgerOf, runIn } from '../../support/store.ts'

// Every statement that the store runs, as SQLite would run it: through the index that was made for it, without
// a scan of a table and without sorting. What runs is read from the driver, not from the code.

interface Planned {
  sql: string
  plan: string[]
}

interface Stage {
  store: Store
  ledger: Ledger
  run_id: string
  step_attempt_id: string
}

/** The plans of what `act` makes the store run. */
async function plansOf(act: (stage: Stage) => Promise<unknown>): Promise<Planned[]> {
  let ran: string[] = []
  const db = new Database(':memory:', { verbose: (sql) => void ran.push(String(sql)) })
  applyMigrations(db, MIGRATIONS, NOW)
  const store = sqliteStore(db, { write_queue_max: 100 })
  const ledger = ledgerOf(store)
  const { run_id } = await runIn(ledger, 'running')
  const { step_attempt_id } = await ledger.createStep(run_id)
  ran = []
  await act({ store, ledger, run_id, step_attempt_id })
  const statements = ran.filter((sql) => /^\s*(SELECT|UPDATE|DELETE)/.test(sql))
  const plans = statements.map((sql) => ({
    sql,
    plan: planOf(db, sql),
  }))
  await store.close()
  return plans
}

/** A covering index is the same one, used without the table. */
const planOf = (db: Connection, sql: string): string[] =>
  (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map(({ detail }) =>
    detail.replace('COVERING INDEX', 'INDEX'),
  )

/** The walk of a table, without what belongs to JSON lists, subqueries and co-routines. */
const walks = (planned: Planned[]): string[] =>
  planned
    .flatMap(({ plan }) => plan)
    .filter(
      (detail) => /^(SEARCH|SCAN)/.test(detail) && !/VIRTUAL TABLE|^SCAN walked$|CONSTANT ROW/.test(detail),
    )

const BY_RUN_ID = 'SEARCH runs USING INDEX sqlite_autoindex_runs_1 (run_id=?)'
const BY_STEP_ID = 'SEARCH step_attempts USING INDEX sqlite_autoindex_step_attempts_1 (step_attempt_id=?)'
const BY_TOOL_ID = 'SEARCH tools USING INDEX sqlite_autoindex_tools_1 (tool_id=?)'
const ACTIVE = [
  'SEARCH router_configs USING INTEGER PRIMARY KEY (rowid=?)',
  'SEARCH router_activation USING INTEGER PRIMARY KEY (rowid=?)',
]
const SYSTEM_END = 'SEARCH events USING INDEX sqlite_autoindex_events_1 (run_id=?)'
const BESIDE_AN_ATTEMPT = [
  'SEARCH earlier USING INDEX sqlite_autoindex_step_attempts_1 (step_attempt_id=?) LEFT-JOIN',
  'SEARCH request USING INDEX sqlite_autoindex_execution_requests_1 (execution_request_id=?) LEFT-JOIN',
]
const LAST_EVENT = 'SCAN events'

const cases: [name: string, act: (stage: Stage) => Promise<unknown>, expected: string[]][] = [
  ['createStepAttempt', async ({ ledger, run_id }) => ledger.createStep(run_id), [BY_RUN_ID, BY_RUN_ID]],
  ['getRun', async ({ store, run_id }) => store.getRun(run_id, ANYBODY), [BY_RUN_ID]],
  [
    'getStepAttempt',
    async ({ store, step_attempt_id }) => store.getStepAttempt(step_attempt_id, ANYBODY),
    [BY_STEP_ID, BY_RUN_ID],
  ],
  [
    'completeStepAttempt: what may open a circuit reads the end of its chain',
    async ({ ledger, step_attempt_id }) => ledger.completeStep(step_attempt_id, { status: 'failed' }),
    [BY_STEP_ID, BY_RUN_ID, BY_TOOL_ID, ...ACTIVE, SYSTEM_END, BY_STEP_ID, BY_RUN_ID],
  ],
  [
    'completeStepAttempt: a success does not',
    async ({ ledger, step_attempt_id }) => ledger.completeStep(step_attempt_id, { status: 'succeeded' }),
    [BY_STEP_ID, BY_RUN_ID, BY_TOOL_ID, ...ACTIVE, BY_STEP_ID, BY_RUN_ID],
  ],
  [
    'cancelRun: its running attempts, however many have ended',
    async ({ ledger, run_id }) => ledger.cancelRun(run_id),
    [
      BY_RUN_ID,
      'SEARCH step_attempts USING INDEX step_attempts_running (run_id=?)',
      BY_TOOL_ID,
      BY_STEP_ID,
      BY_RUN_ID,
    ],
  ],
  [
    'createStepAttempt at a sequence: the newest attempt there',
    async ({ ledger, run_id }) => ledger.createStep(run_id, { sequence: 7 }),
    [
      BY_RUN_ID,
      'SEARCH step_attempts USING INDEX sqlite_autoindex_step_attempts_2 (run_id=? AND sequence=?)',
      BY_RUN_ID,
    ],
  ],
  [
    'the record of an idempotency key',
    async ({ store }) => store.view({ claim: { key: 'k', fingerprint: 'f' } }, () => null),
    ['SEARCH idempotency_keys USING INDEX sqlite_autoindex_idempotency_keys_1 (key=?)'],
  ],
  [
    'forgetKeys: the oldest by their rowid',
    async ({ store }) => store.forgetKeys(NOW, 10),
    ['SEARCH idempotency_keys USING INTEGER PRIMARY KEY (rowid=?)', 'SCAN idempotency_keys'],
  ],
  [
    'the end of the chain without a run',
    async ({ store }) => store.view({ system: true }, () => null),
    [SYSTEM_END],
  ],
  [
    'readChain',
    async ({ store, run_id }) => store.readChain(run_id, { run_seq: 0, limit: 10 }),
    ['SEARCH events USING INDEX sqlite_autoindex_events_1 (run_id=? AND run_seq>?)'],
  ],
  [
    'readSummary: its attempts by their ids, and of what is beside them one row each',
    async ({ store, run_id, step_attempt_id }) =>
      store.readSummary(run_id, { after: '', limit: 10, again: [step_attempt_id] }),
    [
      'SEARCH step USING INDEX step_attempts_by_run (run_id=? AND step_attempt_id>?)',
      ...BESIDE_AN_ATTEMPT,
      BY_RUN_ID,
      'SEARCH execution_requests USING INDEX execution_requests_blocked (run_id=?)',
      'SEARCH leases USING INDEX leases_by_run (run_id=?)',
      'SEARCH step USING INDEX sqlite_autoindex_step_attempts_1 (step_attempt_id=?)',
      ...BESIDE_AN_ATTEMPT,
    ],
  ],
  ['lastInstant: the last row, and no more', async ({ store }) => store.lastInstant(), [LAST_EVENT]],
  ['ping', async ({ store }) => store.ping(), [LAST_EVENT]],
]

describe('the plan of', () => {
  it.each(cases)('%s', async (_name, act, expected) => {
    const planned = await plansOf(act)
    expect(walks(planned)).toEqual(expected)
  })
})

const RUN_WALKS: [name: string, query: RunsQuery, walk: RegExp][] = [
  ['all runs', {}, /^SEARCH runs USING INDEX sqlite_autoindex_runs_1 \(run_id>\? AND run_id<\?\)$/],
  [
    'one project',
    { project_id: ['shop'] },
    /^SEARCH runs USING INDEX runs_by_project \(project_id=\? AND run_id>\? AND run_id<\?\)$/,
  ],
  [
    'one state',
    { state: ['failed'] },
    /^SEARCH runs USING INDEX runs_by_state \(state=\? AND run_id>\? AND run_id<\?\)$/,
  ],
  [
    'one label',
    { label: ['team:core'], state: ['failed'], project_id: ['shop'] },
    /^SEARCH walked_label USING PRIMARY KEY \(key=\? AND value=\? AND run_id>\? AND run_id<\?\)$/,
  ],
  [
    'two projects',
    { project_id: ['shop', 'bank'] },
    /^SEARCH runs USING INDEX sqlite_autoindex_runs_1 \(run_id>/,
  ],
  [
    'two labels',
    { label: ['team:core', 'a:b'] },
    /^SEARCH runs USING INDEX sqlite_autoindex_runs_1 \(run_id>/,
  ],
]

describe.each(['asc', 'desc'] as const)('a list walks an index in its own order, %s:', (order) => {
  it.each(RUN_WALKS)('%s', async (_name, query, walk) => {
    const planned = await plansOf(async ({ store }) => store.listRuns({ order, ...query }, ANYBODY))
    for (const { plan } of planned) {
      expect(plan.find((detail) => /^(SEARCH|SCAN) (runs|walked_label)\b/.test(detail))).toMatch(walk)
      expect(plan.join('\n')).not.toContain('TEMP B-TREE')
    }
    expect(planned.length).toBeGreaterThan(0)
  })

  it.each([
    ['retrying', 'SEARCH request USING INDEX execution_requests_retrying (run_id=?)'],
    ['stalled', 'SEARCH events USING INDEX sqlite_autoindex_events_1 (run_id=? AND run_seq=?)'],
    ['stalled', 'SEARCH leases USING INDEX leases_by_run (run_id=? AND heartbeat_at>?)'],
    ['circuit_open', 'SEARCH request USING INDEX execution_requests_queued_in_run (run_id=? AND tool_id=?)'],
    ['failed_requests', 'SEARCH runs USING INDEX runs_with_failed_requests (run_id>? AND run_id<?)'],
  ] as const)('what needs attention, and asks each run with one seek: %s, %s', async (reason, seek) => {
    const attention = { reasons: [reason], stalled_for: 600, now: NOW }
    const planned = await plansOf(async ({ store }) => store.listRuns({ order, attention }, ANYBODY))
    expect(planned[0]!.plan).toContain(seek)
    for (const { plan } of planned) {
      expect(plan).toContain('MERGE (UNION ALL)')
      expect(plan).toContain('SEARCH runs USING INDEX runs_by_state (state=? AND run_id>? AND run_id<?)')
      expect(
        plan.filter((detail) => detail.startsWith('SCAN') && !/VIRTUAL TABLE|walked|tools$/.test(detail)),
      ).toEqual([])
      expect(plan.filter((detail) => detail.startsWith('CORRELATED LIST'))).toEqual([]) // the tools: once
    }
    expect(planned).toHaveLength(2)
    expect(sorts(planned)).toEqual([])
  })

  it('the step attempts of a run', async () => {
    const planned = await plansOf(async ({ store, run_id }) =>
      store.listStepAttempts(run_id, { order }, ANYBODY),
    )
    expect(new Set(walks(planned))).toEqual(
      new Set([
        BY_RUN_ID,
        'SEARCH step_attempts USING INDEX step_attempts_by_run (run_id=? AND step_attempt_id>? AND step_attempt_id<?)',
      ]),
    )
    expect(sorts(planned)).toEqual([])
  })

  it('the events of a run', async () => {
    const query = { order, kind: ['note', 'run_created'] }
    const planned = await plansOf(async ({ store, run_id }) => store.listRunEvents(run_id, query, ANYBODY))
    expect(new Set(walks(planned))).toEqual(
      new Set([
        BY_RUN_ID,
        'SEARCH events USING INDEX sqlite_autoindex_events_1 (run_id=? AND run_seq>? AND run_seq<?)',
      ]),
    )
    expect(sorts(planned)).toEqual([])
  })

  it('all events', async () => {
    const query = { order, kind: ['note'], project_id: ['shop', 'bank'] }
    const planned = await plansOf(async ({ store }) => store.listEvents(query, { projects: ['shop'] }))
    expect(new Set(walks(planned).map((walk) => walk.replace(/ LEFT-JOIN$/, '')))).toEqual(
      new Set(['SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)', BY_RUN_ID]),
    )
    expect(sorts(planned)).toEqual([])
  })
})

describe('no statement of all', () => {
  it('sorts, and only the reads of an end scan', async () => {
    const claim = { key: 'k', fingerprint: 'f' }
    const planned = await plansOf(async (stage) => {
      for (const [, act] of cases.slice(1, 4)) await act(stage)
      const { store, ledger, run_id, step_attempt_id } = stage
      await ledger.retryStep(step_attempt_id)
      await ledger.updateRun(run_id, { labels: { team: 'core' } })
      await ledger.updateRun(run_id, { labels: { team: 'web' } })
      await ledger.appendEvent(run_id, { kind: 'note', step_attempt_id })
      const present = () => ({ status: 200, body: '', etag: null, location: null })
      const nothing = once({ claim, present, now: NOW }, () => ({
        changes: [],
        events: [],
        result: () => null,
      }))
      await store.change({ claim }, nothing)
      const anchor = { seq: 1, count: 1, hash: 'ab' }
      await store.change({ system: true }, (before) => recordLoss(before, given(), anchor))
      await ledger.quarantineRun(run_id)
    })
    expect(planned.length).toBeGreaterThan(20)
    expect(sorts(planned)).toEqual([])
    expect(planned.filter(({ plan }) => plan.some((detail) => detail.startsWith('SCAN')))).toEqual([])
  })
})

const sorts = (planned: Planned[]): Planned[] =>
  planned.filter(({ plan }) => plan.some((detail) => detail.includes('TEMP B-TREE')))

describe('every read that is sorted or bounded', () => {
  it('has no parameter for which SQLite would prepare it anew each time', () => {
    const texts: string[] = []
    const db = new Database(':memory:')
    applyMigrations(db, MIGRATIONS, NOW)
    const prepare = db.prepare.bind(db)
    db.prepare = (sql: string) => {
      texts.push(sql)
      return prepare(sql)
    }
    sqliteStore(db, { write_queue_max: 1 })
    const sorted = texts.filter((sql) => /ORDER BY|LIMIT/.test(sql))
    expect(sorted.length).toBeGreaterThan(20)
    // Within a list of JSON a parameter has no part in the plan.
    const bare = sorted.filter((sql) => /(?<!\bvalue) = \?|LIMIT \?(?! \+ 0)/.test(sql))
    expect(bare).toEqual([])
  })
})

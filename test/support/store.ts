import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import type { AppendRunEvent, Event } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { CreateRun, Run, UpdateRun } from '../../src/contract/run.ts'
import type { CompleteStepAttempt, CreateStepAttempt, StepAttempt } from '../../src/contract/step.ts'
import type { Decision, Given, Scope, Snapshot } from '../../src/domain/decision.ts'
import { appendRunEvent } from '../../src/domain/event.ts'
import { chainStart, checkChain, checkHead } from '../../src/domain/event-chain.ts'
import { cancelRun, completeRun, createRun, quarantineRun, startRun } from '../../src/domain/run.ts'
import { updateRun } from '../../src/domain/run-update.ts'
import { completeStepAttempt, createStepAttempt, retryStepAttempt } from '../../src/domain/step.ts'
import type { Store } from '../../src/store/store.ts'
import { type Connection, openWriter } from '../../src/store/sqlite/connection.ts'
import { applyMigrations, readMigrations } from '../../src/store/sqlite/migrate.ts'
import { type SqliteStoreOptions, sqliteStore } from '../../src/store/sqlite/store.ts'
import { RUN_BODY, STEP_BODY } from './builders.ts'
import { fold } from './fold.ts'
import { ANYBODY, NOW, givens } from './given.ts'

/** The migrations that are shipped. */
export const MIGRATIONS = readMigrations(fileURLToPath(new URL('../../migrations/sqlite', import.meta.url)))

/** A directory of this test alone; gone when it ends. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'signalbox-test-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Gives an empty store of its kind, which is closed when the test ends. */
export type OpenStore = () => Promise<Store>

export interface OpenedTestStore {
  db: Connection
  store: Store
}

type Options = Partial<Pick<SqliteStoreOptions, 'write_queue_max' | 'group_max' | 'onGroup'>>

/** A store over the real migrations, in a file or in memory; closed when the test ends. */
export function openTestStore(
  file: string,
  { write_queue_max = 4_096, ...rest }: Options = {},
): OpenedTestStore {
  const db = openWriter(file)
  applyMigrations(db, MIGRATIONS, NOW)
  const store = sqliteStore(db, { write_queue_max, ...rest })
  onTestFinished(() => (db.open ? store.close() : undefined))
  return { db, store }
}

export const openMemoryStore = (options: Options = {}): OpenedTestStore => openTestStore(':memory:', options)

export const openFileStore = (options: Options = {}): OpenedTestStore & { file: string } => {
  const file = join(tempDir(), 'signalbox.db')
  return { file, ...openTestStore(file, options) }
}

export type Ledger = ReturnType<typeof ledgerOf>

/**
 * Writes into a store as the server does: the decisions of the domain at the store's own port, each with the
 * scope that it needs. Time moves by `step_ms` with every write.
 */
export function ledgerOf(store: Store, { start = NOW, step_ms = 1_000 } = {}) {
  const next = givens({ start, step_ms })
  type With = Partial<Given>

  function write<T>(scope: Scope, who: With, decide: (before: Snapshot, given: Given) => Decision<T>) {
    const given = next(who)
    return store.change(scope, (before) => decide(before, given))
  }
  const closing = (run_id: string) => ({ run_id, open: true })

  return {
    createRun: (body: Partial<CreateRun> = {}, who: With = {}): Promise<Run> =>
      write({}, who, (before, given) => createRun(before, given, { ...RUN_BODY, ...body }, null)),
    startRun: (run_id: string, who: With = {}): Promise<Run> => write({ run_id }, who, startRun),
    succeedRun: (run_id: string, who: With = {}): Promise<Run> =>
      write(closing(run_id), who, (before, given) => completeRun(before, given, { status: 'succeeded' })),
    failRun: (run_id: string, who: With = {}): Promise<Run> =>
      write(closing(run_id), who, (before, given) =>
        completeRun(before, given, { status: 'failed', exit_code: 2, error_message: 'two tests failed' }),
      ),
    quarantineRun: (run_id: string, who: With = {}): Promise<Run> =>
      write(closing(run_id), who, (before, given) =>
        quarantineRun(before, given, { reason: 'corrupted worktree' }),
      ),
    cancelRun: (run_id: string, who: With = {}): Promise<Run> =>
      write(closing(run_id), who, (before, given) => cancelRun(before, given, { reason: 'superseded' })),
    updateRun: (run_id: string, body: UpdateRun, who: With = {}): Promise<Run> =>
      write({ run_id }, who, (before, given) => updateRun(before, given, body)),
    createStep: (
      run_id: string,
      body: Partial<CreateStepAttempt> = {},
      who: With = {},
    ): Promise<StepAttempt> =>
      write(
        { run_id, ...(body.sequence == null ? {} : { newest_at: body.sequence }) },
        who,
        (before, given) => createStepAttempt(before, given, { ...STEP_BODY, ...body }),
      ),
    completeStep: (
      step_attempt_id: string,
      body: CompleteStepAttempt,
      who: With = {},
    ): Promise<StepAttempt> =>
      write({ step_attempt_id, system: body.status === 'failed' || 'circuits' }, who, (before, given) =>
        completeStepAttempt(before, given, body),
      ),
    retryStep: (step_attempt_id: string, who: With = {}): Promise<StepAttempt> =>
      write({ step_attempt_id, newest_at: 'step' }, who, (before, given) =>
        retryStepAttempt(before, given, {}),
      ),
    appendEvent: (run_id: string, body: AppendRunEvent, who: With = {}): Promise<Event> =>
      write(
        { run_id, ...(body.step_attempt_id == null ? {} : { step_attempt_id: body.step_attempt_id }) },
        who,
        (before, given) => appendRunEvent(before, given, body),
      ),
  }
}

/** A run that took the shortest way into a state. */
export async function runIn(
  ledger: Ledger,
  state: Run['state'],
  body: Partial<CreateRun> = {},
): Promise<Run> {
  const run = await ledger.createRun(body)
  if (state === 'pending') return run
  if (state === 'canceled') return ledger.cancelRun(run.run_id)
  const running = await ledger.startRun(run.run_id)
  if (state === 'running') return running
  if (state === 'succeeded') return ledger.succeedRun(run.run_id)
  if (state === 'failed') return ledger.failRun(run.run_id)
  return ledger.quarantineRun(run.run_id)
}

/** All pages of a list, by its cursors. */
export async function pagesOf<T>(
  list: (cursor: { cursor?: string }) => Promise<{ items: T[]; next_cursor: string | null } | null>,
): Promise<T[][]> {
  const pages: T[][] = []
  let cursor: string | null = null
  do {
    const page: { items: T[]; next_cursor: string | null } | null = await list(
      cursor === null ? {} : { cursor },
    )
    if (page === null) throw new Error('there is no such list')
    pages.push(page.items)
    cursor = page.next_cursor
  } while (cursor !== null)
  return pages
}

export const eventsOf = async (store: Store, run_id: string): Promise<Event[]> =>
  (await pagesOf((cursor) => store.listRunEvents(run_id, { limit: 500, ...cursor }, ANYBODY))).flat()

export const stepsOf = async (store: Store, run_id: string): Promise<StepAttempt[]> =>
  (await pagesOf((cursor) => store.listStepAttempts(run_id, { limit: 500, ...cursor }, ANYBODY))).flat()

export const requestsOf = async (store: Store, run_id: string): Promise<ExecutionRequest[]> =>
  (
    await pagesOf((cursor) =>
      store.listExecutionRequests({ run_id: [run_id], order: 'asc', limit: 500, ...cursor }, ANYBODY),
    )
  ).flat()

/** What must be true of a run at any time: its events fold to its rows, and its chain holds to its end. */
export async function expectSound(store: Store, run_id: string): Promise<void> {
  const [run, step_attempts, execution_requests, events, kept] = await Promise.all([
    store.getRun(run_id, ANYBODY),
    stepsOf(store, run_id),
    requestsOf(store, run_id),
    eventsOf(store, run_id),
    store.readChain(run_id, { run_seq: 0, limit: 100_000 }),
  ])
  const { run: book } = await store.view({ run_id }, (before) => before)
  expect(fold(events)).toEqual({ run, step_attempts, execution_requests })
  const check = checkHead(checkChain({ head: chainStart(run_id), first_bad: null }, kept), book!)
  expect(check.first_bad).toBeNull()
  expect(kept.map(({ run_seq }) => run_seq)).toEqual(kept.map((_event, index) => index + 1))
}

/** Everything that a database holds, to see that nothing was written. */
export function dumpOf(db: Connection): Record<string, unknown[]> {
  const tables = db
    .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all()
  return Object.fromEntries(tables.map((table) => [table, db.prepare(`SELECT * FROM "${table}"`).all()]))
}

import type { CompiledRouter } from '../../domain/compiled-router.ts'
import type { Scope, Snapshot, ToolBook } from '../../domain/decision.ts'
import { sees } from '../../domain/guard.ts'
import type { CommittedGroup, Store, StoreReads, Viewer } from '../store.ts'
import { type Connection, openWriter } from './connection.ts'
import { translated } from './errors.ts'
import { loadDispatch } from './dispatch.ts'
import { eventFeed } from './event-feed.ts'
import { eventList, runEventList } from './event-list.ts'
import { fileSizes } from './file-sizes.ts'
import { executionRequestList } from './execution-request-list.ts'
import { GroupCommit } from './group-commit.ts'
import { longReads } from './long-reads.ts'
import { LongWrite } from './long-write.ts'
import {
  type RouterReads,
  loadFallback,
  loadRouter,
  routerReads,
  thresholdsOf,
  toolsOfAttempts,
} from './router.ts'
import { runList } from './run-list.ts'
import { summaryReads } from './run-summary.ts'
import { stepList } from './step-list.ts'
import { type Tables, tablesOf } from './tables.ts'
import { loadPlan, mayRoute } from './task-needs.ts'
import { loadValidation } from './validations.ts'
import { atOnce, isLong, writing } from './writing.ts'
import { workerReads } from './worker-list.ts'

export interface SqliteStoreOptions {
  /** How many writes may wait before more are refused with `overloaded`. */
  write_queue_max: number
  /** 1 makes a transaction of every write: a switch of the bench. */
  group_max?: number
  /** After every commit that may have written something. */
  onCommit?: () => void
  /** Told of each commit that carried something. */
  onGroup?: (group: CommittedGroup) => void
  /** When the last write has settled, and the database can still be read. */
  beforeClose?: () => Promise<void>
}

/** The store over a connection that is open, migrated and checked (open.ts). */
export function sqliteStore(db: Connection, options: SqliteStoreOptions): Store {
  const tables = tablesOf(db)
  const load = loader(tables)
  const { write_queue_max: waiting_max, beforeClose, ...rest } = options
  const group = new GroupCommit(db, { waiting_max, ...rest })
  const aside = db.memory ? null : createAside(db.name)
  const long = longReads(db)
  const readSummary = summaryReads(db, tables.runs)
  return {
    ...readsOf(db, tables),
    ...routerReads(db, { tables: tables.router, reading, long }),

    change: (scope, decide) =>
      group.join(() => {
        const decision = decide(load(scope)) // throws before anything is written: a refusal needs no savepoint
        if (!isLong(decision) || aside === null) return atOnce(writing(tables, scope, decision))
        return new LongWrite(() => {
          const { db, tables } = aside.opened()
          return { db, steps: writing(tables, scope, decision) }
        })
      }),

    view: (scope, read) => reading(() => read(load(scope))),
    readChain: (run_id, { run_seq, limit }) => reading(() => tables.events.chain(run_id, run_seq, limit)),
    readSummary: (run_id, part) => reading(() => readSummary(run_id, part)),
    statistics: (window, { projects }, signal) => long.run('statistics', { window, projects }, signal),
    lastInstant: () => reading(() => tables.events.tail()?.ts ?? null),
    dueRequests: (now, limit) => reading(() => tables.dispatch.due.requests(now, limit)),
    availableTools: (after, now) => reading(() => tables.dispatch.due.available(after, now)),
    recoveringTools: (after, now) => reading(() => tables.dispatch.due.recovering(after, now)),
    resumedTools: (after, now) => reading(() => tables.dispatch.due.resumed(after, now)),
    hasQueued: (tool_id, now) => reading(() => tables.dispatch.hasQueued(tool_id, now)),
    queuedTools: () => reading(() => tables.dispatch.queued.tools()),
    countQueued: (tool_id, part) => reading(() => tables.dispatch.queued.count(tool_id, part)),
    queuedSince: (tool_id) => reading(() => tables.dispatch.queued.since(tool_id)),
    openCircuits: (now) => reading(() => tables.dispatch.barred.tools(now)),
    waitingBehind: (tool_id, after, asked) =>
      reading(() => tables.dispatch.barred.waiting(tool_id, after, asked)),
    nextDue: (now) => reading(() => tables.dispatch.due.next(now)),
    forgetKeys: (older_than, limit) => group.join(() => tables.keys.forget(older_than, limit)),
    figures: () => ({ writes_waiting: group.waiting, ...fileSizes(db) }),
    ping: () => reading(() => void tables.events.tail()),

    async close() {
      await long.close()
      await group.idle()
      aside?.close()
      await beforeClose?.()
      checkpoint(db)
      db.close()
    },
  }
}

/** A second connection, for long writes: most servers never need it. */
function createAside(file: string) {
  let known: { db: Connection; tables: Tables } | null = null
  return {
    opened() {
      if (known === null) {
        const db = openWriter(file)
        known = { db, tables: tablesOf(db) }
      }
      return known
    },
    close: () => known?.db.close(),
  }
}

/** Leaves one file without a WAL. Where the disk does not let it, the WAL stays, and the next start reads it. */
function checkpoint(db: Connection): void {
  try {
    db.pragma('wal_checkpoint(TRUNCATE)')
  } catch (error) {
    if (translated(error) === error) throw error
  }
}

/** The reads of runs and what is in them; those of the router are in router.ts. */
type LedgerReads = Omit<StoreReads, keyof RouterReads>

function loader(tables: Tables): (scope: Scope) => Snapshot {
  const { runs, steps, requests, needs, events, keys, router, dispatch } = tables
  return (scope) => {
    const beside = besideOf({ runs, requests, router })
    const { execution_request_id, newest_at } = scope
    const request = execution_request_id === undefined ? null : requests.get(execution_request_id)
    const step_attempt_id = scope.step_attempt_id ?? (scope.lease === true ? request?.step_attempt_id : null)
    const step_attempt = step_attempt_id == null ? null : steps.get(step_attempt_id)
    const run_id = scope.run_id ?? step_attempt?.run_id ?? request?.run_id
    const run = run_id === undefined ? null : runs.get(run_id)
    const plan = loadPlan(needs, scope, { request, run_id }, beside.getTool)
    const validation = loadValidation(tables, scope, request)
    const decides = validation.named_by !== null || mayRoute(scope, request, validation.work?.plan ?? plan)
    const routing = decides ? ({ routing: 'active' } as const) : {}
    const sequence = newest_at === 'step' ? step_attempt?.sequence : newest_at
    const asks = scope.open === true && run !== null ? run : null
    const ends = scope.system !== undefined && step_attempt?.state === 'running' ? step_attempt : null
    const running = asks !== null && asks.steps_running > 0 ? steps.running(run_id!) : []
    const tools = toolsOfAttempts([step_attempt, ...running], beside.getTool)
    const work = loadDispatch(dispatch, scope, request, beside)
    return {
      run,
      step_attempt,
      request,
      running,
      open_requests: asks !== null && asks.requests.open > 0 ? requests.open(run_id!) : [],
      tools,
      thresholds: ends === null ? null : thresholdsOf(beside.activeRouter(), ends),
      plan,
      validation,
      newest: run === null || sequence === undefined ? null : steps.newest(run_id!, sequence),
      system: asksSystem(scope, tools, router) ? events.systemHead() : null,
      ...loadRouter(router, { ...scope, ...routing }),
      fallback: loadFallback(router, scope, request),
      ...work,
      remembered: scope.claim == null ? null : keys.get(scope.claim.key),
    }
  }
}

/** What other tables give, each asked at most once. */
function besideOf({ runs, requests, router }: Pick<Tables, 'runs' | 'requests' | 'router'>) {
  let active: CompiledRouter | null = null
  const tools = new Map<string, ToolBook | null>()
  const getTool = (tool_id: string): ToolBook | null => {
    const known = tools.get(tool_id)
    if (known !== undefined) return known
    const tool = router.tools.kept(tool_id)
    tools.set(tool_id, tool)
    return tool
  }
  return {
    getRun: runs.get,
    getRequest: requests.get,
    activeRouter: () => (active ??= router.configs.active()),
    getTool,
  }
}

/** Circuits move seldom: only then the end of their chain is worth a look. Of a queue, any may be one that moves. */
function asksSystem(
  { system, queue, next }: Scope,
  ended: Snapshot['tools'],
  { tools }: Tables['router'],
): boolean {
  if (system !== 'circuits') return system === true
  const isOpen = [...ended.values()].some(({ circuit }) => circuit.state !== 'closed')
  return isOpen || ((queue ?? next) !== undefined && tools.isAnyCircuitOpen())
}

function readsOf(db: Connection, tables: Tables): LedgerReads {
  const { runs, steps, requests, events, dispatch, router } = tables
  const workers = workerReads(db, dispatch)
  const feed = eventFeed(db, { runs, events })
  const lists = {
    runs: runList(db),
    steps: stepList(db),
    requests: executionRequestList(db),
    runEvents: runEventList(db),
    events: eventList(db),
  }
  const visible = (run_id: string, viewer: Viewer) => {
    const book = runs.get(run_id)
    return book !== null && sees(viewer, book.run.project_id) ? book.run : null
  }
  return {
    getRun: (run_id, viewer) => reading(() => visible(run_id, viewer)),
    getStepAttempt: (step_attempt_id, viewer) =>
      reading(() => {
        const step = steps.get(step_attempt_id)
        return step !== null && visible(step.run_id, viewer) !== null ? step : null
      }),
    listRuns: (query, viewer) => reading(() => lists.runs(query, viewer)),
    listStepAttempts: (run_id, query, viewer) =>
      reading(() => (visible(run_id, viewer) === null ? null : lists.steps(run_id, query))),
    listRunEvents: (run_id, query, viewer) =>
      reading(() => (visible(run_id, viewer) === null ? null : lists.runEvents(run_id, query))),
    listEvents: (query, viewer) => reading(() => lists.events(query, viewer)),
    readFeed: (after, filters, viewer) => reading(() => feed.all(after, filters, viewer)),
    readRunFeed: (run_id, after, filters, viewer) =>
      reading(() => (visible(run_id, viewer) === null ? null : feed.ofRun(run_id, after, filters))),
    getExecutionRequest: (execution_request_id, viewer) =>
      reading(() => {
        const request = requests.get(execution_request_id)
        if (request === null || !sees(viewer, request.project_id)) return null
        const { run_id, sequence } = request
        const step_attempts = sequence === null ? [] : steps.toldOf(run_id, sequence)
        const decisions = router.routes.toldOf(execution_request_id)
        const told = tables.validations.toldOf(execution_request_id)
        return { ...request, decisions, step_attempts, validations: told }
      }),
    getWorker: (worker_id, viewer) => reading(() => workers.get(worker_id, viewer)),
    listWorkers: (query, viewer) => reading(() => workers.list(query, viewer)),
    listExecutionRequests: (query, viewer) => reading(() => lists.requests(query, viewer)),
  }
}

/** Reads happen between groups, in one synchronous turn: they see committed state only. */
async function reading<T>(query: () => T): Promise<T> {
  try {
    return query()
  } catch (error) {
    throw translated(error)
  }
}

import type { Decision, Scope, Snapshot } from '../../domain/decision.ts'
import { sees } from '../../domain/guard.ts'
import type { Store, StoreReads, Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { translated } from './errors.ts'
import { eventList, runEventList } from './event-list.ts'
import { eventsTable } from './events.ts'
import { GroupCommit } from './group-commit.ts'
import { idempotencyKeysTable } from './idempotency-keys.ts'
import { runList } from './run-list.ts'
import { runsTable } from './runs.ts'
import { stepAttemptsTable } from './step-attempts.ts'
import { stepList } from './step-list.ts'

export interface SqliteStoreOptions {
  /** How many writes may wait before more are refused with `overloaded`. */
  write_queue_max: number
  /** 1 makes a transaction of every write: a switch of the bench. */
  group_max?: number
  /** After every commit that may have written something. */
  onCommit?: () => void
  /** When the last write has settled, and the database can still be read. */
  beforeClose?: () => Promise<void>
}

/** The store over a connection that is open, migrated and checked (open.ts). */
export function sqliteStore(db: Connection, options: SqliteStoreOptions): Store {
  const tables = tablesOf(db)
  const load = loader(tables)
  const { write_queue_max: waiting_max, beforeClose, ...rest } = options
  const group = new GroupCommit(db, { waiting_max, ...rest })
  return {
    ...readsOf(db, tables),

    change: (scope, decide) =>
      group.join(() => {
        const decision = decide(load(scope)) // throws before anything is written: a refusal needs no savepoint
        return write(tables, scope, decision)
      }),

    view: (scope, read) => reading(() => read(load(scope))),
    readChain: (run_id, { run_seq, limit }) => reading(() => tables.events.chain(run_id, run_seq, limit)),
    lastInstant: () => reading(() => tables.events.tail()?.ts ?? null),
    forgetKeys: (older_than, limit) => group.join(() => tables.keys.forget(older_than, limit)),
    ping: () => reading(() => void tables.events.tail()),

    async close() {
      await group.idle()
      await beforeClose?.()
      checkpoint(db)
      db.close()
    },
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

type Tables = ReturnType<typeof tablesOf>

const tablesOf = (db: Connection) => ({
  runs: runsTable(db),
  steps: stepAttemptsTable(db),
  events: eventsTable(db),
  keys: idempotencyKeysTable(db),
})

function loader({ runs, steps, events, keys }: Tables): (scope: Scope) => Snapshot {
  return (scope) => {
    const step_attempt = scope.step_attempt_id === undefined ? null : steps.get(scope.step_attempt_id)
    const run_id = scope.run_id ?? step_attempt?.run_id
    const run = run_id === undefined ? null : runs.get(run_id)
    const sequence = scope.newest_at === 'step' ? step_attempt?.sequence : scope.newest_at
    return {
      run,
      step_attempt,
      running: scope.running === true && run !== null && run.steps_running > 0 ? steps.running(run_id!) : [],
      newest: run === null || sequence === undefined ? null : steps.newest(run_id!, sequence),
      system: scope.system === true ? events.systemHead() : null,
      remembered: scope.claim == null ? null : keys.get(scope.claim.key),
    }
  }
}

/** All of it inside the transaction that the group holds open. */
function write<T>({ runs, steps, events, keys }: Tables, { claim }: Scope, decision: Decision<T>): T {
  for (const change of decision.changes) {
    if (change.record === 'run') runs.write(change.before, change.after)
    else steps.write(change.before, change.after)
  }
  const result = decision.result(decision.events.map(events.append))
  const remembered = decision.remember?.(result) ?? null
  if (remembered !== null && claim != null) keys.write(claim.key, remembered)
  return result
}

function readsOf(db: Connection, { runs, steps }: Tables): StoreReads {
  const lists = { runs: runList(db), steps: stepList(db), runEvents: runEventList(db), events: eventList(db) }
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

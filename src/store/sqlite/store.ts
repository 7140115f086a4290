import type { Scope, Snapshot } from '../../domain/decision.ts'
import { sees } from '../../domain/guard.ts'
import type { Store, Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { translated } from './errors.ts'
import { eventList, runEventList } from './event-list.ts'
import { eventsTable } from './events.ts'
import { groupCommit } from './group-commit.ts'
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
  const runs = runsTable(db)
  const steps = stepAttemptsTable(db)
  const events = eventsTable(db)
  const keys = idempotencyKeysTable(db)
  const listed = {
    runs: runList(db),
    steps: stepList(db),
    runEvents: runEventList(db),
    events: eventList(db),
  }
  const { write_queue_max: waiting_max, beforeClose, ...rest } = options
  const group = groupCommit(db, { waiting_max, ...rest })

  function load(scope: Scope): Snapshot {
    const remembered = scope.claim == null ? null : keys.get(scope.claim.key)
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
      remembered,
    }
  }

  /** Reads happen between groups, in one synchronous turn: they see committed state only. */
   
  async function read<T>(query: () => T): Promise<T> {
    try {
      return query()
    } catch (error) {
      throw translated(error)
    }
  }

  const visible = (run_id: string, viewer: Viewer) => {
    const book = runs.get(run_id)
    return book !== null && sees(viewer, book.run.project_id) ? book.run : null
  }

  return {
    change: (scope, decide) =>
      group.join(() => {
        const decision = decide(load(scope)) // throws before anything is written: a refusal needs no savepoint
        for (const change of decision.changes) {
          if (change.record === 'run') runs.write(change.before, change.after)
          else steps.write(change.before, change.after)
        }
        const result = decision.result(decision.events.map(events.append))
        const remember = decision.remember?.(result) ?? null
        if (remember !== null && scope.claim != null) keys.write(scope.claim.key, remember)
        return result
      }),

    view: (scope, readSnapshot) => read(() => readSnapshot(load(scope))),
    getRun: (run_id, viewer) => read(() => visible(run_id, viewer)),
    getStepAttempt: (step_attempt_id, viewer) =>
      read(() => {
        const step = steps.get(step_attempt_id)
        return step !== null && visible(step.run_id, viewer) !== null ? step : null
      }),
    listRuns: (query, viewer) => read(() => listed.runs(query, viewer)),
    listStepAttempts: (run_id, query, viewer) =>
      read(() => (visible(run_id, viewer) === null ? null : listed.steps(run_id, query))),
    listRunEvents: (run_id, query, viewer) =>
      read(() => (visible(run_id, viewer) === null ? null : listed.runEvents(run_id, query))),
    listEvents: (query, viewer) => read(() => listed.events(query, viewer)),
    readChain: (run_id, { run_seq, limit }) => read(() => events.chain(run_id, run_seq, limit)),
    lastInstant: () => read(() => events.tail()?.ts ?? null),
    forgetKeys: (older_than, limit) => group.join(() => keys.forget(older_than, limit)),
    ping: () => read(() => void events.tail()),

    async close() {
      await group.idle()
      await beforeClose?.()
      db.pragma('wal_checkpoint(TRUNCATE)')
      db.close()
    },
  }
}

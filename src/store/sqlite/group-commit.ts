import { setTimeout as wait } from 'node:timers/promises'
import { LedgerError } from '../../domain/error.ts'
import type { Connection } from './connection.ts'
import { isBusy, translated } from './errors.ts'

/** A group ends at whichever comes first, so that one commit never stops the event loop for long. */
const GROUP_MAX = 256
const GROUP_MAX_MS = 5

/** How often, and how long, a group waits for a foreign lock outside SQLite before it gives up. */
const BUSY_DELAYS_MS = [20, 50, 100, 200, 400, 800]

interface Job {
  work: () => unknown
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

export interface GroupCommit {
  /**
   * Runs `work` inside the next transaction; settles after its COMMIT. `work` may run twice: it must write
   * only through the connection.
   * @throws LedgerError `overloaded` at once if too many wait already
   */
  join<T>(work: () => T): Promise<T>
  /** Settles when nothing waits any more. */
  idle(): Promise<void>
}

/**
 * Writes that arrive together commit together: a durable commit costs one fsync, whatever it carries. While
 * one commit runs, the next requests collect in the sockets; hence setImmediate and not a microtask, which
 * would make groups of one.
 */
export function groupCommit(
  db: Connection,
  options: { waiting_max: number; group_max?: number; onCommit?: () => void },
): GroupCommit {
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const { waiting_max, group_max = GROUP_MAX, onCommit = () => {} } = options
  const waiting: Job[] = []
  let flushing = false
  const onIdle: (() => void)[] = []

  function join<T>(work: () => T): Promise<T> {
    if (waiting.length >= waiting_max) return Promise.reject(overloaded())
    return new Promise<T>((resolve, reject) => {
      waiting.push({ work, resolve: resolve as Job['resolve'], reject })
      schedule()
    })
  }

  function schedule(): void {
    if (flushing) return
    flushing = true
    setImmediate(flush, 0)
  }

  function flush(tries = 0): void {
    try {
      begin.run()
    } catch (error) {
      void recover(error, tries)
      return
    }
    runGroup()
    next()
  }

  function next(): void {
    flushing = false
    if (waiting.length > 0) return schedule()
    for (const settle of onIdle.splice(0)) settle()
  }

  function runGroup(): void {
    const settle: (() => void)[] = []
    // Only the length of a pause, never stored: no business of the one clock.
    const end = performance.now() + GROUP_MAX_MS
    let taken = 0
    let broken = false
    while (taken < waiting.length && taken < group_max && !broken) {
      const job = waiting[taken++]!
      try {
        const value = job.work()
        settle.push(() => job.resolve(value))
      } catch (error) {
        // A refusal comes before anything was written; anything else may have left half of it.
        if (error instanceof LedgerError) settle.push(() => job.reject(error))
        else broken = true
      }
      if (performance.now() > end) break
    }
    const group = waiting.splice(0, taken)
    if (broken) return runSingly(group)
    if (!committed(group)) return
    for (const answer of settle) answer()
    onCommit()
  }

  function committed(group: Job[]): boolean {
    try {
      commit.run()
      return true
    } catch (error) {
      rollback()
      for (const job of group) job.reject(translated(error))
      return false
    }
  }

  /** One bad operation must not take its neighbours with it: all of them again, each in its own transaction. */
  function runSingly(group: Job[]): void {
    rollback()
    for (const job of group) {
      try {
        begin.run()
        const value = job.work()
        commit.run()
        job.resolve(value)
      } catch (error) {
        rollback()
        job.reject(translated(error))
      }
    }
    onCommit()
  }

  function rollback(): void {
    if (db.inTransaction) db.exec('ROLLBACK') // SQLite has already rolled back after some errors
  }

  /** The group could not begin. A foreign lock may go away; waiting for it must not stop the event loop. */
  async function recover(error: unknown, tries = 0): Promise<void> {
    const delay = BUSY_DELAYS_MS[tries]
    if (!isBusy(error) || delay === undefined) {
      for (const job of waiting.splice(0)) job.reject(translated(error))
      return next()
    }
    await wait(delay)
    flush(tries + 1)
  }

  return {
    join,
    idle: () => (flushing ? new Promise<void>((resolve) => onIdle.push(resolve)) : Promise.resolve()),
  }
}

const overloaded = () =>
  new LedgerError('overloaded', 'Too many writes are waiting. Send the request again in a second.')

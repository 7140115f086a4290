import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import type { Statement } from 'better-sqlite3'
import { LedgerError } from '../../domain/error.ts'
import type { CommittedGroup } from '../store.ts'
import type { Connection } from './connection.ts'
import { isBusy, translated } from './errors.ts'
import { LongWrite } from './long-write.ts'

/**
 * A group ends at whichever comes first, so that one commit never stops the event loop for long. A commit costs two to
 * three milliseconds, its share of a checkpoint counted in: a time that is not several times that would be spent on
 * commits. Claims, of which one costs as much as five other writes, make groups of 25 by it.
 */
const GROUP_MAX = 256
const GROUP_MAX_MS = 20

/** How often, and how long, a group waits for a foreign lock outside SQLite before it gives up. */
const BUSY_DELAYS_MS = [20, 50, 100, 200, 400, 800]

interface Job {
  work: () => unknown
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

export interface GroupCommitOptions {
  waiting_max: number
  group_max?: number
  onCommit?: () => void
  /** Told of each commit that carried something. */
  onGroup?: (group: CommittedGroup) => void
}

/**
 * Writes that arrive together commit together: a durable commit costs one fsync, whatever it carries. While
 * one commit runs, the next requests collect in the sockets; hence setImmediate and not a microtask, which
 * would make groups of one.
 */
export class GroupCommit {
  readonly #db: Connection
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #options: Required<GroupCommitOptions>
  readonly #waiting: Job[] = []
  readonly #onIdle: (() => void)[] = []
  #flushing = false

  constructor(
    db: Connection,
    { waiting_max, group_max = GROUP_MAX, onCommit = () => {}, onGroup = () => {} }: GroupCommitOptions,
  ) {
    this.#db = db
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#commit = db.prepare('COMMIT')
    this.#options = { waiting_max, group_max, onCommit, onGroup }
  }

  /**
   * Runs `work` inside the next transaction; settles after its COMMIT. `work` may run twice: it must write
   * only through the connection. Where it has written nothing yet and gives a long write, that comes after the group,
   * and before all that waits.
   * @throws LedgerError `overloaded` at once if too many wait already
   */
  join<T>(work: () => T | LongWrite<T>): Promise<T> {
    if (this.#waiting.length >= this.#options.waiting_max) return Promise.reject(overloaded())
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as Job['resolve'], reject })
      this.#schedule()
    })
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Settles when nothing waits any more. */
  idle(): Promise<void> {
    if (!this.#flushing) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  #schedule(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => this.#flush())
  }

  #flush(tries = 0): void {
    try {
      this.#begin.run()
    } catch (error) {
      void this.#recover(error, tries)
      return
    }
    const long = this.#runGroup()
    if (long === null) this.#next()
    else void this.#runLong(long, tries)
  }

  #next(): void {
    this.#flushing = false
    if (this.#waiting.length > 0) return this.#schedule()
    for (const settle of this.#onIdle.splice(0)) settle()
  }

  /** Gives the long write that ended the group, which is then the first of those that wait. */
  #runGroup(): LongWrite<unknown> | null {
    const settle: (() => void)[] = []
    // Only the length of a pause, never stored: no business of the one clock.
    const end = performance.now() + GROUP_MAX_MS
    let taken = 0
    let done = 0
    let broken = false
    let long: LongWrite<unknown> | null = null
    while (taken < this.#waiting.length && taken < this.#options.group_max && !broken) {
      const job = this.#waiting[taken++]!
      try {
        const value = job.work()
        if (value instanceof LongWrite) {
          long = value
          taken--
          break
        }
        settle.push(() => job.resolve(value))
        done++
      } catch (error) {
        // A refusal comes before anything was written; anything else may have left half of it.
        if (error instanceof LedgerError) settle.push(() => job.reject(error))
        else broken = true
      }
      if (performance.now() > end) break
    }
    const group = this.#waiting.splice(0, taken)
    if (broken) {
      this.#runSingly(group)
      return null
    }
    if (!this.#committed(group, done)) return null // a long write was decided on what is not there now
    for (const answer of settle) answer()
    this.#options.onCommit()
    return long
  }

  async #runLong(long: LongWrite<unknown>, tries: number): Promise<void> {
    const job = this.#waiting.shift()!
    await nextTurn() // to decide it took long, too, and the group before it has its answers
    try {
      job.resolve(await long.run((commit_ms) => this.#options.onGroup({ operations: 1, commit_ms })))
    } catch (error) {
      if (isBusy(error)) {
        this.#waiting.unshift(job)
        return this.#recover(error, tries)
      }
      job.reject(translated(error))
    }
    this.#options.onCommit()
    this.#next()
  }

  #committed(group: Job[], done: number): boolean {
    try {
      this.#commitTimed(done)
      return true
    } catch (error) {
      this.#rollback()
      for (const job of group) job.reject(translated(error))
      return false
    }
  }

  /** One bad operation must not take its neighbours with it: all of them again, each in its own transaction. */
  #runSingly(group: Job[]): void {
    this.#rollback()
    for (const job of group) {
      try {
        this.#begin.run()
        const value = job.work()
        this.#commitTimed(1)
        job.resolve(value)
      } catch (error) {
        this.#rollback()
        job.reject(translated(error))
      }
    }
    this.#options.onCommit()
  }

  #commitTimed(operations: number): void {
    const begun = performance.now() // only the length of a pause, as above
    this.#commit.run()
    if (operations > 0) this.#options.onGroup({ operations, commit_ms: performance.now() - begun })
  }

  #rollback(): void {
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK') // SQLite has already rolled back after some errors
  }

  /** The group could not begin. A foreign lock may go away; waiting for it must not stop the event loop. */
  async #recover(error: unknown, tries: number): Promise<void> {
    const delay = BUSY_DELAYS_MS[tries]
    if (!isBusy(error) || delay === undefined) {
      for (const job of this.#waiting.splice(0)) job.reject(translated(error))
      return this.#next()
    }
    await wait(delay)
    this.#flush(tries + 1)
  }
}

const overloaded = () =>
  new LedgerError('overloaded', 'Too many writes are waiting. Send the request again in a second.')

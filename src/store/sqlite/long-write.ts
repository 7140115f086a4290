import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from './connection.ts'

/** How long such a write may keep the event loop. */
const SLICE_MS = 8

/**
 * What takes too long for one turn of the event loop. Its transaction has a connection of its own, so that everybody who
 * reads between its slices sees what was committed before. It has written when its steps are at their end.
 */
export class LongWrite<T> {
  readonly #begin: () => LongWork<T>

  constructor(begin: () => LongWork<T>) {
    this.#begin = begin
  }

  /** Settles after the COMMIT. Nobody else may write meanwhile. @throws what SQLite does; then nothing was written */
  async run(onCommit: (commit_ms: number) => void): Promise<T> {
    const { db, steps } = this.#begin()
    db.exec('BEGIN IMMEDIATE')
    try {
      const result = await inSlices(steps)
      const begun = performance.now()
      db.exec('COMMIT')
      onCommit(performance.now() - begun)
      return result
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK') // SQLite has already rolled back after some errors
      throw error
    }
  }
}

export interface LongWork<T> {
  db: Connection
  steps: Generator<void, T>
}

async function inSlices<T>(steps: Generator<void, T>): Promise<T> {
  // Only the length of a pause, never stored: no business of the one clock.
  let end = performance.now() + SLICE_MS
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (performance.now() < end) continue
    await nextTurn()
    end = performance.now() + SLICE_MS
  }
}

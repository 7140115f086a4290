import { type Patience, untilWoken } from './patience.ts'

/** Who waits until a run is closed. What wakes them is a hint: the table is the truth. */
export interface Closings {
  /** From now on the end of the run is heard; until `leave`. */
  join(run_id: string): Closing
  /** The run was closed. */
  closed(run_id: string): void
  /** Nobody waits any longer: the server stops. */
  close(): void
}

export interface Closing {
  /** Until the run is closed, or was since `join`; or until the patience has run out, or all waiting ends. */
  wait(patience: Patience): Promise<void>
  leave(): void
}

interface Waiting {
  isHeard: boolean
  wake: () => void
}

export function createClosings(): Closings {
  const byRun = new Map<string, Set<Waiting>>()
  let isClosed = false

  const wake = (waiting: Waiting): void => {
    waiting.isHeard = true
    waiting.wake()
  }
  return {
    join(run_id) {
      const waiting: Waiting = { isHeard: isClosed, wake: () => {} }
      const others = byRun.get(run_id) ?? new Set()
      byRun.set(run_id, others.add(waiting))
      return {
        async wait(patience) {
          if (waiting.isHeard || patience.signal.aborted) return
          await untilWoken(patience, (wake) => void (waiting.wake = wake))
        },
        leave() {
          others.delete(waiting)
          if (others.size === 0 && byRun.get(run_id) === others) byRun.delete(run_id)
        },
      }
    },
    closed: (run_id) => byRun.get(run_id)?.forEach(wake),
    close() {
      isClosed = true
      for (const waiting of byRun.values()) waiting.forEach(wake)
    },
  }
}

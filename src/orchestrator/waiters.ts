import { untilWoken } from './patience.ts'

/** Claims that wait for work, in the order in which they came. Who wakes them only gives a hint: the table is the truth. */
export interface Waiters {
  /** Takes a place in the line; until `leave`, work for one of the tools wakes it when its turn comes. */
  join(tools: ReadonlySet<string>): Place
  /** Wakes the first that waits for the tool. One item wakes one waiter. */
  offer(tool_id: string): void
  /** Something may have changed for everybody. */
  offerAll(): void
  /** Everybody goes home: the server stops. */
  close(): void
}

export interface Place {
  /** Whoever looks for work now has heard the hint that was there, and owes it to the line. */
  look(): void
  /** The look gave work for this tool: the hint is paid. */
  took(tool_id: string): void
  /** The tool of the hint that was heard and is not paid; null if there is none. */
  owed(): string | null
  /** The hint was for an item that this one cannot take: the next may. */
  pass(): void
  /** The hint was for an item that nobody can take now. */
  drop(): void
  /** True with a hint; false when the time is over, or the signal or the end of all waiting says so. */
  wait(ms: number, signal: AbortSignal): Promise<boolean>
  /** What it owes, and what it has not heard, goes to the next. */
  leave(): void
}

interface Waiting {
  tools: ReadonlySet<string>
  /** What it was hinted and has not heard. */
  hint: string | null
  /** What it has heard, and neither taken nor passed on. */
  owed: string | null
  wake: (() => void) | null
}

export function createWaiters(): Waiters {
  const line = new Set<Waiting>()
  let isClosed = false

  const hint = (waiting: Waiting, tool_id: string): void => {
    waiting.hint = tool_id
    waiting.wake?.()
  }
  const offerBehind = (tool_id: string, before: Waiting | null): void => {
    let isBehind = before === null
    for (const waiting of line) {
      if (isBehind && waiting.hint === null && waiting.tools.has(tool_id)) return hint(waiting, tool_id)
      if (waiting === before) isBehind = true
    }
  }
  const placeOf = (waiting: Waiting): Place => ({
    look() {
      waiting.owed = waiting.hint
      waiting.hint = null
    },
    took(tool_id) {
      if (waiting.owed === tool_id) waiting.owed = null
    },
    owed: () => waiting.owed,
    drop: () => void (waiting.owed = null),
    pass() {
      if (waiting.owed !== null) offerBehind(waiting.owed, waiting)
      waiting.owed = null
    },
    async wait(ms, signal) {
      const isOver = () => isClosed || signal.aborted
      if (waiting.hint === null && ms > 0 && !isOver()) {
        await untilWoken({ wait_ms: ms, signal }, (wake) => void (waiting.wake = wake))
        waiting.wake = null
      }
      return waiting.hint !== null && ms > 0 && !isOver()
    },
    leave() {
      const { owed, hint } = waiting
      waiting.owed = waiting.hint = null
      line.delete(waiting)
      if (owed !== null) offerBehind(owed, null)
      if (hint !== null) offerBehind(hint, null)
    },
  })
  return {
    join(tools) {
      const waiting: Waiting = { tools, hint: null, owed: null, wake: null }
      line.add(waiting)
      return placeOf(waiting)
    },
    offer: (tool_id) => offerBehind(tool_id, null),
    offerAll() {
      for (const waiting of line) hint(waiting, [...waiting.tools][0]!)
    },
    close() {
      isClosed = true
      for (const waiting of line) waiting.wake?.()
    },
  }
}

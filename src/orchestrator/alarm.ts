import type { Clock } from '../clock.ts'

/** How long the clock goes unread: it may step ahead of any timer, and what is due is then due at once. */
const LOOK_MS = 1_000
/** After a sweep that failed: the store may be busy. */
const AGAIN_MS = 1_000

/**
 * One timer for the next instant at which time ends something. It costs nothing while nothing will, and a look at the
 * clock now and then while something will: the instants come from commits, and from the store once a sweep is done.
 */
export function startAlarm(deps: {
  clock: Clock
  sweep: () => Promise<string | null>
  onError: (error: unknown) => void
}): { at: (instant: string) => void; stop: () => void } {
  const { clock, sweep, onError } = deps
  let timer: NodeJS.Timeout | undefined
  let next: string | null = null
  let isSweeping = false
  let isStopped = false

  const set = (instant: string): void => {
    if (isStopped || (next !== null && next <= instant)) return
    next = instant
    look(instant)
  }
  const look = (instant: string): void => {
    const ms = Math.max(0, Date.parse(instant) - clock().ms)
    clearTimeout(timer)
    timer = setTimeout(() => (ms > LOOK_MS ? look(instant) : void ring()), Math.min(ms, LOOK_MS)).unref()
  }
  const ring = async (): Promise<void> => {
    if (isSweeping) return
    isSweeping = true
    next = null
    let after: string | null
    try {
      after = await sweep()
    } catch (error) {
      onError(error)
      after = new Date(clock().ms + AGAIN_MS).toISOString()
    }
    isSweeping = false
    const known = next as string | null // set while the sweep was under way
    next = null
    const first = known === null || (after !== null && after < known) ? after : known
    if (first !== null) set(first)
  }
  void ring()
  return {
    at: set,
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

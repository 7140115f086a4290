export interface Instant {
  /** Milliseconds since 1970. */
  ms: number
  /** RFC 3339 in UTC with three decimals. */
  text: string
}

/** The one clock: everything stored and every deadline uses it. It never falls. */
export type Clock = () => Instant

export interface ClockSources {
  /** Milliseconds since 1970, by a clock that may jump. */
  wall?: () => number
  /** Milliseconds from anywhere, by a clock that cannot. */
  monotonic?: () => number
}

/**
 * Advances with the monotonic clock, steps forward when the wall is ahead, and never back.
 * @param not_before the last instant that was committed, so that a restart does not fall behind it either
 */
export function createClock(not_before: string | null, sources: ClockSources = {}): Clock {
  const { wall = Date.now, monotonic = () => performance.now() } = sources
  let base = Math.max(wall(), not_before === null ? 0 : Date.parse(not_before))
  let since = monotonic()
  let latest: Instant = { ms: -1, text: '' }

  return () => {
    const ahead = wall()
    if (ahead > base + (monotonic() - since)) {
      base = ahead
      since = monotonic()
    }
    const ms = Math.floor(base + (monotonic() - since))
    if (ms !== latest.ms) latest = { ms, text: new Date(ms).toISOString() }
    return latest
  }
}

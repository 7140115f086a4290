import { encodeTime } from 'ulid'
import type { Clock } from '../../src/clock.ts'
import type { Caller, Given } from '../../src/domain/decision.ts'
import type { Entropy } from '../../src/entropy.ts'

/** The instant at which tests happen. */
export const NOW = '2026-01-05T09:30:00.000Z'

/** Any instant, so many milliseconds after it. */
export const after = (instant: string, ms: number): string => new Date(Date.parse(instant) + ms).toISOString()

/** Who may see and do everything. */
export const ANYBODY: Caller = { actor: { type: 'anonymous', id: null }, projects: null }

/** The holder of a key that is bound to projects. */
export const boundTo = (...projects: string[]): Caller => ({ actor: { type: 'key', id: 'ci' }, projects })

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** A valid ULID of that instant; two of one instant sort by their number. */
export function ulid(instant: string, number: number): string {
  let rest = number
  let random = ''
  for (let i = 0; i < 16; i++) {
    random = CROCKFORD.charAt(rest % 32) + random
    rest = Math.floor(rest / 32)
  }
  return encodeTime(Date.parse(instant), 10) + random
}

/** Ids and chance that count: the first id ends in 1, the first salt too. */
export function countingEntropy(): Entropy {
  let ids = 0
  let salts = 0
  return {
    newId: (now_ms) => ulid(new Date(now_ms).toISOString(), ++ids),
    hex: (bytes) => (++salts).toString(16).padStart(bytes * 2, '0'),
  }
}

/** A clock that a test moves by hand. */
export function handClock(start: string = NOW): { clock: Clock; advance: (ms: number) => void } {
  let ms = Date.parse(start)
  return {
    clock: () => ({ ms, text: new Date(ms).toISOString() }),
    advance: (by) => void (ms += by),
  }
}

/** What a decision is given: always the same, but for what a test says. */
export const given = (overrides: Partial<Given> = {}): Given => givens()(overrides)

/** One given after the other: ids and salts count on, and time moves by `step_ms` with each. */
export function givens({ start = NOW, step_ms = 0 }: { start?: string; step_ms?: number } = {}) {
  const entropy = countingEntropy()
  let now = after(start, -step_ms)
  return (overrides: Partial<Given> = {}): Given => {
    now = overrides.now ?? after(now, step_ms)
    const ms = Date.parse(now)
    return {
      now,
      newId: () => entropy.newId(ms),
      randomHex: entropy.hex,
      caller: ANYBODY,
      http_request_id: null,
      if_match: null,
      ...overrides,
    }
  }
}

import type { Actor, Event } from '../contract/event.ts'
import type { Run } from '../contract/run.ts'
import type { StepAttempt } from '../contract/step.ts'

/** Where a chain of events ends: how many there are, and the hash of the last. */
export interface ChainHead {
  event_count: number
  last_hash: string
}

/** A run with what its guards need, so that one read knows everything. None of the rest is ever shown. */
export interface RunBook extends ChainHead {
  run: Run
  sequence_max: number
  steps_running: number
}

/** A finished HTTP answer: what a repeated idempotency key gets again, byte for byte. */
export interface Answer {
  status: number
  body: string
  etag: string | null
  location: string | null
}

/** A caller's name for a request, as the store keeps it, and the hash of what was sent with it. */
export interface Claim {
  key: string
  fingerprint: string
}

export interface Remembered extends Answer {
  fingerprint: string
  created_at: string
}

/** What a decision needs to know. A store loads these and nothing else. */
export interface Scope {
  run_id?: string
  /** Loads its run too. */
  step_attempt_id?: string
  /** Also the run's running attempts. */
  running?: boolean
  /** Also the newest attempt at this place of the run, or at that of `step_attempt_id`. */
  newest_at?: number | 'step'
  /** Also the end of the chain of events without a run. */
  system?: boolean
  claim?: Claim | null
}

/** What is true, for a scope. */
export interface Snapshot {
  run: RunBook | null
  step_attempt: StepAttempt | null
  running: readonly StepAttempt[]
  newest: StepAttempt | null
  system: ChainHead | null
  remembered: Remembered | null
}

export interface Caller {
  actor: Actor
  /** The projects that the caller may see and touch; null is all of them. */
  projects: readonly string[] | null
}

/** The versions that a client accepts: `If-Match`. */
export type IfMatch = '*' | readonly string[]

/** What a decision may not find out by itself: time, ids, chance, and who asks. */
export interface Given {
  now: string
  newId: () => string
  /** That many random bytes as hexadecimal. */
  randomHex: (bytes: number) => string
  caller: Caller
  http_request_id: string | null
  if_match: IfMatch | null
}

/** An event as it is kept: the payload is its RFC 8785 text, or null once it was erased. */
export interface LedgerEvent extends Omit<Event, 'payload'> {
  payload_text: string | null
}

/** An event before the store gave it its place in the global order. */
export type NewEvent = Omit<LedgerEvent, 'seq'>

export type Change =
  | { record: 'run'; before: RunBook | null; after: RunBook }
  | { record: 'step_attempt'; before: StepAttempt | null; after: StepAttempt }

/** What shall be true, and the events that tell of it. */
export interface Decision<T> {
  changes: readonly Change[]
  events: readonly NewEvent[]
  /** Made when the events have their `seq`, which only the store can give, and before the commit. */
  result: (seqs: readonly number[]) => T
  /** What to keep under the claim of the scope, in the same transaction. */
  remember?: (result: T) => Remembered | null
}

export type Decide<T> = (before: Snapshot) => Decision<T>

/** A decision that changes nothing. */
export const unchanged = <T>(result: T): Decision<T> => ({ changes: [], events: [], result: () => result })

import { hash } from 'node:crypto'
import type { BadEvent, ChainFault, Event } from '../contract/event.ts'
import type { ChainHead, Given, LedgerEvent, NewEvent } from './decision.ts'

const sha256 = (text: string): string => hash('sha256', text, 'hex')

export interface EventDraft {
  kind: string
  /** RFC 8785 text. */
  payload_text: string
  step_attempt_id?: string | null
  from?: string | null
  to?: string | null
}

type Hashed = Omit<NewEvent, 'payload_text' | 'payload_salt' | 'hash'>

/** Where the chain of a run begins; null is the chain of the events that belong to no run. */
export const chainStart = (run_id: string | null): ChainHead => ({
  event_count: 0,
  last_hash: sha256(`signalbox/event/v1\n${run_id ?? 'system'}`),
})

export const payloadHash = (salt: string, text: string): string => sha256(salt + text)

/** The bytes are RFC 8785 text: the keys below stand in its order, and every value is flat. */
export function eventHash(previous: string, event: Hashed): string {
  return sha256(
    previous +
      JSON.stringify({
        actor: { id: event.actor.id, type: event.actor.type },
        event_id: event.event_id,
        from: event.from,
        http_request_id: event.http_request_id,
        kind: event.kind,
        payload_hash: event.payload_hash,
        run_id: event.run_id,
        run_seq: event.run_seq,
        step_attempt_id: event.step_attempt_id,
        to: event.to,
        ts: event.ts,
      }),
  )
}

/** Gives the drafts their places at the end of a chain. */
export function chain(
  run_id: string | null,
  head: ChainHead,
  drafts: readonly EventDraft[],
  given: Given,
): { events: NewEvent[]; head: ChainHead } {
  let { event_count, last_hash } = head
  const events = drafts.map((draft): NewEvent => {
    const payload_salt = given.randomHex(16)
    const event: NewEvent = {
      event_id: given.newId(),
      run_id,
      run_seq: ++event_count,
      step_attempt_id: draft.step_attempt_id ?? null,
      ts: given.now,
      kind: draft.kind,
      payload_text: draft.payload_text,
      payload_salt,
      payload_hash: payloadHash(payload_salt, draft.payload_text),
      from: draft.from ?? null,
      to: draft.to ?? null,
      actor: given.caller.actor,
      http_request_id: given.http_request_id,
      hash: '',
    }
    last_hash = event.hash = eventHash(last_hash, event)
    return event
  })
  return { events, head: { event_count, last_hash } }
}

/** The event as the API shows it. */
export function shownEvent({ payload_text, ...event }: LedgerEvent): Event {
  const { event_id, seq, run_id, run_seq, step_attempt_id, ts, kind, ...rest } = event
  const payload = payload_text === null ? null : (JSON.parse(payload_text) as Record<string, unknown>)
  return { event_id, seq, run_id, run_seq, step_attempt_id, ts, kind, payload, ...rest }
}

/** A verification under way: `head` is what the events so far add up to. */
export interface ChainCheck {
  head: ChainHead
  first_bad: BadEvent | null
}

/** Recomputes the next events of a chain; stops at the first that does not hold. */
export function checkChain(check: ChainCheck, events: readonly LedgerEvent[]): ChainCheck {
  let { head } = check
  for (const event of events) {
    const fault = faultOf(head, event)
    if (fault !== null) return { head, first_bad: badEvent(fault, event) }
    head = { event_count: event.run_seq, last_hash: event.hash }
  }
  return { head, first_bad: null }
}

function faultOf(head: ChainHead, event: LedgerEvent): ChainFault | null {
  if (event.run_seq !== head.event_count + 1) return 'gap'
  if (event.hash !== eventHash(head.last_hash, event)) return 'hash'
  const { payload_text, payload_salt } = event
  const erased = payload_text === null && payload_salt === null
  if (erased) return null
  const holds =
    payload_text !== null &&
    payload_salt !== null &&
    payloadHash(payload_salt, payload_text) === event.payload_hash
  return holds ? null : 'payload_hash'
}

const FAULTS: Record<ChainFault, string> = {
  gap: 'An event is missing or stands twice before this one.',
  payload_hash: 'The payload is not the one that was hashed.',
  hash: 'The event is not the one that was hashed, or does not follow the one before it.',
  head: 'The events do not end with the count and hash that the run has.',
}

const badEvent = (fault: ChainFault, event: LedgerEvent): BadEvent => ({
  run_seq: event.run_seq,
  event_id: event.event_id,
  fault,
  detail: FAULTS[fault],
})

/** The last check of a chain: does it end where its run says? */
export function checkHead(check: ChainCheck, expected: ChainHead): ChainCheck {
  const { head, first_bad } = check
  if (first_bad !== null) return check
  if (head.event_count === expected.event_count && head.last_hash === expected.last_hash) return check
  const common = Math.min(head.event_count, expected.event_count)
  const run_seq = head.event_count === expected.event_count ? common : common + 1
  return { head, first_bad: { run_seq, event_id: null, fault: 'head', detail: FAULTS.head } }
}

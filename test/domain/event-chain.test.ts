import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChainHead, LedgerEvent } from '../../src/domain/decision.ts'
import {
  chain,
  chainStart,
  checkChain,
  checkHead,
  eventHash,
  payloadHash,
  shownEvent,
} from '../../src/domain/event-chain.ts'
import { RUN_ID } from '../support/builders.ts'
import { NOW, given, givens, ulid } from '../support/given.ts'

const sha256 = (text: string) => createHash('sha256').update(text, 'utf8').digest('hex')

/** The stored bytes, written again from the rules alone, with a general canonicaliser. */
function hashByTheRules(previous: string, event: Omit<LedgerEvent, 'seq'>): string {
  const { payload_text: _text, payload_salt: _salt, hash: _hash, ...rest } = event as LedgerEvent
  const { seq: _seq, ...hashed } = rest
  return sha256(previous + canonicalize(hashed))
}

interface Chained {
  events: LedgerEvent[]
  head: ChainHead
}

/** A chain of five events, each of another shape. */
function aChain(run_id: string | null = RUN_ID): Chained {
  const next = givens({ step_ms: 1_000 })
  const drafts = [
    { kind: 'run_created', to: 'pending', payload_text: '{"run":{}}' },
    { kind: 'run_started', from: 'pending', to: 'running', payload_text: '{"run":{"version":2}}' },
    { kind: 'step_started', to: 'running', step_attempt_id: ulid(NOW, 900), payload_text: '{"a":"é"}' },
    { kind: 'note', payload_text: '{}' },
    { kind: 'run_completed', from: 'running', to: 'failed', payload_text: '{"run":{"version":3}}' },
  ]
  const actor = { type: 'key', id: 'ci' } as const
  let head = chainStart(run_id)
  const events = drafts.map((draft, index): LedgerEvent => {
    const who = next({ caller: { actor, projects: null }, http_request_id: `r-${index}` })
    const made = chain(run_id, head, [draft], who)
    head = made.head
    return { ...made.events[0]!, seq: 10 + index }
  })
  return { events, head }
}

const check = ({ events, head }: Chained, run_id: string | null = RUN_ID) =>
  checkHead(checkChain({ head: chainStart(run_id), first_bad: null }, events), head).first_bad

describe('the bytes', () => {
  it('begin with a name and the id of the run', () => {
    expect(chainStart(RUN_ID)).toEqual({ event_count: 0, last_hash: sha256(`signalbox/event/v1\n${RUN_ID}`) })
  })

  it('of the events without a run begin with the word system', () => {
    expect(chainStart(null).last_hash).toBe(sha256('signalbox/event/v1\nsystem'))
  })

  it('of a payload are salted', () => {
    expect(payloadHash('00ff', '{"a":"é"}')).toBe(sha256('00ff{"a":"é"}'))
  })

  it('of every event are those that the rules say', () => {
    let previous = chainStart(RUN_ID).last_hash
    for (const event of aChain().events) {
      expect(event.hash).toBe(hashByTheRules(previous, event))
      expect(event.payload_hash).toBe(sha256(event.payload_salt! + event.payload_text!))
      previous = event.hash
    }
  })

  it('are those that the rules say for any text in any field', () => {
    const text = fc.option(fc.string({ unit: 'binary', maxLength: 20 }), { nil: null })
    const event = fc.record({
      event_id: fc.string({ unit: 'binary' }),
      run_id: text,
      run_seq: fc.maxSafeInteger(),
      step_attempt_id: text,
      ts: fc.string({ unit: 'binary' }),
      kind: fc.string({ unit: 'binary' }),
      payload_hash: fc.string({ unit: 'binary' }),
      from: text,
      to: text,
      actor: fc.record({ type: fc.constantFrom('key', 'worker', 'system', 'anonymous'), id: text }),
      http_request_id: text,
    })
    fc.assert(
      fc.property(event, (hashed) => {
        const whole = { ...hashed, payload_text: null, payload_salt: null, hash: '' } as LedgerEvent
        expect(eventHash('ab', whole)).toBe(hashByTheRules('ab', whole))
      }),
    )
  })

  // A vector that must never change: it is in stores already.
  it('are fixed', () => {
    const hashed = {
      event_id: '01JD8Z6V3RT7W9Y1A3C5E7G9J1',
      run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
      run_seq: 1,
      step_attempt_id: null,
      ts: '2026-01-05T09:30:00.000Z',
      kind: 'note',
      payload_hash: payloadHash('000102030405060708090a0b0c0d0e0f', '{"text":"Grüße"}'),
      from: null,
      to: null,
      actor: { type: 'anonymous', id: null },
      http_request_id: null,
    } as const
    expect(eventHash(chainStart(hashed.run_id).last_hash, hashed)).toBe(
      '6bbc61b17480fa1e89e71fcbeed7e931ca689b2a460322c05fc0ae084341bc5a',
    )
  })
})

describe('a chain', () => {
  it('gives each draft its place, an id, a salt of 16 bytes, and the given', () => {
    const head = { event_count: 7, last_hash: 'ab'.repeat(32) }
    const drafts = [
      { kind: 'a', payload_text: '{}' },
      { kind: 'b', payload_text: '{}' },
    ]
    const made = chain(RUN_ID, head, drafts, given({ http_request_id: 'r-1' }))
    expect(made.events).toMatchObject([
      { run_seq: 8, event_id: ulid(NOW, 1), payload_salt: '1'.padStart(32, '0'), ts: NOW, kind: 'a' },
      { run_seq: 9, event_id: ulid(NOW, 2), payload_salt: '2'.padStart(32, '0'), ts: NOW, kind: 'b' },
    ])
    expect(made.head).toEqual({ event_count: 9, last_hash: made.events[1]?.hash })
  })

  it('of nothing stays where it was', () => {
    const { head } = aChain()
    expect(chain(RUN_ID, head, [], given())).toEqual({ events: [], head })
  })
})

describe('a verification', () => {
  it.each([['of a run', RUN_ID] as const, ['of the events without a run', null] as const])(
    'accepts a chain %s, and says where it ends',
    (_name, run_id) => {
      const { events, head } = aChain(run_id)
      const done = checkChain({ head: chainStart(run_id), first_bad: null }, events)
      expect(done).toEqual({ head, first_bad: null })
      expect(checkHead(done, head)).toEqual({ head, first_bad: null })
    },
  )

  it('may go on where it stopped', () => {
    const { events, head } = aChain()
    const half = checkChain({ head: chainStart(RUN_ID), first_bad: null }, events.slice(0, 2))
    expect(checkChain(half, events.slice(2))).toEqual({ head, first_bad: null })
  })

  it('refuses the chain of another run', () => {
    expect(check(aChain(), ulid(NOW, 3))).toMatchObject({ run_seq: 1, fault: 'hash' })
  })

  const BYTES = 'ef'.repeat(32)
  const CHANGES: [field: string, change: Partial<LedgerEvent>, fault: string][] = [
    ['event_id', { event_id: ulid(NOW, 777) }, 'hash'],
    ['run_id', { run_id: ulid(NOW, 777) }, 'hash'],
    ['run_id, removed', { run_id: null }, 'hash'],
    ['run_seq', { run_seq: 77 }, 'gap'],
    ['step_attempt_id', { step_attempt_id: ulid(NOW, 777) }, 'hash'],
    ['ts', { ts: '2026-01-05T09:29:59.999Z' }, 'hash'],
    ['kind', { kind: 'other' }, 'hash'],
    ['from', { from: 'other' }, 'hash'],
    ['to', { to: 'other' }, 'hash'],
    ['actor.type', { actor: { type: 'system', id: 'ci' } }, 'hash'],
    ['actor.id', { actor: { type: 'key', id: 'other' } }, 'hash'],
    ['actor.id, removed', { actor: { type: 'key', id: null } }, 'hash'],
    ['http_request_id', { http_request_id: 'other' }, 'hash'],
    ['http_request_id, removed', { http_request_id: null }, 'hash'],
    ['hash', { hash: BYTES }, 'hash'],
    ['payload_hash', { payload_hash: BYTES }, 'hash'],
    ['payload', { payload_text: '{"a":1}' }, 'payload_hash'],
    ['payload, only spaced otherwise', { payload_text: '{ }' }, 'payload_hash'],
    ['payload_salt', { payload_salt: '0'.repeat(32) }, 'payload_hash'],
    ['payload, erased without its salt', { payload_text: null }, 'payload_hash'],
    ['payload_salt, erased without the payload', { payload_salt: null }, 'payload_hash'],
  ]

  describe.each([0, 1, 2, 3, 4])('of a chain whose event %i was changed finds it:', (index) => {
    it.each(CHANGES)('%s', (_field, change, fault) => {
      const { events, head } = aChain()
      const changed = events.with(index, { ...events[index]!, ...change })
      const run_seq = change.run_seq ?? index + 1
      const { event_id } = changed[index]!
      expect(check({ events: changed, head })).toMatchObject({ run_seq, event_id, fault })
    })
  })

  it('finds a payload and its hash that were changed together', () => {
    const { events, head } = aChain()
    const payload_text = '{"a":1}'
    const event = {
      ...events[1]!,
      payload_text,
      payload_hash: payloadHash(events[1]!.payload_salt!, payload_text),
    }
    expect(check({ events: events.with(1, event), head })).toMatchObject({ run_seq: 2, fault: 'hash' })
  })

  it('finds an event whose own hash was recomputed, at the one after it', () => {
    const { events, head } = aChain()
    const forged = { ...events[1]!, kind: 'other' }
    forged.hash = eventHash(events[0]!.hash, forged)
    expect(check({ events: events.with(1, forged), head })).toMatchObject({ run_seq: 3, fault: 'hash' })
  })

  it('finds a last event whose own hash was recomputed, at the head', () => {
    const { events, head } = aChain()
    const forged = { ...events[4]!, kind: 'other' }
    forged.hash = eventHash(events[3]!.hash, forged)
    expect(check({ events: events.with(4, forged), head })).toMatchObject({ fault: 'head', event_id: null })
  })

  it.each([0, 1, 2, 3])('finds the gap that event %i leaves', (index) => {
    const { events, head } = aChain()
    const rest = events.toSpliced(index, 1)
    expect(check({ events: rest, head })).toMatchObject({ run_seq: index + 2, fault: 'gap' })
  })

  it('finds the removal of the last event', () => {
    const { events, head } = aChain()
    expect(check({ events: events.slice(0, -1), head })).toMatchObject({
      run_seq: 5,
      event_id: null,
      fault: 'head',
    })
  })

  it('finds the removal of all events', () => {
    expect(check({ events: [], head: aChain().head })).toMatchObject({ run_seq: 1, fault: 'head' })
  })

  it('finds one event too many', () => {
    const { events, head } = aChain()
    const extra = chain(RUN_ID, head, [{ kind: 'note', payload_text: '{}' }], givens({ start: NOW })())
    const longer = [...events, { ...extra.events[0]!, seq: 99 }]
    expect(check({ events: longer, head })).toMatchObject({ run_seq: 6, fault: 'head' })
  })

  it.each([1, 2, 3])('finds two events that changed places, at %i', (index) => {
    const { events, head } = aChain()
    const swapped = events.with(index, events[index + 1]!).with(index + 1, events[index]!)
    expect(check({ events: swapped, head })).toMatchObject({ run_seq: index + 2, fault: 'gap' })
  })

  it('finds an event that stands twice', () => {
    const { events, head } = aChain()
    expect(check({ events: events.toSpliced(2, 0, events[1]!), head })).toMatchObject({
      run_seq: 2,
      fault: 'gap',
    })
  })

  it('finds a head with another hash', () => {
    const { events, head } = aChain()
    expect(check({ events, head: { ...head, last_hash: BYTES } })).toMatchObject({ fault: 'head' })
  })

  it('names the first of several faults, and looks no further', () => {
    const { events, head } = aChain()
    const changed = events.with(1, { ...events[1]!, kind: 'x' }).with(3, { ...events[3]!, kind: 'y' })
    const done = checkChain({ head: chainStart(RUN_ID), first_bad: null }, changed)
    expect(done).toMatchObject({ head: { event_count: 1 }, first_bad: { run_seq: 2 } })
    expect(checkHead(done, head).first_bad).toEqual(done.first_bad)
  })

  it('accepts payloads that were erased with their salts: their hashes still hold', () => {
    const { events, head } = aChain()
    const erased = events.map((event) => ({ ...event, payload_text: null, payload_salt: null }))
    expect(check({ events: erased, head })).toBeNull()
  })

  it('does not depend on `seq`, which a restored store may give anew', () => {
    const { events, head } = aChain()
    expect(check({ events: events.map((event) => ({ ...event, seq: event.seq + 100 })), head })).toBeNull()
  })
})

describe('an event as the API shows it', () => {
  it('has its payload as JSON in place of the text', () => {
    const [event] = aChain().events
    const { payload_text: _text, ...rest } = event!
    expect(shownEvent(event!)).toEqual({ ...rest, payload: { run: {} } })
  })

  it('has null where the payload was erased', () => {
    const event = { ...aChain().events[0]!, payload_text: null, payload_salt: null }
    expect(shownEvent(event)).toMatchObject({ payload: null, payload_salt: null })
  })
})

import { describe, expect, it } from 'vitest'
import type { Answer, Decide, Remembered } from '../../src/domain/decision.ts'
import { LedgerError } from '../../src/domain/error.ts'
import { fingerprintOf, once } from '../../src/domain/idempotency.ts'
import { aSnapshot } from '../support/builders.ts'
import { NOW } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

const claim = { key: 'k', fingerprint: fingerprintOf({ a: 1 }) }
const answer: Answer = { status: 201, body: '{"n":1}', etag: '"1"', location: '/v1/n/1' }
const remembered: Remembered = { ...answer, fingerprint: claim.fingerprint, created_at: NOW }
const present = ({ n }: { n: number }): Answer => ({ ...answer, body: `{"n":${n}}` })

/** A decision that tells how often it was asked. */
function counted() {
  let asked = 0
  const decide: Decide<{ n: number }> = () => {
    const n = ++asked
    return { changes: [], events: [], result: ([seq]) => ({ n: seq ?? n }) }
  }
  return { decide, asked: () => asked }
}

describe('the fingerprint of a body', () => {
  it('is the same however members are ordered and spaced', () => {
    expect(fingerprintOf(JSON.parse('{ "b": [1, 2], "a": {"y":1,"x":2} }'))).toBe(
      fingerprintOf({ a: { x: 2, y: 1 }, b: [1, 2] }),
    )
    expect(fingerprintOf(JSON.parse('{"a":1.0}'))).toBe(fingerprintOf({ a: 1 }))
  })

  it.each([
    ['another value', { a: 2 }],
    ['another type', { a: '1' }],
    ['one member more', { a: 1, b: null }],
    ['a list in another order', [2, 1]],
    ['nothing', {}],
  ])('differs for %s', (_name, body) => {
    expect(fingerprintOf(body)).not.toBe(fingerprintOf({ a: 1 }))
    expect(fingerprintOf(body)).not.toBe(fingerprintOf([1, 2]))
  })
})

describe('a decision without a key', () => {
  it('is decided every time, and nothing is kept', () => {
    const { decide, asked } = counted()
    const repeatable = once({ claim: null, present, now: NOW }, decide)
    const decisions = [repeatable(aSnapshot()), repeatable(aSnapshot())]
    expect(asked()).toBe(2)
    expect(decisions.map((each) => each.result([]))).toEqual([
      { record: { n: 1 }, answer: null },
      { record: { n: 2 }, answer: null },
    ])
    expect(decisions.map((each) => each.remember)).toEqual([undefined, undefined])
  })
})

describe('a decision with a key that is new', () => {
  it('is decided, and keeps its finished answer with the fingerprint', () => {
    const decision = once({ claim, present, now: NOW }, counted().decide)(aSnapshot())
    const outcome = decision.result([7])
    expect(outcome).toEqual({ record: { n: 7 }, answer: { ...answer, body: '{"n":7}' } })
    expect(decision.remember?.(outcome)).toEqual({ ...remembered, body: '{"n":7}' })
  })

  it('passes on changes and events as they were decided', () => {
    const changes = [] as const
    const events = [] as const
    const decision = once({ claim, present, now: NOW }, () => ({ changes, events, result: () => ({ n: 1 }) }))
    expect(decision(aSnapshot()).changes).toBe(changes)
    expect(decision(aSnapshot()).events).toBe(events)
  })

  it('that is refused is refused, and there is nothing to keep', () => {
    const refused = once({ claim, present, now: NOW }, () => {
      throw new LedgerError('run_not_found', 'No.')
    })
    expect(refusal(() => refused(aSnapshot())).code).toBe('run_not_found')
  })
})

describe('a decision with a key that came before', () => {
  it('gets the first answer and changes nothing; nobody is asked again', () => {
    const { decide, asked } = counted()
    const decision = once({ claim, present, now: NOW }, decide)(aSnapshot({ remembered }))
    const outcome = decision.result([])
    expect(outcome).toEqual({ replayed: answer })
    expect(decision).toMatchObject({ changes: [], events: [] })
    expect(decision.remember?.(outcome) ?? null).toBeNull()
    expect(asked()).toBe(0)
  })

  it('is refused if the body is another one', () => {
    const other = { ...claim, fingerprint: fingerprintOf({ a: 2 }) }
    const act = () => once({ claim: other, present, now: NOW }, counted().decide)(aSnapshot({ remembered }))
    expect(refusal(act)).toMatchObject({
      code: 'idempotency_key_reused',
      context: { errors: [{ parameter: 'Idempotency-Key' }] },
    })
  })

  it('is answered even where it would be refused now: the replay comes first', () => {
    const closed = once({ claim, present, now: NOW }, () => {
      throw new LedgerError('precondition_failed', 'No.')
    })
    expect(closed(aSnapshot({ remembered })).result([])).toEqual({ replayed: answer })
  })
})

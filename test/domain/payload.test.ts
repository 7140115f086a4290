import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalText } from '../../src/domain/canonical.ts'
import type { Decision } from '../../src/domain/decision.ts'
import { appendRunEvent } from '../../src/domain/event.ts'
import { recordLoss } from '../../src/domain/loss.ts'
import { cancelRun, completeRun, createRun, quarantineRun, startRun } from '../../src/domain/run.ts'
import { runMachine } from '../../src/domain/run-machine.ts'
import { updateRun } from '../../src/domain/run-update.ts'
import { completeStepAttempt, createStepAttempt, retryStepAttempt } from '../../src/domain/step.ts'
import { stepMachine } from '../../src/domain/step-machine.ts'
import { aRun, aSnapshot, aStep, systemStart } from '../support/builders.ts'
import { given, ulid } from '../support/given.ts'

/** Everything that a body can hold: HTTP refuses lone surrogates, NUL, and what is not exact. */
const text = fc.string({ unit: 'binary', maxLength: 12 })
const key = text.filter((each) => each !== '__proto__')
const number = fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }))
const { object } = fc.letrec<{ object: Record<string, unknown>; value: unknown }>((tie) => ({
  object: fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  value: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(text, number, fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
}))
const integer = fc.maxSafeInteger()
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })

const ID = ulid('2026-01-05T09:30:00.000Z', 9)
const running = () => aSnapshot({ run: aRun({ state: 'running' }) })
const failed = aStep({ state: 'failed' })

/** One decision for every kind of event that the server writes, from whatever a client may say. */
const DECISIONS: Record<string, fc.Arbitrary<Decision<unknown>>> = {
  run_created: fc
    .record({
      project_id: text,
      phase_id: text,
      workstream_id: optional(text),
      origin: optional(
        fc.record({
          trigger_type: fc.constantFrom('ci', 'manual'),
          trigger_ref: optional(text),
          requested_by: optional(text),
        }),
      ),
      labels: fc.dictionary(key, text, { maxKeys: 4 }),
      metadata: object,
    })
    .map((body) => erased(createRun(aSnapshot(), given(), body, '00-…'))),
  run_started: fc.constant(null).map(() => erased(startRun(aSnapshot({ run: aRun() }), given()))),
  run_updated: fc

    .record({
      labels: fc.dictionary(key, text, { maxKeys: 4 }),
      metadata: object.map((each) => ({ ...each, old: 'y' })),
    })
    .map((body) => erased(updateRun(aSnapshot({ run: aRun({ metadata: { old: 'x' } }) }), given(), body))),
  run_completed: fc
    .record({
      status: fc.constant('failed' as const),
      exit_code: optional(integer),
      error_message: optional(text),
    })
    .map((body) => erased(completeRun(running(), given(), body))),
  run_quarantined: text.map((reason) => erased(quarantineRun(running(), given(), { reason }))),
  run_canceled: optional(text).map((reason) =>
    erased(
      cancelRun(
        aSnapshot({ run: aRun({ state: 'running', steps_running: 1 }), running: [aStep()] }),
        given(),
        { reason },
      ),
    ),
  ),
  step_started: fc
    .record({ tool_id: text, tool_run_id: optional(text), input_prompt: optional(text), metadata: object })
    .map((body) => erased(createStepAttempt(running(), given(), body))),
  step_completed: fc
    .record({
      status: fc.constantFrom('failed' as const, 'canceled' as const),
      exit_code: optional(integer),
      signal: optional(text),
      error_class: optional(text),
      error_code: optional(text),
      error_log: optional(text),
      stdout_tail: optional(text),
      stderr_tail: optional(text),
      outputs: optional(
        fc.record({ patch_ids: fc.constant(ID).map((id) => [id]), logs_path: optional(text) }),
      ),
      usage: optional(fc.record({ tokens_input: optional(integer), duration_ms: optional(integer) })),
    })
    .map((body) => {
      const before = { run: aRun({ state: 'running', steps_running: 1 }), step_attempt: aStep() }
      return erased(completeStepAttempt(aSnapshot(before), given(), body))
    }),
  'step_started of a retry': fc.record({ metadata: object, input_prompt: text }).map((body) => {
    const before = { run: aRun({ state: 'running' }), step_attempt: failed, newest: failed }
    return erased(retryStepAttempt(aSnapshot(before), given(), body))
  }),
  'note of a client': object.map((payload) =>
    erased(appendRunEvent(running(), given(), { kind: 'note', payload })),
  ),
  audit_loss_accepted: integer.map((seq) =>
    erased(recordLoss(aSnapshot({ system: systemStart() }), given(), { seq, count: 1, hash: 'x' })),
  ),
}

/** The payload does not depend on what the decision answers. */
const erased = <T>(decision: Decision<T>): Decision<unknown> => ({
  changes: decision.changes,
  events: decision.events,
  result: decision.result,
})

it('there is a case for every kind that the server writes', () => {
  const written = [...runMachine.edges, ...stepMachine.edges].map(({ event }) => event)
  for (const kind of new Set([...written, 'run_updated', 'audit_loss_accepted'])) {
    expect(DECISIONS).toHaveProperty(kind)
  }
})

describe('the payload text, written out by hand where it is hot, is RFC 8785', () => {
  it.each(Object.entries(DECISIONS))('%s', (_kind, decisions) => {
    fc.assert(
      fc.property(decisions, ({ events }) => {
        expect(events.length).toBeGreaterThan(0)
        for (const { payload_text } of events) {
          expect(payload_text).toBe(canonicalize(JSON.parse(payload_text!)))
        }
      }),
    )
  })
})

describe('canonical text', () => {
  it('is that of the library for every value', () => {
    fc.assert(fc.property(object, (value) => void expect(canonicalText(value)).toBe(canonicalize(value))))
  })

  it.each([
    [{}, '{}'],
    [[], '[]'],
    [null, 'null'],
    ['text', '"text"'],
    [{ b: 1, a: { d: 1, c: 2 } }, '{"a":{"c":2,"d":1},"b":1}'],
    // RFC 8785 §3.2.3: keys sort by UTF-16 code units, so the emoji stands before U+FB33.
    [
      { '\u20ac': 1, '\r': 2, '\ufb33': 3, 1: 4, '\u{1f600}': 5 },
      '{"\\r":2,"1":4,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    ],
    // RFC 8785 §3.2.2.3: numbers as ECMAScript writes them.
    [[-0, 1e21, 1e-7, 333333333.33333329], '[0,1e+21,1e-7,333333333.3333333]'],
  ])('of %j', (value, expected) => {
    expect(canonicalText(value)).toBe(expected)
  })

  it('is refused to what is no JSON', () => {
    expect(() => canonicalText(undefined)).toThrow('not a JSON value')
  })
})

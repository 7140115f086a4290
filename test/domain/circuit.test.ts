import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CIRCUIT_DEFAULTS } from '../../src/contract/defaults.ts'
import {
  CLOSED,
  type Circuit,
  type CircuitAttempt,
  type CircuitThresholds,
  circuitAfter,
  circuitReset,
  circuitWith,
  isBarred,
} from '../../src/domain/circuit.ts'
import { NOW, after } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

/** So many seconds after the beginning. */
const at = (seconds: number): string => after(NOW, seconds * 1_000)

const THRESHOLDS: CircuitThresholds = { ...CIRCUIT_DEFAULTS }

type Ending = Partial<CircuitAttempt> & { at: number; began?: number }

const attempt = ({ at: seconds, began = seconds, ...facts }: Ending): CircuitAttempt => ({
  step_attempt_id: 'other',
  state: 'failed',
  error_class: null,
  started_at: at(began),
  ended_at: at(seconds),
  ...facts,
})

/** What is left after the attempts; a string is the class of a failure, true a success. */
function circuitOf(
  endings: readonly (Ending | string | true)[],
  { from = CLOSED, thresholds = THRESHOLDS }: { from?: Circuit; thresholds?: CircuitThresholds | null } = {},
): Circuit {
  return endings.reduce<Circuit>((circuit, ending, i) => {
    const ended: Ending =
      ending === true
        ? { at: i, state: 'succeeded' }
        : typeof ending === 'string'
          ? { at: i, error_class: ending }
          : ending
    return circuitAfter(circuit, attempt(ended), thresholds).circuit
  }, from)
}
const times = <T>(count: number, what: T): T[] => Array.from({ length: count }, () => what)

describe('a closed circuit', () => {
  it('opens with the fifth failure in a row, for a minute', () => {
    expect(circuitOf(times(4, 'tool_error'))).toMatchObject({ state: 'closed', failures_in_row: 4 })
    expect(circuitOf(times(5, 'tool_error'))).toEqual({
      state: 'open',
      reason: 'failures_in_row',
      opened_at: at(4),
      open_until: at(64),
      open_seconds: 60,
      failures_in_row: 5,
      window: [],
      probe: null,
    })
  })

  it('counts from 0 again after a success', () => {
    const endings = [...times(4, 'tool_error'), true as const, ...times(4, 'tool_error')]
    expect(circuitOf(endings)).toMatchObject({ state: 'closed', failures_in_row: 4 })
  })

  it.each(['invalid_request', 'canceled', 'timeout', 'lease_expired', 'worker_error'])(
    'does not count %s',
    (error_class) => {
      const counted = circuitOf([...times(4, 'tool_error')])
      expect(circuitOf(times(50, error_class), { from: counted })).toEqual(counted)
    },
  )

  it('does not count what was canceled', () => {
    const ending = { at: 9, state: 'canceled', error_class: 'tool_error' } as const
    expect(circuitOf([ending, ending, ending, ending, ending, ending])).toEqual(CLOSED)
  })

  it.each(['tool_error', 'out_of_memory', 'of_their_own'])('counts %s', (error_class) => {
    expect(circuitOf(times(5, error_class)).state).toBe('open')
  })

  it('counts a failure that names no class', () => {
    expect(circuitOf(times(5, { at: 3, error_class: null })).state).toBe('open')
  })

  it.each(['auth', 'rate_limited'] as const)('opens at once on %s', (error_class) => {
    expect(circuitOf([{ at: 3, error_class }])).toMatchObject({
      state: 'open',
      reason: error_class,
      open_until: at(63),
      open_seconds: 60,
      failures_in_row: 1,
    })
  })

  it.each([
    ['auth', 7_000, 10],
    ['rate_limited', 7_200_000, 7_203],
    ['rate_limited', 0, 3],
  ])('opens on %s until the worker was told: after %i ms', (error_class, retry_after_ms, until) => {
    expect(circuitOf([{ at: 3, error_class, retry_after_ms }])).toMatchObject({
      open_until: at(until),
      open_seconds: 60,
    })
  })

  it('takes no such instant from other failures', () => {
    expect(circuitOf(times(5, { at: 0, retry_after_ms: 1 })).open_until).toBe(at(60))
  })

  it('stays as it is for a tool that the configuration does not have', () => {
    expect(circuitOf(times(9, 'auth'), { thresholds: null })).toEqual(CLOSED)
  })

  it('opens when more than half of ten in a minute failed', () => {
    const half = [...times(5, [true as const, 'tool_error'])].flat()
    expect(circuitOf(half)).toMatchObject({ state: 'closed', failures_in_row: 1 })
    expect(circuitOf([...half, 'tool_error'])).toMatchObject({ state: 'open', reason: 'failure_rate' })
  })

  it('asks for ten: of nine that failed nearly all it says nothing', () => {
    const nine = [...times(4, 'tool_error'), true as const, ...times(4, 'tool_error')]
    expect(circuitOf(nine).state).toBe('closed')
    expect(circuitOf([true, ...nine])).toMatchObject({ state: 'open', reason: 'failure_rate' })
  })

  it('does not open with a success, whatever the share', () => {
    const endings = [...times(4, 'tool_error'), true as const, ...times(4, 'tool_error'), true as const]
    expect(circuitOf(endings).state).toBe('closed')
  })

  it('forgets what is older than the window', () => {
    const old = times(4, { at: 0 })
    const success = { at: 58, state: 'succeeded' as const }
    const rest = [success, ...times(4, { at: 58 }), success, { at: 58 }]
    expect(circuitOf([...old, ...rest]).state).toBe('open')
    const later = rest.map((ending) => ({ ...ending, at: 61 }))
    expect(circuitOf([...old, ...later]).state).toBe('closed')
  })

  it('keeps twelve parts of its window, however much happens', () => {
    const busy = Array.from({ length: 5_000 }, (_, i) => ({ at: i / 7, state: 'succeeded' as const }))
    expect(circuitOf(busy).window.length).toBeLessThanOrEqual(12)
    expect(JSON.stringify(circuitOf(busy).window).length).toBeLessThan(300)
  })

  it('goes by the thresholds of its app', () => {
    const thresholds = { ...THRESHOLDS, failures_in_row: 2, open_seconds: 5 }
    expect(circuitOf(times(2, 'tool_error'), { thresholds })).toMatchObject({
      state: 'open',
      open_until: at(6),
    })
    const eager = { ...THRESHOLDS, failures_in_row: 99, min_attempts: 3, failure_rate: 0.1 }
    expect(circuitOf([true, true, 'tool_error'], { thresholds: eager }).reason).toBe('failure_rate')
  })
})

const OPEN = circuitOf(times(5, 'tool_error'))

describe('an open circuit', () => {
  it('bars everything until its instant', () => {
    expect(isBarred(OPEN, at(63.999))).toBe(true)
    expect(isBarred(OPEN, at(64))).toBe(false)
    expect(isBarred(CLOSED, at(0))).toBe(false)
  })

  it.each([
    ['succeeded', null],
    ['failed', 'tool_error'],
    ['failed', 'auth'],
  ] as const)('learns nothing from an attempt that began before: %s, %s', (state, error_class) => {
    expect(circuitOf([{ at: 70, began: 63, state, error_class }], { from: OPEN })).toEqual(OPEN)
  })

  it('becomes half open with the attempt that begins after, and tells of it', () => {
    const { circuit, moves } = circuitWith(OPEN, 'probe')
    expect(circuit).toEqual({ ...OPEN, state: 'half_open', probe: 'probe' })
    expect(moves.map(({ edge }) => edge.event)).toEqual(['circuit_half_opened'])
  })

  it('is tried over the steps API without a claim: both moves are told', () => {
    const ended = attempt({ at: 70, began: 65, state: 'succeeded' })
    const { circuit, moves } = circuitAfter(OPEN, ended, THRESHOLDS)
    expect(circuit).toEqual(CLOSED)
    expect(moves.map(({ edge }) => edge.event)).toEqual(['circuit_half_opened', 'circuit_closed'])
  })
})

const HALF_OPEN = circuitWith(OPEN, 'probe').circuit
const probe = (facts: Ending) => ({ step_attempt_id: 'probe', began: 70, ...facts })

describe('a half-open circuit', () => {
  it('bars everything while its probe runs', () => {
    expect(isBarred(HALF_OPEN, at(1e6))).toBe(true)
  })

  it('closes when its probe succeeds, and has forgotten everything', () => {
    expect(circuitOf([probe({ at: 71, state: 'succeeded' })], { from: HALF_OPEN })).toEqual(CLOSED)
  })

  it('opens for twice as long when it fails', () => {
    expect(circuitOf([probe({ at: 80 })], { from: HALF_OPEN })).toMatchObject({
      state: 'open',
      reason: 'probe_failed',
      opened_at: at(80),
      open_until: at(200),
      open_seconds: 120,
      failures_in_row: 6,
      probe: null,
    })
  })

  it('opens until the probe was told, and for twice as long the next time all the same', () => {
    const limited = probe({ at: 80, error_class: 'rate_limited', retry_after_ms: 1_000 })
    const open = circuitOf([limited], { from: HALF_OPEN })
    expect(open).toMatchObject({ reason: 'rate_limited', open_until: at(81), open_seconds: 120 })
  })

  it('opens for 15 minutes at most', () => {
    let circuit = OPEN
    const lengths = []
    for (let i = 0; i < 7; i++) {
      lengths.push(circuit.open_seconds)
      const began = 1_000_000 * (i + 1)
      circuit = circuitOf([{ at: began, began, step_attempt_id: 'p' }], {
        from: circuitWith(circuit, 'p').circuit,
      })
    }
    expect(lengths).toEqual([60, 120, 240, 480, 900, 900, 900])
  })

  it.each([
    ['canceled', null],
    ['failed', 'invalid_request'],
    ['failed', 'lease_expired'],
    ['failed', 'timeout'],
  ] as const)('lets the next attempt through when its probe shows nothing: %s, %s', (state, error_class) => {
    const free = circuitOf([probe({ at: 71, state, error_class })], { from: HALF_OPEN })
    expect(free).toEqual({ ...HALF_OPEN, probe: null })
    expect(isBarred(free, at(71))).toBe(false)
    const { circuit, moves } = circuitWith(free, 'next')
    expect([circuit.probe, moves]).toEqual(['next', []])
  })

  it('learns nothing from what began before it opened', () => {
    expect(circuitOf([{ at: 71, began: 1, state: 'succeeded' }], { from: HALF_OPEN })).toEqual(HALF_OPEN)
  })

  it('goes by what is usual where the configuration has no such tool any more', () => {
    const gone = { from: HALF_OPEN, thresholds: null }
    expect(circuitOf([probe({ at: 71, state: 'succeeded' })], gone)).toEqual(CLOSED)
    expect(circuitOf([probe({ at: 71 })], gone).open_seconds).toBe(120)
  })
})

describe('a reset', () => {
  it.each([
    ['open', OPEN],
    ['half open', HALF_OPEN],
  ])('closes a circuit that is %s, and forgets', (_, from) => {
    expect(circuitReset(from).circuit).toEqual(CLOSED)
  })

  it('is refused for one that is closed', () => {
    expect(refusal(() => circuitReset(CLOSED))).toMatchObject({ code: 'transition_refused' })
  })
})

/** The same in a few lines: it keeps every outcome, and counts anew each time. */
class Model {
  state: Circuit['state'] = 'closed'
  until = 0
  seconds = 0
  outcomes: { at: number; failed: boolean }[] = []
  probe: string | null = null
  private readonly rules: CircuitThresholds
  constructor(rules: CircuitThresholds) {
    this.rules = rules
  }

  begins(id: string, now: number): boolean {
    if (this.state === 'open' && now < this.until) return false
    if (this.state === 'half_open' && this.probe !== null) return false
    if (this.state === 'closed') return true
    this.state = 'half_open'
    this.probe = id
    return true
  }

  ends(id: string, began: number, now: number, how: string): void {
    if (this.probe === id) this.probe = null
    if (how === 'canceled' || how === 'timeout') return
    const failed = how !== 'succeeded'
    if (this.state === 'closed') {
      this.outcomes.push({ at: now, failed })
      if (failed && (how === 'auth' || this.isTooMuch(now))) this.opens(now, this.rules.open_seconds)
    } else if (began >= this.until) {
      if (failed) return this.opens(now, Math.min(this.seconds * 2, this.rules.max_open_seconds))
      Object.assign(this, { state: 'closed', probe: null, outcomes: [] })
    }
  }

  private opens(now: number, seconds: number): void {
    Object.assign(this, { state: 'open', seconds, until: now + seconds, probe: null, outcomes: [] })
  }

  private isTooMuch(now: number): boolean {
    const { failures_in_row, failure_rate, min_attempts, window_seconds } = this.rules
    const last = this.outcomes.slice(-failures_in_row)
    if (last.length === failures_in_row && last.every(({ failed }) => failed)) return true
    const part = window_seconds / 12
    const recent = this.outcomes.filter(({ at }) => Math.floor(at / part) * part > now - window_seconds)
    const failures = recent.filter(({ failed }) => failed).length
    return recent.length >= min_attempts && failures > recent.length * failure_rate
  }
}

describe('any sequence of attempts and times', () => {
  const step = fc.record({
    after: fc.constantFrom(0, 1, 1, 2, 5, 17, 61, 130),
    /** Of the running ones, which ends now; or another begins, with or without asking. */
    what: fc.constantFrom('begin', 'begin', 'begin unasked', 'end', 'end', 'end'),
    which: fc.nat(5),
    how: fc.constantFrom(
      'succeeded',
      'succeeded',
      'tool_error',
      'tool_error',
      'tool_error',
      'auth',
      'canceled',
      'timeout',
    ),
  })
  const rules = fc.record({
    failures_in_row: fc.integer({ min: 1, max: 6 }),
    failure_rate: fc.constantFrom(0, 0.25, 0.5, 0.75, 1),
    min_attempts: fc.integer({ min: 1, max: 12 }),
    window_seconds: fc.constantFrom(12, 60, 120),
    open_seconds: fc.integer({ min: 1, max: 60 }),
    max_open_seconds: fc.integer({ min: 60, max: 300 }),
  })

  it('leaves the circuit in the state of the model', () => {
    const seen = new Set<string>()
    const start = Date.parse(NOW) / 1_000
    fc.assert(
      fc.property(rules, fc.array(step, { minLength: 1, maxLength: 120 }), (rules, steps) => {
        const model = new Model(rules)
        const running: { id: string; began: number }[] = []
        let circuit = CLOSED
        let now = start
        steps.forEach(({ after: seconds, what, which, how }, i) => {
          now += seconds
          const instant = new Date(now * 1_000).toISOString()
          const id = `attempt-${i}`
          if (what === 'begin') {
            const begins = model.begins(id, now)
            expect(isBarred(circuit, instant)).toBe(!begins)
            if (begins) circuit = circuitWith(circuit, id).circuit
            if (begins) running.push({ id, began: now })
          } else if (what === 'begin unasked') running.push({ id, began: now })
          else if (running.length > 0) {
            const [{ id, began }] = running.splice(which % running.length, 1) as [
              { id: string; began: number },
            ]
            model.ends(id, began, now, how)
            const state = how === 'succeeded' || how === 'canceled' ? how : 'failed'
            const ended = {
              step_attempt_id: id,
              state,
              error_class: state === 'failed' ? how : null,
              started_at: new Date(began * 1_000).toISOString(),
              ended_at: instant,
            } as const
            const { circuit: next, moves } = circuitAfter(circuit, ended, rules)
            for (const { edge } of moves) seen.add(`${edge.from} ${edge.command}`)
            circuit = next
          }
          expect([circuit.state, circuit.probe]).toEqual([model.state, model.probe])
          if (model.state !== 'closed') {
            expect([circuit.open_until, circuit.open_seconds]).toEqual([
              new Date(model.until * 1_000).toISOString(),
              model.seconds,
            ])
          }
        })
      }),
      { numRuns: 600, seed: 20260105 },
    )
    expect([...seen].sort()).toEqual(['closed trip', 'half_open recover', 'half_open trip', 'open probe'])
  })
})

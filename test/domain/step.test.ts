import { describe, expect, it } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import type { Snapshot } from '../../src/domain/decision.ts'
import { completeStepAttempt, createStepAttempt, retryStepAttempt } from '../../src/domain/step.ts'
import { RUN_ID, STEP_BODY, STEP_ID, aRun, aSnapshot, aStep } from '../support/builders.ts'
import { bookAfter, payloadsOf, resultOf, runAfter } from '../support/decision.ts'
import { NOW, boundTo, given, ulid } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

const CLOSED = ['succeeded', 'failed', 'quarantined', 'canceled'] as const
const aRunningRun = (facts: Parameters<typeof aRun>[0] = {}) => aRun({ state: 'running', ...facts })

describe('create', () => {
  it('makes the first running attempt of a step, from now on', () => {
    const step = resultOf(createStepAttempt(aSnapshot({ run: aRunningRun() }), given(), STEP_BODY))
    expect(step).toEqual(aStep({ step_attempt_id: ulid(NOW, 1), started_at: NOW }))
  })

  it('keeps everything that the client says', () => {
    const body = {
      tool_id: 'aider',
      sequence: 7,
      tool_run_id: 'call-1',
      prompt_id: ulid(NOW, 50),
      input_prompt: 'do it',
      metadata: { try: 1 },
    }
    expect(resultOf(createStepAttempt(aSnapshot({ run: aRunningRun() }), given(), body))).toMatchObject(body)
  })

  it('takes null as absent', () => {
    const nulls = { sequence: null, tool_run_id: null, prompt_id: null, input_prompt: null, metadata: null }
    const before = aSnapshot({ run: aRunningRun() })
    expect(resultOf(createStepAttempt(before, given(), { ...STEP_BODY, ...nulls }))).toEqual(
      resultOf(createStepAttempt(before, given(), STEP_BODY)),
    )
  })

  it('counts in its run, in the same event', () => {
    const decided = createStepAttempt(aSnapshot({ run: aRunningRun() }), given(), STEP_BODY)
    expect(bookAfter(decided)).toMatchObject({ steps_running: 1, sequence_max: 1, event_count: 3 })
    expect(runAfter(decided)).toMatchObject({ counters: { step_attempts: 1 }, version: 3, updated_at: NOW })
    expect(decided.events).toMatchObject([
      { kind: 'step_started', from: null, to: 'running', step_attempt_id: ulid(NOW, 1), run_seq: 3 },
    ])
    expect(payloadsOf(decided)).toEqual([
      {
        run: { counters: runAfter(decided).counters, updated_at: NOW, version: 3 },
        step_attempt: resultOf(decided),
      },
    ])
  })

  it('without a sequence goes behind the highest so far', () => {
    const before = aSnapshot({ run: aRunningRun({ sequence_max: 41 }) })
    expect(resultOf(createStepAttempt(before, given(), STEP_BODY)).sequence).toBe(42)
  })

  it('takes a free sequence below the highest, and the highest stays', () => {
    const decided = createStepAttempt(aSnapshot({ run: aRunningRun({ sequence_max: 41 }) }), given(), {
      ...STEP_BODY,
      sequence: 7,
    })
    expect(resultOf(decided).sequence).toBe(7)
    expect(bookAfter(decided).sequence_max).toBe(41)
  })

  it('may leave a gap, and the next one goes behind it', () => {
    const decided = createStepAttempt(aSnapshot({ run: aRunningRun() }), given(), {
      ...STEP_BODY,
      sequence: 9,
    })
    const next = createStepAttempt(aSnapshot({ run: bookAfter(decided) }), given(), STEP_BODY)
    expect(resultOf(next).sequence).toBe(10)
  })

  it('refuses a sequence that is taken', () => {
    const before = aSnapshot({ run: aRunningRun({ sequence_max: 3 }), newest: aStep({ sequence: 2 }) })
    const act = () => createStepAttempt(before, given(), { ...STEP_BODY, sequence: 2 })
    expect(refusal(act)).toMatchObject({
      code: 'sequence_taken',
      context: { sequence: 2, errors: [{ pointer: '#/sequence' }] },
    })
  })

  it('has a last place, 1 000 000, and refuses to go behind it by itself', () => {
    const last = aSnapshot({ run: aRunningRun({ sequence_max: 999_999 }) })
    expect(resultOf(createStepAttempt(last, given(), STEP_BODY)).sequence).toBe(1_000_000)
    const full = aSnapshot({ run: aRunningRun({ sequence_max: 1_000_000 }) })
    expect(refusal(() => createStepAttempt(full, given(), STEP_BODY)).code).toBe('sequence_taken')
  })

  it('still takes a free place where the last one is taken', () => {
    const full = aSnapshot({ run: aRunningRun({ sequence_max: 1_000_000 }) })
    expect(resultOf(createStepAttempt(full, given(), { ...STEP_BODY, sequence: 5 })).sequence).toBe(5)
  })

  it.each(['pending', ...CLOSED] as const)('is refused in a run that is %s', (state) => {
    const act = () => createStepAttempt(aSnapshot({ run: aRun({ state }) }), given(), STEP_BODY)
    expect(refusal(act)).toMatchObject({ code: 'run_not_running', context: { state } })
  })

  it('is refused at another version of the run', () => {
    const before = aSnapshot({ run: aRunningRun() })
    const stale = () => createStepAttempt(before, given({ if_match: ['1'] }), STEP_BODY)
    expect(refusal(stale)).toMatchObject({ code: 'precondition_failed', context: { version: 2 } })
    expect(resultOf(createStepAttempt(before, given({ if_match: ['2'] }), STEP_BODY)).state).toBe('running')
  })

  it('is refused for an id that no run has, and for a run that the key does not see', () => {
    const unknown = refusal(() => createStepAttempt(aSnapshot(), given(), STEP_BODY))
    const hidden = () =>
      createStepAttempt(aSnapshot({ run: aRunningRun() }), given({ caller: boundTo('other') }), STEP_BODY)
    expect(unknown.code).toBe('run_not_found')
    expect(refusal(hidden)).toEqual(unknown)
  })
})

/** An attempt, its run, and the newest attempt at its place, which is itself unless the test says more. */
function anAttempt(facts: Partial<StepAttempt> = {}, more: Partial<Snapshot> = {}, run: Partial<Run> = {}) {
  const step_attempt = aStep(facts)
  const steps_running = step_attempt.state === 'running' ? 1 : 0
  const book = aRunningRun({
    counters: { step_attempts: 1, patches_created: 0, patches_applied: 0, errors: 0 },
    steps_running,
    ...run,
  })
  return aSnapshot({ run: book, step_attempt, newest: step_attempt, ...more })
}

describe('complete', () => {
  it.each(['succeeded', 'failed', 'canceled'] as const)('with %s ends a running attempt', (status) => {
    const decided = completeStepAttempt(anAttempt(), given(), { status })
    expect(resultOf(decided)).toEqual(aStep({ state: status, ended_at: NOW, version: 2 }))
    expect(decided.events).toMatchObject([
      { kind: 'step_completed', from: 'running', to: status, step_attempt_id: STEP_ID, run_seq: 3 },
    ])
  })

  it('keeps everything that the client says', () => {
    const body = {
      status: 'failed',
      exit_code: 1,
      signal: 'SIGKILL',
      error_class: 'timeout',
      error_code: 'E1',
      error_log: 'log',
      stdout_tail: 'out',
      stderr_tail: 'err',
      outputs: { patch_ids: [ulid(NOW, 60)], logs_path: 'l', raw_response_path: 'r' },
      usage: { tokens_input: 1, tokens_output: 2, cost_usd_micros: 3, duration_ms: 4 },
    } as const
    const { status, ...rest } = body
    const decided = completeStepAttempt(anAttempt(), given(), {
      ...body,
      outputs: { ...body.outputs, patch_ids: [...body.outputs.patch_ids] },
    })
    expect(resultOf(decided)).toMatchObject({ state: status, ...rest })
    const told = { ...rest, state: status, state_reason: null, ended_at: NOW, version: 2 }
    expect(payloadsOf(decided)).toEqual([
      { run: { counters: runAfter(decided).counters, updated_at: NOW, version: 3 }, step_attempt: told },
    ])
  })

  it('takes null as absent, also within outputs and usage', () => {
    const nothing = resultOf(completeStepAttempt(anAttempt(), given(), { status: 'failed' }))
    const nulls = {
      exit_code: null,
      error_log: null,
      outputs: { patch_ids: null, logs_path: null },
      usage: { duration_ms: null },
    }
    expect(resultOf(completeStepAttempt(anAttempt(), given(), { status: 'failed', ...nulls }))).toEqual(
      nothing,
    )
    const emptied = { status: 'failed', outputs: null, usage: null } as const
    expect(resultOf(completeStepAttempt(anAttempt(), given(), emptied))).toEqual(nothing)
  })

  it.each([
    ['succeeded', 0],
    ['failed', 1],
    ['canceled', 0],
  ] as const)('with %s adds %i to the errors of the run', (status, errors) => {
    const decided = completeStepAttempt(anAttempt(), given(), { status })
    expect(runAfter(decided)).toMatchObject({
      counters: { step_attempts: 1, errors },
      version: 3,
      updated_at: NOW,
    })
    expect(bookAfter(decided).steps_running).toBe(0)
  })

  it('refuses success with an exit code other than 0', () => {
    const act = () => completeStepAttempt(anAttempt(), given(), { status: 'succeeded', exit_code: 3 })
    expect(refusal(act).code).toBe('exit_code_contradicts')
  })

  it.each(['failed', 'canceled'] as const)('takes any exit code with %s', (status) => {
    for (const exit_code of [0, 3]) {
      expect(resultOf(completeStepAttempt(anAttempt(), given(), { status, exit_code })).exit_code).toBe(
        exit_code,
      )
    }
  })

  it('is refused at another version of the attempt, whatever that of the run', () => {
    const act = () => completeStepAttempt(anAttempt(), given({ if_match: ['2'] }), { status: 'failed' })
    expect(refusal(act)).toMatchObject({ code: 'precondition_failed', context: { version: 1 } })
    const decided = completeStepAttempt(anAttempt(), given({ if_match: ['1'] }), { status: 'failed' })
    expect(resultOf(decided).state).toBe('failed')
  })

  it('leaves what it was given as it was', () => {
    const before = anAttempt()
    const copy = structuredClone(before)
    completeStepAttempt(before, given(), { status: 'failed' })
    expect(before).toEqual(copy)
  })
})

describe('retry', () => {
  const old = {
    state: 'failed',
    sequence: 4,
    attempt: 2,
    tool_run_id: 'call-1',
    prompt_id: ulid(NOW, 50),
    input_prompt: 'do it',
    metadata: { try: 2 },
    exit_code: 1,
    error_log: 'log',
  } as const

  it('is a new running attempt of the same step, which copies what was asked and not what came of it', () => {
    const decided = retryStepAttempt(anAttempt(old, {}, { version: 9 }), given(), {})
    expect(resultOf(decided)).toEqual(
      aStep({
        step_attempt_id: ulid(NOW, 1),
        sequence: 4,
        attempt: 3,
        retry_of: STEP_ID,
        prompt_id: old.prompt_id,
        input_prompt: 'do it',
        metadata: { try: 2 },
        started_at: NOW,
      }),
    )
  })

  it('leaves the old attempt as it ended: only the new one and the run are written', () => {
    const decided = retryStepAttempt(anAttempt(old), given(), {})
    expect(
      decided.changes.map((change) => [change.record, 'before' in change && change.before === null]),
    ).toEqual([
      ['step_attempt', true],
      ['run', false],
    ])
    expect(bookAfter(decided)).toMatchObject({ steps_running: 1, run: { counters: { step_attempts: 2 } } })
    expect(decided.events).toMatchObject([
      { kind: 'step_started', from: null, to: 'running', step_attempt_id: ulid(NOW, 1) },
    ])
  })

  it('may ask another tool another thing', () => {
    const body = { tool_id: 'codex', input_prompt: 'do it well', metadata: { try: 3 } }
    expect(resultOf(retryStepAttempt(anAttempt(old), given(), body))).toMatchObject(body)
  })

  it('takes null as absent, which copies', () => {
    const nulls = { tool_id: null, input_prompt: null, metadata: null }
    expect(resultOf(retryStepAttempt(anAttempt(old), given(), nulls))).toEqual(
      resultOf(retryStepAttempt(anAttempt(old), given(), {})),
    )
  })

  it('keeps the highest sequence of the run', () => {
    const before = anAttempt(old, { run: aRunningRun({ sequence_max: 9 }) })
    expect(bookAfter(retryStepAttempt(before, given(), {})).sequence_max).toBe(9)
  })

  it('is taken by a canceled attempt too', () => {
    expect(resultOf(retryStepAttempt(anAttempt({ state: 'canceled' }), given(), {})).attempt).toBe(2)
  })

  it.each(['running', 'succeeded'] as const)('is refused by an attempt that is %s', (state) => {
    expect(refusal(() => retryStepAttempt(anAttempt({ state }), given(), {}))).toMatchObject({
      code: 'transition_refused',
      context: { state, command: 'retry' },
    })
  })

  it('is refused by an attempt that was retried already, with the newest one', () => {
    const newest = aStep({ step_attempt_id: ulid(NOW, 70), attempt: 2, state: 'failed' })
    expect(
      refusal(() => retryStepAttempt(anAttempt({ state: 'failed' }, { newest }), given(), {})),
    ).toMatchObject({
      code: 'already_retried',
      context: { newest_step_attempt_id: newest.step_attempt_id },
    })
  })

  it.each(CLOSED)('is refused in a run that is %s', (state) => {
    const before = anAttempt({ state: 'failed' }, { run: aRun({ state }) })
    expect(refusal(() => retryStepAttempt(before, given(), {}))).toMatchObject({
      code: 'run_not_running',
      context: { state },
    })
  })

  it('is refused at another version of the attempt', () => {
    const act = () => retryStepAttempt(anAttempt(old), given({ if_match: ['1'] }), {})
    expect(refusal(act)).toMatchObject({ code: 'precondition_failed', context: { version: 2 } })
  })
})

describe('every command of an attempt', () => {
  const commands = [
    ['complete', (before: Snapshot, who = given()) => completeStepAttempt(before, who, { status: 'failed' })],
    ['retry', (before: Snapshot, who = given()) => retryStepAttempt(before, who, {})],
  ] as const

  it.each(commands)('%s is refused for an id that no attempt has', (_name, command) => {
    expect(refusal(() => command(aSnapshot())).code).toBe('step_attempt_not_found')
  })

  it.each(commands)('%s is refused the same way where the key does not see the project', (_name, command) => {
    const act = () => command(anAttempt(), given({ caller: boundTo('other') }))
    expect(refusal(act)).toEqual(refusal(() => command(aSnapshot())))
    expect(
      command(
        anAttempt({ state: _name === 'retry' ? 'failed' : 'running' }),
        given({ caller: boundTo('shop') }),
      ).events,
    ).toHaveLength(1)
  })

  it.each(commands)('%s tells of it in the chain of the run', (name, command) => {
    const before = anAttempt({ state: name === 'retry' ? 'failed' : 'running' })
    const decided = command(before, given({ http_request_id: 'r-1' }))
    const [event] = decided.events
    expect(event).toMatchObject({ run_id: RUN_ID, run_seq: 3, ts: NOW, http_request_id: 'r-1' })
    expect(bookAfter(decided)).toMatchObject({ event_count: 3, last_hash: event?.hash })
  })
})

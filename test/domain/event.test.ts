import { describe, expect, it } from 'vitest'
import type { AppendRunEvent } from '../../src/contract/event.ts'
import type { Run } from '../../src/contract/run.ts'
import type { Snapshot } from '../../src/domain/decision.ts'
import { appendRunEvent } from '../../src/domain/event.ts'
import { RUN_ID, STEP_ID, aRun, aSnapshot, aStep } from '../support/builders.ts'
import { bookAfter, resultOf, runAfter } from '../support/decision.ts'
import { NOW, boundTo, given, ulid } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

const inState = (state: Run['state']) => aSnapshot({ run: aRun({ state }) })
const append = (body: AppendRunEvent, before: Snapshot = inState('running')) =>
  appendRunEvent(before, given(), body)

describe('an event of a client', () => {
  it('is kept with time, actor and request of the server', () => {
    const actor = { type: 'key', id: 'ci' } as const
    const before = inState('running')
    const who = given({ caller: { actor, projects: null }, http_request_id: 'r-1' })
    const event = appendRunEvent(before, who, { kind: 'phase_transition', payload: { to: 'test' } }).result([
      42,
    ])
    expect(event).toEqual({
      event_id: ulid(NOW, 1),
      seq: 42,
      run_id: RUN_ID,
      run_seq: 3,
      step_attempt_id: null,
      ts: NOW,
      kind: 'phase_transition',
      payload: { to: 'test' },
      payload_salt: '00000000000000000000000000000001',
      payload_hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      from: null,
      to: null,
      actor,
      http_request_id: 'r-1',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    })
  })

  it.each([{}, { payload: null }])('has an empty payload if it brings none: %j', (body) => {
    expect(resultOf(append({ kind: 'note', ...body })).payload).toEqual({})
  })

  it('has its payload as canonical text, however it was written', () => {
    const { events } = append({ kind: 'note', payload: { b: 1e21, a: [1.0, 'é\u2028'] } })
    expect(events[0]?.payload_text).toBe('{"a":[1,"é\u2028"],"b":1e+21}')
  })

  it('moves nothing in the run but the end of its chain', () => {
    const before = inState('running')
    const decided = append({ kind: 'note' }, before)
    expect(runAfter(decided)).toEqual(before.run?.run)
    expect(bookAfter(decided)).toEqual({ ...before.run, event_count: 3, last_hash: decided.events[0]?.hash })
  })

  it.each([
    ['patch_created', 'patches_created'],
    ['patch_apply_succeeded', 'patches_applied'],
    ['tool_call_error', 'errors'],
  ] as const)('%s counts in %s, which is a change of the run', (kind, counter) => {
    const { run } = aRun({ state: 'running' })
    expect(runAfter(append({ kind }))).toEqual({
      ...run,
      counters: { ...run.counters, [counter]: 1 },
      updated_at: NOW,
      version: run.version + 1,
    })
  })

  it.each([
    'patch_validated',
    'patch_apply_failed',
    'patch_apply_started',
    'patch_quarantined',
    'tool_call_started',
    'tool_call_completed',
    'error_pipeline_triggered',
    'phase_transition',
    'my_own_word',
    'runner_up',
    'stepper',
    'constructor',
  ])('%s is free, and counts nothing', (kind) => {
    const decided = append({ kind })
    expect(runAfter(decided)).toEqual(aRun({ state: 'running' }).run)
    expect(decided.events).toMatchObject([{ kind }])
  })
})

describe('the kinds of the server', () => {
  it.each([
    'run_created',
    'run_x',
    'step_started',
    'task_routed',
    'request_queued',
    'lease_expired',
    'circuit_opened',
    'config_activated',
    'tool_paused',
    'tool_call',
    'tool_callback',
    'webhook_sent',
    'audit_loss_accepted',
    'event_erased',
  ])('%s is refused to clients', (kind) => {
    expect(refusal(() => append({ kind }))).toMatchObject({
      code: 'reserved_kind',
      context: { errors: [{ pointer: '#/kind' }] },
    })
  })

  it('are refused whatever the state of the run', () => {
    expect(refusal(() => append({ kind: 'run_x' }, inState('succeeded'))).code).toBe('reserved_kind')
  })
})

describe('an open run', () => {
  it.each(['pending', 'running'] as const)('takes any free kind: %s', (state) => {
    expect(append({ kind: 'patch_created' }, inState(state)).events).toHaveLength(1)
  })
})

describe('a closed run', () => {
  it.each(['succeeded', 'failed', 'quarantined', 'canceled'] as const)('takes notes, %s', (state) => {
    const decided = append({ kind: 'note', payload: { text: 'triaged' } }, inState(state))
    expect(runAfter(decided)).toEqual(aRun({ state }).run)
  })

  it.each(['succeeded', 'failed', 'quarantined', 'canceled'] as const)('takes nothing else, %s', (state) => {
    expect(refusal(() => append({ kind: 'patch_created' }, inState(state)))).toMatchObject({
      code: 'run_not_running',
      context: { state },
    })
  })
})

describe('an event of a step attempt', () => {
  it('names it', () => {
    const before = aSnapshot({ run: aRun({ state: 'running' }), step_attempt: aStep() })
    const { events } = append({ kind: 'tool_call_started', step_attempt_id: STEP_ID }, before)
    expect(events).toMatchObject([{ step_attempt_id: STEP_ID }])
  })

  it.each([
    ['no attempt has the id', null],
    ['it belongs to another run', aStep({ run_id: ulid(NOW, 80) })],
  ])('is refused where %s', (_name, step_attempt) => {
    const before = aSnapshot({ run: aRun({ state: 'running' }), step_attempt })
    expect(refusal(() => append({ kind: 'note', step_attempt_id: STEP_ID }, before))).toMatchObject({
      code: 'unknown_reference',
      context: { errors: [{ pointer: '#/step_attempt_id' }] },
    })
  })
})

describe('appending', () => {
  it('is refused at another version of the run', () => {
    const before = inState('running')
    const stale = () => appendRunEvent(before, given({ if_match: ['1'] }), { kind: 'note' })
    expect(refusal(stale)).toMatchObject({ code: 'precondition_failed', context: { version: 2 } })
    expect(appendRunEvent(before, given({ if_match: ['2'] }), { kind: 'note' }).events).toHaveLength(1)
  })

  it('is refused for an id that no run has, and for a run that the key does not see', () => {
    const unknown = refusal(() => append({ kind: 'note' }, aSnapshot()))
    const hidden = () =>
      appendRunEvent(inState('running'), given({ caller: boundTo('other') }), { kind: 'note' })
    expect(unknown.code).toBe('run_not_found')
    expect(refusal(hidden)).toEqual(unknown)
  })
})

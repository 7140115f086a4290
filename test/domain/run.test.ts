import { describe, expect, it } from 'vitest'
import type { Snapshot } from '../../src/domain/decision.ts'
import {
  cancelRun,
  completeRun,
  createRun,
  listTransitions,
  quarantineRun,
  startRun,
} from '../../src/domain/run.ts'
import type { RunCommand } from '../../src/domain/run-machine.ts'
import { RUN_BODY, RUN_ID, aRun, aSnapshot, aStep } from '../support/builders.ts'
import { bookAfter, payloadsOf, resultOf, stepsAfter } from '../support/decision.ts'
import { ANYBODY, NOW, boundTo, given, ulid } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

/** Every command but create, given in the shortest form. */
const COMMANDS = {
  start: (before: Snapshot, who = given()) => startRun(before, who),
  succeed: (before: Snapshot, who = given()) => completeRun(before, who, { status: 'succeeded' }),
  fail: (before: Snapshot, who = given()) => completeRun(before, who, { status: 'failed' }),
  quarantine: (before: Snapshot, who = given()) => quarantineRun(before, who, { reason: 'why' }),
  cancel: (before: Snapshot, who = given()) => cancelRun(before, who, {}),
} satisfies Record<Exclude<RunCommand, 'create'>, unknown>
const commands = Object.entries(COMMANDS)

/** A running run with attempts under way. */
function busy(count: number) {
  const running = Array.from({ length: count }, (_, i) =>
    aStep({ step_attempt_id: ulid(NOW, i + 1), sequence: i + 1 }),
  )
  return aSnapshot({ run: aRun({ state: 'running', steps_running: count }), running })
}

describe('create', () => {
  it('makes a pending run of what the client says, and defaults for the rest', () => {
    const run = resultOf(createRun(aSnapshot(), given(), RUN_BODY, null))
    expect(run).toEqual(
      aRun({
        run_id: ulid(NOW, 1),
        created_at: NOW,
        updated_at: NOW,
        version: 1,
        origin: { trigger_type: 'other', trigger_ref: null, requested_by: null },
        completion: 'manual',
        on_failure: 'fail',
      }).run,
    )
  })

  it('keeps everything that the client says', () => {
    const body = {
      project_id: 'p',
      phase_id: 'f',
      workstream_id: 'w',
      execution_request_id: ulid(NOW, 77),
      origin: { trigger_type: 'ci', trigger_ref: 'refs/pull/42', requested_by: 'ci@shop' },
      labels: { team: 'core' },
      metadata: { commit: '9fceb02' },
      completion: 'auto',
      on_failure: 'quarantine',
    } as const
    const run = resultOf(createRun(aSnapshot(), given(), body, '00-…'))
    expect(run).toMatchObject({ ...body, traceparent: '00-…' })
  })

  it('takes null as absent', () => {
    const nulls = { workstream_id: null, origin: null, labels: null, metadata: null, completion: null }
    const decided = createRun(aSnapshot(), given(), { ...RUN_BODY, ...nulls, on_failure: null }, null)
    expect(resultOf(decided)).toEqual(resultOf(createRun(aSnapshot(), given(), RUN_BODY, null)))
  })

  it('is told by run_created, which begins the chain and carries the whole run', () => {
    const decided = createRun(aSnapshot(), given(), RUN_BODY, null)
    const [event] = decided.events
    expect(decided.events).toHaveLength(1)
    expect(event).toMatchObject({ kind: 'run_created', run_seq: 1, from: null, to: 'pending', ts: NOW })
    expect(payloadsOf(decided)).toEqual([{ run: resultOf(decided) }])
    expect(decided.changes).toEqual([
      {
        record: 'run',
        before: null,
        after: {
          run: resultOf(decided),
          event_count: 1,
          last_hash: event?.hash,
          sequence_max: 0,
          steps_running: 0,
          requests: { open: 0, succeeded: 0, failed: 0, canceled: 0 },
        },
      },
    ])
  })

  it('is forbidden in a project that the key is not bound to', () => {
    const foreign = () => createRun(aSnapshot(), given({ caller: boundTo('other') }), RUN_BODY, null)
    expect(refusal(foreign)).toMatchObject({
      code: 'forbidden',
      context: { errors: [{ pointer: '#/project_id' }] },
    })
  })

  it('is allowed in a project that the key is bound to', () => {
    const own = createRun(aSnapshot(), given({ caller: boundTo('other', 'shop') }), RUN_BODY, null)
    expect(resultOf(own).project_id).toBe('shop')
  })
})

describe('start', () => {
  it('makes a pending run running, from now on', () => {
    const book = aRun()
    const decided = startRun(aSnapshot({ run: book }), given())
    expect(resultOf(decided)).toEqual({
      ...book.run,
      state: 'running',
      started_at: NOW,
      updated_at: NOW,
      version: 2,
    })
    expect(decided.events).toMatchObject([
      { kind: 'run_started', from: 'pending', to: 'running', run_seq: 2 },
    ])
    expect(payloadsOf(decided)).toEqual([
      { run: { started_at: NOW, state: 'running', updated_at: NOW, version: 2 } },
    ])
  })
})

describe('complete', () => {
  it('with succeeded ends a running run', () => {
    const book = aRun({ state: 'running' })
    const decided = completeRun(aSnapshot({ run: book }), given(), { status: 'succeeded', exit_code: 0 })
    expect(resultOf(decided)).toEqual({
      ...book.run,
      state: 'succeeded',
      exit_code: 0,
      ended_at: NOW,
      updated_at: NOW,
      version: 3,
    })
    expect(decided.events).toMatchObject([{ kind: 'run_completed', from: 'running', to: 'succeeded' }])
  })

  it('with failed keeps the exit code and the message', () => {
    const body = { status: 'failed', exit_code: 137, error_message: 'out of memory' } as const
    const decided = completeRun(aSnapshot({ run: aRun({ state: 'running' }) }), given(), body)
    const told = { exit_code: 137, error_message: 'out of memory', ended_at: NOW, state: 'failed' }
    expect(resultOf(decided)).toMatchObject(told)
    expect(decided.events).toMatchObject([{ kind: 'run_completed', to: 'failed' }])
    expect(payloadsOf(decided)).toEqual([{ run: { ...told, updated_at: NOW, version: 3 } }])
  })

  it.each([null, undefined, 0])('takes success with exit code %s', (exit_code) => {
    const body = { status: 'succeeded', ...(exit_code === undefined ? {} : { exit_code }) } as const
    const decided = completeRun(aSnapshot({ run: aRun({ state: 'running' }) }), given(), body)
    expect(resultOf(decided).state).toBe('succeeded')
  })

  it.each([1, -1, 255])('refuses success with exit code %s', (exit_code) => {
    const body = { status: 'succeeded', exit_code } as const
    const act = () => completeRun(aSnapshot({ run: aRun({ state: 'running' }) }), given(), body)
    expect(refusal(act)).toMatchObject({
      code: 'exit_code_contradicts',
      context: { errors: [{ pointer: '#/exit_code' }] },
    })
  })

  it('takes failure with the exit code 0: a program may fail and say so otherwise', () => {
    const body = { status: 'failed', exit_code: 0 } as const
    const decided = completeRun(aSnapshot({ run: aRun({ state: 'running' }) }), given(), body)
    expect(resultOf(decided)).toMatchObject({ state: 'failed', exit_code: 0 })
  })

  it('refuses success while attempts are running, and names them', () => {
    const before = busy(2)
    expect(refusal(() => COMMANDS.succeed(before))).toMatchObject({
      code: 'steps_running',
      context: {
        state: 'running',
        command: 'succeed',
        allowed_commands: ['fail', 'quarantine', 'cancel'],
        steps_running: 2,
        step_attempt_ids: before.running.map((step) => step.step_attempt_id),
      },
    })
  })

  it('names no more than twenty of them, and the full count', () => {
    const { context } = refusal(() => COMMANDS.succeed(busy(21)))
    expect(context['step_attempt_ids']).toHaveLength(20)
    expect(context['steps_running']).toBe(21)
  })
})

describe('quarantine', () => {
  it('of a running run ends it with the reason', () => {
    const decided = quarantineRun(aSnapshot({ run: aRun({ state: 'running' }) }), given(), {
      reason: 'broken',
    })
    expect(resultOf(decided)).toMatchObject({ state: 'quarantined', state_reason: 'broken', ended_at: NOW })
    expect(decided.events).toMatchObject([{ kind: 'run_quarantined', from: 'running', to: 'quarantined' }])
  })

  it('of a failed run keeps when and with what it failed', () => {
    const { run } = aRun({ state: 'failed' })
    const decided = quarantineRun(aSnapshot({ run: aRun({ state: 'failed' }) }), given(), {
      reason: 'broken',
    })
    expect(run).toMatchObject({ exit_code: 2, error_message: 'two tests failed' })
    expect(resultOf(decided)).toEqual({
      ...run,
      state: 'quarantined',
      state_reason: 'broken',
      updated_at: NOW,
      version: run.version + 1,
    })
    expect(decided.events).toMatchObject([{ from: 'failed', to: 'quarantined' }])
  })
})

describe('cancel', () => {
  it.each(['pending', 'running'] as const)('ends a %s run with the reason', (state) => {
    const decided = cancelRun(aSnapshot({ run: aRun({ state }) }), given(), { reason: 'superseded' })
    expect(resultOf(decided)).toMatchObject({
      state: 'canceled',
      state_reason: 'superseded',
      ended_at: NOW,
      exit_code: null,
    })
    expect(decided.events).toMatchObject([{ kind: 'run_canceled', from: state, to: 'canceled' }])
  })

  it.each([{}, { reason: null }])('needs no reason: %j', (body) => {
    expect(resultOf(cancelRun(aSnapshot({ run: aRun() }), given(), body)).state_reason).toBeNull()
  })
})

describe('a run that closes', () => {
  it.each([
    ['fail', 'run_failed'],
    ['quarantine', 'run_quarantined'],
    ['cancel', 'run_canceled'],
  ] as const)('by %s cancels its running attempts with the reason %s, theirs first', (command, reason) => {
    const before = busy(2)
    const decided = COMMANDS[command](before)
    expect(decided.changes.map(({ record }) => record)).toEqual([
      'step_attempt',
      'step_attempt',
      'tool',
      'run',
    ])
    expect(stepsAfter(decided)).toEqual(
      before.running.map((step) => ({
        ...step,
        state: 'canceled',
        state_reason: reason,
        ended_at: NOW,
        version: 2,
      })),
    )
    expect(decided.events).toMatchObject([
      {
        kind: 'step_completed',
        step_attempt_id: before.running[0]?.step_attempt_id,
        to: 'canceled',
        run_seq: 3,
      },
      {
        kind: 'step_completed',
        step_attempt_id: before.running[1]?.step_attempt_id,
        to: 'canceled',
        run_seq: 4,
      },
      { step_attempt_id: null, from: 'running', run_seq: 5 },
    ])
    expect(bookAfter(decided)).toMatchObject({ steps_running: 0, event_count: 5, run: { version: 3 } })
  })

  it('counts no error for what it canceled', () => {
    expect(resultOf(COMMANDS.fail(busy(2))).counters.errors).toBe(0)
  })

  it('breaks if it was not given all of its running attempts', () => {
    const before = { ...busy(2), running: [] }
    expect(() => COMMANDS.cancel(before)).toThrow('steps_running counts wrong')
  })
})

describe('every command of a run', () => {
  it.each(commands)('%s is refused for an id that no run has', (_name, command) => {
    expect(refusal(() => command(aSnapshot())).code).toBe('run_not_found')
  })

  it.each(commands)(
    '%s is refused the same way for a run of a project that the key does not see',
    (_, command) => {
      const before = aSnapshot({ run: aRun({ state: 'running' }) })
      const act = () => command(before, given({ caller: boundTo('other') }))
      expect(refusal(act)).toEqual(refusal(() => command(aSnapshot())))
    },
  )

  it.each(commands)(
    '%s is refused with 412 at another version, even where the state refuses it too',
    (_, command) => {
      const before = aSnapshot({ run: aRun({ state: 'succeeded' }) })
      expect(refusal(() => command(before, given({ if_match: ['2'] })))).toMatchObject({
        code: 'precondition_failed',
        context: { version: 3 },
      })
    },
  )

  it.each(commands)('%s is decided by the state when the version is the expected one', (_name, command) => {
    const before = aSnapshot({ run: aRun({ state: 'succeeded' }) })
    expect(refusal(() => command(before, given({ if_match: ['1', '3'] }))).code).toBe('transition_refused')
    expect(refusal(() => command(before, given({ if_match: '*' }))).code).toBe('transition_refused')
  })

  it.each(commands)(
    '%s binds its event to the ones before it, with time, actor and request',
    (name, command) => {
      const book = aRun({ state: name === 'start' ? 'pending' : 'running', last_hash: 'ab'.repeat(32) })
      const caller = { ...ANYBODY, actor: { type: 'key', id: 'ci' } as const }
      const decided = command(aSnapshot({ run: book }), given({ caller, http_request_id: 'r-1' }))
      expect(decided.events).toMatchObject([
        {
          run_id: RUN_ID,
          run_seq: book.event_count + 1,
          ts: NOW,
          actor: caller.actor,
          http_request_id: 'r-1',
        },
      ])
      expect(bookAfter(decided)).toMatchObject({
        event_count: book.event_count + 1,
        last_hash: decided.events[0]?.hash,
      })
      expect(decided.events[0]?.hash).not.toBe(book.last_hash)
    },
  )

  it.each(commands)('%s leaves what it was given as it was', (name, command) => {
    const before = aSnapshot({ run: aRun({ state: name === 'start' ? 'pending' : 'running' }) })
    const copy = structuredClone(before)
    command(before)
    expect(before).toEqual(copy)
  })

  it.each(commands)('%s decides the same again, because a store may ask twice', (name, command) => {
    const before = aSnapshot({ run: aRun({ state: name === 'start' ? 'pending' : 'running' }) })
    const [first, second] = [command(before, given()), command(before, given())]
    expect(second.changes).toEqual(first.changes)
    expect(second.events).toEqual(first.events)
  })
})

describe('the list of transitions', () => {
  const allowed = (before: Snapshot) =>
    listTransitions(before, given())
      .commands.filter((each) => each.allowed)
      .map(({ command }) => command)

  it.each([
    ['pending', ['start', 'cancel']],
    ['running', ['cancel', 'succeed', 'fail', 'quarantine']],
    ['succeeded', []],
    ['failed', ['quarantine']],
    ['quarantined', []],
    ['canceled', []],
  ] as const)('%s takes %j', (state, expected) => {
    expect(allowed(aSnapshot({ run: aRun({ state }) }))).toEqual(expected)
  })

  it('has every command, where to give it, and why not', () => {
    const { run_id, state, commands } = listTransitions(aSnapshot({ run: aRun() }), given())
    expect({ run_id, state }).toEqual({ run_id: RUN_ID, state: 'pending' })
    expect(commands.map(({ command }) => command)).toEqual([
      'start',
      'cancel',
      'succeed',
      'fail',
      'quarantine',
    ])
    expect(commands[0]?.href).toBe(`/v1/runs/${RUN_ID}/start`)
    expect(commands[2]).toMatchObject({
      allowed: false,
      code: 'transition_refused',
      operation_id: 'completeRun',
    })
    expect(commands[2]?.detail).toContain('does not take succeed')
  })

  it('says that succeed must wait for the attempts, which is what succeed would say', () => {
    const before = busy(1)
    const { commands } = listTransitions(before, given())
    const { code, detail } = refusal(() => COMMANDS.succeed(before))
    expect(commands.find(({ command }) => command === 'succeed')).toMatchObject({
      allowed: false,
      code,
      detail,
    })
    expect(commands.find(({ command }) => command === 'fail')?.allowed).toBe(true)
  })

  it('is refused for a run of a project that the key does not see', () => {
    const act = () => listTransitions(aSnapshot({ run: aRun() }), given({ caller: boundTo('other') }))
    expect(refusal(act).code).toBe('run_not_found')
  })
})

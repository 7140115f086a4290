import { decodeTime } from 'ulid'
import { describe, expect, it } from 'vitest'
import type { Answer } from '../../src/domain/decision.ts'
import { chain } from '../../src/domain/event-chain.ts'
import { createEntropy } from '../../src/entropy.ts'
import type { Call } from '../../src/orchestrator/call.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import type { Connection } from '../../src/store/sqlite/connection.ts'
import { EVENT_COLUMNS } from '../../src/store/sqlite/events.ts'
import { NO_ID, RUN_BODY, STEP_BODY } from '../support/builders.ts'
import { ANYBODY, NOW, after, boundTo, countingEntropy, given, handClock } from '../support/given.ts'
import { refusalOf } from '../support/refusal.ts'
import { eventsOf, expectSound, openMemoryStore } from '../support/store.ts'

/** Who asks, and how: anybody without a key, unless the test says more. */
function call<T>(facts: Partial<Call<T>> = {}): Call<T> {
  const present = (record: T): Answer => ({
    status: 200,
    body: JSON.stringify(record),
    etag: null,
    location: null,
  })
  return { caller: ANYBODY, http_request_id: null, if_match: null, claim: null, present, ...facts }
}

function opened(entropy = countingEntropy()) {
  const { db, store } = openMemoryStore()
  const { clock, advance } = handClock()
  return { db, store, advance, orchestrator: createOrchestrator({ store, clock, entropy }) }
}

/** What was done now. */
function done<T>(outcome: { record: T } | { replayed: Answer }): T {
  if ('replayed' in outcome) throw new Error('it was replayed')
  return outcome.record
}

describe('a use case', () => {
  it('takes the time once: everything that it writes has the same instant, its ids too', async () => {
    const { store, orchestrator, advance } = opened()
    const { run_id } = done(await orchestrator.createRun(call(), RUN_BODY, null))
    done(await orchestrator.startRun(call(), run_id))
    const steps = [1, 2].map(async () =>
      done(await orchestrator.createStepAttempt(call(), run_id, STEP_BODY)),
    )
    await Promise.all(steps)
    advance(1_234)
    const run = done(await orchestrator.cancelRun(call(), run_id, {}))
    const events = (await eventsOf(store, run_id)).slice(-3)
    const now = after(NOW, 1_234)
    expect([run.ended_at, run.updated_at, ...events.map(({ ts }) => ts)]).toEqual([now, now, now, now, now])
    expect(events.map(({ event_id }) => decodeTime(event_id))).toEqual([1, 2, 3].map(() => Date.parse(now)))
  })

  it('gives its record an id of the millisecond in which it was created, however many wait', async () => {
    const { orchestrator, advance } = opened(createEntropy())
    const creations = Array.from({ length: 50 }, () => {
      advance(1)
      return orchestrator.createRun(call(), RUN_BODY, null)
    })
    const runs = (await Promise.all(creations)).map(done)
    expect(runs.map(({ run_id }) => decodeTime(run_id))).toEqual(
      runs.map(({ created_at }) => Date.parse(created_at)),
    )
    expect(runs.map(({ run_id }) => run_id).toSorted()).toEqual(runs.map(({ run_id }) => run_id))
  })

  it('tells who asked, and in which request', async () => {
    const { store, orchestrator } = opened()
    const caller = boundTo('shop')
    const { run_id } = done(
      await orchestrator.createRun(call({ caller, http_request_id: 'r-1' }), RUN_BODY, null),
    )
    expect(await eventsOf(store, run_id)).toMatchObject([
      { actor: { type: 'key', id: 'ci' }, http_request_id: 'r-1' },
    ])
  })

  it('keeps a traceparent, and begins a new trace for one that is none', async () => {
    const { orchestrator } = opened()
    const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const traceOf = async (text: string | null) =>
      done(await orchestrator.createRun(call(), RUN_BODY, text)).traceparent
    expect(await traceOf(header)).toBe(header)
    expect(await traceOf(null)).toBeNull()
    expect(await traceOf('x')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  it('is answered from the first time under a key, also when the run has moved on', async () => {
    const { store, orchestrator } = opened()
    const { run_id } = done(await orchestrator.createRun(call(), RUN_BODY, null))
    const claim = { key: 'k', fingerprint: 'f' }
    const first = await orchestrator.startRun(call({ claim, if_match: ['1'] }), run_id)
    await orchestrator.cancelRun(call(), run_id, {})
    const again = await orchestrator.startRun(call({ claim, if_match: ['1'] }), run_id)
    expect(first).toMatchObject({ record: { state: 'running' }, answer: { status: 200 } })
    expect(again).toEqual({ replayed: (first as { answer: Answer }).answer })
    expect(await eventsOf(store, run_id)).toHaveLength(3)
  })

  it('finishes an answer only where one has to be kept', async () => {
    const { orchestrator } = opened()
    expect(await orchestrator.createRun(call(), RUN_BODY, null)).toMatchObject({ answer: null })
  })

  it.each(['sequence', 'no sequence'])(
    'gives a step its place, and loads what stands there: %s',
    async (name) => {
      const { store, orchestrator } = opened()
      const { run_id } = done(await orchestrator.createRun(call(), RUN_BODY, null))
      await orchestrator.startRun(call(), run_id)
      const body = name === 'sequence' ? { ...STEP_BODY, sequence: 5 } : STEP_BODY
      const step = done(await orchestrator.createStepAttempt(call(), run_id, body))
      const act = orchestrator.createStepAttempt(call(), run_id, { ...STEP_BODY, sequence: step.sequence })
      expect((await refusalOf(act)).code).toBe('sequence_taken')
      await expectSound(store, run_id)
    },
  )

  it('loads for a retry the newest attempt beside the one that is named', async () => {
    const { store, orchestrator } = opened()
    const { run_id } = done(await orchestrator.createRun(call(), RUN_BODY, null))
    await orchestrator.startRun(call(), run_id)
    const { step_attempt_id } = done(await orchestrator.createStepAttempt(call(), run_id, STEP_BODY))
    await orchestrator.completeStepAttempt(call(), step_attempt_id, { status: 'failed' })
    const retried = done(await orchestrator.retryStepAttempt(call(), step_attempt_id, {}))
    expect(retried).toMatchObject({ attempt: 2, retry_of: step_attempt_id })
    const again = await refusalOf(orchestrator.retryStepAttempt(call(), step_attempt_id, {}))
    expect(again.context['newest_step_attempt_id']).toBe(retried.step_attempt_id)
    await expectSound(store, run_id)
  })

  it('loads for an event the attempt that it names', async () => {
    const { orchestrator } = opened()
    const { run_id } = done(await orchestrator.createRun(call(), RUN_BODY, null))
    await orchestrator.startRun(call(), run_id)
    const { step_attempt_id } = done(await orchestrator.createStepAttempt(call(), run_id, STEP_BODY))
    const event = done(await orchestrator.appendRunEvent(call(), run_id, { kind: 'note', step_attempt_id }))
    expect(event.step_attempt_id).toBe(step_attempt_id)
    const unknown = orchestrator.appendRunEvent(call(), run_id, { kind: 'note', step_attempt_id: NO_ID })
    expect((await refusalOf(unknown)).code).toBe('unknown_reference')
  })

  it('lists what can be done, with the attempts that stand in the way', async () => {
    const { orchestrator } = opened()
    const { run_id } = done(await orchestrator.createRun(call(), RUN_BODY, null))
    await orchestrator.startRun(call(), run_id)
    await orchestrator.createStepAttempt(call(), run_id, STEP_BODY)
    const { state, commands } = await orchestrator.listRunTransitions(ANYBODY, run_id)
    expect(state).toBe('running')
    expect(commands.find(({ command }) => command === 'succeed')).toMatchObject({ code: 'steps_running' })
    expect((await refusalOf(orchestrator.listRunTransitions(boundTo('bank'), run_id))).code).toBe(
      'run_not_found',
    )
  })

  it('answers a ping', async () => {
    await expect(opened().orchestrator.ping()).resolves.toBeUndefined()
  })
})

describe('the verification of a run', () => {
  /** A run with so many events, and a way past the triggers that protect them. */
  async function aRunWith(notes: number) {
    const { db, store, orchestrator } = opened()
    const { run_id } = done(await orchestrator.createRun(call(), RUN_BODY, null))
    await Promise.all(
      Array.from({ length: notes }, () => orchestrator.appendRunEvent(call(), run_id, { kind: 'note' })),
    )
    const tamper = (sql: string) => {
      db.pragma('ignore_check_constraints = ON')
      db.exec(
        'DROP TRIGGER IF EXISTS events_are_never_deleted; DROP TRIGGER IF EXISTS events_are_never_changed',
      )
      db.exec(sql)
    }
    const verify = () => orchestrator.verifyRunEvents(ANYBODY, run_id)
    return { db, store, orchestrator, run_id, tamper, verify }
  }

  it('holds for what the server wrote, and says how it ends', async () => {
    const { store, run_id, verify } = await aRunWith(3)
    const last = (await eventsOf(store, run_id)).at(-1)
    expect(await verify()).toEqual({
      run_id,
      valid: true,
      events_checked: 4,
      last_hash: last?.hash,
      first_bad: null,
    })
  })

  it('holds for more events than it reads at once', async () => {
    const { verify } = await aRunWith(1_300)
    expect(await verify()).toMatchObject({ valid: true, events_checked: 1_301 })
  })

  it('holds while events come in', async () => {
    const { orchestrator, run_id, verify } = await aRunWith(1_300)
    const verification = verify()
    const notes = Array.from({ length: 100 }, () =>
      orchestrator.appendRunEvent(call(), run_id, { kind: 'note' }),
    )
    expect(await verification).toMatchObject({ valid: true })
    await Promise.all(notes)
    expect(await verify()).toMatchObject({ valid: true, events_checked: 1_401 })
  })

  it.each([
    ['a changed kind', "UPDATE events SET kind = 'other' WHERE run_seq = 3", 3, 'hash'],
    ['a changed payload', `UPDATE events SET payload = '{"a":1}' WHERE run_seq = 3`, 3, 'payload_hash'],
    [
      'a payload erased without its salt',
      'UPDATE events SET payload = NULL WHERE run_seq = 2',
      2,
      'payload_hash',
    ],
    ['a missing event', 'DELETE FROM events WHERE run_seq = 3', 4, 'gap'],
    ['a missing last event', 'DELETE FROM events WHERE run_seq = 5', 5, 'head'],
    ['no event at all', 'DELETE FROM events', 1, 'head'],
    ['another count in the run', 'UPDATE runs SET event_count = 4', 5, 'head'],
    ['another hash in the run', "UPDATE runs SET last_hash = 'other'", 5, 'head'],
  ])('finds %s', async (_name, sql, run_seq, fault) => {
    const { tamper, verify } = await aRunWith(4)
    tamper(sql)
    expect(await verify()).toMatchObject({ valid: false, first_bad: { run_seq, fault } })
  })

  it('finds a fault behind the first reading', async () => {
    const { tamper, verify } = await aRunWith(700)
    tamper("UPDATE events SET kind = 'other' WHERE run_seq = 650")
    expect(await verify()).toMatchObject({ valid: false, events_checked: 649, first_bad: { run_seq: 650 } })
  })

  it('finds an event that was added behind the end, however well it is made', async () => {
    const { db, store, run_id, verify } = await aRunWith(4)
    const head = (await store.view({ run_id }, ({ run }) => run))!
    insertBehind(db, run_id, head)
    expect(await eventsOf(store, run_id)).toHaveLength(6)
    expect(await verify()).toMatchObject({ valid: false, first_bad: { run_seq: 6, fault: 'head' } })
  })

  it('accepts a payload that was erased with its salt', async () => {
    const { db, verify } = await aRunWith(4)
    db.exec('UPDATE events SET payload = NULL, payload_salt = NULL WHERE run_seq = 3')
    expect(await verify()).toMatchObject({ valid: true, events_checked: 5 })
  })

  it('is refused for an id that no run has, and for a run that the key does not see', async () => {
    const { orchestrator, run_id } = await aRunWith(0)
    const unknown = await refusalOf(orchestrator.verifyRunEvents(ANYBODY, NO_ID))
    expect(unknown.code).toBe('run_not_found')
    expect(await refusalOf(orchestrator.verifyRunEvents(boundTo('bank'), run_id))).toEqual(unknown)
  })
})

/** An event that follows the last one as it should, but that no change of the run tells of. */
function insertBehind(
  db: Connection,
  run_id: string,
  head: { event_count: number; last_hash: string },
): void {
  const now = after(NOW, 60_000)
  const [event] = chain(run_id, head, [{ kind: 'note', payload_text: '{}' }], given({ now })).events
  const columns = EVENT_COLUMNS.join(', ')
  db.prepare(`INSERT INTO events (${columns}) VALUES (${EVENT_COLUMNS.map(() => '?').join(', ')})`).run(
    ...[
      null,
      event!.event_id,
      run_id,
      event!.run_seq,
      null,
      now,
      'note',
      null,
      null,
      'anonymous',
      null,
      null,
    ],
    ...[event!.payload_text, event!.payload_salt, event!.payload_hash, event!.hash],
  )
}

describe('an accepted loss', () => {
  it('is told by the server itself, in the chain that belongs to no run', async () => {
    const { store, orchestrator } = opened()
    const lost = { seq: 9, count: 9, hash: 'ab'.repeat(32) }
    await orchestrator.recordLoss(lost)
    await orchestrator.recordLoss(lost)
    const { items } = await store.listEvents({}, ANYBODY)
    expect(items).toMatchObject([
      { kind: 'audit_loss_accepted', run_id: null, run_seq: 1, actor: { type: 'system', id: null } },
      { kind: 'audit_loss_accepted', run_id: null, run_seq: 2, payload: { anchor: lost } },
    ])
  })
})

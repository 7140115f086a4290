import { expect, it } from 'vitest'
import type { Change, RunBook } from '../../../src/domain/decision.ts'
import { LedgerError } from '../../../src/domain/error.ts'
import { createRun, startRun } from '../../../src/domain/run.ts'
import { NO_ID, RUN_BODY } from '../../support/builders.ts'
import { ANYBODY, NOW, after, given } from '../../support/given.ts'
import { refusalOf } from '../../support/refusal.ts'
import { type OpenStore, eventsOf, expectSound, ledgerOf, runIn, stepsOf } from '../../support/store.ts'

export function change(open: OpenStore): void {
  it('writes what was decided with its events, and answers when it is there', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const run = await ledger.createRun()
    expect(await store.getRun(run.run_id, ANYBODY)).toEqual(run)
    expect(await eventsOf(store, run.run_id)).toMatchObject([{ kind: 'run_created', run_seq: 1, seq: 1 }])
    await expectSound(store, run.run_id)
  })

  it('gives the decision the place of its events in the one order of all', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const [one, two] = [await ledger.createRun(), await ledger.createRun()]
    const first = await ledger.appendEvent(two.run_id, { kind: 'note' })
    const second = await ledger.appendEvent(one.run_id, { kind: 'note' })
    expect(second.seq).toBeGreaterThan(first.seq)
    const { items } = await store.listEvents({}, ANYBODY)
    expect(items.map(({ run_id, seq }) => [run_id, seq]).slice(-2)).toEqual([
      [two.run_id, first.seq],
      [one.run_id, second.seq],
    ])
  })

  it('decides on what the writes before it left, also if all of them came at once', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'running')
    const steps = await Promise.all(Array.from({ length: 20 }, () => ledger.createStep(run_id)))
    expect(steps.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    await expectSound(store, run_id)
  })

  it('has one winner of many equal moves, and one event', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await ledger.createRun()
    const moves = await Promise.allSettled(Array.from({ length: 100 }, () => ledger.startRun(run_id)))
    expect(moves.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const refusals = moves.flatMap((move) => (move.status === 'rejected' ? [move.reason as LedgerError] : []))
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['transition_refused']))
    expect((await eventsOf(store, run_id)).map(({ kind }) => kind)).toEqual(['run_created', 'run_started'])
  })

  it('passes on what the decision throws, and writes nothing', async () => {
    const store = await open()
    const act = store.change({}, () => {
      throw new LedgerError('run_not_found', 'No.')
    })
    expect((await refusalOf(act)).code).toBe('run_not_found')
    expect((await store.listEvents({}, ANYBODY)).items).toEqual([])
  })

  it('passes on what is no refusal either', async () => {
    const store = await open()
    const fault = new TypeError('a fault of ours')
    const act = store.change({}, () => {
      throw fault
    })
    await expect(act).rejects.toBe(fault)
  })

  it('writes all of a decision or nothing: an event that cannot be kept takes the run with it', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await ledger.createRun()
    const before = await store.view({ run_id }, ({ run }) => run)
    const act = store.change({ run_id }, (snapshot) => {
      const decision = startRun(snapshot, given({ now: after(NOW, 60_000) }))
      return { ...decision, events: decision.events.map((event) => ({ ...event, run_seq: 1 })) }
    })
    await expect(act).rejects.toThrow()
    expect(await store.view({ run_id }, ({ run }) => run)).toEqual(before)
    await expectSound(store, run_id)
  })

  it('writes all of a decision or nothing: an answer that cannot be made takes everything with it', async () => {
    const store = await open()
    const act = store.change({}, (snapshot) => ({
      ...createRun(snapshot, given(), RUN_BODY, null),
      result: () => {
        throw new Error('no answer')
      },
    }))
    await expect(act).rejects.toThrow('no answer')
    expect((await store.listRuns({}, ANYBODY)).items).toEqual([])
  })

  it.each([
    ['state', (book: RunBook) => ({ ...book, run: { ...book.run, state: 'running' as const } })],
    ['version', (book: RunBook) => ({ ...book, run: { ...book.run, version: 7 } })],
    ['count of events', (book: RunBook) => ({ ...book, event_count: 7 })],
  ])('guards the run at the write: another %s than the row has is no write', async (_name, stale) => {
    const store = await open()
    const { run_id } = await ledgerOf(store).createRun()
    const before = await store.view({ run_id }, ({ run }) => run!)
    const act = store.change({ run_id }, () => {
      const wrong = stale(before)
      const changed = { ...wrong, run: { ...wrong.run, phase_id: 'other' } }
      return { changes: [{ record: 'run', before: wrong, after: changed }], events: [], result: () => null }
    })
    await expect(act).rejects.toThrow('stale write')
    expect(await store.view({ run_id }, ({ run }) => run)).toEqual(before)
  })

  it.each([
    ['state', { state: 'failed' as const }],
    ['version', { version: 7 }],
  ])(
    'guards the step attempt at the write: another %s than the row has is no write',
    async (_name, facts) => {
      const store = await open()
      const ledger = ledgerOf(store)
      const { run_id } = await runIn(ledger, 'running')
      const step = await ledger.createStep(run_id)
      const act = store.change({ run_id }, () => {
        const wrong = { ...step, ...facts }
        const change: Change = {
          record: 'step_attempt',
          before: wrong,
          after: { ...wrong, tool_id: 'other' },
        }
        return { changes: [change], events: [], result: () => null }
      })
      await expect(act).rejects.toThrow('stale write')
      expect(await store.getStepAttempt(step.step_attempt_id, ANYBODY)).toEqual(step)
    },
  )

  it('keeps one step for each sequence and attempt', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'running')
    const step = await ledger.createStep(run_id)
    const twin: Change = { record: 'step_attempt', before: null, after: { ...step, step_attempt_id: NO_ID } }
    const act = store.change({ run_id }, () => ({ changes: [twin], events: [], result: () => null }))
    await expect(act).rejects.toThrow()
    expect(await stepsOf(store, run_id)).toEqual([step])
  })
}

import { expect, it } from 'vitest'
import { LedgerError } from '../../../src/domain/error.ts'
import { recordLoss } from '../../../src/domain/loss.ts'
import { NO_ID, aSnapshot } from '../../support/builders.ts'
import { ANYBODY, given } from '../../support/given.ts'
import { refusalOf } from '../../support/refusal.ts'
import { type OpenStore, eventsOf, ledgerOf, runIn } from '../../support/store.ts'

export function scopes(open: OpenStore): void {
  async function aBusyRun() {
    const store = await open()
    const ledger = ledgerOf(store)
    const other = await runIn(ledger, 'running')
    const { run_id } = await runIn(ledger, 'running')
    const first = await ledger.createStep(run_id, { sequence: 3 })
    const failed = await ledger.completeStep(first.step_attempt_id, { status: 'failed' })
    const retried = await ledger.retryStep(first.step_attempt_id)
    const second = await ledger.createStep(run_id)
    return { store, ledger, run_id, other, failed, retried, second }
  }

  it('that asks for nothing loads nothing', async () => {
    const { store } = await aBusyRun()
    expect(await store.view({}, (before) => before)).toEqual(aSnapshot())
  })

  it('of a run loads it with what its guards need', async () => {
    const { store, run_id } = await aBusyRun()
    const { run, ...rest } = await store.view({ run_id }, (before) => before)
    const { run: _, ...nothing } = aSnapshot()
    expect(run).toMatchObject({
      run: { run_id, version: 6 },
      sequence_max: 4,
      steps_running: 2,
      event_count: 6,
    })
    expect(run?.last_hash).toBe((await eventsOf(store, run_id)).at(-1)?.hash)
    expect(rest).toEqual(nothing)
  })

  it('of a step attempt loads it with its run', async () => {
    const { store, run_id, failed } = await aBusyRun()
    const before = await store.view({ step_attempt_id: failed.step_attempt_id }, (snapshot) => snapshot)
    expect(before).toMatchObject({ run: { run: { run_id } }, step_attempt: failed, newest: null })
  })

  it('of a run and a step attempt of another one loads both as they are named', async () => {
    const { store, other, failed } = await aBusyRun()
    const scope = { run_id: other.run_id, step_attempt_id: failed.step_attempt_id }
    expect(await store.view(scope, (before) => before)).toMatchObject({
      run: { run: { run_id: other.run_id } },
      step_attempt: failed,
    })
  })

  it('of what is running loads the running attempts of the run, in their order', async () => {
    const { store, run_id, retried, second } = await aBusyRun()
    expect(await store.view({ run_id, open: true }, ({ running }) => running)).toEqual([retried, second])
  })

  it('of what is running loads nothing where nothing is', async () => {
    const { store, other } = await aBusyRun()
    expect(await store.view({ run_id: other.run_id, open: true }, ({ running }) => running)).toEqual([])
  })

  it('of a place loads the newest attempt there, and null where none is', async () => {
    const { store, run_id, retried, second } = await aBusyRun()
    const newestAt = (newest_at: number) => store.view({ run_id, newest_at }, ({ newest }) => newest)
    expect(await newestAt(3)).toEqual(retried)
    expect(await newestAt(4)).toEqual(second)
    expect(await newestAt(5)).toBeNull()
  })

  it('of the place of a step attempt loads the newest one beside it', async () => {
    const { store, failed, retried } = await aBusyRun()
    const scope = { step_attempt_id: failed.step_attempt_id, newest_at: 'step' } as const
    expect(await store.view(scope, ({ newest, step_attempt }) => [step_attempt, newest])).toEqual([
      failed,
      retried,
    ])
  })

  it.each([
    { run_id: NO_ID },
    { step_attempt_id: NO_ID },
    { step_attempt_id: NO_ID, newest_at: 'step' },
  ] as const)('of what is not there loads nothing: %j', async (scope) => {
    const { store } = await aBusyRun()
    expect(await store.view({ ...scope, open: true }, (before) => before)).toEqual(aSnapshot())
  })

  it('of the chain without a run loads its end, also where it is empty', async () => {
    const store = await open()
    const head = () => store.view({ system: true }, ({ system }) => system!)
    expect((await head()).event_count).toBe(0)
    const anchor = { seq: 1, count: 1, hash: 'ab' }
    await store.change({ system: true }, (before) => recordLoss(before, given(), anchor))
    const { event_count, last_hash } = await head()
    const { items } = await store.listEvents({}, ANYBODY)
    expect({ event_count, last_hash }).toEqual({ event_count: 1, last_hash: items[0]?.hash })
  })

  it('is the same for a decision and for a view', async () => {
    const { store, run_id, failed } = await aBusyRun()
    const scope = {
      step_attempt_id: failed.step_attempt_id,
      open: true,
      newest_at: 'step',
      system: true,
    } as const
    const viewed = await store.view(scope, (before) => before)
    const decided = await store.change(scope, (before) => ({ changes: [], events: [], result: () => before }))
    expect(decided).toEqual(viewed)
    expect(decided.run?.run.run_id).toBe(run_id)
  })

  it('of a view that refuses passes the refusal on', async () => {
    const store = await open()
    const act = store.view({}, () => {
      throw new LedgerError('run_not_found', 'No.')
    })
    expect((await refusalOf(act)).code).toBe('run_not_found')
  })
}

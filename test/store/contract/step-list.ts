import { expect, it } from 'vitest'
import { ANYBODY } from '../../support/given.ts'
import { refusalOf } from '../../support/refusal.ts'
import { type OpenStore, ledgerOf, pagesOf, runIn } from '../../support/store.ts'

export function stepLists(open: OpenStore): void {
  async function someSteps() {
    const store = await open()
    const ledger = ledgerOf(store)
    const other = await runIn(ledger, 'running')
    await ledger.createStep(other.run_id)
    const { run_id } = await runIn(ledger, 'running')
    for (const sequence of [5, 3, 9, 1]) await ledger.createStep(run_id, { sequence })
    return { store, ledger, run_id, other }
  }

  it('has them in the order in which they began, whatever their sequence, or turned round', async () => {
    const { store, run_id } = await someSteps()
    const sequences = async (order?: 'asc' | 'desc') => {
      const page = await store.listStepAttempts(run_id, order === undefined ? {} : { order }, ANYBODY)
      return page?.items.map(({ sequence }) => sequence)
    }
    expect(await sequences()).toEqual([5, 3, 9, 1])
    expect(await sequences('asc')).toEqual([5, 3, 9, 1])
    expect(await sequences('desc')).toEqual([1, 9, 3, 5])
  })

  it.each(['asc', 'desc'] as const)('is the same page by page, %s', async (order) => {
    const { store, run_id } = await someSteps()
    for (const limit of [1, 2, 3, 4]) {
      const pages = await pagesOf((cursor) =>
        store.listStepAttempts(run_id, { order, limit, ...cursor }, ANYBODY),
      )
      const whole = await store.listStepAttempts(run_id, { order }, ANYBODY)
      expect(pages.flat()).toEqual(whole?.items)
      expect(pages).toHaveLength(Math.ceil(4 / limit))
    }
  })

  it('is empty for a run without any', async () => {
    const store = await open()
    const { run_id } = await ledgerOf(store).createRun()
    expect(await store.listStepAttempts(run_id, {}, ANYBODY)).toEqual({ items: [], next_cursor: null })
  })

  it('refuses the cursor of another run, and of another order', async () => {
    const { store, ledger, run_id, other } = await someSteps()
    await ledger.createStep(other.run_id)
    const cursor = (await store.listStepAttempts(run_id, { limit: 1 }, ANYBODY))!.next_cursor!
    const wrong = [
      store.listStepAttempts(other.run_id, { cursor }, ANYBODY),
      store.listStepAttempts(run_id, { cursor, order: 'desc' }, ANYBODY),
    ]
    for (const act of wrong) expect((await refusalOf(act)).code).toBe('invalid_cursor')
  })
}

import { expect, it } from 'vitest'
import { LIMITS } from '../../../src/contract/limits.ts'
import type { RunsQuery } from '../../../src/contract/run.ts'
import { ANYBODY } from '../../support/given.ts'
import { type OpenStore, expectSound, ledgerOf, pagesOf } from '../../support/store.ts'
import { bulk, bulkEvents, ids } from './many-runs.ts'

export function longLists(open: OpenStore): void {
  const COUNT = LIMITS.scanned_rows + 1_000
  const NEEDLES = [0, 500, LIMITS.scanned_rows - 1, LIMITS.scanned_rows, COUNT - 1]

  it('of runs looks at a bounded number of rows: a page may be short, even empty, and says where to go on', async () => {
    const store = await open()
    await bulk(store, COUNT, [0])
    const query: RunsQuery = { phase_id: ['needle'], limit: 10 }
    const first = await store.listRuns(query, ANYBODY)
    expect(first).toEqual({ items: [], next_cursor: expect.any(String) as string })
    const second = await store.listRuns({ ...query, cursor: first.next_cursor! }, ANYBODY)
    expect(second).toMatchObject({ items: [{ phase_id: 'needle' }], next_cursor: null })
  })

  it.each(['asc', 'desc'] as const)(
    'of runs is complete when it is followed to its end, %s',
    async (order) => {
      const store = await open()
      await bulk(store, COUNT, NEEDLES)
      for (const filter of [
        {},
        { project_id: ['shop'] },
        { state: ['pending' as const] },
        { label: ['team:core'] },
      ]) {
        const query = { phase_id: ['needle'], ...filter, limit: 2, order }
        const found = (await pagesOf((cursor) => store.listRuns({ ...query, ...cursor }, ANYBODY))).flat()
        expect(found).toHaveLength(NEEDLES.length)
        expect(ids(found)).toEqual(
          order === 'asc' ? ids(found).toSorted() : ids(found).toSorted().toReversed(),
        )
      }
    },
  )

  it.each(['asc', 'desc'] as const)(
    'of events is complete when it is followed to its end, %s',
    async (order) => {
      const store = await open()
      const { run_id } = await ledgerOf(store).createRun()
      await bulkEvents(store, run_id, COUNT, NEEDLES)
      const expected = NEEDLES.map((number) => number + 2)
      if (order === 'desc') expected.reverse()
      const query = { kind: ['needle'], limit: 2, order }
      const ofRun = (
        await pagesOf((cursor) => store.listRunEvents(run_id, { ...query, ...cursor }, ANYBODY))
      ).flat()
      const ofAll = (await pagesOf((cursor) => store.listEvents({ ...query, ...cursor }, ANYBODY))).flat()
      expect(ofRun.map(({ run_seq }) => run_seq)).toEqual(expected)
      expect(ofAll.map(({ run_seq }) => run_seq)).toEqual(expected)
      await expectSound(store, run_id)
    },
  )
}

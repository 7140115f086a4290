import { describe, expect, it } from 'vitest'
import type { Run, RunsQuery } from '../../../src/contract/run.ts'
import { ANYBODY, NOW } from '../../support/given.ts'
import { refusalOf } from '../../support/refusal.ts'
import { type OpenStore, ledgerOf } from '../../support/store.ts'
import { bulk, ids, manyRuns } from './many-runs.ts'

export function runListPaging(open: OpenStore): void {
  it.each([
    ['newest first has what was there when the walk began', 'desc', [6, 5, 4, 3, 2, 1]],
    ['oldest first has that and then what came in', 'asc', [1, 2, 3, 4, 5, 6, 7, 8]],
  ] as const)(
    'that is walked while runs are created, %s, skips none and repeats none',
    async (_, order, expected) => {
      const store = await open()
      const ledger = ledgerOf(store)
      const made: Run[] = []
      for (let i = 0; i < 6; i++) made.push(await ledger.createRun())
      const seen: Run[] = []
      let cursor: string | null = null
      do {
        const page = await store.listRuns(
          { limit: 2, order, ...(cursor === null ? {} : { cursor }) },
          ANYBODY,
        )
        seen.push(...page.items)
        cursor = page.next_cursor
        if (made.length < 8) made.push(await ledger.createRun())
      } while (cursor !== null)
      expect(ids(seen)).toEqual(expected.map((number) => made[number - 1]?.run_id))
    },
  )

  describe('refuses a cursor', () => {
    const first: RunsQuery = { limit: 2, project_id: ['shop'], state: ['pending', 'running'] }

    it.each([
      ['with another filter', { project_id: ['bank'] }],
      ['with one value more', { project_id: ['shop', 'bank'] }],
      ['with one filter more', { phase_id: ['build'] }],
      ['with a label', { label: ['team:core'] }],
      ['with an instant', { created_after: NOW }],
      ['in another order', { order: 'asc' }],
    ] as [string, RunsQuery][])('%s', async (_name, changed) => {
      const store = await open()
      await manyRuns(store)
      const { next_cursor } = await store.listRuns(first, ANYBODY)
      expect(next_cursor).not.toBeNull()
      const act = store.listRuns({ ...first, ...changed, cursor: next_cursor! }, ANYBODY)
      expect(await refusalOf(act)).toMatchObject({
        code: 'invalid_cursor',
        context: { errors: [{ parameter: 'cursor' }] },
      })
    })

    it('without its filters', async () => {
      const store = await open()
      await manyRuns(store)
      const { next_cursor } = await store.listRuns(first, ANYBODY)
      expect((await refusalOf(store.listRuns({ cursor: next_cursor! }, ANYBODY))).code).toBe('invalid_cursor')
    })

    it.each([
      'x',
      '!!!',
      'bnVsbA',
      'W10',
      'WyJ4Il0',
      'e30',
      'MTI',
      'WzEsMl0',
      'W251bGwsbnVsbF0',
      '0'.repeat(512),
      '\u{1f600}',
    ])('that is none: %s', async (cursor) => {
      const store = await open()
      expect((await refusalOf(store.listRuns({ cursor }, ANYBODY))).code).toBe('invalid_cursor')
    })

    it('of another list', async () => {
      const store = await open()
      const ledger = ledgerOf(store)
      await bulk(store, 3)
      const { run_id } = await ledger.createRun()
      await ledger.appendEvent(run_id, { kind: 'note' })
      const ofRuns = (await store.listRuns({ limit: 1, order: 'asc' }, ANYBODY)).next_cursor!
      const ofEvents = (await store.listEvents({ limit: 1 }, ANYBODY)).next_cursor!
      const ofRun = (await store.listRunEvents(run_id, { limit: 1 }, ANYBODY))!.next_cursor!
      const wrong = [
        store.listRuns({ cursor: ofEvents, order: 'asc' }, ANYBODY),
        store.listEvents({ cursor: ofRuns }, ANYBODY),
        store.listEvents({ cursor: ofRun }, ANYBODY),
        store.listRunEvents(run_id, { cursor: ofEvents }, ANYBODY),
        store.listStepAttempts(run_id, { cursor: ofRuns }, ANYBODY),
      ]
      const codes = await Promise.all(wrong.map(async (act) => (await refusalOf(act)).code))
      expect(new Set(codes)).toEqual(new Set(['invalid_cursor']))
    })
  })

  it('takes a cursor with another limit, and with filters in another order', async () => {
    const store = await open()
    const all = await manyRuns(store)
    const first = await store.listRuns({ limit: 2, project_id: ['shop'], phase_id: ['build'] }, ANYBODY)
    const rest = await store.listRuns(
      { phase_id: ['build'], project_id: ['shop'], limit: 500, cursor: first.next_cursor! },
      ANYBODY,
    )
    const expected = all.filter((run) => run.project_id === 'shop' && run.phase_id === 'build')
    expect(ids([...first.items, ...rest.items])).toEqual(ids(expected))
  })
}

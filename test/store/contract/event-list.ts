import { expect, it } from 'vitest'
import type { Page } from '../../../src/contract/common.ts'
import type { Event, RunEventsQuery } from '../../../src/contract/event.ts'
import { recordLoss } from '../../../src/domain/loss.ts'
import { ANYBODY, NOW, after, given } from '../../support/given.ts'
import { refusalOf } from '../../support/refusal.ts'
import { type OpenStore, ledgerOf, pagesOf, runIn } from '../../support/store.ts'

export function runEventLists(open: OpenStore): void {
  async function aTale() {
    const store = await open()
    const ledger = ledgerOf(store)
    await ledger.createRun()
    const { run_id } = await runIn(ledger, 'running')
    for (const kind of ['note', 'patch_created', 'note', 'tool_call_error']) {
      await ledger.appendEvent(run_id, { kind })
    }
    return { store, ledger, run_id }
  }

  it('has them from the first to the last, or turned round', async () => {
    const { store, run_id } = await aTale()
    const places = async (order: 'asc' | 'desc') =>
      (await store.listRunEvents(run_id, { order }, ANYBODY))?.items.map(({ run_seq }) => run_seq)
    expect(await places('asc')).toEqual([1, 2, 3, 4, 5, 6])
    expect(await places('desc')).toEqual([6, 5, 4, 3, 2, 1])
    expect((await store.listRunEvents(run_id, {}, ANYBODY))?.items[0]?.run_seq).toBe(1)
  })

  it.each([
    [['note'], [3, 5]],
    [
      ['note', 'run_started'],
      [2, 3, 5],
    ],
    [['nothing'], []],
  ])('is filtered by the kinds %j', async (kind, expected) => {
    const { store, run_id } = await aTale()
    for (const limit of [1, 2, 10]) {
      const pages = await pagesOf((cursor) =>
        store.listRunEvents(run_id, { kind, limit, ...cursor }, ANYBODY),
      )
      expect(pages.flat().map(({ run_seq }) => run_seq)).toEqual(expected)
    }
  })

  it('that is walked while events are appended skips none and repeats none', async () => {
    const { store, ledger, run_id } = await aTale()
    const seen: number[] = []
    let cursor: string | null = null
    let more = 3
    do {
      const query: RunEventsQuery = { limit: 2, ...(cursor === null ? {} : { cursor }) }
      const page: Page<Event> = (await store.listRunEvents(run_id, query, ANYBODY))!
      seen.push(...page.items.map(({ run_seq }) => run_seq))
      cursor = page.next_cursor
      if (more-- > 0) await ledger.appendEvent(run_id, { kind: 'note' })
    } while (cursor !== null)
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('refuses the cursor of another run, of other kinds, and of another order', async () => {
    const { store, ledger, run_id } = await aTale()
    const other = await runIn(ledger, 'running')
    const cursor = (await store.listRunEvents(run_id, { limit: 1 }, ANYBODY))!.next_cursor!
    const wrong = [
      store.listRunEvents(other.run_id, { cursor }, ANYBODY),
      store.listRunEvents(run_id, { cursor, kind: ['note'] }, ANYBODY),
      store.listRunEvents(run_id, { cursor, order: 'desc' }, ANYBODY),
    ]
    for (const act of wrong) expect((await refusalOf(act)).code).toBe('invalid_cursor')
  })
}

export function eventLists(open: OpenStore): void {
  /** Nine events: of two runs in turn, and in the middle one that belongs to no run. */
  async function aFeed() {
    const store = await open()
    const ledger = ledgerOf(store)
    const shop = await ledger.createRun()
    const bank = await ledger.createRun({ project_id: 'bank' })
    await ledger.appendEvent(shop.run_id, { kind: 'note' })
    await ledger.appendEvent(bank.run_id, { kind: 'note' })
    const anchor = { seq: 1, count: 1, hash: 'ab' }
    await store.change({ system: true }, (before) =>
      recordLoss(before, given({ now: after(NOW, 4_000) }), anchor),
    )
    await ledger.startRun(bank.run_id)
    await ledger.startRun(shop.run_id)
    await ledger.appendEvent(bank.run_id, { kind: 'patch_created' })
    await ledger.succeedRun(shop.run_id)
    const { items } = await store.listEvents({}, ANYBODY)
    return { store, ledger, all: items, shop, bank }
  }
  const seqs = (events: readonly { seq: number }[]) => events.map(({ seq }) => seq)

  it('has everything in one order, or turned round', async () => {
    const { store, all } = await aFeed()
    expect(all).toHaveLength(9)
    expect(seqs(all)).toEqual(seqs(all).toSorted((a, b) => a - b))
    expect((await store.listEvents({ order: 'asc' }, ANYBODY)).items).toEqual(all)
    expect((await store.listEvents({ order: 'desc' }, ANYBODY)).items).toEqual(all.toReversed())
  })

  it('goes on behind the seq that the reader has', async () => {
    const { store, all } = await aFeed()
    const page = await store.listEvents({ after: all[3]!.seq }, ANYBODY)
    expect(page).toEqual({ items: all.slice(4), next_cursor: null })
  })

  it('is empty, and at its end, behind the last one', async () => {
    const { store, all } = await aFeed()
    const empty = { items: [], next_cursor: null }
    expect(await store.listEvents({ after: all.at(-1)!.seq }, ANYBODY)).toEqual(empty)
    expect(await store.listEvents({ after: Number.MAX_SAFE_INTEGER }, ANYBODY)).toEqual(empty)
  })

  it('has what is behind that seq page by page: the cursor goes on from there', async () => {
    const { store, all } = await aFeed()
    const pages = await pagesOf((cursor) =>
      store.listEvents(
        { limit: 2, ...(cursor.cursor === undefined ? { after: all[3]!.seq } : cursor) },
        ANYBODY,
      ),
    )
    expect(pages.flat()).toEqual(all.slice(4))
  })

  it('refuses after in descending order, where the pages behind the first would run past it', async () => {
    const { store } = await aFeed()
    const act = store.listEvents({ after: 1, order: 'desc' }, ANYBODY)
    expect(await refusalOf(act)).toMatchObject({
      code: 'invalid_cursor',
      context: { errors: [{ parameter: 'after' }] },
    })
  })

  it('refuses after together with a cursor', async () => {
    const { store } = await aFeed()
    const { next_cursor } = await store.listEvents({ limit: 1 }, ANYBODY)
    const act = store.listEvents({ after: 1, cursor: next_cursor! }, ANYBODY)
    expect((await refusalOf(act)).code).toBe('invalid_cursor')
  })

  it('refuses a cursor of other filters, and of another order', async () => {
    const { store } = await aFeed()
    const cursor = (await store.listEvents({ limit: 1, kind: ['note'] }, ANYBODY)).next_cursor!
    const wrong = [
      { cursor },
      { cursor, kind: ['note', 'run_started'] },
      { cursor, kind: ['note'], project_id: ['shop'] },
      { cursor, kind: ['note'], order: 'desc' as const },
    ]
    for (const query of wrong) {
      expect((await refusalOf(store.listEvents(query, ANYBODY))).code).toBe('invalid_cursor')
    }
  })

  it.each([
    [{ kind: ['note'] }, 2],
    [{ kind: ['note', 'run_started'] }, 4],
    [{ project_id: ['shop'] }, 4],
    [{ project_id: ['shop', 'bank'] }, 8],
    [{ project_id: ['bank'], kind: ['run_created', 'patch_created'] }, 2],
    [{ project_id: ['nobody'] }, 0],
  ])('is filtered by %j', async (query, count) => {
    const { store, all, bank } = await aFeed()
    const projectOf = (run_id: string | null) =>
      run_id === null ? null : run_id === bank.run_id ? 'bank' : 'shop'
    const { kind, project_id } = query as { kind?: string[]; project_id?: string[] }
    const expected = all.filter(
      (event) =>
        (kind === undefined || kind.includes(event.kind)) &&
        (project_id === undefined || project_id.some((each) => each === projectOf(event.run_id))),
    )
    expect(expected).toHaveLength(count)
    for (const limit of [1, 3, 50]) {
      const pages = await pagesOf((cursor) => store.listEvents({ ...query, limit, ...cursor }, ANYBODY))
      expect(seqs(pages.flat())).toEqual(seqs(expected))
    }
  })

  it('shows a bound key the events of its projects, and none that belong to no run', async () => {
    const { store, all, bank } = await aFeed()
    const ofBank = all.filter(({ run_id }) => run_id === bank.run_id)
    expect((await store.listEvents({}, { projects: ['bank'] })).items).toEqual(ofBank)
    expect((await store.listEvents({ project_id: ['shop'] }, { projects: ['bank'] })).items).toEqual([])
    expect((await store.listEvents({}, { projects: [] })).items).toEqual([])
    expect(all.some(({ run_id }) => run_id === null)).toBe(true)
  })

  it('that is followed while events come in skips none and repeats none', async () => {
    const { store, ledger, shop } = await aFeed()
    const seen: number[] = []
    for (let round = 0; round < 4; round++) {
      const { items } = await store.listEvents({ after: seen.at(-1) ?? 0, limit: 5 }, ANYBODY)
      seen.push(...seqs(items))
      await ledger.appendEvent(shop.run_id, { kind: 'note' })
    }
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
  })
}

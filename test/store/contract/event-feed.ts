import { expect, it } from 'vitest'
import { LIMITS } from '../../../src/contract/limits.ts'
import { shownEvent } from '../../../src/domain/event-chain.ts'
import type { FeedFilters, FeedPart, Store, Viewer } from '../../../src/store/store.ts'
import { NO_ID } from '../../support/builders.ts'
import { ANYBODY } from '../../support/given.ts'
import { type OpenStore, ledgerOf, runIn } from '../../support/store.ts'
import { bulkEvents } from './many-runs.ts'

type Read = (after: number) => Promise<FeedPart | null>

/** All pages from a place to the end. */
async function partsFrom(after: number, read: Read): Promise<FeedPart[]> {
  const parts = [(await read(after))!]
  while (!parts.at(-1)!.at_end) parts.push((await read(parts.at(-1)!.read_to))!)
  return parts
}

const fed = (parts: readonly FeedPart[]) => parts.flatMap(({ events }) => events)
const seqs = (parts: readonly FeedPart[]) => fed(parts).map(({ event }) => event.seq)

export function eventFeeds(open: OpenStore): void {
  /** Two runs in turn, the first of them closed; the last event is of the other. */
  async function aTale() {
    const store = await open()
    const ledger = ledgerOf(store)
    const shop = await runIn(ledger, 'running')
    const bank = await ledger.createRun({ project_id: 'bank' })
    for (const { run_id } of [shop, bank, shop, bank]) await ledger.appendEvent(run_id, { kind: 'note' })
    await ledger.succeedRun(shop.run_id)
    await ledger.appendEvent(bank.run_id, { kind: 'note' })
    return { store, ledger, shop, bank }
  }
  const ofAll =
    (store: Store, filters: FeedFilters = {}, viewer: Viewer = ANYBODY): Read =>
    (after) =>
      store.readFeed(after, filters, viewer)
  const ofRun =
    (store: Store, run_id: string, filters: FeedFilters = {}, viewer: Viewer = ANYBODY): Read =>
    (after) =>
      store.readRunFeed(run_id, after, filters, viewer)

  it('has what the list has, with the project of each event, and knows its end', async () => {
    const { store, shop } = await aTale()
    const { items } = await store.listEvents({}, ANYBODY)
    const part = await store.readFeed(0, {}, ANYBODY)
    expect(part.events.map(({ event }) => shownEvent(event))).toEqual(items)
    expect(part.events.map(({ project_id }) => project_id)).toEqual(
      items.map(({ run_id }) => (run_id === shop.run_id ? shop.project_id : 'bank')),
    )
    expect(part).toMatchObject({ read_to: items.at(-1)!.seq, at_end: true, is_over: false })
    const empty = { events: [], read_to: items.at(-1)!.seq, at_end: true, is_over: false }
    expect(await store.readFeed(items.at(-1)!.seq, {}, ANYBODY)).toEqual(empty)
  })

  it.each([
    [{ kind: ['note'] }, ANYBODY],
    [{ kind: ['note', 'run_created'], project_id: ['bank'] }, ANYBODY],
    [{ project_id: ['nobody'] }, ANYBODY],
    [{}, { projects: ['bank'] }],
    [{ kind: ['note'] }, { projects: [] }],
  ])('is filtered as the list is by %j for %j', async (filters, viewer) => {
    const { store } = await aTale()
    const { items } = await store.listEvents(filters, viewer)
    expect(seqs(await partsFrom(0, ofAll(store, filters, viewer)))).toEqual(items.map(({ seq }) => seq))
  })

  it('says which event is the last of a run that is closed', async () => {
    const { store, ledger, shop } = await aTale()
    const last = async () => {
      const parts = await partsFrom(0, ofAll(store))
      return fed(parts)
        .filter(({ ends_run }) => ends_run)
        .map(({ event: { run_id, kind } }) => [run_id, kind])
    }
    expect(await last()).toEqual([[shop.run_id, 'run_completed']])
    await ledger.appendEvent(shop.run_id, { kind: 'note' })
    expect(await last()).toEqual([[shop.run_id, 'note']])
  })

  it('of a run begins behind any seq, and is over where the run is closed', async () => {
    const { store, shop, bank } = await aTale()
    const end = (await store.listEvents({ order: 'desc' }, ANYBODY)).items[0]!.seq
    for (const { run_id, is_over } of [
      { ...shop, is_over: true },
      { ...bank, is_over: false },
    ]) {
      const own = (await store.listRunEvents(run_id, {}, ANYBODY))!.items.map(({ seq }) => seq)
      for (let after = 0; after < end + 2; after++) {
        const part = (await store.readRunFeed(run_id, after, {}, ANYBODY))!
        expect(seqs([part]), `behind ${after}`).toEqual(own.filter((seq) => seq > after))
        expect(part).toMatchObject({ at_end: true, is_over, read_to: end })
      }
    }
  })

  it('of a run has the kinds that are asked for', async () => {
    const { store, bank } = await aTale()
    const notes = await partsFrom(0, ofRun(store, bank.run_id, { kind: ['note'] }))
    expect(fed(notes).map(({ event }) => event.kind)).toEqual(['note', 'note', 'note'])
  })

  it('of a run that is not there, or of another project, is nothing', async () => {
    const { store, shop } = await aTale()
    expect(await store.readRunFeed(NO_ID, 0, {}, ANYBODY)).toBeNull()
    expect(await store.readRunFeed(shop.run_id, 0, {}, { projects: ['bank'] })).toBeNull()
  })

  it('comes in pages that end with the event that reaches their bytes', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await ledger.createRun()
    await bulkEvents(store, run_id, 500, [])
    const text = 'ü'.repeat(LIMITS.payload_bytes / 2 - 100)
    for (let i = 0; i < 3; i++) await ledger.appendEvent(run_id, { kind: 'note', payload: { text } })
    const bytesOf = ({ events }: FeedPart) =>
      events.map(({ event }) => Buffer.byteLength(JSON.stringify(shownEvent(event))))
    for (const read of [ofAll(store), ofRun(store, run_id)]) {
      const parts = await partsFrom(0, read)
      expect(seqs(parts)).toEqual(Array.from({ length: 504 }, (_, i) => i + 1))
      for (const bytes of parts.map(bytesOf)) {
        const but_last = bytes.slice(0, -1).reduce((sum, each) => sum + each, 0)
        expect(but_last).toBeLessThan(LIMITS.feed_bytes)
      }
      expect(parts.slice(-3).map(({ events }) => events.length)).toEqual([1, 1, 0])
    }
  })

  it('looks at a bounded number of rows, and says how far it has come', async () => {
    const store = await open()
    const { run_id } = await ledgerOf(store).createRun()
    const [first, second] = [LIMITS.scanned_rows + 10, 2 * LIMITS.scanned_rows + 10]
    await bulkEvents(store, run_id, second + 5, [first, second])
    const kind = ['needle']
    for (const read of [ofAll(store, { kind }), ofRun(store, run_id, { kind })]) {
      const parts = await partsFrom(0, read)
      expect(parts.map(({ read_to }) => read_to)).toEqual([
        LIMITS.scanned_rows,
        2 * LIMITS.scanned_rows,
        second + 6,
      ])
      expect(seqs(parts)).toEqual([first + 2, second + 2])
    }
  })
}

import { describe, expect, it } from 'vitest'
import { NO_ID } from '../support/builders.ts'
import { type OpenStore, ledgerOf, runIn } from '../support/store.ts'
import { change } from './contract/change.ts'
import { eventFeeds } from './contract/event-feed.ts'
import { eventLists, runEventLists } from './contract/event-list.ts'
import { keys } from './contract/key.ts'
import { longLists } from './contract/long-list.ts'
import { records } from './contract/record.ts'
import { runLists } from './contract/run-list.ts'
import { runListPaging } from './contract/run-list-paging.ts'
import { scopes } from './contract/scope.ts'
import { stepLists } from './contract/step-list.ts'

/** What every store must do. `open` gives an empty one, and closes it when the test ends. */
export function storeContract(open: OpenStore): void {
  describe('change', () => change(open))
  describe('a scope', () => scopes(open))
  describe('a key', () => keys(open))
  describe('a record', () => records(open))
  describe('the list of runs', () => {
    runLists(open)
    runListPaging(open)
  })
  describe('the list of the step attempts of a run', () => stepLists(open))
  describe('the list of the events of a run', () => runEventLists(open))
  describe('the list of all events', () => eventLists(open))
  describe('the feed of events', () => eventFeeds(open))
  describe('a long list', () => longLists(open))
  describe('the store', () => rest(open))
}

function rest(open: OpenStore): void {
  it('reads a chain behind a place, in order, no more than asked for', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'failed')
    await ledger.createRun()
    const places = async (run_seq: number, limit: number) =>
      (await store.readChain(run_id, { run_seq, limit })).map((event) => event.run_seq)
    expect(await places(0, 10)).toEqual([1, 2, 3])
    expect(await places(1, 1)).toEqual([2])
    expect(await places(3, 10)).toEqual([])
    expect(await store.readChain(NO_ID, { run_seq: 0, limit: 10 })).toEqual([])
  })

  it('knows the instant of its last event, and none while it is empty', async () => {
    const store = await open()
    expect(await store.lastInstant()).toBeNull()
    const ledger = ledgerOf(store)
    const { run_id } = await ledger.createRun()
    await ledger.createRun()
    const { ts } = await ledger.appendEvent(run_id, { kind: 'note' })
    expect(await store.lastInstant()).toBe(ts)
  })

  it('answers a ping', async () => {
    await expect((await open()).ping()).resolves.toBeUndefined()
  })

  it('closes after the writes that are under way, and answers them', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const writes = Array.from({ length: 300 }, () => ledger.createRun())
    await store.close()
    const answered = await Promise.allSettled(writes)
    expect(answered.filter(({ status }) => status === 'fulfilled')).toHaveLength(300)
  })
}

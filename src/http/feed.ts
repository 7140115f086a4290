import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { shownEvent } from '../domain/event-chain.ts'
import type { FedEvent, FeedFilters, StoreReads, Viewer } from '../store/store.ts'

/** An event as it goes to every reader. */
export interface Frame {
  seq: number
  bytes: Buffer
}

export const frameOf = ({ event }: FedEvent): Frame => ({
  seq: event.seq,
  bytes: Buffer.from(
    `id: ${event.seq}\nevent: ${event.kind}\ndata: ${JSON.stringify(shownEvent(event))}\n\n`,
  ),
})

/** What a reader wants of the feed: what its list would have. */
export interface Wanted {
  run_id?: string
  filters: FeedFilters
  viewer: Viewer
}

/** A stream that has read the table to its end. */
export interface Listener {
  /** The next events that it wants; `bytes` are all of them together, the same for all who want the same. */
  receive(frames: readonly Frame[], bytes: Buffer): void
  /** Its run is over. */
  finish(): void
  /** The table could not be read: whoever comes again misses nothing. */
  fail(): void
}

/**
 * What is committed, as it is committed. The table is read once for all readers, in order, behind what was read before:
 * what a commit tells is only that there is something to read. Without a listener nothing is read, and with very many the
 * telling takes a quarter of the time at the most.
 */
export interface Feed {
  /** False if it is already further than `read_to`: then read on. */
  join(listener: Listener, wanted: Wanted, read_to: number): boolean
  leave(listener: Listener): void
  /** Reads a page of the table for a reader that is behind, when it is its turn: one page at a time, for all of them. */
  inTurn(listener: Listener, readPage: () => Promise<void>): void
}

/** The listeners that want the same. */
interface Channel {
  wanted: Wanted
  listeners: Set<Listener>
}

/** For so many times as long as it took to tell all listeners, they are left alone: what comes meanwhile goes together. */
const REST = 3

const EVERYTHING: Viewer = { projects: null }

export function createFeed(deps: {
  reads: StoreReads
  onCommitted: (listener: () => void) => void
  onError: (error: unknown) => void
}): Feed {
  const { reads, onCommitted, onError } = deps
  const channels = createChannels()
  let position = 0
  let isStale = false
  let isReading = false
  let isTold = false

  const wake = (): void => {
    if (channels.size() === 0) return
    isStale = true
    if (isReading) return
    isReading = true
    setImmediate(() => void publish()) // once for a group, after those who wrote it are answered
  }
  async function publish(): Promise<void> {
    try {
      while (isStale && channels.size() > 0) {
        isStale = false
        const { events, read_to, at_end } = await reads.readFeed(position, {}, EVERYTHING)
        position = read_to
        isStale ||= !at_end
        const begun = performance.now() // only how long it took: no business of the one clock
        channels.hand(events)
        const rest_ms = (performance.now() - begun) * REST
        await (rest_ms < 1 ? nextTurn() : wait(rest_ms))
      }
    } catch (error) {
      onError(error)
      channels.fail()
    }
    isReading = false
  }

  return {
    join(listener, wanted, read_to) {
      if (!isTold) onCommitted(wake)
      isTold = true
      if (channels.size() === 0) position = read_to
      if (position > read_to) return false
      channels.add(listener, wanted)
      wake() // what was committed while its last page was on its way was told to nobody
      return true
    },
    leave: channels.remove,
    inTurn: oneAtATime(onError),
  }
}

/** Who listens, by what they want: a thousand readers of one run cost one look at each event. */
function createChannels() {
  /** By the run that they are about, '' where it is all of them; within it by all else that they want. */
  const byRun = new Map<string, Map<string, Channel>>()
  const channelOf = new Map<Listener, Channel>()

  const keyOf = ({ filters: { kind, project_id }, viewer }: Wanted): string =>
    JSON.stringify([kind, project_id, viewer.projects])
  const interested = ({ event: { run_id } }: FedEvent): Channel[] =>
    (run_id === null ? [''] : ['', run_id]).flatMap((run) => [...(byRun.get(run)?.values() ?? [])])

  return {
    size: () => channelOf.size,

    add(listener: Listener, wanted: Wanted): void {
      const run = wanted.run_id ?? ''
      const ofRun = byRun.get(run) ?? new Map<string, Channel>()
      const channel = ofRun.get(keyOf(wanted)) ?? { wanted, listeners: new Set() }
      byRun.set(run, ofRun.set(keyOf(wanted), channel))
      channel.listeners.add(listener)
      channelOf.set(listener, channel)
    },

    remove(listener: Listener): void {
      const channel = channelOf.get(listener)
      if (channel === undefined) return
      channelOf.delete(listener)
      channel.listeners.delete(listener)
      if (channel.listeners.size > 0) return
      const run = channel.wanted.run_id ?? ''
      byRun.get(run)!.delete(keyOf(channel.wanted))
      if (byRun.get(run)!.size === 0) byRun.delete(run)
    },

    hand(events: readonly FedEvent[]): void {
      const news = new Map<Channel, Frame[]>()
      const over = new Set<Channel>()
      for (const fed of events) {
        let frame: Frame | undefined
        for (const channel of interested(fed)) {
          if (fed.ends_run && channel.wanted.run_id !== undefined) over.add(channel)
          if (!isWanted(fed, channel.wanted)) continue
          const frames = news.get(channel) ?? []
          frames.push((frame ??= frameOf(fed)))
          news.set(channel, frames)
        }
      }
      for (const [{ listeners }, frames] of news) {
        const bytes = frames.length === 1 ? frames[0]!.bytes : Buffer.concat(frames.map(({ bytes }) => bytes))
        for (const listener of [...listeners]) listener.receive(frames, bytes)
      }
      for (const { listeners } of over) for (const listener of [...listeners]) listener.finish()
    },

    fail(): void {
      for (const listener of [...channelOf.keys()]) listener.fail()
    },
  }
}

/** The same that the lists say in SQL: what belongs to no project passes no filter by project. */
function isWanted({ event, project_id }: FedEvent, { filters, viewer }: Wanted): boolean {
  const isIn = (list: readonly string[] | null | undefined, value: string | null): boolean =>
    list == null || (value !== null && list.includes(value))
  return (
    isIn(filters.kind, event.kind) &&
    isIn(filters.project_id, project_id) &&
    isIn(viewer.projects, project_id)
  )
}

/** One page in each turn of the loop, however many readers are behind: everybody else has the rest of it. */
function oneAtATime(onError: (error: unknown) => void): Feed['inTurn'] {
  const waiting: Parameters<Feed['inTurn']>[] = []
  let isServing = false
  async function serve(): Promise<void> {
    isServing = true
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [listener, readPage] = next
      await nextTurn()
      await readPage().catch((error: unknown) => {
        onError(error)
        listener.fail()
      })
    }
    isServing = false
  }
  return (...next) => {
    waiting.push(next)
    if (!isServing) void serve()
  }
}

import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { shownEvent } from '../domain/event-chain.ts'
import type { StepNews } from '../domain/step-report.ts'
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

/** Without an id: whoever comes again asks for what is behind the last event. */
const progressFrame = ({ message }: StepNews): Buffer =>
  Buffer.from(`event: ${message.kind}\ndata: ${JSON.stringify(message)}\n\n`)

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
  /** How far an attempt is; who has no room for it does without. */
  receiveProgress(bytes: Buffer): void
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
  onReported: (listener: (news: StepNews) => void) => void
  onError: (error: unknown) => void
}): Feed {
  const { reads, onCommitted, onReported, onError } = deps
  const channels = createChannels()
  const progress = createProgress()
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
  const listen = (): void => {
    onCommitted(wake)
    onReported((news) => {
      if (channels.size() === 0) return
      progress.add(news)
      wake()
    })
  }
  async function publish(): Promise<void> {
    try {
      while (isStale && channels.size() > 0) {
        isStale = false
        const { events, read_to, at_end } = await reads.readFeed(position, {}, EVERYTHING)
        position = read_to
        isStale ||= !at_end
        progress.endWith(events)
        const begun = performance.now() // only how long it took: no business of the one clock
        channels.hand(events)
        if (at_end) progress.take().forEach(channels.mention)
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
      if (!isTold) listen()
      isTold = true
      if (channels.size() === 0) {
        position = read_to
        progress.take() // nobody was there to hear it
      }
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
  const interested = (run_id: string | null): Channel[] =>
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
        const about = { kind: fed.event.kind, project_id: fed.project_id }
        for (const channel of interested(fed.event.run_id)) {
          if (fed.ends_run && channel.wanted.run_id !== undefined) over.add(channel)
          if (!isWanted(about, channel.wanted)) continue
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

    mention(news: StepNews): void {
      const { kind, run_id } = news.message
      const about = { kind, project_id: news.project_id }
      let frame: Buffer | undefined
      for (const channel of interested(run_id)) {
        if (!isWanted(about, channel.wanted)) continue
        frame ??= progressFrame(news)
        for (const listener of [...channel.listeners]) listener.receiveProgress(frame)
      }
    },

    fail(): void {
      for (const listener of [...channelOf.keys()]) listener.fail()
    },
  }
}

/** What readers choose by. */
interface Subject {
  kind: string
  project_id: string | null
}

/** The same that the lists say in SQL: what belongs to no project passes no filter by project. */
function isWanted({ kind, project_id }: Subject, { filters, viewer }: Wanted): boolean {
  const isIn = (list: readonly string[] | null | undefined, value: string | null): boolean =>
    list == null || (value !== null && list.includes(value))
  return isIn(filters.kind, kind) && isIn(filters.project_id, project_id) && isIn(viewer.projects, project_id)
}

/** What is to be told of attempts when all that was committed before it has been: of each of them the last. */
function createProgress() {
  const byAttempt = new Map<string, StepNews>()
  return {
    add: (news: StepNews): void => void byAttempt.set(news.message.step_attempt_id, news),
    /** How far it was says nothing new once its end was told. */
    endWith(events: readonly FedEvent[]): void {
      for (const { event } of events) {
        if (event.kind === 'step_completed') byAttempt.delete(event.step_attempt_id!)
      }
    },
    take(): StepNews[] {
      const all = [...byAttempt.values()]
      byAttempt.clear()
      return all
    },
  }
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

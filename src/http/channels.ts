import { shownEvent } from '../domain/event-chain.ts'
import type { StepNews } from '../domain/step-report.ts'
import type { FedEvent, FeedFilters, Viewer } from '../store/store.ts'

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

/** The listeners that want the same. */
interface Channel {
  wanted: Wanted
  listeners: Set<Listener>
}

/** What is to be told, and to whom. */
export interface News {
  frames: Map<Channel, Frame[]>
  /** Whose run is over behind that. */
  over: Set<Channel>
  /** Of all frames, each counted once. */
  bytes: number
}

export const createNews = (): News => ({ frames: new Map(), over: new Set(), bytes: 0 })

/** Who listens, by what they want: a thousand readers of one run cost one look at each event. */
export function createChannels() {
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

    sort(events: readonly FedEvent[], news: News): void {
      for (const fed of events) {
        let frame: Frame | undefined
        const about = { kind: fed.event.kind, project_id: fed.project_id }
        for (const channel of interested(fed.event.run_id)) {
          if (fed.ends_run && channel.wanted.run_id !== undefined) news.over.add(channel)
          if (!isWanted(about, channel.wanted)) continue
          if (frame === undefined) {
            frame = frameOf(fed)
            news.bytes += frame.bytes.length
          }
          const frames = news.frames.get(channel) ?? []
          frames.push(frame)
          news.frames.set(channel, frames)
        }
      }
    },

    tell({ frames: byChannel, over }: News): void {
      for (const [{ listeners }, frames] of byChannel) {
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

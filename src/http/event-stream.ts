import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { LIMITS } from '../contract/limits.ts'
import type { FeedPart } from '../store/store.ts'
import { type Frame, type Wanted, frameOf } from './channels.ts'
import type { Feed } from './feed.ts'

/** How long a client waits before it comes again. */
const RETRY_MS = 3_000

/** A reader that has taken nothing for so many beats is gone, whatever its connection says. */
const BEATS_STUCK = 2

export interface EventStreamOptions {
  feed: Feed
  wanted: Wanted
  /** Reads behind a `seq`, as the feed's listeners want it. */
  readPage: (after: number) => Promise<FeedPart>
  /** Everything up to here the reader has. */
  after: number
  /** What came of the first read. */
  first: FeedPart
  response: ServerResponse
  /** The reader did not keep up. It has the events up to this one, or will ask for them again. */
  onDropped: (last_event_id: number) => void
  onClosed: () => void
}

/** The answer of a stream, and what the server may do with it. */
export interface EventStream {
  body: Readable
  /** Shows that it is alive, to a reader and to proxies; drops a reader that has taken nothing for too long. */
  beat(): void
  /** The server stops. */
  end(): void
}

/**
 * Server-sent events: from the table, page by page as the reader takes them, and then live. What waits for a reader is
 * one page, or what its bound allows, or one event; who is too slow is cut off and goes on behind its last id.
 */
export function openEventStream(options: EventStreamOptions): EventStream {
  const { feed, wanted, readPage, after, response, onDropped, onClosed } = options
  let position = after
  let last_id = after
  let state: 'behind' | 'reading' | 'live' | 'over' = 'behind'

  const backlog = (): number => body.readableLength + response.writableLength
  const hasRoomFor = (more: number) => backlog() === 0 || backlog() + more <= LIMITS.stream_bytes
  const countStuck = stuckBeats(response)
  const drop = (): void => {
    onDropped(last_id)
    body.destroy()
  }
  const send = (frames: readonly Frame[], bytes: Buffer): void => {
    last_id = frames.at(-1)!.seq
    body.push(bytes)
  }
  const finish = (): void => {
    state = 'over'
    feed.leave(listener)
    body.push(null)
  }
  const goOn = (): void => {
    if (state !== 'behind' || response.writableNeedDrain) return
    state = 'reading'
    feed.inTurn(listener, async () => {
      if (!body.destroyed) take(await readPage(position))
    })
  }
  const take = ({ events, read_to, at_end, is_over }: FeedPart): void => {
    if (body.destroyed || state === 'over') return
    position = Math.max(position, read_to)
    state = at_end && feed.join(listener, wanted, read_to) ? 'live' : 'behind'
    const frames = events.map(frameOf)
    if (frames.length > 0) send(frames, joined(frames))
    if (is_over) finish()
    else if (frames.length === 0) goOn() // nobody asks for more before there was something
  }
  const listener = {
    receive(frames: readonly Frame[], bytes: Buffer): void {
      // The last page may have read further than the feed had come.
      const news = frames[0]!.seq > position ? frames : frames.filter(({ seq }) => seq > position)
      if (news.length === 0) return
      if (!hasRoomFor(bytes.length)) return drop()
      send(news, news === frames ? bytes : joined(news))
    },
    receiveProgress(bytes: Buffer): void {
      if (hasRoomFor(bytes.length)) body.push(bytes)
    },
    finish,
    fail: () => void body.destroy(),
  }
  const body = new Readable({
    read: goOn,
    destroy(error, done) {
      feed.leave(listener)
      onClosed()
      done(error)
    },
  })
  response.on('drain', goOn) // who asked while there was no room asks no more
  body.push(`retry: ${RETRY_MS}\n\n`)
  take(options.first)

  return {
    body,
    beat() {
      if (countStuck(backlog()) === BEATS_STUCK) drop()
      else if (backlog() === 0 && state !== 'over') body.push(': still here\n\n')
    },
    end: () => (backlog() > 0 ? void body.destroy() : finish()),
  }
}

/** For how many beats something has waited, and none of it was taken. */
function stuckBeats(response: ServerResponse): (backlog: number) => number {
  let beats = 0
  let taken_before = 0
  return (backlog) => {
    const taken = (response.socket?.bytesWritten ?? 0) - response.writableLength
    beats = backlog > 0 && taken === taken_before ? beats + 1 : 0
    taken_before = taken
    return beats
  }
}

const joined = (frames: readonly Frame[]): Buffer => Buffer.concat(frames.map(({ bytes }) => bytes))

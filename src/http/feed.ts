import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { LIMITS } from '../contract/limits.ts'
import type { StepNews } from '../domain/step-report.ts'
import type { FedEvent, StoreReads, Viewer } from '../store/store.ts'
import { type Listener, type News, type Wanted, createChannels, createNews } from './channels.ts'

/**
 * What is committed, as it is committed. The table is read once for all readers, in order, behind what was read before:
 * what a commit tells is only that there is something to read. Without a listener nothing is read, and with very many the
 * telling takes half of the time.
 */
export interface Feed {
  /** False if it is already further than `read_to`: then read on. */
  join(listener: Listener, wanted: Wanted, read_to: number): boolean
  leave(listener: Listener): void
  /** Reads a page of the table for a reader that is behind, when it is its turn: one page at a time, for all of them. */
  inTurn(listener: Listener, readPage: () => Promise<void>): void
}

/** So many are read before something is told, if little of it is wanted: nobody waits for long. */
const PAGES_MAX = 16

/**
 * For as long as it took to tell all listeners they are left alone: what comes meanwhile goes together. Not for longer than
 * this, where the machine stood still for a moment.
 */
const REST_CAP_MS = 200

async function rest(begun: number): Promise<void> {
  await new Promise<void>((resolve) => process.nextTick(resolve)) // until then the sockets get the bytes: most of the time
  const rest_ms = Math.min(performance.now() - begun, REST_CAP_MS)
  await (rest_ms < 1 ? nextTurn() : wait(rest_ms))
}

const EVERYTHING: Viewer = { projects: null }

interface FeedDeps {
  reads: StoreReads
  onCommitted: (listener: () => void) => void
  onReported: (listener: (news: StepNews) => void) => void
  onError: (error: unknown) => void
}

export function createFeed({ reads, onCommitted, onReported, onError }: FeedDeps): Feed {
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
  /** Of several pages, if need be: telling costs more than reading what nobody wants. */
  async function readNews(): Promise<{ news: News; at_end: boolean }> {
    const news = createNews()
    for (let pages = 1; ; pages++) {
      isStale = false
      const { events, read_to, at_end } = await reads.readFeed(position, {}, EVERYTHING)
      position = read_to
      isStale ||= !at_end
      progress.endWith(events)
      channels.sort(events, news)
      if (at_end || news.bytes >= LIMITS.feed_bytes || pages === PAGES_MAX) return { news, at_end }
      await nextTurn()
    }
  }
  async function publish(): Promise<void> {
    try {
      while (isStale && channels.size() > 0) {
        const { news, at_end } = await readNews()
        const begun = performance.now() // only how long it took: no business of the one clock
        channels.tell(news)
        if (at_end) progress.take().forEach(channels.mention)
        await (at_end ? rest(begun) : nextTurn()) // who is behind does not rest
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

import { setImmediate as nextTurn } from 'node:timers/promises'
import { LIMITS } from '../contract/limits.ts'
import type { Tool } from '../contract/tool.ts'
import type { QueuePlace, Store, StoreFigures } from '../store/store.ts'
import { type GivenFor, OWN_CALL } from './call.ts'

/** How much waits for one tool. */
export interface QueueFigures {
  tool_id: string
  queued: number
  /** How long something could have been claimed by now, of what is first in the queue. */
  waiting_ms: number
}

/** What there is to do, and who could do it. */
export interface DispatchFigures {
  /** The tools of the active configuration. */
  tools: Tool[]
  /** Where something is queued, also for tools that the active configuration does not have. */
  queues: QueueFigures[]
}

/** What is measured when somebody asks for it. */
export interface FigureCases {
  getStoreFigures(): StoreFigures
  /** @throws LedgerError `store_unavailable` */
  getDispatchFigures(): Promise<DispatchFigures>
}

/** How many requests are counted before others have a turn: half a millisecond. */
const COUNT_BATCH = 5_000

const START: QueuePlace = { priority_rank: -1, execution_request_id: '' }

export const figureCases = (parts: { store: Store; givenFor: GivenFor }): FigureCases => ({
  getStoreFigures: parts.store.figures,
  async getDispatchFigures() {
    const { store, givenFor } = parts
    const { now } = givenFor(OWN_CALL)
    const { items: tools } = await store.listTools({ limit: LIMITS.apps }, now)
    const queues: QueueFigures[] = []
    for (const tool_id of await store.queuedTools()) {
      await nextTurn()
      const since = await store.queuedSince(tool_id)
      const waiting_ms = since === null ? 0 : Math.max(0, Date.parse(now) - Date.parse(since))
      queues.push({ tool_id, queued: await countQueued(store, tool_id), waiting_ms })
    }
    return { tools, queues }
  },
})

/** In parts, with a turn for others between them: so it is no count of one moment, if very much is queued. */
async function countQueued(store: Store, tool_id: string): Promise<number> {
  let queued = 0
  for (let after: QueuePlace | null = START; after !== null;) {
    const part = await store.countQueued(tool_id, { after, limit: COUNT_BATCH })
    queued += part.queued
    after = part.next
    if (after !== null) await nextTurn()
  }
  return queued
}

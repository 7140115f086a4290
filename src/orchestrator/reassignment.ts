import { LIMITS } from '../contract/limits.ts'
import { fallBackQueued } from '../domain/fallback.ts'
import type { QueuePlace, Store } from '../store/store.ts'
import { OWN_WRITE, type WriteOnce } from './call.ts'
import type { Hub } from './hub.ts'

/** A new one each time: a walk that has begun again is known by it. */
const front = (): QueuePlace => ({ priority_rank: -1, execution_request_id: '' })

/**
 * Finds other tools for what waits for one whose circuit has opened: a walk along its queue, a batch with each step, so
 * that nothing is looked at twice for one opening. When a tool returns that got no work, all walks begin again: what
 * found nobody may find that one. Where the walks are is not kept: whoever starts anew begins with every circuit that
 * is open.
 */
export function createReassignment({ store, write, hub }: { store: Store; write: WriteOnce; hub: Hub }) {
  const walks = new Map<string, QueuePlace>()
  let returns = 1
  let returns_seen = 0
  const begin = (tool_id: string): void => void walks.set(tool_id, front())
  const beginAll = (): void => void returns++
  hub.onOpened(begin)
  hub.onReturned(beginAll)

  const walkOn = async (tool_id: string, from: QueuePlace, now: string): Promise<void> => {
    const limit = LIMITS.sweep_batch
    const batch = await store.waitingBehind(tool_id, from, { now, limit })
    await Promise.all(
      batch.map(({ execution_request_id }) =>
        write(OWN_WRITE, { execution_request_id, fallback: true }, (before, given) =>
          fallBackQueued(before, given, tool_id),
        ),
      ),
    )
    if (walks.get(tool_id) !== from) return // it has begun again meanwhile
    if (batch.length < limit) walks.delete(tool_id)
    else walks.set(tool_id, batch.at(-1)!)
  }
  return {
    /** With the next step all walks begin again. */
    beginAll,
    /** Looks at the next batch of each walk; answers whether there is more to look at. */
    async step(now: string): Promise<boolean> {
      if (returns_seen !== returns) {
        const upTo = returns
        ;(await store.openCircuits(now)).forEach(begin)
        returns_seen = upTo
      }
      for (const [tool_id, from] of [...walks]) await walkOn(tool_id, from, now)
      return walks.size > 0
    },
  }
}

import { LIMITS } from '../contract/limits.ts'
import { fallBackQueued, takerLook } from '../domain/fallback.ts'
import type { QueuePlace, Store } from '../store/store.ts'
import { OWN_WRITE, type WriteOnce } from './call.ts'
import type { Hub } from './hub.ts'

/** A new one each time: a walk that has begun again is known by it. */
const front = (): QueuePlace => ({ priority_rank: -1, execution_request_id: '' })

/**
 * Finds other tools for what waits for one whose circuit has opened: a walk along its queue, a batch with each step, so
 * that nothing is looked at twice for one opening. Only what another tool could take over is worth a write. When a tool returns that got no work, all walks begin again: what
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

  /** What another tool could take over of the next batch, and where the queue goes on. */
  const look = async (
    tool_id: string,
    from: QueuePlace,
    now: string,
  ): Promise<{ movable: QueuePlace[]; next: QueuePlace | null }> => {
    const canMove = await store.view({ routing: 'active' }, (before) => takerLook(before, { now }, tool_id))
    if (canMove === null) return { movable: [], next: null }
    const { items, next } = await store.waitingBehind(tool_id, from, { now, limit: LIMITS.sweep_batch })
    return { movable: items.filter(({ decision }) => canMove(decision)), next }
  }
  const walkOn = async (tool_id: string, from: QueuePlace, now: string): Promise<void> => {
    const { movable, next } = await look(tool_id, from, now)
    await Promise.all(
      movable.map(({ execution_request_id }) =>
        write(OWN_WRITE, { execution_request_id, fallback: true }, (before, given) =>
          fallBackQueued(before, given, tool_id),
        ),
      ),
    )
    if (walks.get(tool_id) !== from) return // it has begun again meanwhile
    if (next === null) walks.delete(tool_id)
    else walks.set(tool_id, next)
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

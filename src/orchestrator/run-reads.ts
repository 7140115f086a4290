import type { Page } from '../contract/common.ts'
import { LIMITS } from '../contract/limits.ts'
import type { Run, RunsQuery } from '../contract/run.ts'
import type { Caller } from '../domain/decision.ts'
import type { Attention, Store } from '../store/store.ts'
import { type GivenFor, OWN_CALL } from './call.ts'

/** What is read of runs and depends on the time. */
export interface RunReadCases {
  listRuns(caller: Caller, query: RunsQuery): Promise<Page<Run>>
}

interface Parts {
  store: Store
  givenFor: GivenFor
}

export const runReadCases = ({ store, givenFor }: Parts): RunReadCases => {
  const now = () => givenFor(OWN_CALL).now
  return {
    listRuns(caller, { needs_attention, stalled_for, ...query }) {
      const attention = attentionOf({ needs_attention, stalled_for }, now)
      return store.listRuns(attention === null ? query : { ...query, attention }, caller)
    },
  }
}

/** Who says what stalled means asks for what has stalled. */
function attentionOf(
  { needs_attention = [], stalled_for }: { [K in 'needs_attention' | 'stalled_for']: RunsQuery[K] },
  now: () => string,
): Attention | null {
  const stalled = stalled_for === undefined ? [] : (['stalled'] as const)
  const reasons = [...new Set([...needs_attention, ...stalled])].toSorted()
  if (reasons.length === 0) return null
  return { reasons, stalled_for: stalled_for ?? LIMITS.stalled_seconds, now: now() }
}

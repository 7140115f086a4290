import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Page } from '../contract/common.ts'
import { LIMITS } from '../contract/limits.ts'
import type { RunSummary } from '../contract/run-summary.ts'
import type { Run, RunsQuery } from '../contract/run.ts'
import type { Statistics } from '../contract/statistics.ts'
import type { StatisticsQuery } from '../contract/statistics-query.ts'
import type { LiveStepAttempt } from '../contract/step-progress.ts'
import type { Caller } from '../domain/decision.ts'
import { visibleRun } from '../domain/guard.ts'
import { addAttempt, emptyTally, summaryOf } from '../domain/run-summary.ts'
import { windowOf } from '../domain/statistics-window.ts'
import type { Attention, Store } from '../store/store.ts'
import { type GivenFor, OWN_CALL } from './call.ts'
import type { Hub } from './hub.ts'
import type { Patience } from './patience.ts'

/** What is read of runs and depends on the time, or waits for it. */
export interface RunReadCases {
  listRuns(caller: Caller, query: RunsQuery): Promise<Page<Run>>
  /** The run when it is closed, or as it is when the patience has run out. Null where there is no such run. */
  awaitRun(caller: Caller, run_id: string, patience: Patience): Promise<Run | null>
  /** With what its worker says of it, while it runs. Null where there is no such attempt. */
  getStepAttempt(caller: Caller, step_attempt_id: string): Promise<LiveStepAttempt | null>
  getRunSummary(caller: Caller, run_id: string): Promise<RunSummary>
  getStatistics(caller: Caller, query: StatisticsQuery, signal: AbortSignal): Promise<Statistics>
}

interface Parts {
  store: Store
  givenFor: GivenFor
  hub: Hub
}

export const runReadCases = ({ store, givenFor, hub }: Parts): RunReadCases => {
  const now = () => givenFor(OWN_CALL).now
  return {
    listRuns(caller, { needs_attention, stalled_for, ...query }) {
      const attention = attentionOf({ needs_attention, stalled_for }, now)
      return store.listRuns(attention === null ? query : { ...query, attention }, caller)
    },
    async awaitRun(caller, run_id, patience) {
      const closing = hub.closings.join(run_id) // before the first look, or an end in between would not be heard
      try {
        const run = await store.getRun(run_id, caller)
        if (run === null || run.ended_at !== null || patience.wait_ms === 0) return run
        await closing.wait(patience)
        if (patience.signal.aborted) return run // nobody reads it any more
      } finally {
        closing.leave()
      }
      return store.getRun(run_id, caller)
    },
    async getStepAttempt(caller, step_attempt_id) {
      const step = await store.getStepAttempt(step_attempt_id, caller)
      return step === null ? null : hub.reports.live(step)
    },
    getRunSummary: (caller, run_id) => getRunSummary(store, now, caller, run_id),
    getStatistics: async (caller, query, signal) => store.statistics(windowOf(query, now()), caller, signal),
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

/** How many attempts a summary reads at most before it lets others have a turn. */
const SUMMARY_BATCH = 500

/**
 * In batches with a turn for others between them: a run may have a million attempts. What has ended does not change,
 * so it is added up as it is read; what was still running is read again with the last batch, in one turn with the run
 * and its counts. So all figures are those of that one moment, however long it took to come there.
 */
async function getRunSummary(
  store: Store,
  now: () => string,
  caller: Caller,
  run_id: string,
): Promise<RunSummary> {
  await store.view({ run_id }, (before) => visibleRun(before, { caller }))
  const tally = emptyTally()
  const again: string[] = []
  for (let after = ''; ;) {
    const { attempts, end } = await store.readSummary(run_id, { after, limit: SUMMARY_BATCH, again })
    const at = now()
    const running = attempts.filter(({ state }) => state === 'running')
    for (const attempt of attempts) if (attempt.state !== 'running') addAttempt(tally, attempt, at)
    if (end !== null) return summaryOf(tally, { ...end, attempts: [...end.attempts, ...running] }, at)
    for (const { step_attempt_id } of running) again.push(step_attempt_id)
    after = attempts.at(-1)!.step_attempt_id // a batch that is not the last has one
    await nextTurn()
  }
}

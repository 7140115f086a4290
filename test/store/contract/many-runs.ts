import { expect } from 'vitest'
import { type Run, RunState, type RunsQuery, TriggerType } from '../../../src/contract/run.ts'
import { appendRunEvent } from '../../../src/domain/event.ts'
import { createRun } from '../../../src/domain/run.ts'
import type { NewEvent } from '../../../src/domain/decision.ts'
import type { Store } from '../../../src/store/store.ts'
import { RUN_BODY } from '../../support/builders.ts'
import { ANYBODY, NOW, after, givens } from '../../support/given.ts'
import { ledgerOf, runIn } from '../../support/store.ts'

export const ids = (runs: readonly Run[]): string[] => runs.map(({ run_id }) => run_id)

/** Forty runs of every sort, a second apart, and what they are by the run's own words. */
export async function manyRuns(store: Store): Promise<Run[]> {
  const ledger = ledgerOf(store)
  const states = RunState.enum as readonly Run['state'][]
  const triggers = TriggerType.enum as readonly Run['origin']['trigger_type'][]
  for (let i = 0; i < 40; i++) {
    await runIn(ledger, states[Math.floor(i / 3) % states.length]!, {
      project_id: ['shop', 'bank', 'bank2'][i % 3]!,
      phase_id: ['build', 'test'][i % 2]!,
      workstream_id: [null, 'w1', 'w2'][(i >> 1) % 3]!,
      origin: { trigger_type: triggers[i % triggers.length]! },
      labels: {
        ...(i % 4 === 0 ? {} : { team: ['core', 'web'][i % 2]! }),
        ...(i % 5 === 0 ? { url: 'a:b:c' } : {}),
      },
    })
  }
  const all = (await store.listRuns({ limit: 500 }, ANYBODY)).items
  expect(all).toHaveLength(40)
  return all
}

/** What the filters say, written once more without a database. */
export function passes(run: Run, query: RunsQuery): boolean {
  const among = (values: readonly unknown[] | undefined, value: unknown) =>
    values === undefined || values.includes(value)
  const labels = Object.entries(run.labels).map(([key, value]) => `${key}:${value}`)
  return (
    among(query.project_id, run.project_id) &&
    among(query.phase_id, run.phase_id) &&
    among(query.workstream_id, run.workstream_id) &&
    among(query.state, run.state) &&
    among(query.trigger_type, run.origin.trigger_type) &&
    (query.label === undefined || query.label.some((label) => labels.includes(label))) &&
    (query.created_after === undefined || run.created_at >= query.created_after) &&
    (query.created_before === undefined || run.created_at < query.created_before)
  )
}

/** Many runs in one write. A run whose number is listed is of the phase `needle`. */
export async function bulk(store: Store, count: number, needles: readonly number[] = []): Promise<void> {
  const next = givens({ step_ms: 1 })
  await store.change({}, (before) => {
    const made = Array.from({ length: count }, (_, i) => {
      const phase_id = needles.includes(i) ? 'needle' : 'hay'
      return createRun(before, next(), { ...RUN_BODY, phase_id, labels: { team: 'core' } }, null)
    })
    return {
      changes: made.flatMap(({ changes }) => changes),
      events: made.flatMap(({ events }) => events),
      result: () => null,
    }
  })
}

/** One event after the other in one write; a listed one is of the kind `needle`. */
export async function bulkEvents(
  store: Store,
  run_id: string,
  count: number,
  needles: readonly number[],
): Promise<void> {
  const next = givens({ start: after(NOW, 1_000_000), step_ms: 1 })
  await store.change({ run_id }, (before) => {
    const events: NewEvent[] = []
    let book = before.run!
    for (let i = 0; i < count; i++) {
      const body = { kind: needles.includes(i) ? 'needle' : 'note' }
      const decision = appendRunEvent({ ...before, run: book }, next(), body)
      events.push(...decision.events)
      const [moved] = decision.changes
      if (moved?.record === 'run') book = moved.after
    }
    return { changes: [{ record: 'run', before: before.run, after: book }], events, result: () => null }
  })
}

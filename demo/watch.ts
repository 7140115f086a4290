import type { Run } from '../src/contract/run.ts'
import type { RunPlan } from '../src/contract/run-plan.ts'
import type { Diagnosis } from '../src/contract/worker.ts'
import type { Api } from './api.ts'
import { pause } from './stopping.ts'

/** The run and its plan, as one look found them. */
export interface Snapshot {
  run: Run
  plan: RunPlan
}

const LOOK_EVERY_MS = 250

export const isOpen = (state: string): boolean => !['succeeded', 'failed', 'canceled'].includes(state)

/** Looks at a run until it is closed, and shows each look. */
export async function watchRun(
  api: Api,
  run_id: string,
  { signal, show }: { signal: AbortSignal; show: (snapshot: Snapshot) => void },
): Promise<Snapshot> {
  for (;;) {
    // The run is read first: once it is closed, what is read after it changes no more.
    const run = await api.get<Run>(`/v1/runs/${run_id}`)
    const snapshot = { run, plan: await planOf(api, run_id) }
    show(snapshot)
    if (run.ended_at !== null) return snapshot
    await pause(LOOK_EVERY_MS, signal)
  }
}

const planOf = (api: Api, run_id: string): Promise<RunPlan> => api.get(`/v1/runs/${run_id}/plan`)

/** Of each task that is open, why nothing is happening: a line each. */
export async function diagnose(api: Api, run_id: string): Promise<string[]> {
  const { nodes } = await planOf(api, run_id)
  const open = nodes.filter(({ state }) => isOpen(state))
  return Promise.all(
    open.map(async ({ execution_request_id, task_id, state }) => {
      const path = `/v1/execution-requests/${execution_request_id}/diagnosis`
      const { findings } = await api.get<Diagnosis>(path)
      return `${task_id} is ${state}: ${findings.map(({ detail }) => detail).join(' ')}`
    }),
  )
}

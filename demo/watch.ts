import type { ExecutionRequest } from '../src/contract/execution-request.ts'
import type { Run } from '../src/contract/run.ts'
import type { StepAttempt } from '../src/contract/step.ts'
import type { Diagnosis } from '../src/contract/worker.ts'
import type { Api } from './api.ts'
import { pause } from './stopping.ts'

/** The run and what belongs to it, as one look found them. */
export interface Snapshot {
  run: Run
  requests: ExecutionRequest[]
  attempts: StepAttempt[]
}

const LOOK_EVERY_MS = 250
/** Far more than the demo has of anything, so that one page holds all. */
const PAGE = 500

export const isOpen = (state: string): boolean => !['succeeded', 'failed', 'canceled'].includes(state)

/** Looks at a run until it is closed, and shows each look. */
export async function watchRun(
  api: Api,
  run_id: string,
  { signal, show }: { signal: AbortSignal; show: (snapshot: Snapshot) => void },
): Promise<Snapshot> {
  for (;;) {
    const snapshot = await look(api, run_id)
    show(snapshot)
    if (snapshot.run.ended_at !== null) return snapshot
    await pause(LOOK_EVERY_MS, signal)
  }
}

/** The run is read first: once it is closed, what is read after it changes no more. */
export async function look(api: Api, run_id: string): Promise<Snapshot> {
  const run = await api.get<Run>(`/v1/runs/${run_id}`)
  const [requests, attempts] = await Promise.all([
    api.get<{ items: ExecutionRequest[] }>(`/v1/execution-requests?run_id=${run_id}&limit=${PAGE}`),
    api.get<{ items: StepAttempt[] }>(`/v1/runs/${run_id}/steps?limit=${PAGE}`),
  ])
  return { run, requests: requests.items, attempts: attempts.items }
}

export const attemptsOf = ({ attempts }: Snapshot, { request_id }: ExecutionRequest): StepAttempt[] =>
  attempts.filter(({ execution_request_id }) => execution_request_id === request_id)

/** Of each task that is open, why nothing is happening: a line each. */
export async function diagnose(api: Api, run_id: string): Promise<string[]> {
  const { requests } = await look(api, run_id)
  const open = requests.filter(({ state }) => isOpen(state))
  return Promise.all(
    open.map(async ({ request_id, task_id, state }) => {
      const { findings } = await api.get<Diagnosis>(`/v1/execution-requests/${request_id}/diagnosis`)
      return `${task_id} is ${state}: ${findings.map(({ detail }) => detail).join(' ')}`
    }),
  )
}

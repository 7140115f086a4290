import type { CreateExecutionRequest } from '../src/contract/execution-request.ts'
import type { Orchestrator } from '../src/orchestrator/orchestrator.ts'
import { plainCall } from './calls.ts'
import { requestBodies } from './scenario.ts'

const GROUP = 256

/** Adds so many requests to the queue, each with a run of its own. */
export async function enqueue(
  ledger: Orchestrator,
  count: number,
  onProgress: (queued: number) => void = () => {},
): Promise<void> {
  for (let queued = 0; queued < count; queued += GROUP) {
    const group = Array.from({ length: Math.min(GROUP, count - queued) }, (_, i) =>
      ledger.createExecutionRequest(plainCall, bodyAt(queued + i)),
    )
    await Promise.all(group)
    onProgress(queued + group.length)
  }
}

const bodyAt = (i: number): CreateExecutionRequest => requestBodies[i % requestBodies.length]!

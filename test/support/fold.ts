import type { Event } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'

export interface Folded {
  run: Run
  /** In the order in which they began. */
  step_attempts: StepAttempt[]
  /** In the order in which they were created. */
  execution_requests: ExecutionRequest[]
}

/**
 * What the events of one run add up to: the rows, if the ledger is right. The server's events carry the
 * after-values of what they changed; three kinds of clients' events count.
 */
export function fold(events: readonly Event[]): Folded {
  const [first] = events
  if (first?.kind !== 'run_created') throw new Error('a run begins with run_created')
  let run = {} as Run
  const steps = new Map<string, StepAttempt>()
  const requests = new Map<string, ExecutionRequest>()
  for (const event of events) {
    const { payload, step_attempt_id } = event
    if (payload === null) throw new Error(`the payload of event ${event.seq} was erased`)
    if (!isOfServer(event.kind)) {
      run = counted(run, event)
      continue
    }
    run = { ...run, ...(payload['run'] as Partial<Run> | undefined) }
    const request = payload['execution_request'] as ExecutionRequest | undefined
    if (request !== undefined) {
      requests.set(request.request_id, { ...requests.get(request.request_id), ...request })
    }
    if (step_attempt_id === null) continue
    const before = steps.get(step_attempt_id)
    steps.set(step_attempt_id, { ...before, ...(payload['step_attempt'] as StepAttempt) })
  }
  return { run, step_attempts: [...steps.values()], execution_requests: [...requests.values()] }
}

const isOfServer = (kind: string): boolean => /^(run|step|request)_/.test(kind)

const COUNTERS = new Map<string, keyof Run['counters']>([
  ['patch_created', 'patches_created'],
  ['patch_apply_succeeded', 'patches_applied'],
  ['tool_call_error', 'errors'],
])

function counted(run: Run, { kind, ts }: Event): Run {
  const counter = COUNTERS.get(kind)
  if (counter === undefined) return run
  const counters = { ...run.counters, [counter]: run.counters[counter] + 1 }
  return { ...run, counters, updated_at: ts, version: run.version + 1 }
}

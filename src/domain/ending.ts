import type { RequestProgress } from '../contract/execution-request.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { Change, Given } from './decision.ts'
import type { EventDraft } from './event-chain.ts'
import { payloadText, progressText, stepEndText } from './payload.ts'
import { requestMachine } from './request-machine.ts'
import { stepMachine } from './step-machine.ts'

// How what is open in a run ends because the run does. The run's own change carries the counts.

export interface Ended {
  change: Change
  draft: EventDraft
}

export function endedStep(
  step: StepAttempt,
  given: Given,
  state_reason: string,
): Ended & { after: StepAttempt } {
  const edge = stepMachine.edge(step.state, 'cancel')
  const after: StepAttempt = {
    ...step,
    state: edge.to,
    state_reason,
    ended_at: given.now,
    version: step.version + 1,
  }
  return {
    after,
    change: { record: 'step_attempt', before: step, after },
    draft: {
      kind: edge.event,
      from: step.state,
      to: edge.to,
      step_attempt_id: step.step_attempt_id,
      payload_text: payloadText({ step_attempt: stepEndText(after) }),
    },
  }
}

export function endedRequest(
  request: RequestProgress,
  given: Given,
  stop_reason: string,
): Ended & { after: RequestProgress } {
  const edge = requestMachine.edge(request.state, 'cancel')
  const after: RequestProgress = { ...request, ...endOf(request, given, edge.to), stop_reason }
  return {
    after,
    change: { record: 'request_progress', before: request, after },
    draft: {
      kind: edge.event,
      from: request.state,
      to: edge.to,
      payload_text: payloadText({ execution_request: progressText(after) }),
    },
  }
}

/** What every end of a request sets beside its reason. */
export const endOf = (
  { version }: RequestProgress,
  { now }: Given,
  state: RequestProgress['state'],
): Pick<RequestProgress, 'state' | 'ended_at' | 'updated_at' | 'version'> => ({
  state,
  ended_at: now,
  updated_at: now,
  version: version + 1,
})

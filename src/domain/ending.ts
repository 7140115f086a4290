import type { RequestProgress } from '../contract/execution-request.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { Change, Given, LeaseLoss } from './decision.ts'
import type { EventDraft } from './event-chain.ts'
import { payloadText, progressText, stepEndText } from './payload.ts'
import { requestMachine } from './request-machine.ts'
import { stepMachine } from './step-machine.ts'

// How what is open in a run ends because the run does. The run's own change carries the counts.

export interface Ended {
  changes: readonly Change[]
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
    changes: [{ record: 'step_attempt', before: step, after }],
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
  const edge = requestMachine.edge(request.state, request.state === 'claimed' ? 'confirm_cancel' : 'cancel')
  const after = endedAs(request, given, edge.to, stop_reason)
  return {
    after,
    changes: [{ record: 'request_progress', before: request, after }, ...leaseEnd(request, 'request_ended')],
    draft: requestTold(edge, request, after),
  }
}

/** Nobody holds a request that has ended, or waits again. */
export function leaseEnd(
  { state, request_id, fence, assignment }: RequestProgress,
  lost: LeaseLoss | null,
): Change[] {
  if (state !== 'claimed' || assignment === null) return []
  const { tool_id } = assignment
  return [{ record: 'lease_ended', lease: { execution_request_id: request_id, fence, tool_id }, lost }]
}

/** Every end of a request sets the same. */
export const endedAs = <R extends RequestProgress>(
  request: R,
  { now }: Pick<Given, 'now'>,
  state: RequestProgress['state'],
  stop_reason: string,
): R => ({
  ...request,
  state,
  stop_reason,
  queue_expires_at: null,
  ended_at: now,
  updated_at: now,
  version: request.version + 1,
})

/** The event of a move of a request: the after-values of what the machine changes. */
export const requestTold = (
  { event }: { event: string },
  before: RequestProgress,
  after: RequestProgress,
): EventDraft => ({
  kind: event,
  from: before.state,
  to: after.state,
  step_attempt_id: after.step_attempt_id,
  payload_text: payloadText({ execution_request: progressText(after) }),
})

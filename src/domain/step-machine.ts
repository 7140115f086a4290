import type { StepAttemptState } from '../contract/step.ts'
import { defineMachine } from './machine.ts'

export type StepCommand = 'create' | 'succeed' | 'fail' | 'cancel' | 'retry'

const post = (operation_id: string, path: string) => ({ operation_id, method: 'POST' as const, href: path })
const complete = post('completeStepAttempt', '/v1/steps/{step_attempt_id}/complete')

// A retry leaves the attempt as it is and makes a new one: hence the two edges that lead back.
export const stepMachine = defineMachine<StepAttemptState, StepCommand>(
  'step_attempt',
  [
    // from      on         to           event
    [null, 'create', 'running', 'step_started'],
    ['running', 'succeed', 'succeeded', 'step_completed'],
    ['running', 'fail', 'failed', 'step_completed'],
    ['running', 'cancel', 'canceled', 'step_completed'],
    ['failed', 'retry', 'failed', 'step_started'],
    ['canceled', 'retry', 'canceled', 'step_started'],
  ],
  {
    create: post('createStepAttempt', '/v1/runs/{run_id}/steps'),
    succeed: complete,
    fail: complete,
    cancel: complete,
    retry: post('retryStepAttempt', '/v1/steps/{step_attempt_id}/retry'),
  },
)

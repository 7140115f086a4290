import type { ExecutionRequestState } from '../contract/execution-request.ts'
import { OWN_COMMAND, defineMachine } from './machine.ts'

export type RequestCommand =
  | 'create'
  | 'unblock'
  | 'reassign'
  | 'claim'
  | 'succeed'
  | 'requeue'
  | 'fail'
  | 'expire'
  | 'cancel'
  | 'confirm_cancel'

const post = (operation_id: string, path: string) => ({ operation_id, method: 'POST' as const, href: path })
const of = (operation_id: string, command: string) =>
  post(operation_id, `/v1/execution-requests/{execution_request_id}/${command}`)
const fail = of('failExecutionRequest', 'fail')

// A request is created blocked while it waits for other tasks, queued otherwise. A claimed one is not canceled but
// its worker is asked to stop, and one that waits for a tool whose circuit opens gets another: hence the edges that
// lead back.
export const requestMachine = defineMachine<ExecutionRequestState, RequestCommand>(
  'execution_request',
  [
    // from      on                to           event
    [null, 'create', 'blocked', 'request_created'],
    [null, 'create', 'queued', 'request_created'],
    ['blocked', 'unblock', 'queued', 'request_queued'],
    ['queued', 'reassign', 'queued', 'request_queued'],
    ['queued', 'claim', 'claimed', 'request_claimed'],
    ['claimed', 'succeed', 'succeeded', 'request_completed'],
    ['claimed', 'requeue', 'queued', 'request_queued'],
    ['claimed', 'fail', 'failed', 'request_completed'],
    ['blocked', 'expire', 'failed', 'request_completed'],
    ['queued', 'expire', 'failed', 'request_completed'],
    ['blocked', 'cancel', 'canceled', 'request_completed'],
    ['queued', 'cancel', 'canceled', 'request_completed'],
    ['claimed', 'cancel', 'claimed', 'request_cancel_requested'],
    ['claimed', 'confirm_cancel', 'canceled', 'request_completed'],
  ],
  {
    create: post('createExecutionRequest', '/v1/execution-requests'),
    unblock: OWN_COMMAND,
    reassign: OWN_COMMAND,
    claim: post('claimExecutionRequests', '/v1/execution-requests/claim'),
    succeed: of('completeExecutionRequest', 'complete'),
    requeue: fail,
    fail,
    expire: OWN_COMMAND,
    cancel: of('cancelExecutionRequest', 'cancel'),
    confirm_cancel: fail,
  },
)

import type { ExecutionRequestState } from '../contract/execution-request.ts'
import { OWN_COMMAND, defineMachine } from './machine.ts'

export type RequestCommand =
  | 'create'
  | 'unblock'
  | 'reassign'
  | 'claim'
  | 'validate'
  | 'succeed'
  | 'requeue'
  | 'fail'
  | 'expire'
  | 'cancel'
  | 'confirm_cancel'
  | 'accept'
  | 'send_back'
  | 'refuse'

const post = (operation_id: string, path: string) => ({ operation_id, method: 'POST' as const, href: path })
const of = (operation_id: string, command: string) =>
  post(operation_id, `/v1/execution-requests/{execution_request_id}/${command}`)
const fail = of('failExecutionRequest', 'fail')
const complete = of('completeExecutionRequest', 'complete')

// A request is created blocked while it waits for other tasks, queued otherwise. A claimed one is not canceled but
// its worker is asked to stop, and one that waits for a tool whose circuit opens gets another: hence the edges that
// lead back. Work that is validated is blocked once it is done; accept, send_back and refuse are what comes of it, and
// no caller's to give: its validators' ends are.
export const requestMachine = defineMachine<ExecutionRequestState, RequestCommand>(
  'execution_request',
  [
    // from      on                to           event
    [null, 'create', 'blocked', 'request_created'],
    [null, 'create', 'queued', 'request_created'],
    ['blocked', 'unblock', 'queued', 'request_queued'],
    ['queued', 'reassign', 'queued', 'request_queued'],
    ['queued', 'claim', 'claimed', 'request_claimed'],
    ['claimed', 'validate', 'blocked', 'request_blocked'],
    ['claimed', 'succeed', 'succeeded', 'request_completed'],
    ['claimed', 'requeue', 'queued', 'request_queued'],
    ['claimed', 'fail', 'failed', 'request_completed'],
    ['blocked', 'expire', 'failed', 'request_completed'],
    ['queued', 'expire', 'failed', 'request_completed'],
    ['blocked', 'cancel', 'canceled', 'request_completed'],
    ['queued', 'cancel', 'canceled', 'request_completed'],
    ['claimed', 'cancel', 'claimed', 'request_cancel_requested'],
    ['claimed', 'confirm_cancel', 'canceled', 'request_completed'],
    ['blocked', 'accept', 'succeeded', 'request_completed'],
    ['blocked', 'send_back', 'queued', 'request_queued'],
    ['blocked', 'refuse', 'failed', 'request_completed'],
  ],
  {
    create: post('createExecutionRequest', '/v1/execution-requests'),
    unblock: OWN_COMMAND,
    reassign: OWN_COMMAND,
    claim: post('claimExecutionRequests', '/v1/execution-requests/claim'),
    validate: complete,
    succeed: complete,
    requeue: fail,
    fail,
    expire: OWN_COMMAND,
    cancel: of('cancelExecutionRequest', 'cancel'),
    confirm_cancel: fail,
    accept: OWN_COMMAND,
    send_back: OWN_COMMAND,
    refuse: OWN_COMMAND,
  },
)

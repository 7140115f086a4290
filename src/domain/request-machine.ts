import type { ExecutionRequestState } from '../contract/execution-request.ts'
import { defineMachine } from './machine.ts'

export type RequestCommand = 'create' | 'cancel'

const post = (operation_id: string, path: string) => ({ operation_id, method: 'POST' as const, href: path })

// A request is created blocked while it waits for other tasks, queued otherwise.
export const requestMachine = defineMachine<ExecutionRequestState, RequestCommand>(
  'execution_request',
  [
    // from      on        to          event
    [null, 'create', 'blocked', 'request_created'],
    [null, 'create', 'queued', 'request_created'],
    ['blocked', 'cancel', 'canceled', 'request_completed'],
    ['queued', 'cancel', 'canceled', 'request_completed'],
  ],
  {
    create: post('createExecutionRequest', '/v1/execution-requests'),
    cancel: post('cancelExecutionRequest', '/v1/execution-requests/{execution_request_id}/cancel'),
  },
)

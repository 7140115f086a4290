import {
  CancelExecutionRequest,
  CreateExecutionRequest,
  ExecutionRequest,
  ExecutionRequestPage,
  ExecutionRequestParams,
} from '../../contract/execution-request.ts'
import { ExecutionRequestsQuery } from '../../contract/execution-requests-query.ts'
import { ref } from '../../contract/named.ts'
import { ExecutionRequestStory } from '../../contract/request-story.ts'
import { requestNotFound } from '../../domain/guard.ts'
import { answerWrite, changedRequest, createdRequest, sendPage, sendRecord } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { lists, readsOne, writes } from '../operation.ts'

const read = { scope: 'read' } as const
const write = { scope: 'write' } as const
const tag = 'requests'
const params = ExecutionRequestParams

export function executionRequestRoutes(app: App, deps: RouteDeps): void {
  requestList(app, deps)
  oneRequest(app, deps)
}

function requestList(app: App, { orchestrator, reads }: RouteDeps): void {
  const createExecutionRequest = writes(
    {
      operationId: 'createExecutionRequest',
      tag,
      summary: 'Build an execution request from a task',
      description:
        'Routes the task and builds the unit of work that a worker will carry out, in the run that it names or in one that is made for it. What the tool is given and all bounds are resolved, hashed and never changed. If no tool can do it, nothing is stored.',
      problems: [
        'no_active_router_config',
        'no_routable_tool',
        'resource_scope_invalid',
        'run_not_running',
        'sequence_taken',
        'unknown_reference',
      ],
    },
    { status: 201, schema: ref(ExecutionRequest), located: true },
    { body: ref(CreateExecutionRequest) },
  )
  app.post('/v1/execution-requests', { schema: createExecutionRequest, config: write }, (request, reply) =>
    answerWrite(request, reply, createdRequest, (call) =>
      orchestrator.createExecutionRequest(call, request.body),
    ),
  )

  const listExecutionRequests = lists(
    {
      operationId: 'listExecutionRequests',
      tag,
      summary: 'List execution requests',
      description: 'Newest first, unless `order=asc`. Different filters must all pass.',
    },
    ref(ExecutionRequestPage),
    { querystring: ExecutionRequestsQuery },
  )
  app.get('/v1/execution-requests', { schema: listExecutionRequests, config: read }, async (request, reply) =>
    sendPage(request, reply, await reads.listExecutionRequests(request.query, request.caller)),
  )
}

function oneRequest(app: App, { orchestrator, reads }: RouteDeps): void {
  const getExecutionRequest = readsOne(
    {
      operationId: 'getExecutionRequest',
      tag,
      summary: 'Read an execution request',
      description:
        'The request as it is now, with its version as `ETag`, and all that has happened to it: every decision about it, every attempt, and every validator with its verdict.',
      problems: ['execution_request_not_found'],
    },
    ref(ExecutionRequestStory),
    { params },
  )
  app.get(
    '/v1/execution-requests/:execution_request_id',
    { schema: getExecutionRequest, config: read },
    async (request, reply) => {
      const { execution_request_id } = request.params
      const found = await reads.getExecutionRequest(execution_request_id, request.caller)
      if (found === null) throw requestNotFound()
      return sendRecord(request, reply, found)
    },
  )

  const cancelExecutionRequest = writes(
    {
      operationId: 'cancelExecutionRequest',
      tag,
      summary: 'Cancel an execution request',
      description:
        '`blocked` or `queued` → `canceled`, and with it the validators that look at it; of a claimed one the worker is asked to stop. To cancel a validator fails the validation. A run whose completion is `auto` ends with its last request.',
      problems: ['execution_request_not_found', 'transition_refused'],
    },
    { status: 200, schema: ref(ExecutionRequest), matches: 'the request' },
    { params, body: ref(CancelExecutionRequest) },
  )
  app.post(
    '/v1/execution-requests/:execution_request_id/cancel',
    { schema: cancelExecutionRequest, config: write },
    (request, reply) =>
      answerWrite(request, reply, changedRequest, (call) =>
        orchestrator.cancelExecutionRequest(call, request.params.execution_request_id, request.body),
      ),
  )
}

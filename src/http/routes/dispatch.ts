import type { TSchema } from '@sinclair/typebox'
import {
  ClaimExecutionRequests,
  ClaimNextQuery,
  ClaimResult,
  CompleteExecutionRequest,
  CompletedRequest,
  FailExecutionRequest,
  Heartbeat,
  HeartbeatResult,
  RejectExecutionRequest,
  ReleaseExecutionRequest,
} from '../../contract/dispatch.ts'
import { ExecutionRequest, ExecutionRequestParams } from '../../contract/execution-request.ts'
import { ref } from '../../contract/named.ts'
import type { ProblemCode } from '../../contract/problems.ts'
import {
  answerLease,
  answerWrite,
  changedRequest,
  claimedRequests,
  completedRequest,
  sendJson,
} from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { asks, writes } from '../operation.ts'
import { APPLIED, longPoll, waitQuery } from '../wait.ts'

const worker = { scope: 'worker' } as const
const tag = 'dispatch'
const params = ExecutionRequestParams

export function dispatchRoutes(app: App, deps: RouteDeps): void {
  claims(app, deps)
  heartbeats(app, deps)
  completions(app, deps)
  handBacks(app, deps)
}

function claims(app: App, { orchestrator }: RouteDeps): void {
  const claimExecutionRequests = writes(
    {
      operationId: 'claimExecutionRequests',
      tag,
      summary: 'Claim work',
      description:
        'The first requests for the tools that you name, highest priority first, then oldest, as far as the tools have room. Each is yours for `lease_seconds` and longer with heartbeats; its attempt is running, and so is its run. With `Prefer: wait=N` the answer waits until there is work.',
    },
    {
      status: 200,
      schema: ref(ClaimResult),
      versioned: false,
      nothing: 'There is nothing to do.',
      headers: APPLIED,
    },
    { body: ref(ClaimExecutionRequests), querystring: waitQuery('work') },
  )
  app.post(
    '/v1/execution-requests/claim',
    { schema: claimExecutionRequests, config: worker },
    (request, reply) => {
      const patience = longPoll(request, reply, request.query.wait_seconds)
      return answerWrite(request, reply, claimedRequests, (call) =>
        orchestrator.claimExecutionRequests(call, request.body, patience),
      )
    },
  )
}

function heartbeats(app: App, { orchestrator }: RouteDeps): void {
  const heartbeatExecutionRequest = asks(
    {
      operationId: 'heartbeatExecutionRequest',
      tag,
      summary: 'Keep a lease',
      description:
        'Makes the request yours for `lease_seconds` more, and tells whether to stop. A lease that is lost is answered 200 too, with `lease_lost`: nothing was changed.',
      problems: ['execution_request_not_found', 'overloaded', 'disk_full'],
    },
    ref(HeartbeatResult),
    { params, body: ref(Heartbeat) },
  )
  app.post(
    '/v1/execution-requests/:execution_request_id/heartbeat',
    { schema: heartbeatExecutionRequest, config: worker },
    async (request, reply) => {
      const { execution_request_id } = request.params
      return sendJson(
        reply,
        await orchestrator.heartbeatExecutionRequest(request.caller, execution_request_id, request.body),
      )
    },
  )
}

const ending = <B extends TSchema>(
  operationId: string,
  summary: string,
  description: string,
  { schema, body, problems = [] }: { schema: TSchema; body: B; problems?: ProblemCode[] },
) =>
  writes(
    {
      operationId,
      tag,
      summary,
      description: `${description} A repeat with the same token and body gets the first answer, with or without an \`Idempotency-Key\`.`,
      problems: ['execution_request_not_found', 'lease_lost', ...problems],
    },
    { status: 200, schema },
    { params, body },
  )

function completions(app: App, { orchestrator }: RouteDeps): void {
  const completeExecutionRequest = {
    ...ending(
      'completeExecutionRequest',
      'Report success',
      '`claimed` → `succeeded`; its attempt succeeds with it. If somebody has to look at the work first, `claimed` → `blocked`: its validators are queued, and it succeeds when they have. With `claim_next` the next request is claimed in the same transaction, be it one that this completion has queued.',
      {
        schema: ref(CompletedRequest),
        body: ref(CompleteExecutionRequest),
        problems: ['exit_code_contradicts'],
      },
    ),
    querystring: ClaimNextQuery,
  }
  app.post(
    '/v1/execution-requests/:execution_request_id/complete',
    { schema: completeExecutionRequest, config: worker },
    (request, reply) =>
      answerLease(request, reply, completedRequest, (call) =>
        orchestrator.completeExecutionRequest(
          call,
          request.params.execution_request_id,
          request.body,
          request.query.claim_next ?? false,
        ),
      ),
  )

  const failExecutionRequest = ending(
    'failExecutionRequest',
    'Report a failure',
    'The attempt failed. The request is tried again after a while, or `failed` where that is of no use or a limit is reached: `stop_reason` says which. Of a validator the class `tool_error` is its verdict, and final: the work that it looked at has failed.',
    { schema: ref(ExecutionRequest), body: ref(FailExecutionRequest) },
  )
  app.post(
    '/v1/execution-requests/:execution_request_id/fail',
    { schema: failExecutionRequest, config: worker },
    (request, reply) =>
      answerLease(request, reply, changedRequest, (call) =>
        orchestrator.failExecutionRequest(call, request.params.execution_request_id, request.body),
      ),
  )
}

function handBacks(app: App, { orchestrator }: RouteDeps): void {
  const rejectExecutionRequest = ending(
    'rejectExecutionRequest',
    'Refuse a request',
    'You cannot do it: others may, and you are not offered it again. Refused too often, it fails.',
    { schema: ref(ExecutionRequest), body: ref(RejectExecutionRequest) },
  )
  app.post(
    '/v1/execution-requests/:execution_request_id/reject',
    { schema: rejectExecutionRequest, config: worker },
    (request, reply) =>
      answerLease(request, reply, changedRequest, (call) =>
        orchestrator.rejectExecutionRequest(call, request.params.execution_request_id, request.body),
      ),
  )

  const releaseExecutionRequest = ending(
    'releaseExecutionRequest',
    'Give a request back',
    'Anybody may claim it at once.',
    { schema: ref(ExecutionRequest), body: ref(ReleaseExecutionRequest) },
  )
  app.post(
    '/v1/execution-requests/:execution_request_id/release',
    { schema: releaseExecutionRequest, config: worker },
    (request, reply) =>
      answerLease(request, reply, changedRequest, (call) =>
        orchestrator.releaseExecutionRequest(call, request.params.execution_request_id, request.body),
      ),
  )
}

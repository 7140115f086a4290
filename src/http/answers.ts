import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ClaimResult, CompletedRequest } from '../contract/dispatch.ts'
import type { Page } from '../contract/common.ts'
import type { Event } from '../contract/event.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { SubmittedTasks } from '../contract/plan.ts'
import type { Run } from '../contract/run.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { Answer } from '../domain/decision.ts'
import type { Outcome } from '../domain/idempotency.ts'
import type { Call } from '../orchestrator/call.ts'
import { ifMatchOf, matchesNone } from './conditions.ts'
import { claimOf, leaseClaimOf } from './idempotency.ts'
import { pathOf } from './problem.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

export type Present<T> = (record: T) => Answer

const etagOf = ({ version }: { version: number }): string => `"${version}"`

// JSON.stringify of one record beats a compiled serialiser and gives a flat string: the same one goes to the
// socket and into the record of the idempotency key. Tests hold every answer against its schema.
const changed = (record: { version: number }): Answer => ({
  status: 200,
  body: JSON.stringify(record),
  etag: etagOf(record),
  location: null,
})

export const changedRun: Present<Run> = changed
export const changedStep: Present<StepAttempt> = changed
export const createdRun: Present<Run> = (run) => ({
  ...changed(run),
  status: 201,
  location: `/v1/runs/${run.run_id}`,
})
export const createdStep: Present<StepAttempt> = (step) => ({
  ...changed(step),
  status: 201,
  location: `/v1/steps/${step.step_attempt_id}`,
})
export const changedRequest: Present<ExecutionRequest> = changed
export const createdRequest: Present<ExecutionRequest> = (request) => ({
  ...changed(request),
  status: 201,
  location: `/v1/execution-requests/${request.request_id}`,
})
export const claimedRequests: Present<ClaimResult> = (result) => ({
  status: result.items.length === 0 ? 204 : 200,
  body: JSON.stringify(result),
  etag: null,
  location: null,
})
export const completedRequest: Present<CompletedRequest> = (result) => ({
  ...changed(result.execution_request),
  body: JSON.stringify(result),
})
export const submittedTasks =
  (run_id: string): Present<SubmittedTasks> =>
  (submitted) => ({
    status: 201,
    body: JSON.stringify(submitted),
    etag: null,
    location: `/v1/runs/${run_id}/plan`,
  })
export const createdEvent: Present<Event> = (event) => ({
  status: 201,
  body: JSON.stringify(event),
  etag: null,
  location: null,
})

/** Does a write with all that it carries beside its body, and answers with what came of it. */
export async function answerWrite<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  present: Present<T>,
  write: (call: Call<T>) => Promise<Outcome<T>>,
): Promise<FastifyReply> {
  return answerOutcome(reply, present, await write(callOf(request, present)))
}

/** The same of a write that names itself by its lease. */
export async function answerLease<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  present: Present<T>,
  write: (call: Call<T>) => Promise<Outcome<T>>,
): Promise<FastifyReply> {
  const call = { ...callOf(request, present), claim: leaseClaimOf(request) }
  return answerOutcome(reply, present, await write(call))
}

function answerOutcome<T>(reply: FastifyReply, present: Present<T>, outcome: Outcome<T>): FastifyReply {
  if ('replayed' in outcome) return sendAnswer(reply.header('idempotency-replayed', 'true'), outcome.replayed)
  return sendAnswer(reply, outcome.answer ?? present(outcome.record))
}

const callOf = <T>(request: FastifyRequest, present: Present<T>): Call<T> => ({
  caller: request.caller,
  http_request_id: request.id,
  if_match: ifMatchOf(request.headers['if-match']),
  claim: claimOf(request),
  present,
})

function sendAnswer(reply: FastifyReply, { status, body, etag, location }: Answer): FastifyReply {
  if (etag !== null) void reply.header('etag', etag)
  if (location !== null) void reply.header('location', location)
  if (status === 204) return reply.code(status).send()
  return reply.code(status).header('content-type', JSON_TYPE).send(body)
}

/** A single resource that is read: 304 if the client has this version. */
export const sendRecord = (request: FastifyRequest, reply: FastifyReply, record: { version: number }) =>
  sendVersioned(request, reply, { record, version: record.version })

/** The same of a resource that does not show its version. */
export function sendVersioned(
  request: FastifyRequest,
  reply: FastifyReply,
  { record, version }: { record: unknown; version: number },
): FastifyReply {
  const etag = etagOf({ version })
  void reply.header('etag', etag)
  if (!matchesNone(request.headers['if-none-match'], etag)) return reply.code(304).send()
  return sendJson(reply, record)
}

/** The same of what moves without a new version: whatever the client has, this is newer. */
export const sendLive = (reply: FastifyReply, record: { version: number }) =>
  sendJson(reply.header('etag', etagOf(record)), record)

export const sendJson = (reply: FastifyReply, value: unknown): FastifyReply =>
  reply.header('content-type', JSON_TYPE).send(JSON.stringify(value))

/** RFC 8288: the next page is the same request with another cursor. */
export function sendPage(request: FastifyRequest, reply: FastifyReply, page: Page<unknown>): FastifyReply {
  if (page.next_cursor !== null) {
    const path = pathOf(request.url)
    const query = new URLSearchParams(request.url.slice(path.length))
    query.delete('after') // the cursor continues from there
    query.set('cursor', page.next_cursor)
    void reply.header('link', `<${path}?${query.toString()}>; rel="next"`)
  }
  return sendJson(reply, page)
}

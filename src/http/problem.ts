import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Problem } from '../contract/problem.ts'
import { PROBLEMS, type ProblemCode, problemType } from '../contract/problems.ts'
import { LedgerError } from '../domain/error.ts'
import { type Finding, faultsOf } from './validation.ts'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** Seconds after which a 503 is worth another try. */
const RETRY_AFTER_SECONDS = '1'

interface Where {
  instance: string
  http_request_id: string
}

/** RFC 9457. What may succeed later is what the server, not the request, stood in the way of. */
export function problemOf({ code, message, context }: LedgerError, where: Where): Problem {
  const { status, title } = PROBLEMS[code]
  const { version: _, ...facts } = context
  return {
    type: problemType(code),
    title,
    status,
    detail: message,
    instance: where.instance,
    code,
    http_request_id: where.http_request_id,
    retryable: status === 503 || status === 507 || status === 408,
    ...facts,
  }
}

export type AnswerError = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void

/** The one place that answers errors: whatever is thrown on the way of a request ends here. */
export const errorAnswerer =
  (logger: Logger): AnswerError =>
  (error, request, reply) => {
    const known = knownError(error as FastifyError)
    const { id: http_request_id } = request
    if (known.code === 'internal_error') logger.error({ http_request_id, err: error }, 'internal error')
    if (known.cause !== undefined) logger.warn({ http_request_id, err: known.cause }, known.code)
    answerKnown(known, request, reply)
  }

function answerKnown(known: LedgerError, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(known, { instance: pathOf(request.url), http_request_id: request.id })
  for (const [name, value] of Object.entries(problemHeaders(known))) void reply.header(name, value)
  void reply.header('x-request-id', request.id) // the gate did, but for what Fastify refuses before it
  void reply.code(problem.status).header('content-type', PROBLEM_TYPE).send(JSON.stringify(problem))
}

/** The path without the query, which may hold anything. */
export const pathOf = (url: string): string => url.split('?', 1)[0] ?? url

function problemHeaders({ code, context }: LedgerError): Record<string, string> {
  const { status } = PROBLEMS[code]
  if (code === 'draining') return { 'retry-after': RETRY_AFTER_SECONDS, connection: 'close' }
  if (status === 503) return { 'retry-after': RETRY_AFTER_SECONDS }
  if (status === 401) return { 'www-authenticate': 'Bearer' }
  if (code === 'method_not_allowed') return { allow: (context['allowed_methods'] as string[]).join(', ') }
  if (typeof context['version'] === 'number') return { etag: `"${context['version']}"` }
  return {}
}

/** What Fastify raises, in our words. Its other client errors are about how the request is put together. */
function knownError(error: FastifyError): LedgerError {
  if (error instanceof LedgerError) return error
  if (error.validation !== undefined) return validationError(error)
  const { code, statusCode = 500 } = error
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return refusal('body_too_large', 'The body has more than 1 MiB.')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' || code === 'FST_ERR_CTP_INVALID_TYPE') {
    return refusal('unsupported_media_type', 'Send Content-Type: application/json.')
  }
  if (statusCode >= 400 && statusCode < 500) {
    return refusal('malformed_request', 'The request could not be read. Check its path, headers and length.')
  }
  return refusal('internal_error', 'The server failed at this request. Nothing was written.')
}

const refusal = (code: ProblemCode, detail: string) => new LedgerError(code, detail)

function validationError({ validation, validationContext = 'body' }: FastifyError): LedgerError {
  const errors = faultsOf(validation as Finding[], validationContext)
  const named = errors.map(({ pointer, parameter, detail }) => `${pointer ?? parameter} ${detail}`)
  return new LedgerError('validation_failed', `${named.join('; ')}.`, { errors })
}

/** A whole HTTP answer, for what Node refuses before Fastify sees it. */
export function rawProblem(code: ProblemCode, detail: string, http_request_id: string): string {
  const problem = problemOf(refusal(code, detail), { instance: '', http_request_id })
  const body = JSON.stringify(problem)
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${http_request_id}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}

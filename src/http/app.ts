import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import cors, { type FastifyCorsOptions } from '@fastify/cors'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { LIMITS } from '../contract/limits.ts'
import { PROBLEMS, type ProblemCode } from '../contract/problems.ts'
import { readBodies } from './body.ts'
import type { App } from './deps.ts'
import { type GateOptions, guardGate } from './gate.ts'
import { describeApi } from './openapi.ts'
import { PROBLEM_TYPE, errorAnswerer, pathOf, problemOf, rawProblem } from './problem.ts'
import { dispatchRoutes } from './routes/dispatch.ts'
import { docRoutes } from './routes/docs.ts'
import { eventRoutes } from './routes/events.ts'
import { executionRequestRoutes } from './routes/execution-requests.ts'
import { healthRoutes } from './routes/health.ts'
import { machineRoutes } from './routes/machines.ts'
import { type MetricsDeps, metricRoutes } from './routes/metrics.ts'
import { planRoutes } from './routes/plans.ts'
import { routerConfigRoutes } from './routes/router-configs.ts'
import { routingRoutes } from './routes/routing.ts'
import { runRoutes } from './routes/runs.ts'
import { schemaRoutes } from './routes/schemas.ts'
import { statisticsRoutes } from './routes/statistics.ts'
import { stepRoutes } from './routes/steps.ts'
import { type StreamDeps, streamRoutes } from './routes/streams.ts'
import { toolRoutes } from './routes/tools.ts'
import { workerRoutes } from './routes/workers.ts'
import { buildValidator } from './validation.ts'
import { LedgerError } from '../domain/error.ts'
import type { Observe } from '../metrics/durations.ts'
import { refusedBelow, timeRequests } from './timing.ts'

export interface AppOptions extends StreamDeps, MetricsDeps, GateOptions {
  /** Makes the id of a request that brings none. */
  newRequestId: () => string
  version: string
}

/** A slow client must not hold a connection for ever; Fastify's defaults let it. */
const REQUEST_TIMEOUT_MS = 15_000
const HEADERS_TIMEOUT_MS = 10_000
const CONNECTIONS_CHECK_MS = 1_000

/** Names in paths, of which each character may take twelve when it is percent-encoded. */
const PARAM_LENGTH = LIMITS.name_length * 12

const REQUEST_ID = new RegExp(`^[A-Za-z0-9._~:@/+=-]{1,${LIMITS.request_id_length}}$`)

/** The server without its socket: whoever builds it says where it listens. */
export async function buildApp(options: AppOptions): Promise<App> {
  const { logger, metrics, newRequestId } = options
  const below: Below = { logger, observe: refusedBelow(metrics) }
  const requestIdOf = ({ headers }: Pick<IncomingMessage, 'headers'>): string => {
    const given = headers['x-request-id']
    return typeof given === 'string' && REQUEST_ID.test(given) ? given : newRequestId()
  }
  const answerError = errorAnswerer(logger)
  const app = Fastify({
    logger: false, // it would make a child for each request; our own one line carries its id
    genReqId: requestIdOf,
    bodyLimit: LIMITS.body_bytes,
    routerOptions: { maxParamLength: PARAM_LENGTH },
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
      requireHostHeader: false, // Node would answer without a body; the gate checks
    },
    return503OnClosing: false, // the gate does, with a problem
    forceCloseConnections: 'idle',
    schemaController: { compilersFactory: { buildValidator: buildValidator as never } },
    frameworkErrors: (error, request, reply) => {
      answerError(error, request, reply)
      noteBelow({ ...below, http_request_id: request.id }, reply.statusCode, request)
    },
    clientErrorHandler: (error, socket) =>
      afterPending(socket, () =>
        refuseBelowHttp(error, socket, { ...below, http_request_id: newRequestId() }),
      ),
  }) as unknown as App // the type provider only changes how handlers are typed
  // Answers are text already, or come from a plugin that serialises for itself.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(answerError)
  app.decorateRequest('caller')
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    refuseExpectation(request, response, { ...below, http_request_id: requestIdOf(request) }),
  )

  requireScopes(app)
  timeRequests(app, metrics)
  if (logger.isLevelEnabled('info')) logRequests(app, logger)
  // Before the gate, so that a page can read its refusals too.
  if (options.allowed_origins.length > 0) await app.register(cors, () => corsOptions(options))
  guardGate(app, options)
  readBodies(app)
  await describeApi(app, options.version)
  registerRoutes(app, options)
  await docRoutes(app)
  return app
}

function registerRoutes(app: App, options: AppOptions): void {
  runRoutes(app, options)
  stepRoutes(app, options)
  eventRoutes(app, options)
  streamRoutes(app, options)
  routerConfigRoutes(app, options)
  routingRoutes(app, options)
  executionRequestRoutes(app, options)
  planRoutes(app, options)
  dispatchRoutes(app, options)
  workerRoutes(app, options)
  toolRoutes(app, options)
  statisticsRoutes(app, options)
  machineRoutes(app)
  schemaRoutes(app)
  healthRoutes(app, options)
  metricRoutes(app, options)
}

/** An OPTIONS that is no preflight is none of the plugin's business, which would answer it in plain text. */
const corsOptions =
  ({ allowed_origins }: AppOptions) =>
  ({ headers }: FastifyRequest, use: (error: null, options: FastifyCorsOptions) => void): void =>
    use(null, {
      origin: [...allowed_origins],
      methods: ['GET', 'HEAD', 'POST', 'PATCH'],
      exposedHeaders: ['ETag', 'Location', 'Link', 'Idempotency-Replayed', 'X-Request-Id', 'Retry-After'],
      preflight: 'origin' in headers && 'access-control-request-method' in headers,
    })

/** A route of the API that forgot to say what a key needs must not become one that is open to everybody. */
function requireScopes(app: App): void {
  app.addHook('onRoute', ({ url, config }) => {
    if (url.startsWith('/v1/') && config?.scope === undefined) throw new Error(`${url} names no scope`)
  })
}

/** One line for each request: our own costs half of Fastify's two. Queries stay out: they may hold anything. */
function logRequests(app: App, logger: Logger): void {
  const log = (request: FastifyRequest, reply: FastifyReply): void =>
    logger.info(
      {
        http_request_id: request.id,
        method: request.method,
        path: pathOf(request.url),
        status: reply.statusCode,
        duration_ms: Math.round((performance.now() - request.came_at) * 100) / 100,
        actor: request.caller?.actor.id ?? null,
      },
      'request',
    )
  // Not onResponse, which never comes for a client that has hung up: what it did is logged all the same.
  app.addHook('onSend', (request, reply, payload, done) => {
    if (reply.raw.closed) log(request, reply)
    else reply.raw.once('close', () => log(request, reply))
    done(null, payload)
  })
}

/** What is refused where no hook runs. */
interface Below {
  logger: Logger
  observe: Observe
}

interface Refusing extends Below {
  http_request_id: string
}

/** The line of a refusal below, and its place in the metrics. */
function noteBelow(
  { logger, observe, http_request_id }: Refusing,
  status: number,
  request: { method?: string | undefined; url?: string | undefined } = {},
): void {
  observe(status, 0)
  const path = request.url === undefined ? null : pathOf(request.url)
  const line = { http_request_id, method: request.method ?? null, path, status, duration_ms: 0, actor: null }
  logger.info(line, 'request')
}

const BELOW_HTTP: Record<string, [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'Path and headers together have more than 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request did not arrive in time. Send it at once.'],
}

/**
 * Waits for the answers to whole requests that came before on the same connection: a refusal that overtook
 * one of them would be read in its place. Node keeps the answer whose turn it is in a field of the socket.
 */
function afterPending(socket: Socket & { _httpMessage?: ServerResponse | null }, then: () => void): void {
  const pending = socket._httpMessage
  if (pending?.req.complete !== true) return then()
  pending.once('close', () => afterPending(socket, then))
}

/** What Node refuses before there is a request. */
function refuseBelowHttp(error: NodeJS.ErrnoException, socket: Socket, refusing: Refusing): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [code, detail] = BELOW_HTTP[error.code ?? ''] ?? [
    'malformed_request',
    'This is not an HTTP/1.1 request.',
  ]
  socket.end(rawProblem(code, detail, refusing.http_request_id))
  noteBelow(refusing, PROBLEMS[code].status)
}

function refuseExpectation(request: IncomingMessage, response: ServerResponse, refusing: Refusing): void {
  const { http_request_id } = refusing
  const error = new LedgerError('expectation_failed', 'Send the request without its Expect header.')
  const problem = problemOf(error, { instance: pathOf(request.url ?? ''), http_request_id })
  response.writeHead(problem.status, { 'content-type': PROBLEM_TYPE, 'x-request-id': http_request_id })
  response.end(JSON.stringify(problem))
  noteBelow(refusing, problem.status, request)
}

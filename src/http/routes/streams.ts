import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { EventStreamQuery, RunEventStreamQuery } from '../../contract/event.ts'
import { RunParams } from '../../contract/run.ts'
import { LedgerError } from '../../domain/error.ts'
import { runNotFound } from '../../domain/guard.ts'
import type { Metrics } from '../../metrics/metrics.ts'
import { badHeader } from '../conditions.ts'
import type { App, RouteDeps } from '../deps.ts'
import { type EventStream, type EventStreamOptions, openEventStream } from '../event-stream.ts'
import { createFeed } from '../feed.ts'
import { streams } from '../operation.ts'

export interface StreamDeps extends RouteDeps {
  logger: Logger
  metrics: Metrics
  /** How many streams may be open at once. */
  max_streams: number
}

const read = { scope: 'read' } as const
const tag = 'streams'

const BEAT_MS = 15_000

/** Where a stream begins, how it goes on, and what it said first. */
type Begun = Pick<EventStreamOptions, 'wanted' | 'readPage' | 'after' | 'first'>

export function streamRoutes(app: App, deps: StreamDeps): void {
  const { reads } = deps
  const open = opener(app, deps)

  const streamEvents = streams(
    {
      operationId: 'streamEvents',
      tag,
      summary: 'Follow all events',
      description:
        'First what there is behind `Last-Event-ID` or `after`, and then each event when it is committed: none is left out and none comes twice. How far running attempts are comes in between, as `step_progress` without an `id`. A reader that is too slow is cut off and goes on behind the last `id` that it has. To begin with what comes next, ask `GET /v1/events?order=desc&limit=1` for the last `seq`.',
    },
    { querystring: EventStreamQuery },
  )
  app.get('/v1/events/stream', { schema: streamEvents, config: read }, async (request, reply) => {
    const { after, ...filters } = positioned(request)
    const wanted = { filters, viewer: request.caller }
    const readPage = (after: number) => reads.readFeed(after, filters, request.caller)
    return open(request, reply, { wanted, readPage, after, first: await readPage(after) })
  })

  const streamRunEvents = streams(
    {
      operationId: 'streamRunEvents',
      tag,
      summary: 'Follow the events of a run',
      description:
        'As `streamEvents`, for one run. It ends when the run is closed and everything was sent; who asks again then is answered 204, after which browsers do not come again. A note that is written later can be followed all the same.',
      problems: ['run_not_found'],
    },
    { params: RunParams, querystring: RunEventStreamQuery },
    { nothing: 'The run is closed, and there is nothing behind the last event that you have.' },
  )
  app.get(
    '/v1/runs/:run_id/events/stream',
    { schema: streamRunEvents, config: read },
    async (request, reply) => {
      const { run_id } = request.params
      const { after, ...filters } = positioned(request)
      const readPage = async (after: number) => {
        const part = await reads.readRunFeed(run_id, after, filters, request.caller)
        if (part === null) throw runNotFound()
        return part
      }
      let first = await readPage(after)
      // Whether the run is over shows at the end: a page may have nothing that is wanted, and not be the last.
      while (first.events.length === 0 && !first.at_end && !reply.raw.destroyed) {
        await nextTurn()
        first = await readPage(first.read_to)
      }
      if (first.is_over && first.events.length === 0) {
        return reply.code(204).header('cache-control', 'no-store').send()
      }
      return open(request, reply, {
        wanted: { run_id, filters, viewer: request.caller },
        readPage,
        after,
        first,
      })
    },
  )
}

/** The query with the place to begin. A browser that comes again asks for the same URL, so its header is the later word. */
function positioned<Q extends { after?: number }>({
  query,
  headers,
}: {
  query: Q
  headers: FastifyRequest['headers']
}): Q & { after: number } {
  const last_id = headers['last-event-id'] as string | undefined
  if (last_id === undefined) return { ...query, after: query.after ?? 0 }
  const after = Number(last_id)
  if (/^\d+$/.test(last_id) && Number.isSafeInteger(after)) return { ...query, after }
  throw badHeader('Last-Event-ID', 'must be the id of an event of this stream: its seq')
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no', // or nginx would hold events back
}

/** Answers with a stream, and keeps those that are open: their number, their beat and their end. */
function opener(app: App, { orchestrator, reads, logger, metrics, max_streams }: StreamDeps) {
  const all = new Set<EventStream>()
  let beat: NodeJS.Timeout | undefined
  let isOver = false
  const feed = createFeed({
    reads,
    onCommitted: (listener) => orchestrator.onCommitted(listener),
    onReported: (listener) => orchestrator.onReported(listener),
    onError: (err) => logger.error({ err }, 'could not read events for streams'),
  })
  // A server does not close while answers are under way, and these have no end of their own.
  app.addHook('preClose', (done) => {
    isOver = true
    for (const stream of all) stream.end()
    done()
  })

  return (request: FastifyRequest, reply: FastifyReply, begun: Begun): FastifyReply => {
    if (all.size >= max_streams) throw tooMany()
    void reply.headers(HEADERS)
    // It ends with its connection: to cut it into chunks would cost a quarter more for each event and reader.
    reply.raw.useChunkedEncodingByDefault = false
    if (request.method === 'HEAD') return reply.send(Readable.from([]))
    const stream = openEventStream({
      ...begun,
      feed,
      response: reply.raw,
      onDropped(last_event_id) {
        metrics.streamDropped()
        logger.info({ http_request_id: request.id, last_event_id }, 'a reader was too slow for its stream')
      },
      onClosed() {
        all.delete(stream)
        metrics.streamClosed()
        if (all.size === 0) clearInterval(beat)
      },
    })
    if (all.size === 0) beat = setInterval(() => all.forEach((each) => each.beat()), BEAT_MS).unref()
    all.add(stream)
    metrics.streamOpened()
    if (isOver) stream.end()
    return reply.send(stream.body)
  }
}

const tooMany = () =>
  new LedgerError('too_many_streams', 'As many event streams are open as may be. Try again in a second.')

import {
  AppendRunEvent,
  Event,
  EventPage,
  EventVerification,
  EventsQuery,
  RunEventsQuery,
} from '../../contract/event.ts'
import { ref } from '../../contract/named.ts'
import { RunParams } from '../../contract/run.ts'
import { runNotFound } from '../../domain/guard.ts'
import { answerWrite, createdEvent, sendJson, sendPage } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { lists, reads as readsOther, writes } from '../operation.ts'

const read = { scope: 'read' } as const
const write = { scope: 'write' } as const
const tag = 'events'
const params = RunParams

export function eventRoutes(app: App, { orchestrator, reads }: RouteDeps): void {
  const listRunEvents = lists(
    {
      operationId: 'listRunEvents',
      tag,
      summary: 'List the events of a run',
      description: 'Oldest first, unless `order=desc`: everything that happened to the run.',
      problems: ['run_not_found'],
    },
    ref(EventPage),
    { params, querystring: RunEventsQuery },
  )
  app.get('/v1/runs/:run_id/events', { schema: listRunEvents, config: read }, async (request, reply) => {
    const page = await reads.listRunEvents(request.params.run_id, request.query, request.caller)
    if (page === null) throw runNotFound()
    return sendPage(request, reply, page)
  })

  const appendRunEvent = writes(
    {
      operationId: 'appendRunEvent',
      tag,
      summary: 'Record that something happened',
      description:
        'Appends an event of yours to an open run; `note` to a closed one too. Time and actor are the server’s. `patch_created`, `patch_apply_succeeded` and `tool_call_error` count in the run.',
      problems: ['run_not_found', 'run_not_running', 'reserved_kind', 'unknown_reference'],
    },
    { status: 201, schema: ref(Event), versioned: false, matches: 'the run' },
    { params, body: ref(AppendRunEvent) },
  )
  app.post('/v1/runs/:run_id/events', { schema: appendRunEvent, config: write }, (request, reply) =>
    answerWrite(request, reply, createdEvent, (call) =>
      orchestrator.appendRunEvent(call, request.params.run_id, request.body),
    ),
  )

  const listEvents = lists(
    {
      operationId: 'listEvents',
      tag,
      summary: 'List all events',
      description:
        'One total order over everything, by `seq`. To follow it, read until `next_cursor` is null and go on later with `after=` the last `seq` that you have.',
    },
    ref(EventPage),
    { querystring: EventsQuery },
  )
  app.get('/v1/events', { schema: listEvents, config: read }, async (request, reply) =>
    sendPage(request, reply, await reads.listEvents(request.query, request.caller)),
  )

  const verifyRunEvents = readsOther(
    {
      operationId: 'verifyRunEvents',
      tag,
      summary: "Verify a run's events",
      description:
        'Recomputes every hash of the chain and compares its end with the run. Names the first event that does not hold.',
      problems: ['run_not_found'],
    },
    ref(EventVerification),
    { params },
  )
  app.get(
    '/v1/runs/:run_id/events/verify',
    { schema: verifyRunEvents, config: read },
    async (request, reply) =>
      sendJson(reply, await orchestrator.verifyRunEvents(request.caller, request.params.run_id)),
  )
}

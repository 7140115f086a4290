import { ref } from '../../contract/named.ts'
import { ExplainResult, ReplayQuery, ReplayResult, ReplayRoute } from '../../contract/route-explain.ts'
import {
  RouteDecision,
  RouteDecisionPage,
  RouteDecisionParams,
  RouteDecisionsQuery,
} from '../../contract/routing.ts'
import { Task } from '../../contract/task.ts'
import { routeNotFound } from '../../domain/route-decision.ts'
import { type Present, answerWrite, sendJson, sendPage, sendVersioned } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { asks, lists, readsOne, writes } from '../operation.ts'

const read = { scope: 'read' } as const
const write = { scope: 'write' } as const
const tag = 'routing'
const params = RouteDecisionParams

/** A decision is never changed: its first version is its last. */
const VERSION = 1

export function routingRoutes(app: App, deps: RouteDeps): void {
  decisions(app, deps)
  oneDecision(app, deps)
  explanation(app, deps)
}

const created: Present<RouteDecision> = (decision) => ({
  status: 201,
  body: JSON.stringify(decision),
  etag: `"${VERSION}"`,
  location: `/v1/routing/decisions/${decision.route_decision_id}`,
})

function decisions(app: App, { orchestrator, reads }: RouteDeps): void {
  const createRouteDecision = writes(
    {
      operationId: 'createRouteDecision',
      tag,
      summary: 'Route a task',
      description:
        'Which tool, and why: decided by the active configuration and by what the ledger knows of its tools, and kept with all of that. `outcome` is `unroutable` if there is none. Of a run that the task names, the event `task_routed` tells of it.',
      problems: ['no_active_router_config', 'run_not_running', 'unknown_reference'],
    },
    { status: 201, schema: ref(RouteDecision), located: true },
    { body: ref(Task) },
  )
  app.post('/v1/routing/decisions', { schema: createRouteDecision, config: write }, (request, reply) =>
    answerWrite(request, reply, created, (call) => orchestrator.createRouteDecision(call, request.body)),
  )

  const listRouteDecisions = lists(
    {
      operationId: 'listRouteDecisions',
      tag,
      summary: 'List route decisions',
      description: 'Newest first, unless `order=asc`. Different filters must all pass.',
    },
    ref(RouteDecisionPage),
    { querystring: RouteDecisionsQuery },
  )
  app.get('/v1/routing/decisions', { schema: listRouteDecisions, config: read }, async (request, reply) =>
    sendPage(request, reply, await reads.listRouteDecisions(request.query, request.caller)),
  )
}

function oneDecision(app: App, { orchestrator, reads }: RouteDeps): void {
  const getRouteDecision = readsOne(
    {
      operationId: 'getRouteDecision',
      tag,
      summary: 'Read a route decision',
      description: 'The decision as it was made. It never changes.',
      problems: ['route_decision_not_found'],
    },
    ref(RouteDecision),
    { params },
  )
  app.get(
    '/v1/routing/decisions/:route_decision_id',
    { schema: getRouteDecision, config: read },
    async (request, reply) => {
      const decision = await reads.getRouteDecision(request.params.route_decision_id, request.caller)
      if (decision === null) throw routeNotFound()
      return sendVersioned(request, reply, { record: decision, version: VERSION })
    },
  )

  const replayRouteDecision = asks(
    {
      operationId: 'replayRouteDecision',
      tag,
      summary: 'Make a decision again',
      description:
        'From what it recorded, under its own configuration or the one in `config_version`; `identical` says whether the same came out. Nothing is written.',
      problems: ['route_decision_not_found', 'unknown_reference'],
    },
    ref(ReplayResult),
    { params, querystring: ReplayQuery, body: ref(ReplayRoute) },
  )
  app.post(
    '/v1/routing/decisions/:route_decision_id/replay',
    { schema: replayRouteDecision, config: read },
    async (request, reply) => {
      const { route_decision_id } = request.params
      const { config_version } = request.query
      return sendJson(
        reply,
        await orchestrator.replayRouteDecision(request.caller, route_decision_id, config_version),
      )
    },
  )
}

function explanation(app: App, { orchestrator }: RouteDeps): void {
  const explainRoute = asks(
    {
      operationId: 'explainRoute',
      tag,
      summary: 'Explain how a task would be routed',
      description:
        'The decision as it would be now, in words too, and for each other tool the first single change that would choose it. Nothing is written.',
      problems: ['no_active_router_config', 'unknown_reference'],
    },
    ref(ExplainResult),
    { body: ref(Task) },
  )
  app.post('/v1/routing/explain', { schema: explainRoute, config: read }, async (request, reply) =>
    sendJson(reply, await orchestrator.explainRoute(request.caller, request.body)),
  )
}

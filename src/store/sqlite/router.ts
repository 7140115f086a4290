import type { CircuitThresholds } from '../../domain/circuit.ts'
import type { CompiledRouter } from '../../domain/compiled-router.ts'
import type { Change, Routing, Scope, Snapshot, ToolBook } from '../../domain/decision.ts'
import type { FallbackBook } from '../../domain/fallback-facts.ts'
import { seesRoute } from '../../domain/route-decision.ts'
import { unknownTool } from '../../domain/tool.ts'
import type { RequestProgress } from '../../contract/execution-request.ts'
import type { StepAttempt } from '../../contract/step.ts'
import type { Store } from '../store.ts'
import type { Connection } from './connection.ts'
import type { longReads } from './long-reads.ts'
import { rotationsTable } from './rotations.ts'
import { routeDecisionList, routeDecisionsTable } from './route-decisions.ts'
import { routerConfigList, routerConfigsTable } from './router-configs.ts'
import { pageOfTools, toolsTable } from './tools.ts'

export type RouterTables = ReturnType<typeof routerTables>

export const routerTables = (db: Connection) => ({
  configs: routerConfigsTable(db),
  rotations: rotationsTable(db),
  routes: routeDecisionsTable(db),
  tools: toolsTable(db),
})

type RouterSnapshot = Pick<Snapshot, 'activation' | 'config_version_max' | 'config' | 'route' | 'routing'>

const NOTHING: RouterSnapshot = {
  activation: null,
  config_version_max: 0,
  config: null,
  route: null,
  routing: null,
}

/** Most scopes ask nothing of it, and pay nothing. */
export function loadRouter(tables: RouterTables, scope: Scope): RouterSnapshot {
  const { activation, config, route_decision_id, routing } = scope
  if (activation === undefined && routing === undefined && config === undefined) return NOTHING
  const { configs, routes } = tables
  const route = route_decision_id === undefined ? null : routes.get(route_decision_id)
  return {
    activation: activation === true ? configs.activation() : null,
    config_version_max: activation === true ? configs.highest() : 0,
    config: configOf(tables, config),
    route,
    routing: routingOf(tables, routing === 'recorded' ? route?.decision.config_version : routing),
  }
}

function configOf({ configs }: RouterTables, config: Scope['config']) {
  if (config === undefined) return null
  return typeof config === 'number' ? configs.get(config) : configs.withContent(config.content_hash)
}

function routingOf(tables: RouterTables, which: number | 'active' | undefined): Routing | null {
  if (which === undefined) return null
  if (which === 'active') return activeRouting(tables)
  const router = tables.configs.compiled(which)
  return router === null ? null : { router, tools: new Map(), rotations: [] }
}

/** All that a decision goes by, in four short statements. */
function activeRouting({ configs, rotations, tools }: RouterTables): Routing | null {
  const router = configs.active()
  if (router === null) return null
  const takesTurns = router.rules.some(({ strategy }) => strategy === 'round_robin')
  return {
    router,
    tools: tools.of([...router.places.keys()]),
    rotations: takesTurns ? rotations.of(router.config_version) : [],
  }
}

/** Most rules name nobody who may take over: then one row is all that is read. */
export function loadFallback(
  tables: RouterTables,
  { fallback }: Scope,
  request: RequestProgress | null,
): FallbackBook | null {
  if (fallback !== true || request === null || request.assignment === null) return null
  const previous = tables.routes.lastOf(request.request_id)
  if (previous === null || previous.fallback_to.length === 0) return null
  const routing = activeRouting(tables)
  const { tool_id } = request.assignment
  return routing === null
    ? null
    : { previous, routing, tool: tables.tools.kept(tool_id) ?? unknownTool(tool_id) }
}

/** Of the tool of an attempt that is running, by the active configuration. */
export function thresholdsOf(router: CompiledRouter | null, attempt: StepAttempt): CircuitThresholds | null {
  return router?.apps[router.places.get(attempt.tool_id) ?? -1]?.circuit ?? null
}

/** The tools of attempts that are running, as far as their ends need them: only those say something of a tool. */
export function toolsOfAttempts(
  attempts: readonly (StepAttempt | null)[],
  getTool: (tool_id: string) => ToolBook | null,
): ReadonlyMap<string, ToolBook> {
  const found = new Map<string, ToolBook>()
  for (const step of attempts) {
    if (step?.state !== 'running' || found.has(step.tool_id)) continue
    const tool = getTool(step.tool_id)
    if (tool !== null) found.set(step.tool_id, tool)
  }
  return found
}

type RouterChange = Exclude<
  Change,
  {
    record:
      | 'run'
      | 'step_attempt'
      | 'execution_request'
      | 'request_progress'
      | 'task_waits'
      | 'lease'
      | 'lease_ended'
      | 'worker'
  }
>

export function writeRouter({ configs, rotations, routes, tools }: RouterTables, change: RouterChange): void {
  switch (change.record) {
    case 'tool':
      return tools.write(change.before, change.after)
    case 'router_config':
      return configs.write(change.before, change.after)
    case 'activation':
      return configs.activate(change.before, change.after)
    case 'route_decision':
      return routes.write(change.after)
    case 'rotation':
      return rotations.write(change.config_version, change.after)
  }
}

export type RouterReads = Pick<
  Store,
  | 'getRouterConfig'
  | 'getActiveRouterConfig'
  | 'listRouterConfigs'
  | 'getRouteDecision'
  | 'listRouteDecisions'
  | 'backtest'
  | 'listTools'
>

type Reading = <T>(query: () => T) => Promise<T>

interface Readers {
  tables: RouterTables
  reading: Reading
  long: ReturnType<typeof longReads>
}

export function routerReads(db: Connection, { tables, reading, long }: Readers): RouterReads {
  const { configs, routes } = tables
  const lists = { configs: routerConfigList(db), routes: routeDecisionList(db) }
  return {
    getRouterConfig: (config_version) => reading(() => configs.get(config_version)),
    getActiveRouterConfig: () =>
      reading(() => {
        const { activations, config_version } = configs.activation()
        return { activations, config: config_version === null ? null : configs.get(config_version) }
      }),
    listRouterConfigs: (query) => reading(() => lists.configs(query)),
    getRouteDecision: (route_decision_id, viewer) =>
      reading(() => {
        const route = routes.get(route_decision_id)
        return route !== null && seesRoute(viewer, route) ? route.decision : null
      }),
    listRouteDecisions: (query, viewer) => reading(() => lists.routes(query, viewer)),
    async backtest(query, { projects }, signal) {
      const config = await reading(() => configs.get(query.config_version))
      if (config === null) return null
      return long.run('backtest', { document: config.document, query, projects }, signal)
    },
    listTools: (query, now) =>
      reading(() => {
        const routing = activeRouting(tables)
        return routing === null ? { items: [], next_cursor: null } : pageOfTools(routing, query, now)
      }),
  }
}

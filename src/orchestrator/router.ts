import type { Page } from '../contract/common.ts'
import type { Fault } from '../contract/problem.ts'
import type { ExplainResult, ReplayResult } from '../contract/route-explain.ts'
import type { CreatedRouterConfig, RouterConfigDiff } from '../contract/router-config.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import type { PauseTool, ResetTool, Tool, ToolsQuery } from '../contract/tool.ts'
import {
  type ActivatedConfig,
  activateRouterConfig,
  configNotFound,
  createRouterConfig,
  diffVersions,
  installRouterConfig,
  soundConfig,
} from '../domain/configuration.ts'
import type { Caller, Scope } from '../domain/decision.ts'
import type { Outcome } from '../domain/idempotency.ts'
import {
  createRouteDecision,
  explainRoute,
  replayRouteDecision,
  seedOf,
  unknownVersion,
} from '../domain/route-decision.ts'
import { getTool, pauseTool, resetTool, resumeTool } from '../domain/tool.ts'
import type { Store } from '../store/store.ts'
import { type Call, type GivenFor, OWN_CALL, type Write, type WriteOnce } from './call.ts'

/** The use cases of the router. */
export interface RouterCases {
  /** `faults_of_form` is what the schema of the document has against it. */
  createRouterConfig(
    call: Call<CreatedRouterConfig>,
    document: unknown,
    faults_of_form: readonly Fault[],
  ): Promise<Outcome<CreatedRouterConfig>>
  activateRouterConfig(call: Call<ActivatedConfig>, config_version: number): Promise<Outcome<ActivatedConfig>>
  /** Creates and activates what is not there or not active. */
  installRouterConfig(
    document: unknown,
    faults_of_form: readonly Fault[],
  ): Promise<{ config_version: number; created: boolean; activated: boolean }>
  diffRouterConfigs(config_version: number, against: number): Promise<RouterConfigDiff>
  createRouteDecision(call: Call<RouteDecision>, task: Task): Promise<Outcome<RouteDecision>>
  explainRoute(caller: Caller, task: Task): Promise<ExplainResult>
  /** Under the recorded configuration, or under the one that is named. */
  replayRouteDecision(
    caller: Caller,
    route_decision_id: string,
    config_version: number | undefined,
  ): Promise<ReplayResult>
  listTools(query: ToolsQuery): Promise<Page<Tool>>
  getTool(tool_id: string): Promise<Tool>
  pauseTool: Write<PauseTool, Tool>
  resumeTool(call: Call<Tool>, tool_id: string): Promise<Outcome<Tool>>
  resetTool: Write<ResetTool, Tool>
}

interface Parts {
  store: Store
  givenFor: GivenFor
  write: WriteOnce
}

export const routerCases = (parts: Parts): RouterCases => ({
  ...configCases(parts),
  ...decisionCases(parts),
  ...toolCases(parts),
})

const configCases = ({ store, givenFor, write }: Parts) =>
  ({
    async createRouterConfig(call, document, faults_of_form) {
      const sound = soundConfig(document, faults_of_form)
      const { content_hash } = sound
      return write(call, { config: { content_hash }, activation: true, system: true }, (before, given) =>
        createRouterConfig(before, given, sound),
      )
    },
    activateRouterConfig: (call, config_version) =>
      write(call, { config: config_version, activation: true, system: true }, activateRouterConfig),
    async installRouterConfig(document, faults_of_form) {
      const sound = soundConfig(document, faults_of_form)
      const { content_hash } = sound
      const given = givenFor(OWN_CALL)
      return store.change({ config: { content_hash }, activation: true, system: true }, (before) =>
        installRouterConfig(before, given, sound),
      )
    },
    async diffRouterConfigs(config_version, against) {
      const config = await store.getRouterConfig(config_version)
      if (config === null) throw configNotFound()
      const other = await store.getRouterConfig(against)
      if (other === null) throw unknownVersion('against')
      return diffVersions(config, other)
    },
  }) satisfies Partial<RouterCases>

const decisionCases = ({ store, givenFor, write }: Parts) =>
  ({
    createRouteDecision: (call, task) =>
      write(call, routeScope(task), (before, given) => createRouteDecision(before, given, task)),
    explainRoute(caller, task) {
      const { now, ...given } = givenFor({ ...OWN_CALL, caller })
      const seed = seedOf(given)
      return store.view(routeScope(task), (before) => explainRoute(before, { now, caller, seed }, task))
    },
    replayRouteDecision: (caller, route_decision_id, config_version) =>
      store.view({ route_decision_id, routing: config_version ?? 'recorded' }, (before) =>
        replayRouteDecision(before, { caller }),
      ),
  }) satisfies Partial<RouterCases>

const toolCases = ({ store, givenFor, write }: Parts) =>
  ({
    listTools: (query) => store.listTools(query, givenFor(OWN_CALL).now),
    getTool(tool_id) {
      const { now } = givenFor(OWN_CALL)
      return store.view({ routing: 'active' }, (before) => getTool(before, tool_id, now))
    },
    pauseTool: (call, tool_id, body) =>
      write(call, { routing: 'active', system: true }, (before, given) =>
        pauseTool(before, given, tool_id, body),
      ),
    resumeTool: (call, tool_id) =>
      write(call, { routing: 'active', system: true }, (before, given) => resumeTool(before, given, tool_id)),
    resetTool: (call, tool_id, body) =>
      write(call, { routing: 'active', system: true }, (before, given) =>
        resetTool(before, given, tool_id, body),
      ),
  }) satisfies Partial<RouterCases>

export const routeScope = ({ run_id }: Task): Scope =>
  run_id == null ? { routing: 'active' } : { routing: 'active', run_id }

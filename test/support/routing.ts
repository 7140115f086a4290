import type { AppCircuit, RouterConfig, RoutingRule } from '../../src/contract/documents/router-config.ts'
import type { Rotation, ToolInputs } from '../../src/contract/routing.ts'
import type { Task } from '../../src/contract/task.ts'
import { type CompiledRouter, compileRouterConfig } from '../../src/domain/compiled-router.ts'
import { type Facts, type RouteGiven, type Routed, decide, neverUsed } from '../../src/domain/routing.ts'

export interface AppFacts {
  kinds?: string[]
  domains?: string[]
  tier?: 'low' | 'medium' | 'high'
  max?: number
  timeout?: number
  cost?: number
  kind?: 'tool' | 'validator' | 'analyzer'
  circuit?: AppCircuit
}

/** An app that can edit, unless the test says otherwise. */
export const anApp = ({
  kinds = ['edit'],
  domains,
  tier,
  max,
  timeout,
  cost,
  kind = 'tool',
  circuit,
}: AppFacts = {}) => ({
  kind,
  command: 'program',
  args: ['--do', '{prompt}'],
  capabilities: { task_kinds: kinds, ...(domains === undefined ? {} : { domains }) },
  limits: {
    ...(max === undefined ? {} : { max_parallel: max }),
    ...(timeout === undefined ? {} : { timeout_seconds: timeout }),
  },
  ...(tier === undefined ? {} : { safety_tier: tier }),
  ...(cost === undefined ? {} : { cost_per_call_usd_micros: cost }),
  ...(circuit === undefined ? {} : { circuit }),
})

export interface ConfigFacts {
  apps?: Record<string, AppFacts>
  rules?: (Partial<RoutingRule> & { id: string })[]
  defaults?: RouterConfig['defaults']
}

export function aConfig({ apps = {}, rules = [], defaults }: ConfigFacts = {}): RouterConfig {
  return {
    version: '1.0.0',
    apps: Object.fromEntries(Object.entries(apps).map(([tool_id, app]) => [tool_id, anApp(app)])),
    routing: { rules: rules.map((rule) => ({ match: {}, ...rule })) },
    ...(defaults === undefined ? {} : { defaults }),
  }
}

export const aRouter = (facts: ConfigFacts, config_version = 1): CompiledRouter =>
  compileRouterConfig(aConfig(facts), config_version)

export const aTask = (task: Partial<Task> = {}): Task => ({ task_kind: 'edit', ...task })

/** What is known of the tools that are named; of the others nothing. */
export const knowing = (
  tools: Record<string, Partial<ToolInputs>> = {},
  rotations: readonly Rotation[] = [],
): Facts => ({
  tools: Object.entries(tools).map(([tool_id, tool]) => ({ ...neverUsed(tool_id), ...tool })),
  rotations,
})

/** A seed that draws nobody for exploration, and one that does, with the share that is the default. */
export const EXPLOITS = 1
export const EXPLORES = 7

export const given = (facts: Partial<RouteGiven> = {}): RouteGiven => ({
  route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5W',
  created_at: '2026-01-05T09:30:00.500Z',
  run_id: null,
  seed: EXPLOITS,
  ...facts,
})

export const route = (
  router: CompiledRouter,
  task: Partial<Task> = {},
  facts: Facts = knowing(),
  seed = EXPLOITS,
): Routed => decide(aTask(task), router, facts, given({ seed }))

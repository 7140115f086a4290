import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import { CONFIG } from '../support/router.ts'
import type { Client } from './client.ts'
import type { Prepare } from './operations.ts'

const CONFIGS = '/v1/routing/configs'
const ACTIVE = `${CONFIGS}/active`
const DECISIONS = '/v1/routing/decisions'
const REQUESTS = '/v1/execution-requests'

/** How to ask the operations of the router, of its tools, and of what they are to do. */
export const PREPARE_ROUTING: Record<string, Prepare> = {
  createRouterConfig: async () => ({ path: CONFIGS, body: aConfig(), other_body: aConfig() }),
  listRouterConfigs: async () => ({ path: CONFIGS }),
  getActiveRouterConfig: async (client) => {
    await beRoutable(client)
    return { path: ACTIVE }
  },
  activateRouterConfig: async (client) => {
    await beRoutable(client)
    return {
      path: `${CONFIGS}/${await aVersion(client)}/activate`,
      version_of: ACTIVE,
      headers: { 'if-match': '*' },
      body: {},
    }
  },
  getRouterConfig: async (client) => ({ path: `${CONFIGS}/${await aVersion(client)}` }),
  diffRouterConfigs: async (client) => ({
    path: `${CONFIGS}/${await aVersion(client)}/diff?against=${await aVersion(client)}`,
  }),
  backtestRouterConfig: async (client) => ({
    path: `${CONFIGS}/${await aVersion(client)}/backtest`,
    body: { created_after: '2026-01-05T00:00:00Z', created_before: '2026-01-12T00:00:00Z' },
  }),
  createRouteDecision: async (client) => {
    await beRoutable(client)
    const { run_id } = await client.aRun()
    return { path: DECISIONS, body: { ...TASK, run_id }, other_body: TASK }
  },
  listRouteDecisions: async () => ({ path: DECISIONS }),
  getRouteDecision: async (client) => ({ path: await decisionPath(client) }),
  replayRouteDecision: async (client) => ({ path: `${await decisionPath(client)}/replay`, body: {} }),
  explainRoute: async (client) => {
    await beRoutable(client)
    return { path: '/v1/routing/explain', body: TASK }
  },
  createExecutionRequest: async (client) => {
    await beRoutable(client)
    return { path: REQUESTS, body: TASK, other_body: { ...TASK, task_kind: 'test_run' } }
  },
  listExecutionRequests: async () => ({ path: REQUESTS }),
  getExecutionRequest: async (client) => ({ path: await requestPath(client) }),
  cancelExecutionRequest: async (client) => {
    const path = await requestPath(client)
    return {
      path: `${path}/cancel`,
      version_of: path,
      body: { reason: 'superseded' },
      other_body: {},
    }
  },
  listTools: async () => ({ path: '/v1/tools' }),
  getTool: async (client) => ({ path: await toolPath(client) }),
  pauseTool: async (client) => {
    const path = await toolPath(client)
    await client.post(`${path}/resume`)
    return { path: `${path}/pause`, body: { reason: 'quota' }, other_body: { reason: 'broken' } }
  },
  resumeTool: async (client) => {
    const path = await toolPath(client)
    await client.post(`${path}/pause`, { reason: 'quota' })
    return { path: `${path}/resume`, body: {} }
  },
  resetTool: async (client) => {
    const path = await toolPath(client)
    await breakTool(client, path.split('/').at(-1)!)
    return { path: `${path}/reset`, body: { reason: 'new key' }, other_body: { reason: 'mended' } }
  },
}

const TASK = { task_kind: 'code_edit', project_id: 'shop', phase_id: 'build' }

/** They can do nothing that a test asks for, so that tests may pause them. */
const SPARES = Array.from({ length: 16 }, (_, i) => `spare_${i}`)

type App = RouterConfig['apps'][string]

/** What a tool does that never has too much to do, and never counts as broken. */
export const BULK = { tool_id: 'bulk', kind: 'bulk_work' }

let configs = 0

/** Another configuration each time; each of them can route the same. */
const aConfig = (): RouterConfig => {
  const spare: App = { kind: 'tool', command: 'true', capabilities: { task_kinds: ['nothing'] } }
  const bulk: App = {
    kind: 'tool',
    command: 'true',
    capabilities: { task_kinds: [BULK.kind] },
    limits: { max_parallel: 1_000 },
    circuit: { failures_in_row: 1_000, failure_rate: 1 },
  }
  const apps = {
    ...CONFIG.apps,
    ...Object.fromEntries(SPARES.map((name) => [name, spare])),
    [BULK.tool_id]: bulk,
  }
  return { ...CONFIG, version: `1.0.${configs++}`, apps }
}

async function aVersion(client: Client): Promise<number> {
  const { body } = await client.post(CONFIGS, aConfig())
  return body.config_version as number
}

/** Sees to it that a configuration is active. */
export async function beRoutable(client: Client): Promise<void> {
  if ((await client.get(ACTIVE)).status === 200) return
  await client.post(`${CONFIGS}/${await aVersion(client)}/activate`, {}, { 'if-match': '"0"' })
}

async function decisionPath(client: Client): Promise<string> {
  await beRoutable(client)
  const { body } = await client.post(DECISIONS, TASK)
  return `${DECISIONS}/${body.route_decision_id}`
}

async function requestPath(client: Client): Promise<string> {
  await beRoutable(client)
  const { body } = await client.post(REQUESTS, TASK)
  return `${REQUESTS}/${body.request_id}`
}

/** An attempt that was refused for its credentials opens the circuit at once. */
export async function breakTool(client: Client, tool_id: string): Promise<void> {
  const { run_id } = await client.aRun('running')
  const { body } = await client.post(`/v1/runs/${run_id}/steps`, { tool_id })
  await client.post(`/v1/steps/${body.step_attempt_id}/complete`, { status: 'failed', error_class: 'auth' })
}

let tools = 0

/** Another tool than the last time. */
async function toolPath(client: Client): Promise<string> {
  await beRoutable(client)
  return `/v1/tools/${SPARES[tools++ % SPARES.length]}`
}

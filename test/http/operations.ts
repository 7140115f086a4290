import { readFileSync } from 'node:fs'
import type { Operation } from '../support/document.ts'
import { type Document, operationsOf } from '../support/document.ts'
import type { Headers, Sent } from '../support/http.ts'
import type { KeyScope } from '../../src/keys.ts'
import type { Client } from './client.ts'
import { PREPARE_DISPATCH } from './operations-dispatch.ts'
import { PREPARE_PLANS } from './operations-plans.ts'
import { PREPARE_ROUTING } from './operations-routing.ts'

/** A request that succeeds. */
export interface Ask {
  path: string
  body?: unknown
  /** Another body that the operation takes as well. */
  other_body?: unknown
  /** Where the resource is whose version `If-Match` names. */
  version_of?: string
  /** Without these it would be refused. */
  headers?: Headers
}

/** Makes what an operation needs, anew each time. */
export type Prepare = (client: Client) => Promise<Ask>

export interface KnownOperation {
  operation_id: string
  method: string
  /** The path with its parameters in braces. */
  template: string
  operation: Operation
  prepare: Prepare
}

const PREPARE: Record<string, Prepare> = {
  ...PREPARE_ROUTING,
  ...PREPARE_DISPATCH,
  ...PREPARE_PLANS,
  createRun: async () => ({
    path: '/v1/runs',
    body: { project_id: 'shop', phase_id: 'build', labels: { team: 'core' } },
    other_body: { project_id: 'shop', phase_id: 'deploy' },
  }),
  listRuns: async () => ({ path: '/v1/runs' }),
  getRun: async (client) => ({ path: await runPath(client) }),
  getRunSummary: async (client) => ({ path: `${await runPath(client)}/summary` }),
  updateRun: async (client) => {
    const path = await runPath(client)
    return {
      path,
      version_of: path,
      body: { labels: { triaged: 'yes' }, metadata: { ticket: 'SHOP-7' } },
      other_body: { labels: { triaged: 'no' } },
    }
  },
  listRunTransitions: async (client) => ({ path: `${await runPath(client)}/transitions` }),
  startRun: async (client) => {
    const path = await runPath(client)
    return { path: `${path}/start`, version_of: path, body: {} }
  },
  completeRun: async (client) => {
    const path = await runPath(client, 'running')
    return {
      path: `${path}/complete`,
      version_of: path,
      body: { status: 'failed', exit_code: 2 },
      other_body: { status: 'succeeded' },
    }
  },
  quarantineRun: async (client) => {
    const path = await runPath(client, 'running')
    return {
      path: `${path}/quarantine`,
      version_of: path,
      body: { reason: 'corrupted worktree' },
      other_body: { reason: 'wrong branch' },
    }
  },
  cancelRun: async (client) => {
    const path = await runPath(client)
    return {
      path: `${path}/cancel`,
      version_of: path,
      body: { reason: 'superseded' },
      other_body: {},
    }
  },
  createStepAttempt: async (client) => {
    const path = await runPath(client, 'running')
    return {
      path: `${path}/steps`,
      version_of: path,
      body: { tool_id: 'pytest', input_prompt: 'run the unit tests' },
      other_body: { tool_id: 'vitest' },
    }
  },
  listStepAttempts: async (client) => ({ path: `${await runPath(client)}/steps` }),
  getStepAttempt: async (client) => ({ path: await stepPath(client) }),
  completeStepAttempt: async (client) => {
    const path = await stepPath(client)
    return {
      path: `${path}/complete`,
      version_of: path,
      body: { status: 'succeeded', exit_code: 0, usage: { duration_ms: 8123 } },
      other_body: { status: 'failed', exit_code: 1 },
    }
  },
  retryStepAttempt: async (client) => {
    const path = await stepPath(client, 'failed')
    return { path: `${path}/retry`, version_of: path, body: { tool_id: 'vitest' }, other_body: {} }
  },
  listRunEvents: async (client) => ({ path: `${await runPath(client)}/events` }),
  appendRunEvent: async (client) => {
    const path = await runPath(client)
    return {
      path: `${path}/events`,
      version_of: path,
      body: { kind: 'note', payload: { text: 'flaky test seen', at: 'line 3' } },
      other_body: { kind: 'note' },
    }
  },
  listEvents: async () => ({ path: '/v1/events' }),
  streamEvents: async () => ({ path: '/v1/events/stream' }),
  streamRunEvents: async (client) => ({ path: `${await runPath(client)}/events/stream` }),
  verifyRunEvents: async (client) => ({ path: `${await runPath(client)}/events/verify` }),
  getStatistics: async (client) => {
    await client.aStep('failed')
    return { path: '/v1/stats?bucket_seconds=3600&by=tool' }
  },
  listSchemas: async () => ({ path: '/v1/schemas' }),
  getSchema: async () => ({ path: '/v1/schemas/run_record.v1' }),
  validateDocument: async () => ({ path: '/v1/schemas/run_record.v1/validate', body: {} }),
  listStateMachines: async () => ({ path: '/v1/state-machines' }),
  getLiveness: async () => ({ path: '/livez' }),
  getMetrics: async () => ({ path: '/metrics' }),
  getReadiness: async () => ({ path: '/readyz' }),
  getOpenApiJson: async () => ({ path: '/openapi.json' }),
  getOpenApiYaml: async () => ({ path: '/openapi.yaml' }),
  explainProblem: async () => ({ path: '/problems/not-found' }),
}

const runPath = async (client: Client, state: 'pending' | 'running' = 'pending') =>
  `/v1/runs/${(await client.aRun(state)).run_id}`

const stepPath = async (client: Client, state: 'running' | 'failed' = 'running') =>
  `/v1/steps/${(await client.aStep(state)).step_attempt_id}`

export const COMMITTED = JSON.parse(
  readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8'),
) as Document

/** Every operation of the committed document. */
export const OPERATIONS: KnownOperation[] = operationsOf(COMMITTED).map(({ method, path, operation }) => {
  const operation_id = operation.operationId
  const prepare = PREPARE[operation_id]
  if (prepare === undefined) throw new Error(`tests do not know how to ask ${operation_id}`)
  return { operation_id, method, template: path, operation, prepare }
})

export const tagged = (tag: string): KnownOperation[] =>
  OPERATIONS.filter(({ operation }) => operation.tags.includes(tag))

/** For it.each: the name comes first. */
export const table = (operations: KnownOperation[]) =>
  operations.map((operation) => [operation.operation_id, operation] as const)

/** What goes with the path. */
export const sentOf = ({ method }: KnownOperation, { body, headers = {} }: Ask): Sent =>
  method === 'GET' ? {} : { body, headers }

/** Whether the document says that the operation can answer so. */
export const mayAnswer = ({ operation }: KnownOperation, status: number, code = ''): boolean =>
  operation.responses[status]?.description.includes(code) ?? false

export const hasHeader = ({ operation }: KnownOperation, name: string): boolean =>
  operation.parameters?.some((parameter) => parameter.in === 'header' && parameter.name === name) ?? false

/** Whether it changes anything; not all that is sent with POST does. */
export const isWrite = (operation: KnownOperation): boolean => hasHeader(operation, 'Idempotency-Key')

export const WRITES = OPERATIONS.filter(isWrite)
export const READS = OPERATIONS.filter(({ method }) => method === 'GET')

/** Their only body is `{}`. */
export const WITHOUT_CHOICE = ['startRun', 'activateRouterConfig', 'resumeTool']

const OF_ADMINISTRATORS = [
  'createRouterConfig',
  'activateRouterConfig',
  'pauseTool',
  'resumeTool',
  'resetTool',
]

/** What a key needs for it. */
export function scopeOf(operation: KnownOperation): KeyScope {
  if (OF_ADMINISTRATORS.includes(operation.operation_id)) return 'admin'
  if (operation.operation.tags.includes('dispatch') && operation.method === 'POST') return 'worker'
  return isWrite(operation) ? 'write' : 'read'
}

export const UNKNOWN_ID = '01JD8Z6V3QK0T2M4N6P8R0S2T4'

const ULIDS = { unknown: UNKNOWN_ID, malformed: 'latest' }

/** By the parameter that names a resource: what nothing has, and what nothing can have. */
const IDS: Record<string, { unknown: string; malformed: string }> = {
  run_id: ULIDS,
  step_attempt_id: ULIDS,
  route_decision_id: ULIDS,
  execution_request_id: ULIDS,
  config_version: { unknown: '999999', malformed: 'latest' },
  tool_id: { unknown: 'nobody', malformed: 'x'.repeat(201) },
  name: { unknown: 'nothing.v1', malformed: 'x'.repeat(201) },
}

/** The parameter by which the operation names its resource, if it does. */
export const idOf = ({ template }: Pick<KnownOperation, 'template'>): string | null =>
  Object.keys(IDS).find((parameter) => template.includes(`{${parameter}}`)) ?? null

/** The path of the request for another resource than the one that was prepared. */
export function withId({ template }: Pick<KnownOperation, 'template'>, path: string, id: string): string {
  const place = template.split('/').findIndex((part) => part.startsWith('{'))
  return path.split('/').with(place, id).join('/')
}

export const withUnknownId = (operation: KnownOperation, path: string): string =>
  withId(operation, path, IDS[idOf(operation) ?? '']!.unknown)

export const withMalformedId = (operation: KnownOperation, path: string): string =>
  withId(operation, path, IDS[idOf(operation) ?? '']!.malformed)

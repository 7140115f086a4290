import { readFileSync } from 'node:fs'
import type { Operation } from '../support/document.ts'
import { type Document, operationsOf } from '../support/document.ts'
import type { Sent } from '../support/http.ts'
import type { Client } from './client.ts'

/** A request that succeeds. */
export interface Ask {
  path: string
  body?: unknown
  /** Another body that the operation takes as well. */
  other_body?: unknown
  /** Where the resource is whose version `If-Match` names. */
  version_of?: string
}

export interface KnownOperation {
  operation_id: string
  method: string
  /** The path with its parameters in braces. */
  template: string
  operation: Operation
  /** Makes what the operation needs, anew each time. */
  prepare: (client: Client) => Promise<Ask>
}

const PREPARE: Record<string, KnownOperation['prepare']> = {
  createRun: async () => ({
    path: '/v1/runs',
    body: { project_id: 'shop', phase_id: 'build', labels: { team: 'core' } },
    other_body: { project_id: 'shop', phase_id: 'deploy' },
  }),
  listRuns: async () => ({ path: '/v1/runs' }),
  getRun: async (client) => ({ path: await runPath(client) }),
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
  verifyRunEvents: async (client) => ({ path: `${await runPath(client)}/events/verify` }),
  listStateMachines: async () => ({ path: '/v1/state-machines' }),
  getLiveness: async () => ({ path: '/livez' }),
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

export const WRITES = OPERATIONS.filter(({ method }) => method !== 'GET')
export const READS = OPERATIONS.filter(({ method }) => method === 'GET')

/** For it.each: the name comes first. */
export const table = (operations: KnownOperation[]) =>
  operations.map((operation) => [operation.operation_id, operation] as const)

/** What the method lets be sent. */
export const sentOf = ({ method }: KnownOperation, { body }: Ask): Sent => (method === 'GET' ? {} : { body })

/** Whether the document says that the operation can answer so. */
export const mayAnswer = ({ operation }: KnownOperation, status: number, code = ''): boolean =>
  operation.responses[status]?.description.includes(code) ?? false

export const hasHeader = ({ operation }: KnownOperation, name: string): boolean =>
  operation.parameters?.some((parameter) => parameter.in === 'header' && parameter.name === name) ?? false

/** The path of the request with an id that nothing has, or that is no id. */
export const withId = (path: string, id: string): string =>
  path.replace(/^\/v1\/(runs|steps)\/[^/]+/, `/v1/$1/${id}`)

export const UNKNOWN_ID = '01JD8Z6V3QK0T2M4N6P8R0S2T4'

import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { Client } from './client.ts'
import type { Prepare } from './operations.ts'
import { BULK, beRoutable } from './operations-routing.ts'

const REQUESTS = '/v1/execution-requests'
const TASK = { task_kind: BULK.kind, project_id: 'shop', phase_id: 'build' }
const CLAIM = { worker_id: 'builder-1', tools: [BULK.tool_id] }

/** How to ask the operations of workers. Each has a request of its own, or a lease of its own. */
export const PREPARE_DISPATCH: Record<string, Prepare> = {
  claimExecutionRequests: async (client) => {
    await aQueued(client)
    return { path: `${REQUESTS}/claim`, body: CLAIM, other_body: { ...CLAIM, max: 2 } }
  },
  heartbeatExecutionRequest: (client) => ending(client, 'heartbeat', {}),
  completeExecutionRequest: (client) => ending(client, 'complete', { exit_code: 0 }, {}),
  failExecutionRequest: (client) =>
    ending(client, 'fail', { error: { class: 'tool_error' } }, { error: { class: 'timeout' } }),
  rejectExecutionRequest: (client) =>
    ending(client, 'reject', { reason: 'no licence' }, { reason: 'no disk' }),
  releaseExecutionRequest: (client) => ending(client, 'release', { reason: 'stops' }, { reason: 'is busy' }),
  diagnoseExecutionRequest: async (client) => ({ path: `${await aQueued(client)}/diagnosis` }),
  listWorkers: async () => ({ path: '/v1/workers' }),
  getWorker: async (client) => {
    await aClaimed(client)
    return { path: `/v1/workers/${CLAIM.worker_id}` }
  },
}

async function ending(client: Client, command: string, body: object, other?: object) {
  const { execution_request, lease_token } = await aClaimed(client)
  return {
    path: `${REQUESTS}/${execution_request.request_id}/${command}`,
    body: { lease_token, ...body },
    ...(other === undefined ? {} : { other_body: { lease_token, ...other } }),
  }
}

async function aQueued(client: Client): Promise<string> {
  await beRoutable(client)
  const { body } = await client.post(REQUESTS, TASK)
  return `${REQUESTS}/${body.request_id}`
}

/** A request that `builder-1` holds. */
export async function aClaimed(client: Client): Promise<ClaimedRequest> {
  await aQueued(client)
  const { body } = await client.post(`${REQUESTS}/claim`, CLAIM)
  return body.items[0] as ClaimedRequest
}

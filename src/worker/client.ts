import { type Answer, type Asking, connect } from '../client/connection.ts'
import type {
  ClaimExecutionRequests,
  ClaimResult,
  CompleteExecutionRequest,
  CompletedRequest,
  FailExecutionRequest,
  Heartbeat,
  HeartbeatResult,
  ReleaseExecutionRequest,
} from '../contract/dispatch.ts'

/** The operations of a worker, each one attempt. All throw Unanswered and Refused. */
export interface Client {
  /** The key names the claim, so that a repeat finds what was claimed by one whose answer was lost. */
  claim(
    body: ClaimExecutionRequests,
    asking: Asking & { key: string; wait_seconds: number },
  ): Promise<Answer<ClaimResult>>
  heartbeat(id: string, body: Heartbeat, asking?: Asking): Promise<Answer<HeartbeatResult>>
  complete(
    id: string,
    body: CompleteExecutionRequest,
    asking: Asking & { claim_next: boolean },
  ): Promise<Answer<CompletedRequest>>
  fail(id: string, body: FailExecutionRequest, asking?: Asking): Promise<unknown>
  /** Gives it back, for anybody. */
  release(id: string, body: ReleaseExecutionRequest, asking?: Asking): Promise<unknown>
  /** Gives it back, for others. */
  reject(id: string, body: ReleaseExecutionRequest, asking?: Asking): Promise<unknown>
}

/** How much longer than it may wait a claim may take. */
const PATIENCE_MS = 15_000

/** @param key the API key; null where the server needs none */
export function createClient(options: { server: URL; key: string | null }): Client {
  const connection = connect(options)
  const post = <T>(
    path: string,
    body: unknown,
    more: Asking & { headers?: Record<string, string> } = {},
  ): Promise<Answer<T>> =>
    connection.send<T>({ method: 'POST', path: `/v1/execution-requests${path}`, body, ...more })

  return {
    async claim(body, { key, wait_seconds, ...asking }) {
      const answer = await post<ClaimResult | undefined>('/claim', body, {
        headers: { 'idempotency-key': key, prefer: `wait=${wait_seconds}` },
        timeout_ms: wait_seconds * 1_000 + PATIENCE_MS,
        ...asking,
      })
      return { ...answer, body: answer.body ?? { items: [] } } // 204 where there was nothing to claim
    },
    heartbeat: (id, body, asking) => post(`/${id}/heartbeat`, body, asking),
    complete: (id, body, { claim_next, ...asking }) =>
      post(`/${id}/complete${claim_next ? '?claim_next=true' : ''}`, body, asking),
    fail: (id, body, asking) => post(`/${id}/fail`, body, asking),
    release: (id, body, asking) => post(`/${id}/release`, body, asking),
    reject: (id, body, asking) => post(`/${id}/reject`, body, asking),
  }
}

import { expect, vi } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { Answer, Headers, Sent, TestApp } from '../support/http.ts'
import { activate } from '../support/router.ts'
import { aConfig } from '../support/routing.ts'

/** A tool that takes as many as come, and one that takes one thing at a time. */
export const CONFIG = aConfig({
  apps: { aider: { kinds: ['edit'], max: 500 }, pytest: { kinds: ['test'], max: 1 } },
})

export const CLAIM = '/v1/execution-requests/claim'
export const EVENTUALLY = { timeout: 10_000, interval: 2 }

export type Ending = 'complete' | 'fail' | 'reject' | 'release'

/** The least that ends a lease so. */
export const BODIES: Record<Ending, object> = {
  complete: { exit_code: 0 },
  fail: { error: { class: 'tool_error' } },
  reject: { reason: 'no such file here' },
  release: { reason: 'shutting down' },
}

export type Workshop = Awaited<ReturnType<typeof workshopOf>>

/** Who brings work, and workers who wait for it. */
export async function workshopOf(app: TestApp) {
  await activate(app, CONFIG)
  const claim = (
    body: object = {},
    { query = '', ...sent }: Sent & { query?: string } = {},
  ): Promise<Answer> =>
    app.request('POST', CLAIM + query, { body: { worker_id: 'w1', tools: ['aider'], ...body }, ...sent })
  const pathOf = ({ execution_request }: ClaimedRequest, command: string): string =>
    `/v1/execution-requests/${execution_request.request_id}/${command}`

  const workshop = {
    claim,

    async request(task: object = {}): Promise<ExecutionRequest> {
      const body = { task_kind: 'edit', project_id: 'shop', phase_id: 'build', ...task }
      const answer = await app.request('POST', '/v1/execution-requests', { body })
      expect(answer.status, answer.text).toBe(201)
      return answer.body
    },

    async claimed(body: object = {}): Promise<ClaimedRequest> {
      const answer = await claim(body)
      expect(answer.status, answer.text).toBe(200)
      return answer.body.items[0]
    },

    async held(task: object = {}): Promise<ClaimedRequest> {
      await workshop.request(task)
      return workshop.claimed(task)
    },

    end(held: ClaimedRequest, ending: Ending, body: object = BODIES[ending], headers: Headers = {}) {
      const { lease_token } = held
      return app.request('POST', pathOf(held, ending), { body: { lease_token, ...body }, headers })
    },

    completeAndGoOn: (held: ClaimedRequest) =>
      app.request('POST', `${pathOf(held, 'complete')}?claim_next=true`, {
        body: { lease_token: held.lease_token },
      }),

    heartbeat: (held: ClaimedRequest, body: object = {}) =>
      app.request('POST', pathOf(held, 'heartbeat'), { body: { lease_token: held.lease_token, ...body } }),

    /** A claim that waits: it has looked once, and stands in the line. */
    async waiting(worker_id: string, body: object = {}) {
      const answer = claim({ worker_id, ...body }, { query: '?wait_seconds=60' })
      const state = { done: false }
      void answer.then(() => (state.done = true))
      await workshop.stands(worker_id)
      return { answer, isDone: () => state.done }
    },

    /** The first look of a worker is noted. */
    stands: (worker_id: string) =>
      vi.waitFor(() => {
        const rows = app.db.prepare('SELECT 1 FROM workers WHERE worker_id = ?').all(worker_id)
        expect(rows).toHaveLength(1)
      }, EVENTUALLY),
  }
  return workshop
}

import { expect } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import type { Client } from '../http/client.ts'
import { fold } from './fold.ts'

export const REQUESTS = '/v1/execution-requests'

/** The least that makes a request. */
export const TASK = { task_kind: 'code_edit', project_id: 'shop', phase_id: 'build' }

/** Everything that a task can say. */
export const FULL_TASK = {
  ...TASK,
  task_id: 'basket-1',
  workstream_id: 'checkout',
  classification: { complexity: 'moderate', risk_tier: 'low', domain: 'backend', priority: 'high' },
  labels: { team: 'core' },
  allowed_tools: ['aider', 'codex'],
  excluded_tools: ['codex'],
  resource_scope: {
    read: ['src/**'],
    write: ['src/basket.ts'],
    create: ['test/*.ts'],
    forbidden: ['**/*.pem'],
  },
  constraints: { patch_only: true, tests_must_pass: false, max_lines_changed: 200 },
  input: { prompt: 'Reject an empty basket: «ü» 🛒', files: ['src/basket.ts'], data: { z: [1.5], a: null } },
  limits: { max_attempts: 2, timeout_seconds: 300, queue_timeout_seconds: 60, total_timeout_seconds: 3_600 },
}

export async function aRequest(client: Client, task: object = {}): Promise<ExecutionRequest> {
  const { status, text, body } = await client.post(REQUESTS, { ...TASK, ...task })
  expect(status, text).toBe(201)
  return body as ExecutionRequest
}

export const requestPath = ({ request_id }: ExecutionRequest): string => `${REQUESTS}/${request_id}`

/** As lists and writes answer it: the decisions and attempts come with the request alone. */
export function withoutStory(story: ExecutionRequestStory): ExecutionRequest {
  const { decisions: _, step_attempts: __, validations: ___, ...request } = story
  return request
}

export async function eventsIn(client: Client, run_id: string): Promise<Event[]> {
  const { body } = await client.get(`/v1/runs/${run_id}/events?limit=500`)
  return body.items as Event[]
}

/** The events of a run add up to its rows, its requests too. */
export async function expectFolds(client: Client, run_id: string): Promise<void> {
  const of = async (path: string) => (await client.get(path)).body
  expect(fold(await eventsIn(client, run_id))).toEqual({
    run: await of(`/v1/runs/${run_id}`),
    step_attempts: (await of(`/v1/runs/${run_id}/steps?limit=500`)).items,
    execution_requests: (await of(`${REQUESTS}?run_id=${run_id}&order=asc&limit=500`)).items,
  })
  expect((await of(`/v1/runs/${run_id}/events/verify`)).valid).toBe(true)
}

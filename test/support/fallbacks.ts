import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type { QueuePlace, Store, WaitingPart, WaitingRequest } from '../../src/store/store.ts'
import type { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import { aConfig } from './routing.ts'

export const ORDER = ['aider', 'codex', 'gemini'] as const

/** Aider edits, codex takes over, then gemini; each may try twice. */
export const fallbackConfig = (rule: object = {}, defaults: RouterConfig['defaults'] = {}): RouterConfig =>
  aConfig({
    apps: Object.fromEntries(ORDER.map((tool_id) => [tool_id, { max: 1_000 }])),
    rules: [{ id: 'edits', select_from: ['aider'], fallback_to: ['codex', 'gemini'], ...rule }],
    defaults: { max_attempts: 2, ...defaults },
  })

/** The tools of the decisions in their order; null where nobody could take over. */
export const chosenIn = ({ decisions }: ExecutionRequestStory) => decisions.map(({ tool_id }) => tool_id)

/** The tools of the attempts in their order. */
export const triedIn = ({ step_attempts }: ExecutionRequestStory) =>
  step_attempts.map(({ tool_id }) => tool_id)

/** All that waits for a tool, in the order of its queue, however many turns it takes to read it. */
export async function allWaiting(store: Store, tool_id: string, now: string): Promise<WaitingRequest[]> {
  const found: WaitingRequest[] = []
  let next: QueuePlace | null = { priority_rank: -1, execution_request_id: '' }
  while (next !== null) {
    const part: WaitingPart = await store.waitingBehind(tool_id, next, { now, limit: 100 })
    found.push(...part.items)
    next = part.next
  }
  return found
}

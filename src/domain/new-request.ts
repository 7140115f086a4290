import { hash } from 'node:crypto'
import type { ExecutionRequest, ExecutionRequestDocument } from '../contract/execution-request.ts'
import type { Change, Given } from './decision.ts'
import type { EventDraft } from './event-chain.ts'
import { payloadText } from './payload.ts'
import { requestTexts } from './request-text.ts'

/** What a request has beside its document and the hash of that. */
type Around = Omit<ExecutionRequest, keyof ExecutionRequestDocument | 'content_hash'>

/** A new request with its row and the event of its creation. `waiting_for` is how many of its needs have not succeeded. */
export function newRequest(
  document: ExecutionRequestDocument,
  around: Around,
  waiting_for = 0,
): { request: ExecutionRequest; change: Change; draft: EventDraft } {
  const texts = requestTexts(document)
  const content_hash = hash('sha256', texts.document, 'hex')
  const request: ExecutionRequest = { ...document, content_hash, ...around }
  return {
    request,
    change: { record: 'execution_request', document, after: request, waiting_for },
    draft: {
      kind: 'request_created',
      to: request.state,
      payload_text: payloadText({ execution_request: texts.request(request) }),
    },
  }
}

/** A request at its beginning. */
export const newProgress = (state: 'blocked' | 'queued', { now }: Pick<Given, 'now'>) =>
  ({
    state,
    stop_reason: null,
    assignment: null,
    attempts: 0,
    tool_attempts: 0,
    fence: 0,
    worker_id: null,
    rejected_by: [],
    sequence: null,
    step_attempt_id: null,
    available_at: now,
    queue_expires_at: null,
    cancel_requested_at: null,
    cancel_reason: null,
    validation_error: null,
    updated_at: now,
    ended_at: null,
    version: 1,
  }) satisfies Partial<ExecutionRequest>

import type { ExecutionRequest, ExecutionRequestDocument } from '../contract/execution-request.ts'
import { canonicalText } from './canonical.ts'
import { assignmentOf, members, validationErrorOf } from './payload.ts'

// The two long texts of an execution request, as RFC 8785 text: see payload.ts for why they are written out.

/** The members of a document that stand in both texts, and are made once. */
interface DocumentTexts {
  constraints: string
  input: string
  labels: string
}

export function requestTexts(document: ExecutionRequestDocument) {
  const { constraints, input, labels } = document
  const texts: DocumentTexts = {
    constraints: canonicalText(constraints),
    input: canonicalText(input),
    labels: canonicalText(labels),
  }
  return {
    /** Of the document: what its hash is of. */
    document: documentText(document, texts),
    /** Of the request that the document became. */
    request: (request: ExecutionRequest) => requestText(request, texts),
  }
}

function documentText(document: ExecutionRequestDocument, { constraints, input, labels }: DocumentTexts) {
  const end = {
    origin: originOf(document),
    phase_id: document.phase_id,
    project_id: document.project_id,
    request_id: document.request_id,
    resource_scope: scopeOf(document),
    routing: routingOf(document),
    task_id: document.task_id,
    task_kind: document.task_kind,
    workstream_id: document.workstream_id,
  }
  const start = members({ classification: classificationOf(document) })
  return `{${start},"constraints":${constraints},"input":${input},"labels":${labels},${members(end)}}`
}

function requestText(request: ExecutionRequest, { constraints, input, labels }: DocumentTexts) {
  const start = {
    assignment: assignmentOf(request),
    attempts: request.attempts,
    available_at: request.available_at,
    cancel_reason: request.cancel_reason,
    cancel_requested_at: request.cancel_requested_at,
    classification: classificationOf(request),
  }
  const middle = {
    content_hash: request.content_hash,
    created_at: request.created_at,
    ended_at: request.ended_at,
    fence: request.fence,
  }
  const end = {
    origin: originOf(request),
    phase_id: request.phase_id,
    plan: planOf(request),
    project_id: request.project_id,
    queue_expires_at: request.queue_expires_at,
    rejected_by: request.rejected_by,
    request_id: request.request_id,
    resource_scope: scopeOf(request),
    routing: routingOf(request),
    run_id: request.run_id,
    sequence: request.sequence,
    state: request.state,
    step_attempt_id: request.step_attempt_id,
    stop_reason: request.stop_reason,
    task_id: request.task_id,
    task_kind: request.task_kind,
    tool_attempts: request.tool_attempts,
    updated_at: request.updated_at,
    validates: validatesOf(request),
    validation_error: validationErrorOf(request),
    version: request.version,
    worker_id: request.worker_id,
    workstream_id: request.workstream_id,
  }
  const free = `"input":${input},"labels":${labels}`
  return `{${members(start)},"constraints":${constraints},${members(middle)},${free},${members(end)}}`
}

// What is absent stays absent: JSON.stringify leaves out what is undefined.

const classificationOf = ({ classification }: ExecutionRequestDocument) => ({
  complexity: classification.complexity,
  domain: classification.domain,
  priority: classification.priority,
  risk_tier: classification.risk_tier,
})

const originOf = ({ origin }: ExecutionRequestDocument) => ({
  created_at: origin.created_at,
  created_by: origin.created_by,
})

const scopeOf = ({ resource_scope }: ExecutionRequestDocument) => ({
  create: resource_scope.create,
  forbidden: resource_scope.forbidden,
  read: resource_scope.read,
  write: resource_scope.write,
})

const routingOf = ({ routing }: ExecutionRequestDocument) => ({
  allowed_tools: routing.allowed_tools,
  excluded_tools: routing.excluded_tools,
  max_attempts: routing.max_attempts,
  queue_timeout_seconds: routing.queue_timeout_seconds,
  strategy: routing.strategy,
  timeout_seconds: routing.timeout_seconds,
  total_timeout_seconds: routing.total_timeout_seconds,
})

const planOf = ({ plan }: ExecutionRequest) =>
  plan === null ? null : { level: plan.level, name: plan.name, needs: plan.needs }

const validatesOf = ({ validates }: ExecutionRequest) =>
  validates === null
    ? null
    : {
        execution_request_id: validates.execution_request_id,
        required: validates.required,
        step_attempt_id: validates.step_attempt_id,
      }

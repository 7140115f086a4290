import type { RequestValidation } from '../../contract/request-story.ts'
import type { ExecutionRequest, RequestProgress } from '../../contract/execution-request.ts'
import { LIMITS } from '../../contract/limits.ts'
import type { Scope } from '../../domain/decision.ts'
import { NO_VALIDATION, type ValidationFacts, isUnderValidation } from '../../domain/validation-facts.ts'
import type { Connection } from './connection.ts'
import { PROGRESS_COLUMNS, decodeProgressOf, type executionRequestsTable } from './execution-requests.ts'
import { type RouterTables, loadFallback } from './router.ts'
import { type TaskNeeds, loadPlan } from './task-needs.ts'
import { type Row, prepareRaw } from './table.ts'

export type Validations = ReturnType<typeof validations>

/** Who looks at the work of which request. */
export function validations(db: Connection) {
  const open = prepareRaw(
    db,
    `SELECT ${PROGRESS_COLUMNS.join(', ')} FROM execution_requests
     WHERE validates_execution_request_id = +? AND state IN ('blocked', 'queued', 'claimed')
     ORDER BY execution_request_id`,
  )
  const told = prepareRaw(
    db,
    `SELECT execution_request_id, document ->> '$.routing.allowed_tools[0]', validates_required,
       validates_step_attempt_id, state, stop_reason, step_attempt_id, created_at, ended_at
     FROM execution_requests WHERE validates_execution_request_id = +?
     ORDER BY execution_request_id DESC LIMIT ${LIMITS.story_entries}`,
  )
  return {
    /** Those of a work that have not ended. */
    openOf: (execution_request_id: string): RequestProgress[] =>
      open.all([execution_request_id]).map(decodeProgressOf),
    /** Oldest first; of more than may be told the last. */
    toldOf: (execution_request_id: string): RequestValidation[] =>
      told.all([execution_request_id]).map(decodeTold).toReversed(),
  }
}

// The cast is what STRICT columns and their CHECKs make true.
const decodeTold = (row: Row): RequestValidation =>
  ({
    execution_request_id: row[0],
    tool_id: row[1],
    required: row[2] === 1,
    validated_attempt_id: row[3],
    state: row[4],
    stop_reason: row[5],
    step_attempt_id: row[6],
    created_at: row[7],
    ended_at: row[8],
  }) as RequestValidation

interface Tables {
  requests: ReturnType<typeof executionRequestsTable>
  needs: TaskNeeds
  router: RouterTables
  validations: Validations
}

/** What is not validated, and validates nothing, pays nothing. */
export function loadValidation(
  tables: Tables,
  scope: Scope,
  request: ExecutionRequest | null,
): ValidationFacts {
  if (request === null || request.ended_at !== null) return NO_VALIDATION
  const { validations } = tables
  if (scope.obstacles === true && isUnderValidation(request))
    return { ...NO_VALIDATION, open: validations.openOf(request.request_id) }
  const { dependents } = scope
  if (dependents === undefined) return NO_VALIDATION
  if (request.validates !== null) return ofValidator(tables, dependents, request)
  const begins = dependents === 'next' && (request.assignment?.validators.length ?? 0) > 0
  return begins ? { ...NO_VALIDATION, named_by: namedBy(tables, request) } : NO_VALIDATION
}

function ofValidator(
  tables: Tables,
  dependents: NonNullable<Scope['dependents']>,
  { validates, state }: ExecutionRequest,
): ValidationFacts {
  const { requests, needs, router, validations } = tables
  const { execution_request_id } = validates!
  const request = requests.get(execution_request_id)! // a foreign key holds it
  const of = { request, run_id: request.run_id }
  return {
    named_by: state === 'blocked' ? namedBy(tables, request) : null,
    work: {
      request,
      plan: loadPlan(needs, { dependents }, of, router.tools.kept),
      fallback: dependents === 'all' ? loadFallback(router, { fallback: true }, request) : null,
    },
    open: validations.openOf(execution_request_id),
  }
}

// What is done has a tool, and foreign keys hold decisions.
const namedBy = ({ router }: Tables, { assignment }: ExecutionRequest) =>
  router.routes.get(assignment!.route_decision_id)!.decision

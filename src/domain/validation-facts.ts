import type { ExecutionRequest, RequestProgress } from '../contract/execution-request.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { FallbackBook } from './fallback-facts.ts'
import type { PlanFacts } from './plan-facts.ts'

/** Work whose validators look at it, with what its end may mean. */
export interface WorkFacts {
  request: ExecutionRequest
  /** What needs it, as far as the scope asks for what needs the request in scope. */
  plan: PlanFacts
  /** Who may take over from its tool; not loaded where only success can come of it. */
  fallback: FallbackBook | null
}

/** What a decision needs to know of validators, as far as its scope may begin a validation, or end one. */
export interface ValidationFacts {
  /** The decision about the work that named its validators. */
  named_by: RouteDecision | null
  /** The work that the request in scope looks at. */
  work: WorkFacts | null
  /** The validators that have not ended: of that work, or of the request in scope while it waits for them. */
  open: readonly RequestProgress[]
}

export const NO_VALIDATION: ValidationFacts = { named_by: null, work: null, open: [] }

/** Whether its work is done and waits for verdicts. What waits for other tasks has no tool yet. */
export const isUnderValidation = ({
  state,
  assignment,
}: Pick<RequestProgress, 'state' | 'assignment'>): boolean => state === 'blocked' && assignment !== null

/** What the class says of a validator that could look: that is its verdict, and another try would say the same. */
export const isVerdict = ({ validates }: Pick<RequestProgress, 'validates'>, error_class: string): boolean =>
  validates !== null && error_class === 'tool_error'

import type { ExecutionRequest } from '../contract/execution-request.ts'
import { VALIDATION_FAILED } from '../contract/validation.ts'
import type { Given } from './decision.ts'
import { isVerdict } from './validation-facts.ts'

// When a request that failed is tried again, and how long it may wait. Instants are texts: contract/common.ts.

const FIRST_DELAY_MS = 1_000
const FACTOR = 2
const DELAY_CAP_MS = 60_000

/** What another try would not mend. */
const FINAL_CLASSES: ReadonlySet<string> = new Set(['invalid_request', 'canceled'])

/** What another try with the same tool would not mend, but perhaps one with another. */
const FINAL_FOR_TOOL: ReadonlySet<string> = new Set(['auth'])

export const plus = (instant: string, ms: number): string => new Date(Date.parse(instant) + ms).toISOString()

/** The earlier of two instants; null is never. */
export const earlier = (a: string | null, b: string | null): string | null =>
  a === null ? b : b === null || a < b ? a : b

type Bounded = Pick<ExecutionRequest, 'routing' | 'created_at'>

/** When the request as a whole has taken too long; null is never. */
export function totalEnd({ routing, created_at }: Bounded): string | null {
  const { total_timeout_seconds } = routing
  return total_timeout_seconds === null ? null : plus(created_at, total_timeout_seconds * 1_000)
}

/** When a request that can be claimed from that instant on has waited too long; null is never. */
export function queueEnd(request: Bounded, available_at: string): string | null {
  const { queue_timeout_seconds } = request.routing
  const wait = queue_timeout_seconds === null ? null : plus(available_at, queue_timeout_seconds * 1_000)
  return earlier(wait, totalEnd(request))
}

export interface Failure {
  error_class: string
  retryable: boolean
  retry_after_ms: number | null
}

/** Which limit ended it, and whether another tool may still try. */
export interface Limit {
  stop_reason: string
  another_tool: boolean
}

/** Either when its tool tries again, or what ends that. The attempts count the one that failed. */
export function afterFailure(
  request: Bounded & Pick<ExecutionRequest, 'tool_attempts' | 'validates'>,
  { error_class, retryable, retry_after_ms }: Failure,
  given: Pick<Given, 'now' | 'randomHex'>,
): { available_at: string } | Limit {
  if (isVerdict(request, error_class)) return { stop_reason: VALIDATION_FAILED, another_tool: false }
  if (!retryable || FINAL_CLASSES.has(error_class))
    return { stop_reason: 'not_retryable', another_tool: false }
  if (FINAL_FOR_TOOL.has(error_class)) return { stop_reason: 'not_retryable', another_tool: true }
  if (request.tool_attempts >= request.routing.max_attempts)
    return { stop_reason: 'max_attempts', another_tool: true }
  const available_at = plus(given.now, retry_after_ms ?? backOff(request.tool_attempts, given))
  const end = totalEnd(request)
  if (end !== null && available_at >= end) return { stop_reason: 'total_timeout', another_tool: false }
  return { available_at }
}

/** Exponential with full jitter, so that what failed together does not come back together. */
function backOff(attempts: number, { randomHex }: Pick<Given, 'randomHex'>): number {
  const cap = Math.min(DELAY_CAP_MS, FIRST_DELAY_MS * FACTOR ** (attempts - 1))
  const share = Number.parseInt(randomHex(4), 16) / 2 ** 32
  return Math.ceil(cap * share)
}

import type { ClaimedRequest } from '../contract/dispatch.ts'
import { Ulid } from '../contract/common.ts'

const ULID = new RegExp(Ulid.pattern ?? '')
const TOKEN = /^[0-9a-f]{32}$/

/**
 * Looks at what this worker uses of a claim: ids become names of directories and parts of paths, so they have to be
 * ids. Everything else goes into files and arguments as it is.
 * @throws Error where the server is none that this worker understands
 */
export function checkedClaim(claimed: ClaimedRequest): ClaimedRequest {
  const { execution_request: request, step_attempt, lease_token } = claimed
  const { assignment, input, routing } = request
  const isFit =
    ULID.test(request.request_id) &&
    ULID.test(step_attempt.step_attempt_id) &&
    TOKEN.test(lease_token) &&
    typeof assignment?.tool_id === 'string' &&
    Number.isInteger(routing.timeout_seconds) &&
    ['string', 'undefined', 'object'].includes(typeof input?.prompt) // null is an object
  if (!isFit) throw new Error('the server answered with a claim that this worker does not understand')
  return claimed
}

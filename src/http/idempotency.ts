import { hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { LIMITS } from '../contract/limits.ts'
import type { Claim } from '../domain/decision.ts'
import { fingerprintOf } from '../domain/idempotency.ts'
import { badHeader } from './conditions.ts'
import { pathOf } from './problem.ts'

/** A structured-field string (RFC 8941 §3.3.3). */
const QUOTED = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/
/** Without a space, so that two headers are no key: Node joins them with a comma and a space. */
const BARE = /^[\x21-\x7e]+$/

/** Neighbours in time shall be neighbours in the index: see `claimKey`. */
const PREFIX_LENGTH = 26
const DIGEST_LENGTH = 22

/**
 * The caller's name for this request, if it has one.
 * @throws LedgerError `validation_failed` for a header that is no key, or that comes twice
 */
export function claimOf(request: FastifyRequest): Claim | null {
  const header = request.headers['idempotency-key'] as string | undefined
  if (header === undefined) return null
  const key = keyOf(header)
  if (key === null) {
    throw badHeader(
      'Idempotency-Key',
      `must come once, with 1 to ${LIMITS.idempotency_key_length} visible ASCII characters`,
    )
  }
  return { key: claimKey(request, key), fingerprint: fingerprintOf(request.body) }
}

function keyOf(header: string): string | null {
  const quoted = QUOTED.exec(header)
  const key = quoted?.[1]?.replace(/\\(["\\])/g, '$1') ?? header
  const fits = key.length >= 1 && key.length <= LIMITS.idempotency_key_length && BARE.test(key)
  return fits ? key : null
}

/**
 * What the store looks up. It begins with the id in the path or, where there is none, with the client's own
 * key, which we advise to be a ULID: a random beginning would dirty another page of the index with each write.
 */
function claimKey({ caller, method, url, params }: FastifyRequest, key: string): string {
  const { run_id, step_attempt_id, execution_request_id } = params as Partial<Record<string, string>>
  const prefix = run_id ?? step_attempt_id ?? execution_request_id ?? key.slice(0, PREFIX_LENGTH)
  const scope = `${caller.actor.id ?? ''}\n${method}\n${pathOf(url)}\n${key}`
  return prefix + hash('sha256', scope, 'base64url').slice(0, DIGEST_LENGTH)
}

/**
 * The end of a lease is repeatable with or without a key: its token names it. A repeat with the same body gets the first
 * answer; anything else with that token has lost the lease, or uses its key for another body.
 */
export function leaseClaimOf(request: FastifyRequest): Claim {
  const is_lease = claimOf(request) === null
  const { execution_request_id } = request.params as { execution_request_id: string }
  const { lease_token } = request.body as { lease_token: string }
  const path = pathOf(request.url)
  return {
    key: execution_request_id + hash('sha256', lease_token, 'base64url').slice(0, DIGEST_LENGTH),
    fingerprint: fingerprintOf({ path, body: request.body }),
    is_lease,
  }
}

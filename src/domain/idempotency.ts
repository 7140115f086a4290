import { hash } from 'node:crypto'
import { canonicalText } from './canonical.ts'
import type { Answer, Claim, Decide } from './decision.ts'
import { LedgerError } from './error.ts'
import { leaseLost } from './lease.ts'

/** What tells two bodies apart, however their members are ordered and spaced. */
export const fingerprintOf = (body: unknown): string => hash('sha256', canonicalText(body), 'hex')

/** 204: there was nothing to do, so there is nothing to remember, and a repeat may find something. */
const NOTHING_DONE = 204

/** Either what was done now, with its finished answer where one had to be kept, or what was answered before. */
export type Outcome<T> = { record: T; answer: Answer | null } | { replayed: Answer }

/**
 * Wraps a decision so that a repeated key gets the first answer again and changes nothing. The record is
 * written with the effect: a refusal, which writes nothing, leaves none.
 * @throws LedgerError `idempotency_key_reused` if the key came with another body before.
 */
export function once<T>(
  { claim, present, now }: { claim: Claim | null; present: (record: T) => Answer; now: string },
  decide: Decide<T>,
): Decide<Outcome<T>> {
  return (before) => {
    const { remembered } = before
    if (claim !== null && remembered !== null) {
      if (remembered.fingerprint !== claim.fingerprint) throw claim.is_lease === true ? leaseLost() : reused()
      const { status, body, etag, location } = remembered
      const replayed = { status, body, etag, location }
      return { changes: [], events: [], result: () => ({ replayed }) }
    }
    const { changes, events, result } = decide(before)
    if (claim === null) return { changes, events, result: (seqs) => ({ record: result(seqs), answer: null }) }
    return {
      changes,
      events,
      result: (seqs) => {
        const record = result(seqs)
        return { record, answer: present(record) }
      },
      remember: (outcome) =>
        'answer' in outcome && outcome.answer !== null && outcome.answer.status !== NOTHING_DONE
          ? { ...outcome.answer, fingerprint: claim.fingerprint, created_at: now }
          : null,
    }
  }
}

const reused = () =>
  new LedgerError(
    'idempotency_key_reused',
    'This Idempotency-Key came with another body before. Use a new key for a new request.',
    { errors: [{ parameter: 'Idempotency-Key', detail: 'was used for another body' }] },
  )

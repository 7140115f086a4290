import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LIMITS } from '../contract/limits.ts'
import { closed } from '../contract/named.ts'
import { LedgerError } from '../domain/error.ts'
import { badHeader } from './conditions.ts'

/** The query of an operation that may wait for something. */
export const waitQuery = (what: string) =>
  closed(
    {
      wait_seconds: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: LIMITS.wait_seconds,
          description: `How long to wait for ${what}; \`Prefer: wait=N\` says the same.`,
        }),
      ),
    },
    { description: 'Whether to wait.' },
  )

/** The header of its answers. */
export const APPLIED = {
  'Preference-Applied': Type.String({ description: '`wait=N`, where `Prefer` said how long to wait.' }),
}

/** A preference (RFC 7240 §2) that may stand among others. */
const WAIT = /(?:^|,)\s*wait\s*=\s*"?(\d+)"?\s*(?:;[^,]*)?(?=,|$)/i

/** Ends when the client goes away. */
export interface LongPoll {
  wait_ms: number
  signal: AbortSignal
}

/**
 * How long the client lets itself be kept waiting: `Prefer: wait=N` (RFC 7240 §4.3) or `wait_seconds`, which wins.
 * What is applied is told in `Preference-Applied`.
 */
export function longPoll(request: FastifyRequest, reply: FastifyReply, wait_seconds?: number): LongPoll {
  const preferred = secondsOf(request.headers['prefer'])
  const seconds = wait_seconds ?? preferred ?? 0
  if (preferred !== null && wait_seconds === undefined) {
    void reply.header('preference-applied', `wait=${seconds}`)
  }
  request.waits = seconds > 0
  const gone = new AbortController()
  if (reply.raw.destroyed) gone.abort()
  else if (seconds > 0) reply.raw.once('close', () => gone.abort())
  return { wait_ms: seconds * 1_000, signal: gone.signal }
}

function secondsOf(header: string | string[] | undefined): number | null {
  const found = WAIT.exec([header ?? ''].flat().join(','))?.[1]
  if (found === undefined) return null
  const seconds = Number(found)
  if (seconds <= LIMITS.wait_seconds) return seconds
  throw badHeader('Prefer', `may wait at most ${LIMITS.wait_seconds} seconds`)
}

/** Aborts when the client goes away without its answer: nobody is left to read the reason but the log. */
export function hangUpOf(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () =>
    gone.abort(new LedgerError('request_timeout', 'The client did not wait for the answer.')),
  )
  return gone.signal
}

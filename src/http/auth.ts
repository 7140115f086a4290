import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Caller } from '../domain/decision.ts'
import { LedgerError } from '../domain/error.ts'
import { type KeyScope, hashKey, parseKey } from '../keys.ts'

/** What a server knows of a key: its hash, never the key. */
export interface KnownKey {
  id: string
  sha256: string
  scopes: readonly KeyScope[]
  projects?: readonly string[] | undefined
}

/** admin ⊃ write ⊃ read; worker ⊃ read. */
const INCLUDED: Record<KeyScope, readonly KeyScope[]> = {
  read: ['read'],
  write: ['write', 'read'],
  worker: ['worker', 'read'],
  admin: ['admin', 'write', 'read'],
}

/** Without keys everybody is anonymous and may do everything: such a server binds to loopback only. */
const ANONYMOUS: Caller = { actor: { type: 'anonymous', id: null }, projects: null }

interface Holder {
  caller: Caller
  sha256: Buffer
  scopes: ReadonlySet<KeyScope>
}

export type Authenticate = (request: FastifyRequest, needed: KeyScope) => Caller

/** @returns what throws LedgerError `unauthenticated` or `forbidden`, or tells who calls */
export function authenticator(keys: readonly KnownKey[]): Authenticate {
  if (keys.length === 0) return () => ANONYMOUS
  const holders = new Map(keys.map((key) => [key.id, holderOf(key)]))
  return ({ headers }, needed) => {
    const holder = holderFor(headers.authorization, holders)
    if (holder === null) {
      throw new LedgerError('unauthenticated', 'Send a valid API key: Authorization: Bearer sbx_….')
    }
    if (!holder.scopes.has(needed)) {
      throw new LedgerError('forbidden', `This API key lacks the scope ${needed}.`, { needed_scope: needed })
    }
    return holder.caller
  }
}

const holderOf = ({ id, sha256, scopes, projects }: KnownKey): Holder => ({
  caller: { actor: { type: 'key', id }, projects: projects ?? null },
  sha256: Buffer.from(sha256, 'hex'),
  scopes: new Set(scopes.flatMap((scope) => INCLUDED[scope])),
})

function holderFor(header: string | undefined, holders: ReadonlyMap<string, Holder>): Holder | null {
  const text = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1] ?? ''
  const holder = holders.get(parseKey(text)?.id ?? '')
  if (holder === undefined) return null
  return timingSafeEqual(Buffer.from(hashKey(text), 'hex'), holder.sha256) ? holder : null
}

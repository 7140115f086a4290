import { createHash } from 'node:crypto'
import type { ApiKey } from './config/settings.ts'

/** What a key may be allowed to do. */
export const KEY_SCOPES = ['read', 'write', 'worker', 'admin'] as const

export type KeyScope = (typeof KEY_SCOPES)[number]

// A key's id has no underscore, because one ends it. The secret may have some: base64url does.
const ID = '[a-z0-9]{1,32}'
const KEY = new RegExp(`^sbx_(${ID})_[A-Za-z0-9_-]{43}$`)

export const KEY_ID_PATTERN = `^${ID}$`

const ID_BYTES = 5
const SECRET_BYTES = 32 // 256 bits, 43 characters of base64url

export interface NewKey {
  scopes: KeyScope[]
  /** Absent: the key sees every project. */
  projects?: string[]
  randomBytes: (size: number) => Buffer
}

/** A fresh key, `sbx_<id>_<secret>`, and the entry by which a server knows it: the hash, never the key. */
export function newKey({ scopes, projects, randomBytes }: NewKey): { key: string; entry: ApiKey } {
  const id = randomBytes(ID_BYTES).toString('hex')
  const key = `sbx_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`
  return { key, entry: { id, sha256: hashKey(key), scopes, ...(projects && { projects }) } }
}

/** The id inside a key's text; null for a text that no key has. It says nothing about whether the key is known. */
export function parseKey(text: string): { id: string } | null {
  const id = KEY.exec(text)?.[1]
  return id === undefined ? null : { id }
}

/** SHA-256 of the whole key text, as 64 hex characters. Plain, because 256 random bits cannot be guessed from it. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

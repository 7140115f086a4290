import type { IfMatch } from '../domain/decision.ts'
import { LedgerError } from '../domain/error.ts'

const TAG = /\s*(W\/)?"([\x21\x23-\x7e]*)"\s*(?:,|$)/y

interface Tag {
  weak: boolean
  value: string
}

/** RFC 9110 §8.8.3. Null if it is no list of entity tags. */
function tagsOf(header: string): Tag[] | null {
  const tags: Tag[] = []
  TAG.lastIndex = 0
  while (TAG.lastIndex < header.length) {
    const match = TAG.exec(header)
    if (match === null) return null
    tags.push({ weak: match[1] !== undefined, value: match[2] ?? '' })
  }
  return tags.length === 0 ? null : tags
}

/** RFC 9110 §13.1.1: the comparison is strong, so weak tags never match. */
export function ifMatchOf(header: string | undefined): IfMatch | null {
  if (header === undefined) return null
  if (header.trim() === '*') return '*'
  const tags = tagsOf(header)
  if (tags === null) throw badHeader('If-Match', 'must be * or entity tags in double quotes, such as "3"')
  return tags.filter(({ weak }) => !weak).map(({ value }) => value)
}

/** RFC 9110 §13.1.2: the comparison is weak. What is no list of tags matches nothing. */
export function matchesNone(header: string | undefined, etag: string): boolean {
  if (header === undefined) return true
  if (header.trim() === '*') return false
  return tagsOf(header)?.every(({ value }) => `"${value}"` !== etag) ?? true
}

export const badHeader = (parameter: string, detail: string) =>
  new LedgerError('validation_failed', `The header ${parameter} ${detail}.`, {
    errors: [{ parameter, detail }],
  })

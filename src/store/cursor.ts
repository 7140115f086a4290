import { hash } from 'node:crypto'
import { LedgerError } from '../domain/error.ts'

/** Where a page ended: the id, `seq` or `run_seq` of the last row that was looked at. */
export type Position = string | number

/** Everything that decides which rows a list has, and in which order. A cursor holds only for the same. */
export type ListIdentity = Record<string, unknown>

const identityHash = (list: ListIdentity): string =>
  hash('sha256', JSON.stringify(list), 'base64url').slice(0, 12)

export const encodeCursor = (list: ListIdentity, position: Position): string =>
  Buffer.from(JSON.stringify([identityHash(list), position])).toString('base64url')

/** @throws LedgerError `invalid_cursor` if it is none, or came with other filters. */
export function decodeCursor<T extends Position>(
  list: ListIdentity,
  cursor: string,
  kind: T extends string ? 'string' : 'number',
): T {
  const [identity, position] = parsed(cursor)
  if (typeof position !== kind) throw invalid('It is not a cursor of this list.')
  if (identity !== identityHash(list)) throw invalid('It came with other filters or another order.')
  return position as T // its type was just compared
}

function parsed(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

const invalid = (why: string) =>
  new LedgerError(
    'invalid_cursor',
    `${why} Begin again without cursor, or with the filters of the first page.`,
    {
      errors: [{ parameter: 'cursor', detail: 'does not fit this list' }],
    },
  )

import { encodeTime } from 'ulid'
import type { RunsQuery } from '../../contract/run.ts'
import { type ListIdentity, decodeCursor } from '../cursor.ts'
import type { Order } from './scan.ts'

// What lists do with their filters, whatever they list.

export const sorted = (filters: object) =>
  Object.fromEntries(Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1)))

export const single = <T>(values: readonly T[] | null | undefined): T | undefined =>
  values?.length === 1 ? values[0] : undefined

export type Bounds = [low: string, high: string]

/** `[from, to)` as ids: the first ten characters of a ULID are the millisecond in which the row was created. */
export function idBounds(
  list: ListIdentity,
  query: Pick<RunsQuery, 'created_after' | 'created_before' | 'cursor'>,
  order: Order,
): Bounds {
  const { created_after, created_before, cursor } = query
  let low = created_after === undefined ? '' : firstIdOf(created_after)
  let high = created_before === undefined ? PAST_ALL_IDS : firstIdOf(created_before)
  if (cursor !== undefined) {
    const position = decodeCursor<string>(list, cursor, 'string')
    if (order === 'desc') high = position < high ? position : high
    else low = position >= low ? `${position}0` : low // the first text after it
  }
  return [low, high]
}

const PAST_ALL_IDS = '8'
const ULID_TIME_MAX = 2 ** 48 - 1

/** Every id of that millisecond or later is at least this; no earlier one is. */
export function firstIdOf(instant: string): string {
  const ms = Math.min(Math.max(Date.parse(instant), 0), ULID_TIME_MAX)
  return encodeTime(ms, 10)
}

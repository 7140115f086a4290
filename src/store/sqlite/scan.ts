import type { Page } from '../../contract/common.ts'
import { LIMITS } from '../../contract/limits.ts'
import { type ListIdentity, type Position, decodeCursor, encodeCursor } from '../cursor.ts'
import type { Connection } from './connection.ts'
import { type Cell, type Row, prepareRaw } from './table.ts'

export type Order = 'asc' | 'desc'

/** The SQL of one list in one order: what it walks along, and what of it passes. */
interface ScanSql {
  columns: string
  /** `FROM … WHERE …` that walks an index in the order of `key`, between two bounds; several are merged. */
  walk: string | readonly string[]
  key: string
  order: Order
  /** The filters that the walk does not cover; they see `columns` as the walk gave them. */
  passes: string
}

export interface Scan {
  /** At most `limit` rows that pass, and where the walk stopped for its own bound: null if at its end. */
  run(walk: Cell[], passes: Cell[], limit: number): { rows: Cell[][]; stopped_at: Cell | null }
  /** The same row by row, no further than the one with which it `isEnough`: then it is full. */
  take(walk: Cell[], passes: Cell[], isEnough: (row: Row) => boolean): Taken
}

export interface Taken {
  rows: Cell[][]
  is_full: boolean
  stopped_at: Cell | null
}

/**
 * A list whose cost is bounded whatever its filters: it walks an index and looks at no more than
 * `LIMITS.scanned_rows` rows. If these hold less than a page, the page is short and says where to go on.
 * Every value is a parameter; the text depends on nothing that a client sends.
 */
export function prepareScan(db: Connection, { columns, walk, key, order, passes }: ScanSql): Scan {
  const walked = (columns: string) =>
    `${[walk]
      .flat()
      .map((each) => `SELECT ${columns} ${each}`)
      .join(' UNION ALL ')} ORDER BY ${key} ${order}`
  const inner = `${walked(columns)} LIMIT ${LIMITS.scanned_rows}`
  // The subquery runs as a co-routine: its rows come in its order, and LIMIT ends it early.
  const page = prepareRaw(db, `SELECT * FROM (${inner}) AS walked WHERE ${passes} LIMIT ? + 0`)
  const last = prepareRaw(db, `${walked(key)} LIMIT 1 OFFSET ${LIMITS.scanned_rows - 1}`)
  const stopOf = (walkCells: Cell[]): Cell | null => last.get(walkCells)?.[0] ?? null
  return {
    run(walkCells, passCells, limit) {
      const rows = page.all([...walkCells, ...passCells, limit])
      return { rows, stopped_at: rows.length < limit ? stopOf(walkCells) : null }
    },
    take(walkCells, passCells, isEnough) {
      const rows: Cell[][] = []
      let is_full = false
      for (const row of page.iterate([...walkCells, ...passCells, LIMITS.scanned_rows])) {
        rows.push(row)
        is_full = isEnough(row)
        if (is_full) break
      }
      return { rows, is_full, stopped_at: is_full ? null : stopOf(walkCells) }
    },
  }
}

interface PageOf<T> {
  list: ListIdentity
  scan: Scan
  walk: Cell[]
  passes?: Cell[]
  limit: number | undefined
  position: (row: Row) => Position
  decode: (row: Row) => T
}

/** One page: a row more than asked for tells whether there is another. */
export function readPage<T>({
  list,
  scan,
  walk,
  passes = [],
  position,
  decode,
  ...query
}: PageOf<T>): Page<T> {
  const limit = query.limit ?? LIMITS.page_default
  const { rows, stopped_at } = scan.run(walk, passes, limit + 1)
  const items = rows.slice(0, limit)
  const end = rows.length > limit ? position(items.at(-1)!) : stopped_at
  return { items: items.map(decode), next_cursor: end === null ? null : encodeCursor(list, end) }
}

/** The exclusive bounds of a numeric key, narrowed by a cursor. */
export function numericBounds(
  list: ListIdentity,
  { cursor, order, after = 0 }: { cursor: string | undefined; order: Order; after?: number | undefined },
): [low: number, high: number] {
  const position = cursor === undefined ? null : decodeCursor<number>(list, cursor, 'number')
  if (position === null) return [after, Number.MAX_SAFE_INTEGER]
  return order === 'asc' ? [Math.max(after, position), Number.MAX_SAFE_INTEGER] : [after, position]
}

/** A repeated filter as one parameter: a JSON list, or null where it is not set. */
export const listParameter = (values: readonly unknown[] | null | undefined): string | null =>
  values == null ? null : JSON.stringify(values)

/** Passes if the parameter is null or lists the column's value. Takes its parameter twice. */
export const inList = (column: string): string =>
  `(? IS NULL OR ${column} IN (SELECT value FROM json_each(?)))`

import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.ts'

/** What SQLite stores. */
export type Cell = string | number | null
export type Row = readonly Cell[]

/** What a codec gives for a column: an object is stored as its JSON. */
export type Value = Cell | object

const cellOf = (value: Value): Cell =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : value

export const cellsOf = (values: readonly Value[]): Cell[] => values.map(cellOf)

/** What was passed on unchanged needs no text to show it. */
const isSame = (a: Value, b: Value): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && cellOf(a) === cellOf(b))

/**
 * A statement that takes positional parameters and gives rows as arrays: a third cheaper than objects.
 * Where there is an ORDER BY, compare with `= +?`, and write `LIMIT ? + 0`: the sign changes neither value nor plan. With
 * a bare parameter there, SQLite prepares the statement anew each time that it is bound, because a better plan might
 * depend on the value, and that costs ten times a short read.
 */
export const prepareRaw = (db: Connection, sql: string): Statement<[Row], Cell[]> =>
  db.prepare<[Row], Cell[]>(sql).raw()

export const placeholders = (columns: readonly string[]): string => columns.map(() => '?').join(', ')

/**
 * Writes only the columns that moved, which is cheaper than writing all, and repeats the guard in the WHERE:
 * the machine guards before the write, the row guards at the write. Each set of columns is prepared once;
 * there are as many as there are kinds of change.
 * @throws Error if the guard did not find exactly one row
 */
export function narrowUpdate(
  db: Connection,
  table: string,
  columns: readonly string[],
  guard: readonly string[],
) {
  const where = guard.map((column) => `${column} = ?`).join(' AND ')
  const prepared = new Map<number, Statement<[Row]>>()
  return (before: readonly Value[], after: readonly Value[], guarded: Row): void => {
    const moved: number[] = []
    let key = 0 // a bit for each column: a number holds 53
    for (let i = 0; i < columns.length; i++) {
      if (isSame(before[i]!, after[i]!)) continue
      moved.push(i)
      key += 2 ** i
    }
    if (moved.length === 0) return
    let statement = prepared.get(key)
    if (statement === undefined) {
      const set = moved.map((i) => `${columns[i]} = ?`).join(', ')
      statement = db.prepare<[Row]>(`UPDATE ${table} SET ${set} WHERE ${where}`)
      prepared.set(key, statement)
    }
    const cells: Cell[] = moved.map((i) => cellOf(after[i]!))
    for (const cell of guarded) cells.push(cell)
    if (statement.run(cells).changes !== 1) throw new Error(`stale write: ${table} ${where}`)
  }
}

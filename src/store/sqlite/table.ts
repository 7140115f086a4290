import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.ts'

/** What SQLite stores. */
export type Cell = string | number | null
export type Row = readonly Cell[]

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
  const prepared = new Map<string, Statement<[Row]>>()
  return (before: Row, after: Row, guarded: Row): void => {
    const moved: number[] = []
    for (let i = 0; i < columns.length; i++) if (before[i] !== after[i]) moved.push(i)
    if (moved.length === 0) return
    const key = moved.join()
    let statement = prepared.get(key)
    if (statement === undefined) {
      const set = moved.map((i) => `${columns[i]} = ?`).join(', ')
      statement = db.prepare<[Row]>(`UPDATE ${table} SET ${set} WHERE ${where}`)
      prepared.set(key, statement)
    }
    const cells: Cell[] = moved.map((i) => after[i] as Cell) // same length
    for (const cell of guarded) cells.push(cell)
    if (statement.run(cells).changes !== 1) throw new Error(`stale write: ${table} ${where}`)
  }
}

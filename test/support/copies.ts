import type { Connection } from '../../src/store/sqlite/connection.ts'

interface Copied {
  table: 'runs' | 'step_attempts' | 'execution_requests'
  key: string
  id: string
  copies: number
  /** What a copy has of its own, as SQL over its `number`. */
  own?: Record<string, string>
}

/** Copies a row so often, all begun at its instant: history in no time. */
export function copyRow(db: Connection, { table, key, id, copies, own = {} }: Copied): void {
  const columns = db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck().all(table)
  const made: Record<string, string> = { [key]: `substr(${key}, 1, 10) || format('Z%015d', number)`, ...own }
  db.prepare<[number, string]>(
    `WITH RECURSIVE copy(number) AS (VALUES (1) UNION ALL SELECT number + 1 FROM copy WHERE number < ?)
     INSERT INTO ${table} (${columns.join(', ')})
     SELECT ${columns.map((column) => made[column] ?? column).join(', ')}
     FROM copy, ${table} WHERE ${key} = ?`,
  ).run(copies, id)
}

import type { RotationBook } from '../../domain/decision.ts'
import type { Connection } from './connection.ts'
import { type Row, prepareRaw } from './table.ts'

/** The rule of the configuration that has no name: any tool that can do it. */
const UNNAMED = ''

export function rotationsTable(db: Connection) {
  const all = prepareRaw(db, 'SELECT rule_id, tool_order, version FROM rotations WHERE config_version = ?')
  const insert = db.prepare<[Row]>(
    'INSERT INTO rotations (tool_order, version, config_version, rule_id) VALUES (?, ?, ?, ?)',
  )
  const update = db.prepare<[Row]>(
    'UPDATE rotations SET tool_order = ?, version = ? WHERE config_version = ? AND rule_id = ? AND version = ?',
  )
  return {
    of: (config_version: number): RotationBook[] =>
      all.all([config_version]).map(([rule_id, order, version]) => ({
        rule_id: rule_id === UNNAMED ? null : (rule_id as string),
        order: JSON.parse(order as string) as string[],
        version: version as number,
      })),
    /** @throws Error if it is not the turn after the one that is stored */
    write(config_version: number, { rule_id, order, version }: RotationBook): void {
      const cells = [JSON.stringify(order), version, config_version, rule_id ?? UNNAMED]
      if (version === 1) return void insert.run(cells)
      if (update.run([...cells, version - 1]).changes !== 1) throw new Error('stale write: rotations')
    },
  }
}

import type { Connection } from '../../src/store/sqlite/connection.ts'

/** Copies a recorded decision so often, all made at its instant: history in no time. */
export function copyDecision(db: Connection, route_decision_id: string, copies: number): void {
  db.prepare<[number, string, string]>(
    `WITH RECURSIVE copy(number) AS (VALUES (1) UNION ALL SELECT number + 1 FROM copy WHERE number < ?)
     INSERT INTO route_decisions
     SELECT substr(?, 1, 10) || format('%016d', number), outcome, tool_id, rule_id, task_kind, project_id, run_id,
       config_version, record, NULL, NULL
     FROM copy, route_decisions WHERE route_decision_id = ?`,
  ).run(copies, route_decision_id, route_decision_id)
}

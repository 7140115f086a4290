import type { QueuePlace, WaitingPart, WaitingRequest } from '../store.ts'
import type { Connection } from './connection.ts'
import { parseDecision } from './route-decisions.ts'
import { prepareRaw } from './table.ts'

/** A tool that its circuit gives nothing, as `isBarred` has it (src/domain/circuit.ts). Its parameter is the instant. */
export const IS_BARRED = `(circuit_state = 'open' AND circuit_open_until > ? OR circuit_probe IS NOT NULL)`

/** After that time a batch ends: each decision holds its task, which may be long. */
const TURN_MS = 5

/** What circuits keep work from, and what waits there. */
export function barredReader(db: Connection) {
  const tools = prepareRaw(db, `SELECT tool_id FROM tools WHERE ${IS_BARRED} ORDER BY tool_id`)
  const waiting = prepareRaw(
    db,
    `SELECT request.priority_rank, request.execution_request_id, decision.record
     FROM execution_requests AS request INDEXED BY execution_requests_queued
     CROSS JOIN route_decisions AS decision ON decision.route_decision_id = request.route_decision_id
     WHERE request.state = 'queued' AND request.tool_id = +?
       AND (request.priority_rank, request.execution_request_id) > (?, ?)
       AND EXISTS (SELECT 1 FROM tools WHERE tools.tool_id = request.tool_id AND ${IS_BARRED})
     ORDER BY request.priority_rank, request.execution_request_id LIMIT ? + 0`,
  )
  return {
    tools: (now: string): string[] => tools.all([now]).map(([tool_id]) => tool_id as string),
    waiting(tool_id: string, after: QueuePlace, { now, limit }: { now: string; limit: number }): WaitingPart {
      const items: WaitingRequest[] = []
      const until = performance.now() + TURN_MS
      for (const row of waiting.iterate([
        tool_id,
        after.priority_rank,
        after.execution_request_id,
        now,
        limit,
      ])) {
        // The cast is what STRICT columns make true.
        const place = { priority_rank: row[0], execution_request_id: row[1] } as QueuePlace
        items.push({ ...place, decision: parseDecision(row[2] as string) })
        if (items.length === limit || performance.now() > until) return { items, next: place }
      }
      return { items, next: null }
    },
  }
}

import type { QueuePlace } from '../store.ts'
import type { Connection } from './connection.ts'
import { prepareRaw } from './table.ts'

/** A tool that its circuit gives nothing, as `isBarred` has it (src/domain/circuit.ts). Its parameter is the instant. */
export const IS_BARRED = `(circuit_state = 'open' AND circuit_open_until > ? OR circuit_probe IS NOT NULL)`

/** What circuits keep work from, and what waits there. */
export function barredReader(db: Connection) {
  const tools = prepareRaw(db, `SELECT tool_id FROM tools WHERE ${IS_BARRED} ORDER BY tool_id`)
  const waiting = prepareRaw(
    db,
    `SELECT priority_rank, execution_request_id FROM execution_requests
     WHERE state = 'queued' AND tool_id = +? AND (priority_rank, execution_request_id) > (?, ?)
       AND EXISTS (SELECT 1 FROM tools WHERE tools.tool_id = execution_requests.tool_id AND ${IS_BARRED})
     ORDER BY priority_rank, execution_request_id LIMIT ? + 0`,
  )
  return {
    tools: (now: string): string[] => tools.all([now]).map(([tool_id]) => tool_id as string),
    waiting: (tool_id: string, after: QueuePlace, { now, limit }: { now: string; limit: number }) =>
      waiting
        .all([tool_id, after.priority_rank, after.execution_request_id, now, limit])
        // The cast is what STRICT columns make true.
        .map(
          ([priority_rank, execution_request_id]) => ({ priority_rank, execution_request_id }) as QueuePlace,
        ),
  }
}

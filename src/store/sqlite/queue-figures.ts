import type { QueueCount, QueuePlace } from '../store.ts'
import type { Connection } from './connection.ts'
import { prepareRaw } from './table.ts'

/** How many of the first of each priority are looked at for the one that has waited longest. */
const FIRST = 10

/** The ranks of the four priorities. */
const RANKS = [0, 1, 2, 3]

/**
 * How much waits, by the index of the queue. A count costs 0.1 us for each request and there may be a million, so it is
 * taken in parts; which tools have something, and since when, costs a few seeks for each of them.
 */
export function queueFigures(db: Connection) {
  const tools = prepareRaw(
    db,
    `WITH RECURSIVE queued (tool_id) AS (
       SELECT min(tool_id) FROM execution_requests INDEXED BY execution_requests_queued WHERE state = 'queued'
       UNION ALL
       SELECT (
         SELECT min(tool_id) FROM execution_requests INDEXED BY execution_requests_queued
         WHERE state = 'queued' AND tool_id > queued.tool_id
       ) FROM queued WHERE tool_id IS NOT NULL
     )
     SELECT tool_id FROM queued WHERE tool_id IS NOT NULL`,
  )
  const behind = `FROM execution_requests INDEXED BY execution_requests_queued
     WHERE state = 'queued' AND tool_id = +? AND (priority_rank, execution_request_id) > (?, ?)`
  const last = prepareRaw(
    db,
    `SELECT priority_rank, execution_request_id ${behind}
     ORDER BY priority_rank, execution_request_id LIMIT 1 OFFSET ? - 1`,
  )
  const rest = prepareRaw(db, `SELECT count(*) ${behind}`)
  const since = prepareRaw(db, `SELECT min(available_at) FROM (${RANKS.map(firstOf).join(' UNION ALL ')})`)
  return {
    tools: (): string[] => tools.all([]).map(([tool_id]) => tool_id as string),

    count(tool_id: string, { after, limit }: { after: QueuePlace; limit: number }): QueueCount {
      const place = [tool_id, after.priority_rank, after.execution_request_id]
      const row = last.get([...place, limit])
      if (row === undefined) return { queued: rest.get(place)![0] as number, next: null } // an aggregate has one row
      const [priority_rank, execution_request_id] = row
      return { queued: limit, next: { priority_rank, execution_request_id } as QueuePlace } // STRICT columns
    },

    since: (tool_id: string): string | null => since.get(RANKS.map(() => tool_id))![0] as string | null, // an aggregate has one row
  }
}

const firstOf = (rank: number): string =>
  `SELECT available_at FROM (
     SELECT available_at FROM execution_requests INDEXED BY execution_requests_queued
     WHERE state = 'queued' AND tool_id = +? AND priority_rank = ${rank}
     ORDER BY execution_request_id LIMIT ${FIRST}
   )`

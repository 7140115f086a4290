import type { AttemptFacts } from '../../domain/run-summary.ts'
import type { SummaryPart } from '../store.ts'
import type { Connection } from './connection.ts'
import type { runsTable } from './runs.ts'
import { type Cell, type Row, prepareRaw } from './table.ts'

// Only the first claim of a request makes an attempt 1: of the others the request is not looked up.
const FACTS = `step.step_attempt_id, step.attempt, step.tool_id, step.state, step.started_at, step.ended_at,
  step.tokens_input, step.tokens_output, step.cost_usd_micros, earlier.tool_id, request.created_at`
const BESIDE = `LEFT JOIN step_attempts AS earlier ON earlier.step_attempt_id = step.retry_of
  LEFT JOIN execution_requests AS request
    ON request.execution_request_id = step.execution_request_id AND step.attempt = 1`

// The cast is what STRICT columns and the codecs of the tables make true.
const decode = (row: Row): AttemptFacts =>
  ({
    step_attempt_id: row[0],
    attempt: row[1],
    tool_id: row[2],
    state: row[3],
    started_at: row[4],
    ended_at: row[5],
    usage: { tokens_input: row[6], tokens_output: row[7], cost_usd_micros: row[8] },
    earlier_tool_id: row[9],
    requested_at: row[10],
  }) as AttemptFacts

/** After that time a part ends too: what stands behind a long prompt is found by reading all of the prompt. */
const TURN_MS = 5

/** Attempts are made in the order of their ids, so what is behind an id that was read stays behind it. */
export function summaryReads(db: Connection, runs: ReturnType<typeof runsTable>) {
  const page = prepareRaw(
    db,
    `SELECT ${FACTS} FROM step_attempts AS step ${BESIDE}
     WHERE step.run_id = +? AND step.step_attempt_id > ? ORDER BY step.step_attempt_id LIMIT ? + 0`,
  )
  const one = prepareRaw(
    db,
    `SELECT ${FACTS} FROM step_attempts AS step ${BESIDE} WHERE step.step_attempt_id = ?`,
  )
  // What has ended is counted in the row of the run; the rest by indexes alone, without the rows, which are large.
  const blocked = prepareRaw(
    db,
    "SELECT count(*) FROM execution_requests WHERE run_id = ? AND state = 'blocked'",
  )
  const claimed = prepareRaw(db, 'SELECT count(*) FROM leases WHERE run_id = ?')
  const counted = (rows: Cell[] | undefined): number => rows![0] as number // an aggregate has one row

  return (
    run_id: string,
    { after, limit, again }: { after: string; limit: number; again: readonly string[] },
  ): SummaryPart => {
    const attempts: AttemptFacts[] = []
    const until = performance.now() + TURN_MS
    for (const row of page.iterate([run_id, after, limit])) {
      attempts.push(decode(row))
      if (attempts.length === limit || performance.now() > until) return { attempts, end: null }
    }
    const end = {
      book: runs.get(run_id)!,
      blocked: counted(blocked.get([run_id])),
      claimed: counted(claimed.get([run_id])),
      attempts: again.map((step_attempt_id) => decode(one.get([step_attempt_id])!)),
    }
    return { attempts, end }
  }
}

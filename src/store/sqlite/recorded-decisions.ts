import type { RouterConfig } from '../../contract/documents/router-config.ts'
import type { BacktestResult } from '../../contract/backtest.ts'
import { LIMITS } from '../../contract/limits.ts'
import {
  type Outcome,
  type Recorded,
  addDecision,
  backtestResult,
  beginBacktest,
  outcomeOf,
} from '../../domain/backtest.ts'
import { compileRouterConfig } from '../../domain/compiled-router.ts'
import { seesRoute } from '../../domain/route-decision.ts'
import type { BacktestQuery, Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { idBounds } from './list-filters.ts'
import { type Row, prepareRaw } from './table.ts'

/** Plain data: it may go to another thread. */
export interface BacktestTask extends Viewer {
  document: RouterConfig
  query: BacktestQuery
}

/** So many decisions take a few milliseconds. Between batches others have their turn, and the WAL may be reset. */
const BATCH = 100

/**
 * Makes the recorded decisions again, a batch with each step, oldest first. It looks at no more than `limit`, whatever
 * the filters: those that do not pass cost time too.
 */
export function* backtestSteps(
  db: Connection,
  { document, query, projects }: BacktestTask,
  limit: number = LIMITS.backtest_decisions,
): Generator<void, BacktestResult> {
  const { config_version, project_id, ...period } = query
  const test = beginBacktest(compileRouterConfig(document, config_version))
  const recorded = recordedDecisions(db)
  const [first, high] = idBounds({ list: 'route_decisions', order: 'asc' }, period, 'asc')
  let low = first
  let left = limit
  const passes = (found: Found): boolean =>
    (project_id == null || found.project_id === project_id) && seesRoute({ projects }, found)
  // One transaction for all statements of a batch: each of its own would take the locks of the file anew.
  const next = db.transaction(() => {
    const found = recorded.from(low, high)
    const looked = found.slice(0, left)
    for (const each of looked) {
      if (!passes(each)) continue
      const [decision, outcome] = recorded.whole(each)
      if (isChoice(decision)) addDecision(test, decision, outcome)
    }
    return { found, looked }
  })
  for (;;) {
    const { found, looked } = next()
    left -= looked.length
    test.truncated = looked.length < found.length
    if (test.truncated || found.length < BATCH) return backtestResult(test, query)
    low = `${looked.at(-1)!.route_decision_id}0` // the first text after it
    yield
  }
}

/** A validator is named, whatever the configuration would choose. */
const isChoice = ({ inputs }: Recorded): boolean => inputs.validated_decision_id === undefined

interface Found {
  route_decision_id: string
  project_id: string | null
  tool_id: string | null
}

/** Fallbacks are left out: under another configuration nobody knows whether there would have been one. */
function recordedDecisions(db: Connection) {
  const range = prepareRaw(
    db,
    `SELECT route_decision_id, project_id, tool_id FROM route_decisions
     WHERE route_decision_id >= ? AND route_decision_id < ? AND previous_decision_id IS NULL
     ORDER BY route_decision_id LIMIT ${BATCH}`,
  )
  const record = prepareRaw(db, 'SELECT record FROM route_decisions WHERE route_decision_id = ?')
  const attempts = prepareRaw(
    db,
    `SELECT step_attempt_id, state, error_class, started_at, ended_at, cost_usd_micros FROM step_attempts
     WHERE route_decision_id = ? AND tool_id = ? AND ended_at IS NOT NULL AND state <> 'canceled'`,
  )
  return {
    // The casts are what STRICT columns and the codecs of the tables make true.
    from: (low: string, high: string): Found[] =>
      range
        .all([low, high])
        .map(
          ([route_decision_id, project_id, tool_id]) => ({ route_decision_id, project_id, tool_id }) as Found,
        ),
    whole({ route_decision_id, tool_id }: Found): [Recorded, Outcome] {
      const [text] = record.get([route_decision_id])!
      const ended = tool_id === null ? [] : attempts.all([route_decision_id, tool_id])
      return [parseInputs(text as string), outcomeOf(firstOf(ended))]
    },
  }
}

/**
 * Only what stands before the verdicts, which are most of the text and of the time that it takes to read it. No later
 * key of a decision is called `rules`, and within a string the quotes would be escaped.
 */
function parseInputs(record: string): Recorded {
  const end = record.lastIndexOf(',"rules":[')
  return JSON.parse(end === -1 ? record : `${record.slice(0, end)}}`) as Recorded
}

type Attempt = Parameters<typeof outcomeOf>[0]

/** The first that was not canceled: a fallback, which is another tool's, says nothing of the one that was chosen. */
function firstOf(rows: readonly Row[]): Attempt {
  const [first] = rows.toSorted(([a], [b]) => (a! < b! ? -1 : 1))
  if (first === undefined) return null
  const [, state, error_class, started_at, ended_at, cost_usd_micros] = first
  return { state, error_class, started_at, ended_at, cost_usd_micros } as Attempt
}

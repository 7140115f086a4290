import type { ExecutionRequestState } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import type { RunState } from '../contract/run.ts'
import type { Statistics, StatisticsBucket, StatisticsFigures } from '../contract/statistics.ts'
import type { StepAttemptState } from '../contract/step.ts'
import {
  type AttemptSums,
  type RequestSums,
  type RunSums,
  addAttemptTo,
  addRequestTo,
  addRunTo,
  attemptFigures,
  noAttempts,
  noRequests,
  noRuns,
  plusAttempts,
  plusRequests,
  plusRuns,
  requestFigures,
  runFigures,
} from './statistics-sums.ts'
import { type StatisticsWindow, bucketOf, bucketsOf, instantOf } from './statistics-window.ts'

// Everything is added to one cell, of its group and its bucket; what is larger is put together from the cells.

interface Begun {
  /** Milliseconds since 1970, within the window. */
  begun_at: number
  project_id: string
}

export interface RunFacts extends Begun {
  state: RunState
  started_at: string | null
  ended_at: string | null
}

export interface RequestFacts extends Begun {
  state: ExecutionRequestState
  /** The tool that it is assigned to. */
  tool_id: string | null
  attempts: number
  created_at: string
  /** When its first attempt was started; null before. */
  first_claimed_at: string | null
}

export interface AttemptFacts extends Begun {
  state: StepAttemptState
  tool_id: string
  started_at: string
  ended_at: string | null
  tokens_input: number | null
  tokens_output: number | null
  cost_usd_micros: number | null
}

interface Cell {
  runs: RunSums
  requests: RequestSums
  attempts: AttemptSums
}

/** By the number of the bucket. */
type Row = Map<number, Cell>

/** The sums so far, changed in place: a copy for each of a million would cost more than the sums. */
export interface StatisticsTally {
  window: StatisticsWindow
  groups: Map<string | null, Row>
  /** Names for which there was no room. */
  unnamed: Row
  /** What belongs to no group: without `by` everything, by tool the runs. */
  ungrouped: Row
}

export const beginStatistics = (window: StatisticsWindow): StatisticsTally => ({
  window,
  groups: new Map(),
  unnamed: new Map(),
  ungrouped: new Map(),
})

/** A run has no tool. */
export const countsRuns = ({ tool_id }: StatisticsWindow): boolean => tool_id === null

export function addRun(tally: StatisticsTally, run: RunFacts): void {
  const row = tally.window.by === 'project' ? rowOf(tally, run.project_id) : tally.ungrouped
  addRunTo(cellOf(tally, row, run).runs, run)
}

export function addRequest(tally: StatisticsTally, request: RequestFacts): void {
  addRequestTo(cellOf(tally, rowFor(tally, request), request).requests, request)
}

export function addAttempt(tally: StatisticsTally, attempt: AttemptFacts): void {
  addAttemptTo(cellOf(tally, rowFor(tally, attempt), attempt).attempts, attempt)
}

function rowFor(tally: StatisticsTally, { project_id, tool_id }: RequestFacts | AttemptFacts): Row {
  const { by } = tally.window
  if (by === null) return tally.ungrouped
  return rowOf(tally, by === 'project' ? project_id : tool_id)
}

function rowOf({ groups, unnamed }: StatisticsTally, name: string | null): Row {
  const known = groups.get(name)
  if (known !== undefined) return known
  if (groups.size >= LIMITS.statistics_names) return unnamed
  const row: Row = new Map()
  groups.set(name, row)
  return row
}

function cellOf({ window }: StatisticsTally, row: Row, { begun_at }: Begun): Cell {
  const number = bucketOf(window, begun_at)
  let cell = row.get(number)
  if (cell === undefined) row.set(number, (cell = noCell()))
  return cell
}

const noCell = (): Cell => ({ runs: noRuns(), requests: noRequests(), attempts: noAttempts() })

export function statisticsOf({ window, groups, unnamed, ungrouped }: StatisticsTally): Statistics {
  const { from, to, bucket_ms, by } = window
  const ranked = [...groups].sort(byMost)
  const listed = ranked.slice(0, LIMITS.statistics_groups)
  const others = [...ranked.slice(LIMITS.statistics_groups).map(([, row]) => row), unnamed]
  const grouped = { ...window, grouped: true }
  return {
    from: instantOf(from),
    to: instantOf(to),
    bucket_seconds: bucket_ms === null ? null : bucket_ms / 1_000,
    by,
    ...totalAndBuckets(window, [...groups.values(), unnamed, ungrouped]),
    groups: listed.map(([name, row]) => {
      const { total, buckets } = totalAndBuckets(grouped, [row])
      return {
        project_id: by === 'project' ? name : null,
        tool_id: by === 'tool' ? name : null,
        ...total,
        buckets,
      }
    }),
    other: otherOf(grouped, others),
  }
}

type Shown = StatisticsWindow & { grouped?: boolean }

function otherOf(window: Shown, others: readonly Row[]): Statistics['other'] {
  if (others.every((row) => row.size === 0)) return null
  const { total, buckets } = totalAndBuckets(window, others)
  return { ...total, buckets }
}

function totalAndBuckets(window: Shown, rows: readonly Row[]) {
  const total = figuresOf(
    window,
    rows.flatMap((row) => [...row.values()]),
  )
  const buckets: StatisticsBucket[] = bucketsOf(window).map((bounds, number) => ({
    ...bounds,
    ...figuresOf(
      window,
      rows.flatMap((row) => row.get(number) ?? []),
    ),
  }))
  return { total, buckets }
}

function figuresOf(window: Shown, cells: readonly Cell[]): StatisticsFigures {
  const { runs, requests, attempts } = noCell()
  for (const cell of cells) {
    plusRuns(runs, cell.runs)
    plusRequests(requests, cell.requests)
    plusAttempts(attempts, cell.attempts)
  }
  const hasRuns = countsRuns(window) && !(window.grouped === true && window.by === 'tool')
  return {
    runs: hasRuns ? runFigures(runs) : null,
    execution_requests: requestFigures(requests),
    step_attempts: attemptFigures(attempts),
  }
}

type Named = [name: string | null, row: Row]

/** Most things first; of as many, by name, and without a name last. */
function byMost([name, row]: Named, [other, others]: Named): number {
  const more = thingsIn(others) - thingsIn(row)
  if (more !== 0) return more
  if (name === null || other === null) return name === null ? 1 : -1
  return name < other ? -1 : 1
}

const thingsIn = (row: Row): number =>
  [...row.values()].reduce(
    (sum, { runs, requests, attempts }) => sum + runs.total + requests.total + attempts.total,
    0,
  )

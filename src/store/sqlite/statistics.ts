import { decodeTime } from 'ulid'
import { LIMITS } from '../../contract/limits.ts'
import type { Statistics } from '../../contract/statistics.ts'
import { LedgerError } from '../../domain/error.ts'
import {
  type AttemptFacts,
  type RequestFacts,
  type RunFacts,
  type StatisticsTally,
  addAttempt,
  addRequest,
  addRun,
  beginStatistics,
  countsRuns,
  statisticsOf,
} from '../../domain/statistics.ts'
import { type StatisticsWindow, instantOf } from '../../domain/statistics-window.ts'
import type { Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { firstIdOf } from './list-filters.ts'
import { inList, listParameter } from './scan.ts'
import { type Cell, type Row, prepareRaw } from './table.ts'

/** Plain data: it may go to another thread. */
export interface StatisticsTask extends Viewer {
  window: StatisticsWindow
}

/** What is counted of one table: rows that were made in a range of ids, of the projects of the viewer and of the filter. */
interface Counted {
  /** What a refusal calls them. */
  called: string
  /** The table by itself: its primary key covers what the walk asks it. */
  table: string
  key: string
  /** Ends in conditions that take the parameters of `passing`. */
  facts: string
  passing: (task: StatisticsTask) => Cell[]
  /** The casts are what STRICT columns and the codecs of the tables make true. */
  add: (tally: StatisticsTally, row: Row) => void
}

const inProjects = (column: string): string => `${inList(column)} AND ${inList(column)}`
const projectCells = ({ projects, window }: StatisticsTask): Cell[] =>
  [projects, window.project_id].map(listParameter).flatMap((list) => [list, list])
const toolCells = ({ window }: StatisticsTask): Cell[] => {
  const list = listParameter(window.tool_id)
  return [list, list]
}

const RUNS: Counted = {
  called: 'runs',
  table: 'runs',
  key: 'run_id',
  facts: `SELECT run_id, project_id, state, started_at, ended_at FROM runs
    WHERE run_id >= ? AND run_id < ? AND ${inProjects('project_id')}`,
  passing: projectCells,
  add: (tally, [run_id, project_id, state, started_at, ended_at]) =>
    addRun(tally, { begun_at: begunAt(run_id), project_id, state, started_at, ended_at } as RunFacts),
}

// What validators do is no work of its own. The first claim of a request is the first attempt at its place in the run.
const REQUESTS: Counted = {
  called: 'execution requests',
  table: 'execution_requests',
  key: 'execution_request_id',
  facts: `SELECT request.execution_request_id, request.project_id, request.tool_id, request.state,
      request.attempts, request.created_at, first.started_at
    FROM execution_requests AS request LEFT JOIN step_attempts AS first
      ON first.run_id = request.run_id AND first.sequence = request.sequence AND first.attempt = 1
    WHERE request.execution_request_id >= ? AND request.execution_request_id < ?
      AND request.validates_execution_request_id IS NULL
      AND ${inProjects('request.project_id')} AND ${inList('request.tool_id')}`,
  passing: (task) => [...projectCells(task), ...toolCells(task)],
  add: (tally, [id, project_id, tool_id, state, attempts, created_at, first_claimed_at]) =>
    addRequest(tally, {
      begun_at: begunAt(id),
      ...{ project_id, tool_id, state, attempts, created_at, first_claimed_at },
    } as RequestFacts),
}

const ATTEMPTS: Counted = {
  called: 'step attempts',
  table: 'step_attempts',
  key: 'step_attempt_id',
  facts: `SELECT step.step_attempt_id, runs.project_id, step.tool_id, step.state, step.started_at, step.ended_at,
      step.tokens_input, step.tokens_output, step.cost_usd_micros
    FROM step_attempts AS step CROSS JOIN runs ON runs.run_id = step.run_id
    WHERE step.step_attempt_id >= ? AND step.step_attempt_id < ?
      AND ${inList('step.tool_id')} AND ${inProjects('runs.project_id')}`,
  passing: (task) => [...toolCells(task), ...projectCells(task)],
  add: (tally, [id, project_id, tool_id, state, started_at, ended_at, ...usage]) => {
    const [tokens_input, tokens_output, cost_usd_micros] = usage
    addAttempt(tally, {
      begun_at: begunAt(id),
      ...{ project_id, tool_id, state, started_at, ended_at, tokens_input, tokens_output, cost_usd_micros },
    } as AttemptFacts)
  },
}

/** The millisecond in which a row was made; the bounds of the window are of the same. */
const begunAt = (id: Cell | undefined): number => decodeTime(id as string)

/** So many rows take a few milliseconds. Between batches others have their turn, and the WAL may be reset. */
const BATCH = 500

/**
 * Counts what was begun in the window, a batch with each step. Nothing is read where there is too much of it: what only
 * part of a window says is not what was asked.
 * @throws LedgerError `window_too_large`
 */
export function* statisticsSteps(
  db: Connection,
  task: StatisticsTask,
  limit: number = LIMITS.statistics_rows,
): Generator<void, Statistics> {
  const { window } = task
  const first = firstIdOf(instantOf(window.from))
  const high = firstIdOf(instantOf(window.to))
  const walks = (countsRuns(window) ? [RUNS, REQUESTS, ATTEMPTS] : [REQUESTS, ATTEMPTS]).map((counted) =>
    walkOf(db, counted, task),
  )
  for (const walk of walks) {
    if (walk.holdsMore(first, high, limit)) throw tooLarge(walk.called, limit)
    yield
  }
  const tally = beginStatistics(window)
  for (const walk of walks) {
    for (let low: string | null = first; low !== null;) {
      low = walk.add(tally, low, high)
      yield
    }
  }
  return statisticsOf(tally)
}

function walkOf(db: Connection, { called, table, key, facts, passing, add }: Counted, task: StatisticsTask) {
  const range = `SELECT ${key} FROM ${table} WHERE ${key} >= ? AND ${key} < ? ORDER BY ${key}`
  const nth = prepareRaw(db, `${range} LIMIT 1 OFFSET ? + 0`)
  const rows = prepareRaw(db, facts)
  const cells = passing(task)
  return {
    called,
    holdsMore: (low: string, high: string, limit: number): boolean =>
      nth.get([low, high, limit]) !== undefined,
    /** Adds a batch; answers where the next one begins. */
    add: db.transaction((tally: StatisticsTally, low: string, high: string): string | null => {
      const next = (nth.get([low, high, BATCH])?.[0] ?? null) as string | null // a column that holds text
      for (const row of rows.all([low, next ?? high, ...cells])) add(tally, row)
      return next
    }),
  }
}

const tooLarge = (called: string, limit: number) =>
  new LedgerError(
    'window_too_large',
    `More than ${limit} ${called} were begun in it. Ask for a shorter window.`,
    {
      errors: [{ parameter: 'from', detail: 'must be nearer to `to`' }],
    },
  )

import type { Page } from '../../contract/common.ts'
import type { RequestDecision } from '../../contract/request-story.ts'
import { LIMITS } from '../../contract/limits.ts'
import type { RouteDecision, RouteDecisionsQuery } from '../../contract/routing.ts'
import type { RouteBook } from '../../domain/decision.ts'
import type { Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { idBounds, sorted } from './list-filters.ts'
import { type Order, type Scan, inList, listParameter, prepareScan, readPage } from './scan.ts'
import { type Cell, type Row, placeholders, prepareRaw } from './table.ts'

/** The columns of `route_decisions`, in the order of `encode`. */
const COLUMNS = [
  'route_decision_id',
  'outcome',
  'tool_id',
  'rule_id',
  'task_kind',
  'project_id',
  'run_id',
  'config_version',
  'record',
  'execution_request_id',
  'previous_decision_id',
] as const
const columns = COLUMNS.join(', ')
const PROJECT = 5
const RECORD = 8
const REQUEST = 9

const encode = ({ decision, project_id, execution_request_id }: RouteBook): Cell[] => [
  decision.route_decision_id,
  decision.outcome,
  decision.tool_id,
  decision.rule_id,
  decision.task.task_kind,
  project_id,
  decision.run_id,
  decision.config_version,
  JSON.stringify(decision),
  execution_request_id,
  decision.previous_decision_id ?? null,
]

export const parseDecision = (record: string): RouteDecision => JSON.parse(record) as RouteDecision
const decode = (row: Row): RouteDecision => parseDecision(row[RECORD] as string)

// The cast is what STRICT columns and their CHECKs make true.
const decodeTold = ([route_decision_id, outcome, tool_id, rule_id, previous_decision_id, created_at]: Row) =>
  ({
    route_decision_id,
    outcome,
    tool_id,
    rule_id,
    previous_decision_id,
    created_at,
  }) as RequestDecision

export function routeDecisionsTable(db: Connection) {
  const get = prepareRaw(db, `SELECT ${columns} FROM route_decisions WHERE route_decision_id = ?`)
  const last = prepareRaw(
    db,
    `SELECT record FROM route_decisions WHERE execution_request_id = +? ORDER BY rowid DESC LIMIT 1`,
  )
  const told = prepareRaw(
    db,
    `SELECT route_decision_id, outcome, tool_id, rule_id, previous_decision_id, record ->> '$.created_at'
     FROM route_decisions WHERE execution_request_id = +? ORDER BY rowid DESC LIMIT ${LIMITS.story_entries}`,
  )
  const insert = db.prepare<[Row]>(
    `INSERT INTO route_decisions (${columns}) VALUES (${placeholders(COLUMNS)})`,
  )
  return {
    get(route_decision_id: string): RouteBook | null {
      const row = get.get([route_decision_id])
      return row === undefined
        ? null
        : {
            decision: decode(row),
            project_id: (row[PROJECT] as string | null) ?? null,
            execution_request_id: (row[REQUEST] as string | null) ?? null,
          }
    },
    /** The last one about a request. Ids of one millisecond need not be in order, rows are. */
    lastOf(execution_request_id: string): RouteDecision | null {
      const row = last.get([execution_request_id])
      return row === undefined ? null : parseDecision(row[0] as string)
    },
    /** Those about a request, oldest first; of more than may be told the last. */
    toldOf: (execution_request_id: string): RequestDecision[] =>
      told.all([execution_request_id]).map(decodeTold).toReversed(),
    write: (book: RouteBook): void => void insert.run(encode(book)),
  }
}

const PASSES = ['project_id', 'project_id', 'tool_id', 'rule_id', 'outcome', 'task_kind', 'run_id']
  .map(inList)
  .join(' AND ')

/** Decisions of one run are walked along their own index; all others along all of them. */
const WALKS = {
  run: 'FROM route_decisions WHERE run_id = +? AND route_decision_id >= ? AND route_decision_id < ?',
  all: 'FROM route_decisions WHERE route_decision_id >= ? AND route_decision_id < ?',
} as const

export function routeDecisionList(db: Connection) {
  const prepared = (walk: keyof typeof WALKS, order: Order): Scan =>
    prepareScan(db, { columns, walk: WALKS[walk], key: 'route_decision_id', order, passes: PASSES })
  const both = (walk: keyof typeof WALKS) => ({ asc: prepared(walk, 'asc'), desc: prepared(walk, 'desc') })
  const scans = { run: both('run'), all: both('all') }

  return (query: RouteDecisionsQuery, { projects }: Viewer): Page<RouteDecision> => {
    const { limit, cursor: _, order = 'desc', ...filters } = query
    const { project_id, tool_id, rule_id, outcome, task_kind, run_id } = filters
    const list = { list: 'route_decisions', order, ...sorted(filters) }
    const run = run_id?.length === 1 ? run_id : []
    const lists = [projects, project_id, tool_id, rule_id, outcome, task_kind, run_id].map(listParameter)
    return readPage({
      list,
      limit,
      scan: scans[run.length === 1 ? 'run' : 'all'][order],
      walk: [...run, ...idBounds(list, query, order)],
      passes: lists.flatMap((values) => [values, values]),
      position: (row) => row[0] as string,
      decode,
    })
  }
}

import type { Page } from '../../contract/common.ts'
import type { RouteDecision, RouteDecisionsQuery } from '../../contract/routing.ts'
import type { RouteBook } from '../../domain/decision.ts'
import type { Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { idBounds, sorted } from './run-list.ts'
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
] as const
const columns = COLUMNS.join(', ')
const PROJECT = 5
const RECORD = 8

const encode = ({ decision, project_id }: RouteBook): Cell[] => [
  decision.route_decision_id,
  decision.outcome,
  decision.tool_id,
  decision.rule_id,
  decision.task.task_kind,
  project_id,
  decision.run_id,
  decision.config_version,
  JSON.stringify(decision),
]

const decode = (row: Row): RouteDecision => JSON.parse(row[RECORD] as string) as RouteDecision

export function routeDecisionsTable(db: Connection) {
  const get = prepareRaw(db, `SELECT ${columns} FROM route_decisions WHERE route_decision_id = ?`)
  const insert = db.prepare<[Row]>(
    `INSERT INTO route_decisions (${columns}) VALUES (${placeholders(COLUMNS)})`,
  )
  return {
    get(route_decision_id: string): RouteBook | null {
      const row = get.get([route_decision_id])
      return row === undefined
        ? null
        : { decision: decode(row), project_id: (row[PROJECT] as string | null) ?? null }
    },
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

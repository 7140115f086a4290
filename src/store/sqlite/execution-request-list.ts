import type { Page } from '../../contract/common.ts'
import type { ExecutionRequest } from '../../contract/execution-request.ts'
import type { ExecutionRequestsQuery } from '../../contract/execution-requests-query.ts'
import type { Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { REQUEST_COLUMNS, decodeRequest } from './execution-requests.ts'
import { idBounds, single, sorted } from './list-filters.ts'
import { type Order, inList, listParameter, prepareScan, readPage } from './scan.ts'
import type { Cell } from './table.ts'

const PASSES = ['project_id', 'project_id', 'run_id', 'state', 'tool_id', 'worker_id']
  .map(inList)
  .join(' AND ')

const BOUNDS = 'execution_request_id >= ? AND execution_request_id < ?'

/** What a list walks along: its run or its state, if it names one; else all requests. */
const WALKS = {
  run: `FROM execution_requests WHERE run_id = +? AND ${BOUNDS}`,
  state: `FROM execution_requests WHERE state = +? AND ${BOUNDS}`,
  all: `FROM execution_requests WHERE ${BOUNDS}`,
} as const
type Walk = keyof typeof WALKS

export function executionRequestList(db: Connection) {
  const prepared = (walk: Walk, order: Order) =>
    prepareScan(db, {
      columns: REQUEST_COLUMNS.join(', '),
      walk: WALKS[walk],
      key: 'execution_request_id',
      order,
      passes: PASSES,
    })
  const both = (walk: Walk) => ({ asc: prepared(walk, 'asc'), desc: prepared(walk, 'desc') })
  const scans = { run: both('run'), state: both('state'), all: both('all') }

  return (query: ExecutionRequestsQuery, { projects }: Viewer): Page<ExecutionRequest> => {
    const { limit, cursor: _, order = 'desc', ...filters } = query
    const list = { list: 'execution_requests', order, ...sorted(filters) }
    const [walk, keys] = chooseWalk(query)
    const lists = [projects, query.project_id, query.run_id, query.state, query.tool_id, query.worker_id].map(
      listParameter,
    )
    return readPage({
      list,
      limit,
      scan: scans[walk][order],
      walk: [...keys, ...idBounds(list, query, order)],
      passes: lists.flatMap((values) => [values, values]),
      position: (row) => row[0] as string,
      decode: decodeRequest,
    })
  }
}

function chooseWalk(query: ExecutionRequestsQuery): [Walk, Cell[]] {
  const run = single(query.run_id)
  if (run !== undefined) return ['run', [run]]
  const state = single(query.state)
  return state === undefined ? ['all', []] : ['state', [state]]
}

import type { Page } from '../../contract/common.ts'
import type { Run } from '../../contract/run.ts'
import type { ListIdentity } from '../cursor.ts'
import type { RunFilters, Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { type Bounds, idBounds, single, sorted } from './list-filters.ts'
import { ATTENTION_WALK, NEEDS_ATTENTION, attentionCells, attentionWalkCells } from './run-attention.ts'
import { RUN_COLUMNS, decodeRun } from './runs.ts'
import { type Order, type Scan, inList, listParameter, prepareScan, readPage } from './scan.ts'
import type { Cell } from './table.ts'

// Lists that must all pass, then the labels as a list of [key, value], and what needs somebody.
const PASSES = `
      ${inList('project_id')} AND ${inList('project_id')}
  AND ${inList('phase_id')}
  AND ${inList('workstream_id')}
  AND ${inList('state')}
  AND ${inList('trigger_type')}
  AND (? IS NULL OR EXISTS (
        SELECT 1 FROM json_each(?) AS wanted
        JOIN run_labels AS label
          ON label.key = wanted.value ->> 0 AND label.value = wanted.value ->> 1
         AND label.run_id = walked.run_id))
  AND ${NEEDS_ATTENTION}`

/** What a list walks along: the filter that narrows it most, if it has one value; else all runs. */
const WALKS = {
  attention: ATTENTION_WALK,
  label: `FROM run_labels AS walked_label JOIN runs USING (run_id)
          WHERE walked_label.key = +? AND walked_label.value = +?
            AND walked_label.run_id >= ? AND walked_label.run_id < ?`,
  project: 'FROM runs WHERE project_id = +? AND run_id >= ? AND run_id < ?',
  state: 'FROM runs WHERE state = +? AND run_id >= ? AND run_id < ?',
  all: 'FROM runs WHERE run_id >= ? AND run_id < ?',
} as const
type Walk = keyof typeof WALKS

const columns = RUN_COLUMNS.map((column) => `runs.${column}`).join(', ')

export function runList(db: Connection) {
  const prepared = (walk: Walk, order: Order): Scan => {
    const key = walk === 'label' ? 'walked_label.run_id' : 'runs.run_id'
    return prepareScan(db, { columns, walk: WALKS[walk], key, order, passes: PASSES })
  }
  const both = (walk: Walk) => ({ asc: prepared(walk, 'asc'), desc: prepared(walk, 'desc') })
  const scans = {
    attention: both('attention'),
    label: both('label'),
    project: both('project'),
    state: both('state'),
    all: both('all'),
  }

  return (query: RunFilters, { projects }: Viewer): Page<Run> => {
    const { limit, cursor: _, order = 'desc', attention, ...filters } = query
    // Not the instant: the next page is asked for at a later one.
    const attended = attention === undefined ? {} : { attention: [attention.reasons, attention.stalled_for] }
    const list: ListIdentity = { list: 'runs', order, ...sorted(filters), ...attended }
    const labels = query.label?.map(labelParts)
    const bounds = idBounds(list, query, order)
    const [walk, cells] = chooseWalk(query, labels, projects, bounds)
    const lists = [
      projects,
      query.project_id,
      query.phase_id,
      query.workstream_id,
      query.state,
      query.trigger_type,
      labels,
    ].map(listParameter)
    return readPage({
      list,
      limit,
      scan: scans[walk][order],
      walk: cells,
      passes: [...lists.flatMap((values) => [values, values]), ...attentionCells(attention)],
      position: (row) => row[0] as string,
      decode: (row) => decodeRun(row).run,
    })
  }
}

const labelParts = (label: string): [key: string, value: string] => {
  const colon = label.indexOf(':')
  return [label.slice(0, colon), label.slice(colon + 1)]
}

function chooseWalk(
  query: RunFilters,
  labels: [string, string][] | undefined,
  projects: readonly string[] | null,
  bounds: Bounds,
): [Walk, Cell[]] {
  const { attention } = query
  if (attention !== undefined) return ['attention', attentionWalkCells(attention, bounds)]
  const label = single(labels)
  if (label !== undefined) return ['label', [...label, ...bounds]]
  const project = single(query.project_id) ?? single(projects)
  if (project !== undefined) return ['project', [project, ...bounds]]
  const state = single(query.state)
  if (state !== undefined) return ['state', [state, ...bounds]]
  return ['all', bounds]
}

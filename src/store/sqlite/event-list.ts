import type { Page } from '../../contract/common.ts'
import type { Event, EventsQuery, RunEventsQuery } from '../../contract/event.ts'
import { LedgerError } from '../../domain/error.ts'
import { shownEvent } from '../../domain/event-chain.ts'
import type { Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { EVENT_COLUMNS, decodeEvent } from './events.ts'
import { type Order, inList, listParameter, numericBounds, prepareScan, readPage } from './scan.ts'
import type { Row } from './table.ts'

const columns = EVENT_COLUMNS.map((column) => `events.${column}`).join(', ')
const SEQ = 0
const RUN_SEQ = 3

const decode = (row: Row): Event => shownEvent(decodeEvent(row))

/** The events of one run, by their place in it. */
export function runEventList(db: Connection) {
  const prepared = (order: Order) =>
    prepareScan(db, {
      columns,
      walk: 'FROM events WHERE run_id = +? AND run_seq > ? AND run_seq < ?',
      key: 'run_seq',
      order,
      passes: inList('kind'),
    })
  const scans = { asc: prepared('asc'), desc: prepared('desc') }

  return (run_id: string, { limit, cursor, order = 'asc', kind }: RunEventsQuery): Page<Event> => {
    const list = { list: 'run_events', run_id, order, kind }
    const kinds = listParameter(kind)
    return readPage({
      list,
      limit,
      scan: scans[order],
      walk: [run_id, ...numericBounds(list, { cursor, order })],
      passes: [kinds, kinds],
      position: (row) => row[RUN_SEQ] as number,
      decode,
    })
  }
}

/** All events, in their one total order. */
export function eventList(db: Connection) {
  const prepared = (order: Order) =>
    prepareScan(db, {
      columns: `${columns}, runs.project_id`,
      walk: 'FROM events LEFT JOIN runs USING (run_id) WHERE events.seq > ? AND events.seq < ?',
      key: 'events.seq',
      order,
      passes: `${inList('kind')} AND ${inList('project_id')} AND ${inList('project_id')}`,
    })
  const scans = { asc: prepared('asc'), desc: prepared('desc') }

  return (query: EventsQuery, { projects }: Viewer): Page<Event> => {
    const { limit, cursor, order = 'asc', kind, project_id, after } = query
    if (after !== undefined && (cursor !== undefined || order === 'desc')) throw twoPositions()
    const list = { list: 'events', order, kind, project_id }
    return readPage({
      list,
      limit,
      scan: scans[order],
      walk: numericBounds(list, { cursor, order, after }),
      passes: [kind, project_id, projects].map(listParameter).flatMap((values) => [values, values]),
      position: (row) => row[SEQ] as number,
      decode,
    })
  }
}

const twoPositions = () =>
  new LedgerError('invalid_cursor', 'Send after without cursor, and only in ascending order.', {
    errors: [{ parameter: 'after', detail: 'stands together with cursor, or with order=desc' }],
  })

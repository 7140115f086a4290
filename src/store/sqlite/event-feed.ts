import { LIMITS } from '../../contract/limits.ts'
import type { FeedFilters, FeedPart, FedEvent, Viewer } from '../store.ts'
import type { Connection } from './connection.ts'
import { EVENT_COLUMNS, decodeEvent, type eventsTable } from './events.ts'
import type { runsTable } from './runs.ts'
import { type Taken, inList, listParameter, prepareScan } from './scan.ts'
import { type Row, prepareRaw } from './table.ts'

const columns = [
  ...EVENT_COLUMNS.map((column) => `events.${column}`),
  'runs.project_id',
  'runs.ended_at IS NOT NULL AND runs.event_count = events.run_seq AS ends_run',
].join(', ')
const PAYLOAD = EVENT_COLUMNS.indexOf('payload')
const PROJECT = EVENT_COLUMNS.length
const ENDS_RUN = PROJECT + 1

/** What an event takes beside its payload, about. It bounds the number of events on a page, too. */
const ENVELOPE = 768

const decode = (row: Row): FedEvent => ({
  event: decodeEvent(row),
  project_id: row[PROJECT] as string | null, // NOT NULL in runs; of no run without one
  ends_run: row[ENDS_RUN] === 1,
})

/** Says when the rows of a page have enough bytes. */
function weigher(): (row: Row) => boolean {
  let bytes = 0
  return (row) => {
    bytes += ENVELOPE + Buffer.byteLength((row[PAYLOAD] as string | null) ?? '')
    return bytes >= LIMITS.feed_bytes
  }
}

interface Tables {
  runs: Pick<ReturnType<typeof runsTable>, 'get'>
  events: Pick<ReturnType<typeof eventsTable>, 'tail'>
}

/** What streams read: pages behind a `seq`. They are the same rows that the lists have, by the same filters. */
export function eventFeed(db: Connection, { runs, events }: Tables) {
  const scan = prepareScan(db, {
    columns,
    walk: 'FROM events LEFT JOIN runs USING (run_id) WHERE events.seq > ?',
    key: 'events.seq',
    order: 'asc',
    passes: `${inList('kind')} AND ${inList('project_id')} AND ${inList('project_id')}`,
  })
  const scanRun = prepareScan(db, {
    columns,
    walk: 'FROM events JOIN runs USING (run_id) WHERE events.run_id = +? AND events.run_seq > ?',
    key: 'events.run_seq',
    order: 'asc',
    passes: inList('kind'),
  })
  const seqAt = prepareRaw(db, 'SELECT seq FROM events WHERE run_id = ? AND run_seq = ?')
  const tail = (): number => events.tail()?.seq ?? 0

  /** How many events of a run are not behind a `seq`: both numbers grow together, so half of them need no look. */
  const countTo = (run_id: string, event_count: number, after: number): number => {
    let low = 0
    let high = event_count
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const [seq] = seqAt.get([run_id, middle]) as [number] // a run has no gap
      if (seq <= after) low = middle
      else high = middle - 1
    }
    return low
  }

  return {
    all(after: number, { kind, project_id }: FeedFilters, { projects }: Viewer): FeedPart {
      const lists = [kind, project_id, projects].map(listParameter)
      const passes = lists.flatMap((values) => [values, values])
      const taken = scan.take([after], passes, weigher())
      return partOf(taken, { tail, seqOf: (seq) => seq })
    },

    ofRun(run_id: string, after: number, { kind }: Pick<FeedFilters, 'kind'>): FeedPart {
      const { run, event_count } = runs.get(run_id)! // the caller has seen it in this turn
      const walk = [run_id, countTo(run_id, event_count, after)]
      const kinds = listParameter(kind)
      const taken = scanRun.take(walk, [kinds, kinds], weigher())
      const seqOf = (run_seq: number) => seqAt.get([run_id, run_seq])![0] as number // it was just walked over
      const part = partOf(taken, { tail, seqOf })
      return { ...part, is_over: part.at_end && run.ended_at !== null }
    },
  }
}

/** What of the table was read. A walk that neither filled its page nor stopped for its bound came to its end. */
function partOf(
  { rows, is_full, stopped_at }: Taken,
  { tail, seqOf }: { tail: () => number; seqOf: (stopped_at: number) => number },
): FeedPart {
  const events = rows.map(decode)
  const part = { events, at_end: false, is_over: false }
  if (is_full) return { ...part, read_to: events.at(-1)!.event.seq }
  if (stopped_at !== null) return { ...part, read_to: seqOf(stopped_at as number) }
  return { ...part, read_to: tail(), at_end: true }
}

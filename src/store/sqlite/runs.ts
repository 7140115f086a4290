import type { Run } from '../../contract/run.ts'
import type { RequestCounts, RunBook } from '../../domain/decision.ts'
import type { Connection } from './connection.ts'
import { type Cell, type Row, type Value, cellsOf, narrowUpdate, placeholders, prepareRaw } from './table.ts'

/** The columns of `runs`, in the order of `encode` and `decode`. */
export const RUN_COLUMNS = [
  'run_id',
  'project_id',
  'phase_id',
  'workstream_id',
  'execution_request_id',
  'state',
  'state_reason',
  'trigger_type',
  'trigger_ref',
  'requested_by',
  'step_attempts',
  'patches_created',
  'patches_applied',
  'errors',
  'exit_code',
  'error_message',
  'labels',
  'metadata',
  'completion',
  'on_failure',
  'traceparent',
  'created_at',
  'started_at',
  'ended_at',
  'updated_at',
  'version',
  'event_count',
  'last_hash',
  'sequence_max',
  'steps_running',
  'requests_open',
  'requests_succeeded',
  'requests_failed',
  'requests_canceled',
] as const

function encode(book: RunBook): Value[] {
  const { run, requests } = book // what is left of it by destructuring would be a copy
  return [
    run.run_id,
    run.project_id,
    run.phase_id,
    run.workstream_id,
    run.execution_request_id,
    run.state,
    run.state_reason,
    run.origin.trigger_type,
    run.origin.trigger_ref,
    run.origin.requested_by,
    run.counters.step_attempts,
    run.counters.patches_created,
    run.counters.patches_applied,
    run.counters.errors,
    run.exit_code,
    run.error_message,
    run.labels,
    run.metadata,
    run.completion,
    run.on_failure,
    run.traceparent,
    run.created_at,
    run.started_at,
    run.ended_at,
    run.updated_at,
    run.version,
    book.event_count,
    book.last_hash,
    book.sequence_max,
    book.steps_running,
    requests.open,
    requests.succeeded,
    requests.failed,
    requests.canceled,
  ]
}

// Plain indexes, because destructuring thirty cells costs a microsecond. The casts are what STRICT columns,
// their CHECKs and `encode` above make true; the round trip is tested.
export function decodeRun(row: Row): RunBook {
  const run = {
    run_id: row[0],
    project_id: row[1],
    phase_id: row[2],
    workstream_id: row[3],
    execution_request_id: row[4],
    state: row[5],
    state_reason: row[6],
    origin: { trigger_type: row[7], trigger_ref: row[8], requested_by: row[9] },
    counters: {
      step_attempts: row[10],
      patches_created: row[11],
      patches_applied: row[12],
      errors: row[13],
    },
    exit_code: row[14],
    error_message: row[15],
    labels: parseObject(row[16]),
    metadata: parseObject(row[17]),
    completion: row[18],
    on_failure: row[19],
    traceparent: row[20],
    created_at: row[21],
    started_at: row[22],
    ended_at: row[23],
    updated_at: row[24],
    version: row[25],
  } as Run
  return {
    run,
    event_count: row[26] as number,
    last_hash: row[27] as string,
    sequence_max: row[28] as number,
    steps_running: row[29] as number,
    requests: { open: row[30], succeeded: row[31], failed: row[32], canceled: row[33] } as RequestCounts,
  }
}

/** JSON of an object; the empty one is by far the commonest. */
export const parseObject = (text: Cell | undefined): unknown =>
  text === '{}' ? {} : JSON.parse(text as string)

export function runsTable(db: Connection) {
  const get = prepareRaw(db, `SELECT ${RUN_COLUMNS.join(', ')} FROM runs WHERE run_id = ?`)
  const insert = db.prepare<[Row]>(
    `INSERT INTO runs (${RUN_COLUMNS.join(', ')}) VALUES (${placeholders(RUN_COLUMNS)})`,
  )
  const update = narrowUpdate(db, 'runs', RUN_COLUMNS, ['run_id', 'state', 'version', 'event_count'])
  const insertLabel = db.prepare<[Row]>('INSERT INTO run_labels (key, value, run_id) VALUES (?, ?, ?)')
  const deleteLabel = db.prepare<[Row]>('DELETE FROM run_labels WHERE key = ? AND value = ? AND run_id = ?')

  function indexLabels(run_id: string, before: Run['labels'], after: Run['labels']): void {
    if (before === after) return
    for (const [key, value] of Object.entries(before)) {
      if (after[key] !== value) deleteLabel.run([key, value, run_id])
    }
    for (const [key, value] of Object.entries(after)) {
      if (before[key] !== value) insertLabel.run([key, value, run_id])
    }
  }

  return {
    get(run_id: string): RunBook | null {
      const row = get.get([run_id])
      return row === undefined ? null : decodeRun(row)
    },

    write(before: RunBook | null, after: RunBook): void {
      const { run } = after
      if (before === null) insert.run(cellsOf(encode(after)))
      else {
        const { run_id, state, version } = before.run
        update(encode(before), encode(after), [run_id, state, version, before.event_count])
      }
      indexLabels(run.run_id, before?.run.labels ?? {}, run.labels)
    },
  }
}

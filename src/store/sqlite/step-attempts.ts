import { LIMITS } from '../../contract/limits.ts'
import type { RequestAttempt } from '../../contract/request-story.ts'
import type { StepAttempt } from '../../contract/step.ts'
import type { Connection } from './connection.ts'
import { parseObject } from './runs.ts'
import { type Cell, type Row, type Value, cellsOf, narrowUpdate, placeholders, prepareRaw } from './table.ts'

/** The columns of `step_attempts`, in the order of `encode` and `decode`. */
export const STEP_COLUMNS = [
  'step_attempt_id',
  'run_id',
  'sequence',
  'attempt',
  'retry_of',
  'tool_id',
  'tool_run_id',
  'execution_request_id',
  'route_decision_id',
  'prompt_id',
  'input_prompt',
  'state',
  'state_reason',
  'exit_code',
  'signal',
  'error_class',
  'error_code',
  'error_log',
  'stdout_tail',
  'stderr_tail',
  'patch_ids',
  'logs_path',
  'raw_response_path',
  'tokens_input',
  'tokens_output',
  'cost_usd_micros',
  'duration_ms',
  'metadata',
  'started_at',
  'ended_at',
  'version',
] as const

function encode(step: StepAttempt): Value[] {
  return [
    step.step_attempt_id,
    step.run_id,
    step.sequence,
    step.attempt,
    step.retry_of,
    step.tool_id,
    step.tool_run_id,
    step.execution_request_id,
    step.route_decision_id,
    step.prompt_id,
    step.input_prompt,
    step.state,
    step.state_reason,
    step.exit_code,
    step.signal,
    step.error_class,
    step.error_code,
    step.error_log,
    step.stdout_tail,
    step.stderr_tail,
    step.outputs.patch_ids,
    step.outputs.logs_path,
    step.outputs.raw_response_path,
    step.usage.tokens_input,
    step.usage.tokens_output,
    step.usage.cost_usd_micros,
    step.usage.duration_ms,
    step.metadata,
    step.started_at,
    step.ended_at,
    step.version,
  ]
}

// See decodeRun for the indexes and the cast.
export function decodeStep(row: Row): StepAttempt {
  return {
    step_attempt_id: row[0],
    run_id: row[1],
    sequence: row[2],
    attempt: row[3],
    retry_of: row[4],
    tool_id: row[5],
    tool_run_id: row[6],
    execution_request_id: row[7],
    route_decision_id: row[8],
    prompt_id: row[9],
    input_prompt: row[10],
    state: row[11],
    state_reason: row[12],
    exit_code: row[13],
    signal: row[14],
    error_class: row[15],
    error_code: row[16],
    error_log: row[17],
    stdout_tail: row[18],
    stderr_tail: row[19],
    outputs: {
      patch_ids: JSON.parse(row[20] as string) as string[],
      logs_path: row[21],
      raw_response_path: row[22],
    },
    usage: {
      tokens_input: row[23],
      tokens_output: row[24],
      cost_usd_micros: row[25],
      duration_ms: row[26],
    },
    metadata: parseObject(row[27]),
    started_at: row[28],
    ended_at: row[29],
    version: row[30],
  } as StepAttempt
}

/** What the story of an execution request has of its attempts. */
const TOLD = [
  'step_attempt_id',
  'attempt',
  'tool_id',
  'route_decision_id',
  'state',
  'exit_code',
  'error_class',
  'started_at',
  'ended_at',
] as const satisfies (keyof RequestAttempt)[]

const decodeTold = (row: Row): RequestAttempt =>
  Object.fromEntries(TOLD.map((column, i) => [column, row[i]])) as unknown as RequestAttempt

export function stepAttemptsTable(db: Connection) {
  const columns = STEP_COLUMNS.join(', ')
  const get = prepareRaw(db, `SELECT ${columns} FROM step_attempts WHERE step_attempt_id = ?`)
  const running = prepareRaw(
    db,
    `SELECT ${columns} FROM step_attempts
     WHERE run_id = +? AND state = 'running' ORDER BY step_attempt_id`,
  )
  const newest = prepareRaw(
    db,
    `SELECT ${columns} FROM step_attempts
     WHERE run_id = +? AND sequence = +? ORDER BY attempt DESC LIMIT 1`,
  )
  const told = prepareRaw(
    db,
    `SELECT ${TOLD.join(', ')} FROM step_attempts
     WHERE run_id = +? AND sequence = +? ORDER BY attempt DESC LIMIT ${LIMITS.story_entries}`,
  )
  const insert = db.prepare<[Row]>(
    `INSERT INTO step_attempts (${columns}) VALUES (${placeholders(STEP_COLUMNS)})`,
  )
  const update = narrowUpdate(db, 'step_attempts', STEP_COLUMNS, ['step_attempt_id', 'state', 'version'])

  const one = (row: Cell[] | undefined): StepAttempt | null => (row === undefined ? null : decodeStep(row))
  return {
    get: (step_attempt_id: string) => one(get.get([step_attempt_id])),
    running: (run_id: string) => running.all([run_id]).map(decodeStep),
    newest: (run_id: string, sequence: number) => one(newest.get([run_id, sequence])),
    /** Those at this place of the run, oldest first; of more than may be told the last. */
    toldOf: (run_id: string, sequence: number): RequestAttempt[] =>
      told.all([run_id, sequence]).map(decodeTold).toReversed(),
    write(before: StepAttempt | null, after: StepAttempt): void {
      if (before === null) insert.run(cellsOf(encode(after)))
      else update(encode(before), encode(after), [before.step_attempt_id, before.state, before.version])
    },
  }
}

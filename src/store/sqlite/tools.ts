import type { Page } from '../../contract/common.ts'
import { LIMITS } from '../../contract/limits.ts'
import type { Tool, ToolPause, ToolsQuery } from '../../contract/tool.ts'
import { CLOSED, type Circuit } from '../../domain/circuit.ts'
import type { Routing, ToolBook } from '../../domain/decision.ts'
import { shown, unknownTool } from '../../domain/tool.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import type { Connection } from './connection.ts'
import { type Cell, type Row, type Value, cellsOf, narrowUpdate, placeholders, prepareRaw } from './table.ts'

/** The columns of `tools`, in the order of `encode` and `decode`. */
const COLUMNS = [
  'tool_id',
  'successes',
  'failures',
  'outcomes_at',
  'durations_ms',
  'median_duration_ms',
  'last_used_at',
  'paused_at',
  'paused_until',
  'pause_reason',
  'paused_by_type',
  'paused_by_id',
  'version',
  'circuit_state',
  'circuit_reason',
  'circuit_opened_at',
  'circuit_open_until',
  'circuit_open_seconds',
  'circuit_failures_in_row',
  'circuit_window',
  'circuit_probe',
] as const

const encode = ({ record, pause, version, circuit }: ToolBook): Value[] => [
  record.tool_id,
  record.successes,
  record.failures,
  record.outcomes_at,
  record.durations_ms,
  record.median_duration_ms,
  record.last_used_at,
  pause?.paused_at ?? null,
  pause?.until ?? null,
  pause?.reason ?? null,
  pause?.paused_by.type ?? null,
  pause?.paused_by.id ?? null,
  version,
  circuit.state,
  circuit.reason,
  circuit.opened_at,
  circuit.open_until,
  circuit.open_seconds,
  circuit.failures_in_row,
  circuit.window,
  circuit.probe,
]

/** What the running attempts say: how many there are, and when the last of them began. */
interface Running {
  count: number
  started: Cell
}

const NOTHING_RUNS: Running = { count: 0, started: null }

/** The cells behind the name, of a tool that has no row yet. */
const NO_ROW: Cell[] = COLUMNS.slice(1).map(() => null)

// The casts are what STRICT columns, their CHECKs and `encode` make true.
function decode(row: Row, { count, started }: Running): ToolBook {
  const record = {
    tool_id: row[0],
    running: count,
    successes: row[1] ?? 0,
    failures: row[2] ?? 0,
    outcomes_at: row[3],
    durations_ms: row[4] === null ? [] : (JSON.parse(row[4] as string) as number[]),
    median_duration_ms: row[5],
    last_used_at: later(row[6] as string | null, started as string | null),
  } as ToolBook['record']
  const version = (row[12] as number | null) ?? 0
  return { record, pause: decodePause(row), version, circuit: version === 0 ? CLOSED : decodeCircuit(row) }
}

const decodeCircuit = (row: Row): Circuit =>
  ({
    state: row[13],
    reason: row[14],
    opened_at: row[15],
    open_until: row[16],
    open_seconds: row[17],
    failures_in_row: row[18],
    window: JSON.parse(row[19] as string) as Circuit['window'],
    probe: row[20],
  }) as Circuit

const decodePause = (row: Row): ToolPause | null =>
  row[7] === null
    ? null
    : ({
        reason: row[9],
        until: row[8],
        paused_at: row[7],
        paused_by: { type: row[10], id: row[11] },
      } as ToolPause)

const later = (a: string | null, b: string | null): string | null => (a === null || (b ?? '') > a ? b : a)

export function toolsTable(db: Connection) {
  const running = prepareRaw(
    db,
    `SELECT tool_id, count(*), max(started_at) FROM step_attempts WHERE state = 'running' GROUP BY tool_id`,
  )
  const kept = prepareRaw(db, `SELECT ${COLUMNS.join(', ')} FROM tools WHERE tool_id = ?`)
  // 'half_open' and 'open' come behind it; a list of both would make SQLite fill a table with them each time.
  const troubled = prepareRaw(db, "SELECT 1 FROM tools WHERE circuit_state > 'closed' LIMIT 1")
  const insert = db.prepare<[Row]>(
    `INSERT INTO tools (${COLUMNS.join(', ')}) VALUES (${placeholders(COLUMNS)})`,
  )
  const update = narrowUpdate(db, 'tools', COLUMNS, ['tool_id', 'version'])

  return {
    /**
     * As far as something is known of them. What runs is few, so that one walk over all of it costs less than a
     * question for each tool; every decision asks.
     */
    of(tool_ids: readonly string[]): Map<string, ToolBook> {
      const runs = new Map(running.all([]).map((row) => [row[0] as string, row]))
      const found = new Map<string, ToolBook>()
      for (const tool_id of tool_ids) {
        const [, count = 0, started = null] = runs.get(tool_id) ?? []
        const row = kept.get([tool_id])
        if (row === undefined && count === 0) continue
        found.set(tool_id, decode(row ?? [tool_id, ...NO_ROW], { count: count as number, started }))
      }
      return found
    },

    /** What is kept of a tool, without counting what runs: all that the end of an attempt needs. */
    kept(tool_id: string): ToolBook | null {
      const row = kept.get([tool_id])
      return row === undefined ? null : decode(row, NOTHING_RUNS)
    },

    /** Or half open. */
    isAnyCircuitOpen: (): boolean => troubled.get([]) !== undefined,

    write(before: ToolBook, after: ToolBook): void {
      if (before.version === 0) return void insert.run(cellsOf(encode(after)))
      // The last use may have been read from an attempt and not from the row: it is always written.
      const kept = { ...before, record: { ...before.record, last_used_at: null } }
      update(encode(kept), encode(after), [before.record.tool_id, before.version])
    },
  }
}

/** The tools of a configuration by name. They are few enough to be paged in memory. */
export function pageOfTools(
  { router, tools }: Routing,
  { limit = LIMITS.page_default, cursor, order = 'asc' }: ToolsQuery,
  now: string,
): Page<Tool> {
  const list = { list: 'tools', order, config_version: router.config_version }
  const position = cursor === undefined ? null : decodeCursor<string>(list, cursor, 'string')
  const ids = router.apps.map(({ tool_id }) => tool_id)
  if (order === 'desc') ids.reverse()
  const start = position === null ? 0 : ids.indexOf(position) + 1
  const here = ids.slice(start, start + limit)
  const last = start + limit < ids.length ? here.at(-1) : undefined
  return {
    items: here.map((tool_id) => shown({ router }, tools.get(tool_id) ?? unknownTool(tool_id), now)),
    next_cursor: last === undefined ? null : encodeCursor(list, last),
  }
}

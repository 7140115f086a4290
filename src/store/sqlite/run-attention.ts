import type { RunAttention } from '../../contract/attention.ts'
import type { Attention } from '../store.ts'
import { IS_BARRED } from './barred.ts'
import type { Cell } from './table.ts'

/** How a row, and what belongs to it, shows that a run needs somebody. */
interface Reason {
  /** What of the walk has all runs of this reason. */
  among: readonly ('running' | 'failed' | 'pending')[]
  passes: string
  cells: (attention: Attention) => Cell[]
}

const lastChange = ({ stalled_for, now }: Attention): string =>
  new Date(Date.parse(now) - stalled_for * 1_000).toISOString()

// One seek for each, whatever a run has (of circuits: for each that is open); the planner would not take the smallest
// index. Every change of a run writes an event; a note moves nothing else of it.
const REASONS: Record<RunAttention, Reason> = {
  retrying: {
    among: ['running'], // a claim has started it
    passes: `state = 'running' AND EXISTS (
      SELECT 1 FROM execution_requests AS request INDEXED BY execution_requests_retrying
      WHERE request.run_id = walked.run_id AND request.state = 'queued' AND request.attempts > 0)`,
    cells: () => [],
  },
  stalled: {
    among: ['running'],
    passes: `state = 'running' AND updated_at <= ?
      AND NOT EXISTS (SELECT 1 FROM events
        WHERE events.run_id = walked.run_id AND events.run_seq = walked.event_count AND events.ts > ?)
      AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.run_id = walked.run_id AND leases.heartbeat_at > ?)`,
    cells: (attention) => {
      const last = lastChange(attention)
      return [last, last, last]
    },
  },
  failed_requests: { among: ['failed'], passes: 'requests_failed > 0', cells: () => [] },
  circuit_open: {
    among: ['running', 'pending'],
    passes: `EXISTS (
      SELECT 1 FROM execution_requests AS request
      WHERE request.run_id = walked.run_id AND request.state = 'queued'
        AND request.tool_id IN (SELECT tool_id FROM tools WHERE ${IS_BARRED}))`, // read once: they are few
    cells: ({ now }) => [now],
  },
}
const REASON_LIST = Object.entries(REASONS) as [RunAttention, Reason][]

/** Passes if nobody asks, or for any reason that is asked for: each has a switch before its own parameters. */
export const NEEDS_ATTENTION = `(? IS NULL OR ${REASON_LIST.map(([, { passes }]) => `(? AND ${passes})`).join(' OR ')})`

export function attentionCells(attention: Attention | undefined): Cell[] {
  const asked = attention ?? { reasons: [], stalled_for: 0, now: '1970-01-01T00:00:00.000Z' }
  const each = REASON_LIST.flatMap(([word, { cells }]) => [
    Number(asked.reasons.includes(word)),
    ...cells(asked),
  ])
  return [attention === undefined ? null : 1, ...each]
}

/**
 * What needs somebody is rare, so a list of it walks along that: the runs of each state and those with failed requests,
 * merged in the order of ids, each with a switch. They have no row in common.
 */
export const ATTENTION_WALK = [
  "FROM runs WHERE ? AND state = 'running' AND run_id >= ? AND run_id < ?",
  "FROM runs WHERE ? AND state = 'pending' AND run_id >= ? AND run_id < ?",
  `FROM runs WHERE ? AND requests_failed > 0
     AND NOT (? AND state = 'running') AND NOT (? AND state = 'pending') AND run_id >= ? AND run_id < ?`,
]

export function attentionWalkCells({ reasons }: Attention, bounds: [low: string, high: string]): Cell[] {
  const asked = new Set(reasons.flatMap((word) => REASONS[word].among))
  const [running, pending, failed] = [asked.has('running'), asked.has('pending'), asked.has('failed')].map(
    Number,
  )
  return [running!, ...bounds, pending!, ...bounds, failed!, running!, pending!, ...bounds]
}

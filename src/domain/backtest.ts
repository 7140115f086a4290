import type {
  BacktestFigure,
  BacktestFigures,
  BacktestRequest,
  BacktestResult,
  BacktestRule,
} from '../contract/backtest.ts'
import type { Rotation, RouteDecision } from '../contract/routing.ts'
import type { CompiledRouter } from './compiled-router.ts'
import { chartAgain, toolsFor } from './routing.ts'
import type { EndedAttempt } from './tool-record.ts'

/** What a backtest needs of a recorded decision: a third of its text. */
export type Recorded = Pick<
  RouteDecision,
  'tool_id' | 'rule_id' | 'config_version' | 'task' | 'seed' | 'inputs'
>

/** What became of a recorded decision: of the attempt that it led to. Null is unknown. */
export interface Outcome {
  succeeded: boolean | null
  duration_ms: number | null
  cost_usd_micros: number | null
}

const UNKNOWN: Outcome = { succeeded: null, duration_ms: null, cost_usd_micros: null }

/** What was canceled, or badly asked, says nothing about the tool: as where tools are learned of (tool-record.ts). */
export function outcomeOf(attempt: (EndedAttempt & Pick<Outcome, 'cost_usd_micros'>) | null): Outcome {
  if (attempt === null) return UNKNOWN
  const { state, error_class, started_at, ended_at, cost_usd_micros } = attempt
  const succeeded = state === 'succeeded'
  if (!succeeded && (state !== 'failed' || error_class === 'invalid_request')) return UNKNOWN
  const duration_ms = Math.max(0, Date.parse(ended_at) - Date.parse(started_at))
  return { succeeded, duration_ms, cost_usd_micros }
}

const QUANTITIES = ['success', 'duration_ms', 'cost_usd_micros'] as const
type Quantity = (typeof QUANTITIES)[number]

/** What is known of a quantity, added up. */
interface Sum {
  total: number
  known: number
}
type Sums = Record<Quantity, Sum>

/** How many decisions are to be judged by what is known of one tool and one kind of task. */
interface Cell {
  tool_id: string | null
  sums: Sums
  /** Decisions that would go here instead of where they went. */
  arriving: number
}

/** A backtest under way. It is changed by `addDecision`: a copy for each of 100 000 decisions would cost more than the rest. */
export interface Backtest {
  router: CompiledRouter
  decisions: number
  changed: number
  /** Set by who stops before the end of the period. */
  truncated: boolean
  /** By tool and kind of task. */
  cells: Map<string, Cell>
  shifts: Map<string, { from: string | null; to: string | null; decisions: number }>
  rules: Map<string | null, BacktestRule>
  rotations: Map<string | null, Rotation>
  recorded: { unroutable: number; sums: Sums }
  /** Of the decisions that keep their tool. */
  kept: Sums
  expected_unroutable: number
}

const noSums = (): Sums => ({
  success: { total: 0, known: 0 },
  duration_ms: { total: 0, known: 0 },
  cost_usd_micros: { total: 0, known: 0 },
})

/** Begins a backtest of a configuration. Give it the recorded decisions in the order in which they were made. */
export function beginBacktest(router: CompiledRouter): Backtest {
  const rules = router.rules.map(({ rule_id }) => ({ rule_id, decisions: 0, changed: 0 }))
  return {
    router,
    decisions: 0,
    changed: 0,
    truncated: false,
    cells: new Map(),
    shifts: new Map(),
    rules: new Map(rules.map((rule) => [rule.rule_id, rule])),
    rotations: new Map(),
    recorded: { unroutable: 0, sums: noSums() },
    kept: noSums(),
    expected_unroutable: 0,
  }
}

export function addDecision(test: Backtest, recorded: Recorded, outcome: Outcome): void {
  const from = recorded.tool_id
  const { to, rule_id } = decideAgain(test, recorded)
  const rule = test.rules.get(rule_id)!
  test.decisions++
  rule.decisions++
  if (from === null) test.recorded.unroutable++
  if (to === null) test.expected_unroutable++
  addOutcome(test.recorded.sums, outcome)
  addOutcome(cellOf(test, from, recorded.task.task_kind).sums, outcome)
  if (from === to) return addOutcome(test.kept, outcome)
  test.changed++
  rule.changed++
  cellOf(test, to, recorded.task.task_kind).arriving++
  const way = JSON.stringify([from, to])
  const shift = test.shifts.get(way) ?? { from, to, decisions: 0 }
  shift.decisions++
  test.shifts.set(way, shift)
}

/** Turns are taken as they come here, unless this is the very configuration that the decision was made under. */
function decideAgain(test: Backtest, recorded: Recorded) {
  const { task, inputs, config_version } = recorded
  const { router, rotations } = test
  const recordedTurn = inputs.rotation === null ? [] : [inputs.rotation]
  const facts = {
    tools: toolsFor(router, inputs.tools),
    rotations: config_version === router.config_version ? recordedTurn : [...rotations.values()],
  }
  const { rule, choice } = chartAgain(recorded, task, router, facts)
  if (choice?.turn != null) rotations.set(rule.rule_id, choice.turn.after)
  return { to: choice === null ? null : router.apps[choice.chosen]!.tool_id, rule_id: rule.rule_id }
}

function cellOf({ cells }: Backtest, tool_id: string | null, task_kind: string): Cell {
  const key = JSON.stringify([tool_id, task_kind])
  let cell = cells.get(key)
  if (cell === undefined) {
    cell = { tool_id, sums: noSums(), arriving: 0 }
    cells.set(key, cell)
  }
  return cell
}

function addOutcome(sums: Sums, { succeeded, duration_ms, cost_usd_micros }: Outcome): void {
  add(sums.success, succeeded === null ? null : Number(succeeded))
  add(sums.duration_ms, duration_ms)
  add(sums.cost_usd_micros, cost_usd_micros)
}

function add(sum: Sum, value: number | null): void {
  if (value === null) return
  sum.total += value
  sum.known++
}

/** The result so far. What a tool would have done with a kind of task that it did none of is unknown. */
export function backtestResult(
  test: Backtest,
  { created_after, created_before, project_id }: BacktestRequest,
): BacktestResult {
  const { decisions, truncated, changed, recorded, kept, cells } = test
  const expected = noSums()
  for (const quantity of QUANTITIES)
    expected[quantity] = [...cells.values()].reduce(
      (sum, cell) => plusArriving(sum, cell, quantity),
      kept[quantity],
    )
  return {
    config_version: test.router.config_version,
    created_after,
    created_before,
    project_id: project_id ?? null,
    decisions,
    truncated,
    changed,
    shifts: shiftsOf(test),
    rules: [...test.rules.values()],
    recorded: figuresOf(recorded.sums, decisions, recorded.unroutable),
    expected: figuresOf(expected, decisions, test.expected_unroutable),
  }
}

function plusArriving(sum: Sum, { tool_id, sums, arriving }: Cell, quantity: Quantity): Sum {
  const { total, known } = sums[quantity]
  if (tool_id === null || known === 0) return sum
  return { total: sum.total + (total / known) * arriving, known: sum.known + arriving }
}

const figuresOf = (sums: Sums, decisions: number, unroutable: number): BacktestFigures => ({
  unroutable,
  success: figureOf(sums.success, decisions),
  duration_ms: figureOf(sums.duration_ms, decisions),
  cost_usd_micros: figureOf(sums.cost_usd_micros, decisions),
})

const figureOf = ({ total, known }: Sum, decisions: number): BacktestFigure => ({
  mean: known === 0 ? null : total / known,
  known,
  unknown: decisions - known,
})

const shiftsOf = ({ shifts }: Backtest): BacktestResult['shifts'] =>
  [...shifts.values()]
    .sort((a, b) => b.decisions - a.decisions)
    .map(({ from, to, decisions }) => ({ from_tool_id: from, to_tool_id: to, decisions }))

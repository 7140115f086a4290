import { describe, expect, it } from 'vitest'
import {
  type Backtest,
  type Outcome,
  addDecision,
  backtestResult,
  beginBacktest,
} from '../../../src/domain/backtest.ts'
import { type Facts, decide } from '../../../src/domain/routing.ts'
import { type ConfigFacts, aRouter, aTask, given } from '../../support/routing.ts'

const PERIOD = { created_after: '2026-01-05T00:00:00.000Z', created_before: '2026-01-06T00:00:00.000Z' }
const apps = { aider: {}, codex: { kinds: ['edit', 'review'] } }
const recorded: ConfigFacts = { apps, rules: [{ id: 'edits', select_from: ['aider', 'codex'] }] }
const UNKNOWN: Outcome = { succeeded: null, duration_ms: null, cost_usd_micros: null }

/** Decides under the recorded configuration, and gives the decisions to a backtest of another. */
function backtest(
  other: ConfigFacts,
  history: { task_kind?: string; excluded?: string[]; outcome: Outcome }[],
): Backtest {
  const before = aRouter(recorded, 1)
  const test = beginBacktest(aRouter(other, 2))
  for (const { task_kind = 'edit', excluded = [], outcome } of history) {
    const task = aTask({ task_kind, excluded_tools: excluded })
    addDecision(test, decide(task, before, { tools: [], rotations: [] }, given()).decision, outcome)
  }
  return test
}

const done = (succeeded: boolean, duration_ms: number, cost_usd_micros: number | null = null): Outcome => ({
  succeeded,
  duration_ms,
  cost_usd_micros,
})

describe('a backtest', () => {
  const turned = { apps, rules: [{ id: 'turned', select_from: ['codex', 'aider'] }] }

  it('under the same rules changes nothing, and expects what was', () => {
    const history = [{ outcome: done(true, 100, 5) }, { outcome: done(false, 300) }, { outcome: UNKNOWN }]
    const { recorded: was, expected, ...result } = backtestResult(backtest(recorded, history), PERIOD)
    expect(result).toEqual({
      config_version: 2,
      ...PERIOD,
      project_id: null,
      decisions: 3,
      truncated: false,
      changed: 0,
      shifts: [],
      rules: [
        { rule_id: 'edits', decisions: 3, changed: 0 },
        { rule_id: null, decisions: 0, changed: 0 },
      ],
    })
    expect(was).toEqual({
      unroutable: 0,
      success: { mean: 0.5, known: 2, unknown: 1 },
      duration_ms: { mean: 200, known: 2, unknown: 1 },
      cost_usd_micros: { mean: 5, known: 1, unknown: 2 },
    })
    expect(expected).toEqual(was)
  })

  it('says from which tool to which, most frequent first, and by rule', () => {
    const history = [
      { outcome: UNKNOWN },
      { outcome: UNKNOWN },
      { excluded: ['codex'], outcome: UNKNOWN },
      { task_kind: 'review', outcome: UNKNOWN },
    ]
    const onlyEdits = {
      apps,
      rules: [
        { id: 'turned', match: { task_kind: ['edit'] }, select_from: ['codex', 'aider'] },
        { id: 'none', select_from: ['aider'], required: true },
      ],
    }
    expect(backtestResult(backtest(onlyEdits, history), { ...PERIOD, project_id: 'shop' })).toMatchObject({
      project_id: 'shop',
      decisions: 4,
      changed: 3,
      shifts: [
        { from_tool_id: 'aider', to_tool_id: 'codex', decisions: 2 },
        { from_tool_id: 'codex', to_tool_id: null, decisions: 1 },
      ],
      rules: [
        { rule_id: 'turned', decisions: 3, changed: 2 },
        { rule_id: 'none', decisions: 1, changed: 1 },
        { rule_id: null, decisions: 0, changed: 0 },
      ],
      recorded: { unroutable: 0 },
      expected: { unroutable: 1 },
    })
  })

  it('expects of a new tool what it did with tasks of the kind in the same decisions', () => {
    const history = [
      { outcome: done(false, 100) },
      { outcome: done(false, 100) },
      { excluded: ['aider'], outcome: done(true, 500, 40) },
      { excluded: ['aider'], outcome: done(false, 300) },
      { task_kind: 'review', outcome: done(true, 9000) },
    ]
    expect(backtestResult(backtest(turned, history), PERIOD).expected).toEqual({
      unroutable: 0,
      // Two edits move to codex, which did one of two edits: (0.5 + 0.5) + (1 + 0) + 1 review, of 5.
      success: { mean: 3 / 5, known: 5, unknown: 0 },
      duration_ms: { mean: (400 + 400 + 500 + 300 + 9000) / 5, known: 5, unknown: 0 },
      cost_usd_micros: { mean: 40, known: 3, unknown: 2 },
    })
  })

  it('counts as unknown what nothing is known of', () => {
    const withNewcomer = { apps: { ...apps, claude: {} }, rules: [{ id: 'new', select_from: ['claude'] }] }
    const { expected } = backtestResult(backtest(withNewcomer, [{ outcome: done(true, 100) }]), PERIOD)
    expect(expected.success).toEqual({ mean: null, known: 0, unknown: 1 })
  })

  it('takes turns of its own, as the tested configuration would have', () => {
    const inTurn = {
      apps,
      rules: [{ id: 'edits', select_from: ['aider', 'codex'], strategy: 'round_robin' as const }],
    }
    const history = Array.from({ length: 10 }, () => ({ outcome: UNKNOWN }))
    expect(backtestResult(backtest(inTurn, history), PERIOD).shifts).toEqual([
      { from_tool_id: 'aider', to_tool_id: 'codex', decisions: 5 },
    ])
  })

  it('of decisions under the same configuration takes the recorded turns: nothing changes', () => {
    const inTurn = {
      apps,
      rules: [{ id: 'edits', select_from: ['aider', 'codex'], strategy: 'round_robin' as const }],
    }
    const router = aRouter(inTurn, 2)
    const test = beginBacktest(aRouter(inTurn, 2))
    let rotations: Facts['rotations'] = []
    for (let i = 0; i < 10; i++) {
      const { decision, rotation } = decide(aTask(), router, { tools: [], rotations }, given())
      rotations = rotation === null ? [] : [rotation]
      if (i % 3 !== 0) addDecision(test, decision, UNKNOWN) // a project's decisions alone, say
    }
    expect(backtestResult(test, PERIOD).changed).toBe(0)
  })
})

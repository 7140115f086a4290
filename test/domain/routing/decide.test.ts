import { describe, expect, it } from 'vitest'
import { EXPLOITS, aRouter, knowing, route } from '../../support/routing.ts'
import { CIRCUITS } from './circuit.cases.ts'
import { type Case, FILTERS, LOAD, MATCHING, ORDER, SAFETY, STRATEGIES } from './decide.cases.ts'

const TABLE = {
  'which rule matches': MATCHING,
  'which rule decides': ORDER,
  'who is eligible': FILTERS,
  'who has room': LOAD,
  'whose circuit is open': CIRCUITS,
  'who is trusted': SAFETY,
  'who is chosen': STRATEGIES,
}

function outcomeOf({ config, task, tools, rotations, seed = EXPLOITS }: Case) {
  const { decision } = route(aRouter(config), task, knowing(tools, rotations), seed)
  const codes = decision.candidates.map(({ tool_id, reason_codes }) => [tool_id, reason_codes.join(' ')])
  return {
    chooses: decision.tool_id,
    by: decision.rule_id,
    rules: Object.fromEntries(decision.rules.map(({ rule_id, reason_code }) => [rule_id, reason_code])),
    because: Object.fromEntries(codes),
  }
}

describe.each(Object.entries(TABLE))('%s', (_, cases) => {
  it.each(cases)('$says', (example) => {
    const outcome = outcomeOf(example)
    const { chooses, by, rules = {}, because = {} } = example
    expect(outcome).toMatchObject({ chooses, by, rules, because })
  })
})

it('the table has at least sixty cases, each with a sentence of its own', () => {
  const sentences = Object.values(TABLE).flatMap((cases) => cases.map(({ says }) => says))
  expect(sentences.length).toBeGreaterThanOrEqual(60)
  expect(new Set(sentences).size).toBe(sentences.length)
})

describe('what a decision carries', () => {
  const rule = { id: 'edits', select_from: ['aider'], fallback_to: ['codex'], validate_with: ['pytest'] }
  const router = aRouter({ apps: { aider: {}, codex: {}, pytest: { kinds: ['test'] } }, rules: [rule] }, 3)

  it('takes the successors and validators from its rule', () => {
    const { decision } = route(router)
    expect(decision).toMatchObject({ fallback_to: ['codex'], validate_with: ['pytest'], config_version: 3 })
  })

  it('has none where there is nothing to take over', () => {
    const { decision } = route(router, { task_kind: 'juggle' })
    expect(decision).toMatchObject({ outcome: 'unroutable', fallback_to: [], validate_with: [] })
  })

  it('names everything that a task may have, null where it was left out', () => {
    const { decision } = route(router, { classification: { risk_tier: 'low' }, limits: null })
    expect(decision.task).toEqual({
      task_kind: 'edit',
      task_id: null,
      project_id: null,
      phase_id: null,
      workstream_id: null,
      run_id: null,
      classification: { complexity: null, risk_tier: 'low', domain: null, priority: null },
      labels: null,
      allowed_tools: null,
      excluded_tools: null,
      resource_scope: null,
      constraints: null,
      input: null,
      limits: null,
    })
  })

  it('records what was known of every app, also of one that the ledger has not met', () => {
    const { decision } = route(router, {}, knowing({ codex: { successes: 2 }, gone: { successes: 9 } }))
    expect(decision.inputs.tools.map(({ tool_id, successes }) => [tool_id, successes])).toEqual([
      ['aider', 0],
      ['codex', 2],
      ['pytest', 0],
    ])
  })

  it('who is listed twice has one turn', () => {
    const select_from = ['aider', 'aider', 'codex']
    const inTurn = { id: 'edits', select_from, strategy: 'round_robin' as const }
    const { decision, rotation } = route(aRouter({ apps: { aider: {}, codex: {} }, rules: [inTurn] }))
    expect(decision.inputs.rotation).toEqual({ rule_id: 'edits', order: ['aider', 'codex'] })
    expect(rotation).toEqual({ rule_id: 'edits', order: ['codex', 'aider'] })
  })
})

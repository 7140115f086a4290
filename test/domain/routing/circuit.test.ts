import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RouterConfig } from '../../../src/contract/documents/router-config.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { decideFallback } from '../../../src/domain/fallback-decision.ts'
import { explain } from '../../../src/domain/route-explain.ts'
import { sentencesFor } from '../../../src/domain/route-sentences.ts'
import { decide, decisionText, replay } from '../../../src/domain/routing.ts'
import { TOOLS, configuration, facts, seed, task } from '../../support/arbitrary-routing.ts'
import { aRouter, aTask, given, knowing, route } from '../../support/routing.ts'
import { PASSED_OVER, REFUSED, WAITED } from './before-fallbacks-counted.ts'
import { open } from './circuit.cases.ts'

const rule = {
  id: 'edits',
  select_from: ['aider', 'codex'],
  fallback_to: ['claude'],
  strategy: 'round_robin',
}
const CONFIG = {
  apps: { aider: {}, codex: {}, claude: { kinds: ['review'] } },
  rules: [rule as typeof rule & { strategy: 'round_robin' }],
}
const allOpen = knowing({ aider: open(34), codex: open(32) })

describe('a task that waits for a circuit', () => {
  const { decision, rotation } = route(aRouter(CONFIG), {}, allOpen)

  it('uses up no turn, and keeps who takes over', () => {
    expect([rotation, decision.inputs.rotation]).toEqual([null, null])
    expect(decision).toMatchObject({ outcome: 'routed', tool_id: 'codex', fallback_to: ['claude'] })
  })

  it('is told in sentences', () => {
    expect(sentencesFor(decision)).toEqual({
      summary:
        'The task waits for codex. Of rule edits, open circuits keep every tool away, and this one lets an attempt through first. If its attempts are spent or its circuit opens, claude takes over.',
      rules: [
        'Rule edits decided: it matches, and nothing but open circuits keeps its tools away: the task waits.',
      ],
      candidates: [
        'aider was eligible, and not chosen: its circuit is open; the circuit of another lets an attempt through sooner.',
        'claude was not eligible: the rule does not choose from it; it cannot do tasks of this kind.',
        'codex was chosen: its circuit is open; it is the one.',
      ],
    })
  })

  it('is told where no rule decides, too', () => {
    const anybody = route(aRouter({ apps: { aider: {} } }), {}, knowing({ aider: open(32) })).decision
    expect(sentencesFor(anybody).summary).toBe(
      'The task waits for aider. No rule has a tool for it now, and of those that can do it, open circuits keep every tool away, and this one lets an attempt through first.',
    )
  })

  it('would go to another tool if its circuit were closed', () => {
    const { alternatives } = explain(aTask(), aRouter(CONFIG), allOpen, { run_id: null, seed: 1 })
    expect(alternatives).toEqual([
      { tool_id: 'aider', edit: { edit: 'close_circuit', value: null } },
      { tool_id: 'claude', edit: null },
    ])
  })
})

describe('a decision that was recorded', () => {
  it('with circuits, is made again to the byte', () => {
    const router = aRouter(CONFIG)
    const { decision } = route(router, {}, allOpen)
    const stored = JSON.parse(JSON.stringify(decision)) as typeof decision
    expect(stored.inputs.tools[0]).toEqual({
      tool_id: 'aider',
      running: 0,
      paused: false,
      successes: 0,
      failures: 0,
      median_duration_ms: null,
      circuit: { state: 'open', open_until: '2026-01-05T09:34:00.000Z', takes_probe: false },
    })
    expect(decisionText(replay(stored, router))).toBe(decisionText(decision))
  })

  it('before there were circuits, is made again to the byte', () => {
    const recorded = JSON.parse(BEFORE_CIRCUITS) as Parameters<typeof replay>[0]
    const again = replay(recorded, aRouter(CONFIG))
    expect(JSON.stringify(again)).toBe(BEFORE_CIRCUITS)
    expect(decisionText(again)).toBe(decisionText(recorded))
  })

  describe('before fallbacks counted while circuits keep the tools of their rule away,', () => {
    const configWith = (rule: object, defaults: RouterConfig['defaults'] = {}) => ({
      apps: { aider: {}, codex: {}, claude: { kinds: ['review'] } },
      rules: [
        { id: 'edits', select_from: ['aider'], fallback_to: ['codex'], ...rule },
        { id: 'others', select_from: ['codex'] },
      ],
      defaults,
    })
    const THEN = [
      ['went to the next rule', PASSED_OVER, configWith({})],
      ['waited', WAITED, configWith({ required: true })],
      ['was refused', REFUSED, configWith({ required: true }, { when_all_open: 'fail' })],
    ] as const

    it.each(THEN)('and %s, is made again to the byte', (_what, text, config) => {
      const recorded = JSON.parse(text) as Parameters<typeof replay>[0]
      expect(JSON.stringify(replay(recorded, aRouter(config)))).toBe(text)
    })

    it.each(THEN)('and %s, goes as any other under another configuration', (_what, text, config) => {
      const recorded = JSON.parse(text) as Parameters<typeof replay>[0]
      expect(replay(recorded, aRouter(config, 2))).toMatchObject({
        tool_id: 'codex',
        rule_id: 'edits',
        rules: [{ reason_code: 'fallback_ready' }, { reason_code: 'decided_earlier' }],
        fallback_to: [],
      })
    })
  })
})

/** As the ledger kept it: nothing of a circuit, and nothing that says what to do when all are open. */
const BEFORE_CIRCUITS =
  '{"route_decision_id":"01JD8Z6V4M1N3P5Q7R9S1T3V5W","outcome":"routed","tool_id":"codex","rule_id":"edits","strategy":"round_robin","config_version":1,"task":{"task_kind":"edit","task_id":null,"project_id":null,"phase_id":null,"workstream_id":null,"run_id":null,"classification":null,"labels":null,"allowed_tools":null,"excluded_tools":null,"resource_scope":null,"constraints":null,"input":null,"limits":null},"seed":1,"inputs":{"tools":[{"tool_id":"aider","running":1,"paused":false,"successes":0,"failures":2.5,"median_duration_ms":null},{"tool_id":"claude","running":0,"paused":false,"successes":0,"failures":0,"median_duration_ms":null},{"tool_id":"codex","running":0,"paused":false,"successes":1,"failures":0,"median_duration_ms":1200}],"rotation":{"rule_id":"edits","order":["aider","codex"]}},"rules":[{"rule_id":"edits","verdict":"decided","reason_code":"eligible_candidate"}],"candidates":[{"tool_id":"aider","eligible":false,"reason_codes":["at_max_parallel"],"score":null,"parts":null},{"tool_id":"claude","eligible":false,"reason_codes":["not_selected","task_kind"],"score":null,"parts":null},{"tool_id":"codex","eligible":true,"reason_codes":["chosen"],"score":null,"parts":null}],"fallback_to":["claude"],"validate_with":[],"run_id":null,"created_at":"2026-01-05T09:30:00.500Z"}'

describe('a task that a fallback takes at once', () => {
  const rules = [{ id: 'edits', select_from: ['aider'], fallback_to: ['codex', 'claude', 'aider'] }]
  const router = aRouter({ apps: { aider: {}, codex: {}, claude: {} }, rules })
  const { decision } = route(router, {}, knowing({ aider: open(32) }))

  it('leaves those of the order that come behind it', () => {
    expect(decision).toMatchObject({ tool_id: 'codex', strategy: 'fixed', fallback_to: ['claude', 'aider'] })
  })

  it('is told in sentences', () => {
    expect(sentencesFor(decision)).toMatchObject({
      summary:
        'The task goes to codex: open circuits keep every tool of rule edits away, and it is the first of its fallbacks that can do it. If its attempts are spent or its circuit opens, claude takes over, then aider.',
      rules: [
        'Rule edits decided: it matches, open circuits keep its tools away, and one of its fallbacks can do the task: that takes over.',
      ],
    })
  })
})

describe('whatever the configuration and the circuits', () => {
  it('a fallback decides at once what the fallback of a task that waits would be', () => {
    let seen = 0
    fc.assert(
      fc.property(configuration, task, facts, fc.shuffledSubarray(TOOLS), (config, task, facts, order) => {
        const [rule] = config.routing.rules ?? []
        if (rule?.select_from === undefined) return
        const first = { ...rule, match: {}, fallback_to: order }
        const router = compileRouterConfig({ ...config, routing: { rules: [first] } }, 1)
        const tools = facts.tools.map((tool) =>
          first.select_from!.includes(tool.tool_id) ? { ...tool, ...open(31), paused: false } : tool,
        )
        const { decision } = decide(task, router, { ...facts, tools }, given())
        const { rule_id, rules, tool_id, fallback_to, inputs } = decision
        if (rules.find((rule) => rule.rule_id === rule_id)?.reason_code !== 'fallback_ready') return
        seen++
        const from = { ...decision, previous_decision_id: null, order }
        const later = decideFallback(from, router, inputs.tools, decision)
        expect([later.tool_id, later.fallback_to]).toEqual([tool_id, fallback_to])
      }),
      { numRuns: 1_000, seed: 20260105 },
    )
    expect(seen).toBeGreaterThan(20)
  })

  it('a tool that gets nothing now is chosen only where nobody else can be, and never with `fail`', () => {
    const seen = { waits: 0, takes_over: 0 }
    fc.assert(
      fc.property(configuration, task, facts, seed, (config, task, facts, seed) => {
        const router = compileRouterConfig(config, 1)
        const { decision } = decide(task, router, facts, given({ seed }))
        const chosen = facts.tools.find(({ tool_id }) => tool_id === decision.tool_id)
        if (chosen?.circuit === undefined || chosen.circuit.takes_probe) {
          if (facts.tools.some(({ circuit }) => circuit?.takes_probe === false)) seen.takes_over++
          return
        }
        seen.waits++
        expect(router.when_all_open).toBe('wait')
        const free = facts.tools.filter(({ circuit }) => circuit === undefined || circuit.takes_probe)
        const without = decide(
          task,
          router,
          {
            ...facts,
            tools: facts.tools.map((tool) => ({ ...tool, paused: tool.paused || !free.includes(tool) })),
          },
          given({ seed }),
        )
        expect(without.decision.outcome).toBe('unroutable')
      }),
      { numRuns: 500, seed: 20260105 },
    )
    expect(Math.min(seen.waits, seen.takes_over)).toBeGreaterThan(20)
  })
})

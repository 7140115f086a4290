import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ToolInputs } from '../../../src/contract/routing.ts'
import type { Task } from '../../../src/contract/task.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { type FallbackFrom, decideFallback, orderAfter } from '../../../src/domain/fallback-decision.ts'
import { sentencesFor } from '../../../src/domain/route-sentences.ts'
import { decide, decisionText, replay, toolsFor } from '../../../src/domain/routing.ts'
import { configuration, facts, seed, task } from '../../support/arbitrary-routing.ts'
import { type AppFacts, aRouter, aTask, given, knowing, route } from '../../support/routing.ts'

const SECOND = { route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5X', created_at: '2026-01-05T09:31:00.000Z' }

/** Aider edits; codex, then gemini take over. */
const routerWith = (codex: AppFacts = {}, rule: object = {}) =>
  aRouter({
    apps: { aider: {}, codex, gemini: { tier: 'high' } },
    rules: [{ id: 'edits', select_from: ['aider'], fallback_to: ['codex', 'gemini'], ...rule }],
  })

interface Situation {
  codex?: AppFacts
  rule?: object
  task?: Partial<Task>
  tools?: Record<string, Partial<ToolInputs>>
}

/** Who takes over from aider. */
function takeOver({ codex, rule, task, tools }: Situation = {}) {
  const router = routerWith(codex, rule)
  const { decision } = route(router, task)
  const from: FallbackFrom = {
    ...decision,
    previous_decision_id: decision.route_decision_id,
    order: orderAfter(decision),
  }
  return decideFallback(from, router, toolsFor(router, knowing(tools).tools), SECOND)
}
const reasonsOf = ({ candidates }: ReturnType<typeof takeOver>) =>
  Object.fromEntries(candidates.map(({ tool_id, reason_codes }) => [tool_id, reason_codes]))

describe('a fallback', () => {
  it('is a decision of its own, and says what it follows and what is left', () => {
    expect(takeOver()).toEqual({
      ...SECOND,
      previous_decision_id: given().route_decision_id,
      outcome: 'routed',
      tool_id: 'codex',
      rule_id: 'edits',
      strategy: 'fixed',
      config_version: 1,
      task: route(routerWith()).decision.task,
      seed: 0,
      inputs: { tools: expect.any(Array), rotation: null, fallback_order: ['codex', 'gemini'] },
      rules: [],
      candidates: [
        { tool_id: 'aider', eligible: false, reason_codes: ['not_a_fallback'], score: null, parts: null },
        { tool_id: 'codex', eligible: true, reason_codes: ['chosen'], score: null, parts: null },
        { tool_id: 'gemini', eligible: true, reason_codes: ['later_in_order'], score: null, parts: null },
      ],
      fallback_to: ['gemini'],
      validate_with: [],
      run_id: null,
    })
  })

  const open = { state: 'open' as const, open_until: '2026-01-05T09:35:00.000Z', takes_probe: false }
  it.each<[string, Situation, string]>([
    ['is paused', { tools: { codex: { paused: true } } }, 'paused'],
    ['has an open circuit', { tools: { codex: { circuit: open } } }, 'circuit_open'],
    ['cannot do the kind', { codex: { kinds: ['review'] } }, 'task_kind'],
    [
      'does not work in the domain',
      { codex: { domains: ['docs'] }, task: { classification: { domain: 'web' } } },
      'domain',
    ],
    ['is excluded', { task: { excluded_tools: ['codex'] } }, 'excluded'],
    ['is not allowed', { task: { allowed_tools: ['aider', 'gemini'] } }, 'not_allowed'],
    [
      'is below the tier of the rule',
      {
        rule: { min_safety_tier: 'high', select_from: ['gemini', 'aider'], fallback_to: ['codex', 'aider'] },
      },
      'safety_tier',
    ],
  ])('passes over who %s', (_name, situation, reason) => {
    const decision = takeOver(situation)
    expect(reasonsOf(decision)['codex']).toEqual([reason])
    expect(decision.tool_id).toBe(situation.rule === undefined ? 'gemini' : null)
  })

  it('passes over who is not in the configuration any more', () => {
    expect(takeOver({ rule: { fallback_to: ['gone', 'gemini'] } })).toMatchObject({
      tool_id: 'gemini',
      fallback_to: [],
    })
  })

  it('takes who lets an attempt through to see whether it works, and who is busy', () => {
    const circuit = { ...open, takes_probe: true }
    expect(takeOver({ tools: { codex: { circuit } } }).tool_id).toBe('codex')
    expect(takeOver({ tools: { codex: { running: 99 } } }).tool_id).toBe('codex')
  })

  it('keeps its order where nobody can take over, for there may be another time', () => {
    expect(takeOver({ task: { allowed_tools: ['aider'] } })).toMatchObject({
      outcome: 'unroutable',
      tool_id: null,
      fallback_to: ['codex', 'gemini'],
    })
  })

  it('never names who had the task before, nor anybody twice', () => {
    const { decision } = route(
      routerWith({}, { fallback_to: ['codex', 'aider', 'codex', 'gemini', 'aider'] }),
    )
    expect(orderAfter(decision)).toEqual(['codex', 'gemini'])
    expect(orderAfter({ ...decision, tool_id: 'codex' })).toEqual(['aider', 'gemini'])
  })

  it('is judged by the risk of the task where its rule is gone or chose no tools', () => {
    const router = routerWith()
    const risky = aTask({ classification: { risk_tier: 'high' } })
    const { decision } = route(router, risky)
    const from = { ...decision, rule_id: 'gone', previous_decision_id: null, order: ['codex', 'gemini'] }
    expect(decideFallback(from, router, toolsFor(router, []), SECOND).tool_id).toBe('gemini')
  })
})

describe('in words', () => {
  it('a decision tells who would take over', () => {
    const { decision } = route(routerWith())
    expect(sentencesFor(decision).summary).toBe(
      'The task goes to aider: rule edits takes the first of its tools that can do it. If its attempts are spent or its circuit opens, codex takes over, then gemini.',
    )
  })

  it('a fallback tells who did', () => {
    expect(sentencesFor(takeOver()).summary).toBe(
      'codex takes over: of the fallbacks that rule edits has left, it is the first that can do it. If its attempts are spent or its circuit opens, gemini takes over.',
    )
    expect(sentencesFor(takeOver()).candidates[0]).toBe(
      'aider was not eligible: it is none of those that may take over.',
    )
  })

  it('or that nobody could', () => {
    expect(sentencesFor(takeOver({ task: { allowed_tools: ['aider'] } })).summary).toBe(
      'Nobody takes over: none of the fallbacks that rule edits has left can do this edit task now.',
    )
  })
})

describe('whatever the configuration, the task and the tools', () => {
  const drawn = [configuration, task, facts, facts, seed] as const

  it('fallbacks are made again to the byte, take from the order, and end', () => {
    fc.assert(
      fc.property(...drawn, (document, about, before, now, chance) => {
        const router = compileRouterConfig(document, 1)
        let last = decide(about, router, before, given({ seed: chance })).decision
        const had = [last.tool_id]
        for (let order = orderAfter(last); order.length > 0; order = orderAfter(last)) {
          const from = { ...last, previous_decision_id: last.route_decision_id, order }
          const next = decideFallback(from, router, toolsFor(router, now.tools), SECOND)
          const kept = JSON.parse(JSON.stringify(next)) as typeof next
          expect(decisionText(replay(kept, router))).toBe(decisionText(next))
          expect(next.fallback_to).toEqual(order.slice(order.indexOf(next.tool_id ?? '') + 1))
          expect(had).not.toContain(next.tool_id ?? undefined)
          if (next.tool_id === null) return
          had.push(next.tool_id)
          last = next
        }
      }),
      { seed: 20_260_105 },
    )
  })
})

describe('a decision that was recorded before there were fallbacks', () => {
  it('is made again to the byte', () => {
    const router = routerWith()
    const { previous_decision_id: _, ...recorded } = route(router).decision
    const again = replay(recorded, router)
    expect(JSON.stringify(again)).toBe(JSON.stringify(recorded))
    expect(decisionText(again)).toBe(decisionText(recorded))
  })
})

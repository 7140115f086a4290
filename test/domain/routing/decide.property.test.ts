import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RouterConfig } from '../../../src/contract/documents/router-config.ts'
import type { ToolInputs } from '../../../src/contract/routing.ts'
import type { Task } from '../../../src/contract/task.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { type Facts, decide, decisionText, neverUsed, replay } from '../../../src/domain/routing.ts'
import { KINDS, TOOLS, aTool, configuration, facts, seed, task } from '../../support/arbitrary-routing.ts'
import { aConfig, given } from '../../support/routing.ts'

const RUNS = { numRuns: 400 }

describe('a decision', () => {
  it('is the same bytes for the same inputs and seed', () => {
    fc.assert(
      fc.property(configuration, task, facts, seed, (config, task, facts, seed) => {
        // Compiled and cloned anew: nothing that the first decision left behind may matter.
        const once = decide(task, compileRouterConfig(config, 1), facts, given({ seed })).decision
        const again = decide(
          structuredClone(task),
          compileRouterConfig(structuredClone(config), 1),
          structuredClone(facts),
          given({
            seed,
            route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5X',
            created_at: '2027-01-01T00:00:00.000Z',
          }),
        ).decision
        expect(decisionText(again)).toBe(decisionText(once))
      }),
      RUNS,
    )
  })

  it('is replayed byte for byte from its stored text', () => {
    fc.assert(
      fc.property(configuration, task, facts, seed, (config, task, facts, seed) => {
        const { decision } = decide(task, compileRouterConfig(config, 1), facts, given({ seed }))
        const stored = JSON.parse(JSON.stringify(decision)) as typeof decision
        const replayed = replay(stored, compileRouterConfig(config, 1))
        expect(decisionText(replayed)).toBe(decisionText(decision))
        expect(JSON.stringify(replayed)).toBe(JSON.stringify(decision))
      }),
      RUNS,
    )
  })

  it('has exactly one verdict for every rule and every tool of the configuration', () => {
    fc.assert(
      fc.property(configuration, task, facts, seed, (config, task, facts, seed) => {
        const { decision } = decide(task, compileRouterConfig(config, 1), facts, given({ seed }))
        const { candidates, rules } = decision
        expect(candidates.map(({ tool_id }) => tool_id)).toEqual(Object.keys(config.apps).sort())
        expect(rules.map(({ rule_id }) => rule_id)).toEqual(config.routing.rules?.map(({ id }) => id))
        for (const { reason_codes } of candidates) expect(reason_codes.length).toBeGreaterThan(0)
      }),
      RUNS,
    )
  })

  it('marks as chosen the tool that it names, an eligible one, and no other', () => {
    fc.assert(
      fc.property(configuration, task, facts, seed, (config, task, facts, seed) => {
        const { decision } = decide(task, compileRouterConfig(config, 1), facts, given({ seed }))
        const chosen = decision.candidates.filter(({ reason_codes }) => reason_codes.includes('chosen'))
        expect(chosen.map(({ tool_id }) => tool_id)).toEqual(
          decision.tool_id === null ? [] : [decision.tool_id],
        )
        expect(chosen.every(({ eligible }) => eligible)).toBe(true)
        const anyEligible = decision.candidates.some(({ eligible }) => eligible)
        expect(decision.outcome).toBe(anyEligible ? 'routed' : 'unroutable')
      }),
      RUNS,
    )
  })

  it('is not changed by one more tool that is not eligible', () => {
    const newcomer = fc.record({
      tool_id: fc.constantFrom('AAA', 'ant', 'mmm', 'zzz'),
      place: fc.nat(9),
      obstacle: fc.constantFrom('kind', 'paused', 'excluded'),
      tool: aTool,
    })
    fc.assert(
      fc.property(configuration, task, facts, seed, newcomer, (config, task, facts, seed, newcomer) => {
        const before = decide(task, compileRouterConfig(config, 1), facts, given({ seed })).decision
        const more = joined(config, task, facts, newcomer)
        const after = decide(
          more.task,
          compileRouterConfig(more.config, 1),
          more.facts,
          given({ seed }),
        ).decision
        expect([after.tool_id, after.rule_id]).toEqual([before.tool_id, before.rule_id])
        for (const candidate of before.candidates) expect(after.candidates).toContainEqual(candidate)
      }),
      RUNS,
    )
  })
})

interface Newcomer {
  tool_id: string
  place: number
  obstacle: string
  tool: Omit<ToolInputs, 'tool_id'>
}

/** The same situation with another app, which every rule selects and which cannot take the task. */
function joined(
  config: RouterConfig,
  task: Task,
  facts: Facts,
  { tool_id, place, obstacle, tool }: Newcomer,
) {
  const { apps, ...rest } = aConfig({
    apps: { [tool_id]: { kinds: obstacle === 'kind' ? [] : KINDS, tier: 'high' } },
    rules:
      config.routing.rules?.map(({ select_from, ...rule }) => ({
        ...rule,
        ...(select_from === undefined ? {} : { select_from: select_from.toSpliced(place, 0, tool_id) }),
      })) ?? [],
  })
  const excluded_tools = [...(task.excluded_tools ?? []), ...(obstacle === 'excluded' ? [tool_id] : [])]
  return {
    config: { ...config, ...rest, defaults: config.defaults!, apps: { ...config.apps, ...apps } },
    task: { ...task, excluded_tools },
    facts: {
      rotations: facts.rotations,
      tools: [...facts.tools, { tool_id, ...tool, paused: obstacle === 'paused' }],
    },
  }
}

describe('round robin', () => {
  /** Decides again and again, keeping the turns, while `isPaused` says who is away. */
  function rotate(
    count: number,
    tools: string[],
    isPaused: (tool_id: string, i: number) => boolean,
  ): string[] {
    const router = compileRouterConfig(
      aConfig({
        apps: Object.fromEntries(tools.map((tool_id) => [tool_id, {}])),
        rules: [{ id: 'edits', select_from: tools, strategy: 'round_robin' }],
      }),
      1,
    )
    let rotations: Facts['rotations'] = []
    return Array.from({ length: count }, (_, i) => {
      const facts = {
        tools: tools.map((tool_id) => ({ ...neverUsed(tool_id), paused: isPaused(tool_id, i) })),
        rotations,
      }
      const { decision, rotation } = decide({ task_kind: 'edit' }, router, facts, given({ seed: i }))
      if (rotation !== null) rotations = [rotation]
      return decision.tool_id ?? 'nobody'
    })
  }
  const sharesOf = (chosen: string[], tools: string[]): number[] =>
    tools.map((tool_id) => chosen.filter((one) => one === tool_id).length)

  it('gives each of n eligible tools its share within one, whoever else is away', () => {
    const tools = fc.shuffledSubarray(TOOLS, { minLength: 1 })
    fc.assert(
      fc.property(tools, fc.subarray(TOOLS), fc.integer({ min: 1, max: 60 }), (tools, away, count) => {
        const eligible = tools.filter((tool_id) => !away.includes(tool_id))
        const chosen = rotate(count, tools, (tool_id) => away.includes(tool_id))
        const shares = sharesOf(chosen, eligible)
        if (eligible.length === 0) return
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
        expect(shares.reduce((a, b) => a + b)).toBe(count)
      }),
      RUNS,
    )
  })

  it('lets nobody wait for more turns than there are tools, however others come and go', () => {
    const presence = fc.array(fc.subarray(TOOLS), { minLength: 30, maxLength: 30 })
    fc.assert(
      fc.property(presence, (away) => {
        const always = TOOLS[4]!
        const isAway = (tool_id: string, i: number) => tool_id !== always && away[i]!.includes(tool_id)
        const turns = rotate(30, TOOLS, isAway).flatMap((tool_id, i) => (tool_id === always ? [i] : []))
        const waits = turns.map((turn, i) => turn - (turns[i - 1] ?? -1))
        expect(turns.length).toBeGreaterThan(0)
        expect(Math.max(...waits)).toBeLessThanOrEqual(TOOLS.length)
      }),
      RUNS,
    )
  })

  it('keeps the turn of who is away: one turn at once when it is back, and only one', () => {
    const tools = ['aider', 'codex', 'claude']
    const chosen = rotate(9, tools, (tool_id, i) => tool_id === 'codex' && i < 4)
    expect(chosen).toEqual([
      'aider',
      'claude',
      'aider',
      'claude',
      'codex',
      'aider',
      'claude',
      'codex',
      'aider',
    ])
  })
})

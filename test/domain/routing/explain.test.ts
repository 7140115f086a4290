import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RouteEdit, RouteEditKind } from '../../../src/contract/route-explain.ts'
import type { ToolInputs } from '../../../src/contract/routing.ts'
import type { Task } from '../../../src/contract/task.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { explain } from '../../../src/domain/route-explain.ts'
import { sentencesFor } from '../../../src/domain/route-sentences.ts'
import { type Facts, decide } from '../../../src/domain/routing.ts'
import { configuration, facts, seed, task } from '../../support/arbitrary-routing.ts'
import {
  type ConfigFacts,
  EXPLOITS,
  aRouter,
  aTask,
  given as aGiven,
  knowing,
  route,
} from '../../support/routing.ts'

const given = { run_id: null, seed: EXPLOITS }
const two = { aider: {}, codex: {} }
const fixed: ConfigFacts = { apps: two, rules: [{ id: 'edits', select_from: ['aider', 'codex'] }] }

function editsFor(
  config: ConfigFacts,
  task: Partial<Task> = {},
  tools: Record<string, Partial<ToolInputs>> = {},
) {
  const { alternatives } = explain(aTask(task), aRouter(config), knowing(tools), given)
  return Object.fromEntries(
    alternatives.map(({ tool_id, edit }) => [
      tool_id,
      edit === null ? null : `${edit.edit} ${edit.value ?? ''}`.trim(),
    ]),
  )
}

describe('what would choose another tool', () => {
  it('says the same as the decision, under no name', () => {
    const router = aRouter(fixed)
    const { alternatives: _1, sentences: _2, ...answer } = explain(aTask(), router, knowing(), given)
    const {
      route_decision_id: _3,
      created_at: _4,
      previous_decision_id: _5,
      ...decision
    } = route(router).decision
    expect(answer).toEqual(decision)
  })

  const cases: [
    edit: string,
    config: ConfigFacts,
    task: Partial<Task>,
    tools: Record<string, Partial<ToolInputs>>,
    edits: object,
  ][] = [
    ['to lift its pause', fixed, {}, { aider: { paused: true } }, { aider: 'lift_pause' }],
    ['to lift its load', fixed, {}, { aider: { running: 1 } }, { aider: 'lift_load' }],
    [
      'to drop it from the excluded',
      fixed,
      { excluded_tools: ['aider'] },
      {},
      { aider: 'drop_from_excluded' },
    ],
    ['to add it to the allowed', fixed, { allowed_tools: ['codex'] }, {}, { aider: 'add_to_allowed' }],
    [
      'another complexity',
      {
        apps: two,
        rules: [
          { id: 'hard', match: { complexity: ['complex', 'expert'] }, select_from: ['codex'] },
          ...fixed.rules!,
        ],
      },
      { classification: { complexity: 'simple' } },
      {},
      { codex: 'set_complexity complex' },
    ],
    [
      'a risk, where the task has none',
      {
        apps: two,
        rules: [
          { id: 'risky', match: { risk_tier: ['high'] }, select_from: ['codex'], required: true },
          { id: 'edits', select_from: ['aider'], required: true },
        ],
      },
      {},
      {},
      { codex: 'set_risk_tier high' },
    ],
    [
      'a domain that the configuration names',
      {
        apps: { aider: { domains: ['backend'] }, codex: {} },
        rules: [{ id: 'edits', select_from: ['aider', 'codex'], required: true }],
      },
      { classification: { domain: 'docs' } },
      {},
      { aider: 'set_domain backend' },
    ],
    [
      'another priority',
      {
        apps: two,
        rules: [
          { id: 'urgent', match: { priority: ['critical'] }, select_from: ['codex'] },
          { id: 'edits', select_from: ['aider'], required: true },
        ],
      },
      {},
      {},
      { codex: 'set_priority critical' },
    ],
    ['that who stands before it were away', fixed, {}, {}, { codex: 'remove_candidate aider' }],
    [
      'that another were away, whose rule is passed over then',
      {
        apps: two,
        rules: [
          { id: 'first', select_from: ['aider'] },
          { id: 'second', select_from: ['codex'] },
        ],
      },
      {},
      {},
      { codex: 'remove_candidate aider' },
    ],
    [
      'nothing, if two things are against it',
      fixed,
      { excluded_tools: ['aider'] },
      { aider: { paused: true } },
      { aider: null },
    ],
    [
      'nothing, if it cannot do the work',
      { apps: { ...two, pytest: { kinds: ['test'] } } },
      {},
      {},
      { pytest: null },
    ],
    [
      'nothing, if two others stand before it',
      { apps: { aider: {}, claude: {}, codex: {} } },
      {},
      {},
      { codex: null, claude: 'remove_candidate aider' },
    ],
  ]
  it.each(cases)('%s', (_, config, task, tools, edits) => {
    expect(editsFor(config, task, tools)).toMatchObject(edits)
  })

  it('the first of the list is named where several would do', () => {
    const config = {
      apps: two,
      rules: [
        { id: 'hard', match: { complexity: ['expert'] as 'expert'[] }, select_from: ['codex'] },
        ...fixed.rules!,
      ],
    }
    expect(editsFor(config)).toEqual({ codex: 'set_complexity expert' })
    expect(editsFor(config, { excluded_tools: ['codex'], classification: { complexity: 'expert' } })).toEqual(
      {
        codex: 'drop_from_excluded',
      },
    )
  })

  it('has an entry for each tool that was not chosen, also where none was', () => {
    expect(Object.keys(editsFor({ apps: { aider: {}, claude: {}, codex: {} } }))).toEqual(['claude', 'codex'])
    expect(editsFor(fixed, { excluded_tools: ['aider', 'codex'] })).toEqual({
      aider: 'drop_from_excluded',
      codex: 'drop_from_excluded',
    })
  })

  it('every edit that it names does choose the tool', () => {
    fc.assert(
      fc.property(configuration, task, facts, seed, (config, task, facts, seed) => {
        const router = compileRouterConfig(config, 1)
        for (const { tool_id, edit } of explain(task, router, facts, { run_id: null, seed }).alternatives) {
          if (edit === null) continue
          const edited = carriedOut(edit, tool_id, task, facts)
          expect(decide(edited.task, router, edited.facts, aGiven({ seed })).decision.tool_id).toBe(tool_id)
        }
      }),
      { numRuns: 200 },
    )
  })
})

/** The edit as a reader would carry it out. */
function carriedOut({ edit, value }: RouteEdit, tool_id: string, task: Task, facts: Facts) {
  const allowed_tools = task.allowed_tools ?? null
  const excluded_tools = task.excluded_tools ?? []
  const toolWith = (change: Partial<ToolInputs>): Facts => ({
    ...facts,
    tools: facts.tools.map((tool) => (tool.tool_id === tool_id ? { ...tool, ...change } : tool)),
  })
  const closed = {
    ...facts,
    tools: facts.tools.map(({ circuit, ...tool }) =>
      tool.tool_id === tool_id || circuit === undefined ? tool : { ...tool, circuit },
    ),
  }
  const classified = {
    ...task,
    classification: { ...task.classification, [edit.slice('set_'.length)]: value },
  }
  const edits: Record<RouteEditKind, { task: Task; facts: Facts }> = {
    lift_pause: { task, facts: toolWith({ paused: false }) },
    close_circuit: { task, facts: closed },
    lift_load: { task, facts: toolWith({ running: 0 }) },
    drop_from_excluded: {
      task: { ...task, excluded_tools: excluded_tools.filter((name) => name !== tool_id) },
      facts,
    },
    add_to_allowed: { task: { ...task, allowed_tools: [...(allowed_tools ?? []), tool_id] }, facts },
    set_complexity: { task: classified, facts },
    set_risk_tier: { task: classified, facts },
    set_domain: { task: classified, facts },
    set_priority: { task: classified, facts },
    remove_candidate: { task: { ...task, excluded_tools: [...excluded_tools, value!] }, facts },
  }
  return edits[edit]
}

describe('a decision in words', () => {
  const router = aRouter({
    apps: { aider: {}, codex: { tier: 'high' }, pytest: { kinds: ['test'] } },
    rules: [
      { id: 'risky', match: { risk_tier: ['high'] }, select_from: ['codex'] },
      { id: 'edits', match: { task_kind: ['edit'] }, select_from: ['aider', 'codex'], strategy: 'auto' },
      { id: 'rest', required: true },
    ],
  })

  it('says what was chosen, and why nothing else', () => {
    const { decision } = route(
      router,
      {},
      knowing({ aider: { running: 1 }, codex: { running: 1, failures: 2 } }),
    )
    expect(sentencesFor(decision)).toEqual({
      summary: 'The task goes to aider: rule edits takes the best of its tools by score.',
      rules: [
        'Rule risky did not match: the task has no risk tier.',
        'Rule edits decided: it matches and has an eligible tool.',
        'Rule rest was not reached: a rule before it ended the search.',
      ],
      candidates: [
        'aider was chosen: it does as much at a time as it may; chosen only where no other is free; it is the one. Its score is 0.417.',
        'codex was eligible, and not chosen: it does as much at a time as it may; chosen only where no other is free; another scores higher. Its score is 0.264.',
        'pytest was not eligible: the rule does not choose from it; it cannot do tasks of this kind.',
      ],
    })
  })

  it('says that there is none', () => {
    expect(sentencesFor(route(router, { task_kind: 'juggle' }).decision).summary).toBe(
      'There is no tool for this juggle task: rule rest is required, and none of its tools is eligible.',
    )
    expect(sentencesFor(route(aRouter({ apps: two }), { task_kind: 'juggle' }).decision).summary).toBe(
      'There is no tool for this juggle task: no rule decides, and no tool is eligible.',
    )
  })

  it.each([
    [
      'fixed',
      'The task goes to aider: no rule decides, and of the tools that can do it the first by name is taken.',
    ],
    [
      'round_robin',
      'The task goes to aider: no rule decides, and of the tools that can do it each has its turn.',
    ],
    [
      'auto',
      'The task goes to aider: no rule decides, and of the tools that can do it the best by score is taken.',
    ],
  ] as const)('says how, where no rule decides: %s', (strategy, summary) => {
    expect(sentencesFor(route(aRouter({ apps: two, defaults: { strategy } })).decision).summary).toBe(summary)
  })

  it('lets words stand for themselves that it does not know', () => {
    const { decision } = route(router)
    const [first, ...rest] = decision.candidates
    const later = { ...first!, reason_codes: ['of_tomorrow' as never], eligible: false }
    expect(sentencesFor({ ...decision, candidates: [later, ...rest] }).candidates[0]).toBe(
      'aider was not eligible: of_tomorrow.',
    )
  })
})

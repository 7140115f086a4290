import type { CircuitInput } from '../../../src/contract/circuit.ts'
import type { ConfigFacts } from '../../support/routing.ts'
import type { Case } from './decide.cases.ts'

/** Open until then: minutes after the beginning of the hour. */
export const open = (minute: number): { circuit: CircuitInput } => ({
  circuit: {
    state: 'open',
    open_until: `2026-01-05T09:${minute}:00.000Z`,
    takes_probe: false,
  },
})

const halfOpen = (takes_probe: boolean): { circuit: CircuitInput } => ({
  circuit: { ...open(30).circuit, state: 'half_open', takes_probe },
})

const edits = (strategy: 'fixed' | 'round_robin' | 'auto', defaults: ConfigFacts['defaults'] = {}) => ({
  apps: { aider: {}, codex: {}, claude: {} },
  rules: [{ id: 'edits', select_from: ['aider', 'codex', 'claude'], strategy }],
  defaults,
})

const ladder = (
  required: boolean,
  first: object = {},
  defaults: ConfigFacts['defaults'] = {},
): ConfigFacts => ({
  apps: { aider: {}, codex: {}, claude: { kinds: ['edit', 'review'] } },
  rules: [
    { id: 'first', select_from: ['aider'], ...first },
    { id: 'second', select_from: ['codex'], required },
  ],
  defaults,
})
const withFallback = { fallback_to: ['claude'] }

const allOpen = { aider: open(35), codex: open(33), claude: open(34) }

export const CIRCUITS: Case[] = [
  {
    says: 'a tool whose circuit is open gets nothing',
    config: edits('fixed'),
    tools: { aider: open(31) },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'circuit_open', codex: 'chosen' },
  },
  {
    says: 'one that is half open, and has an attempt under way, gets nothing',
    config: edits('fixed'),
    tools: { aider: halfOpen(false) },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'circuit_open' },
  },
  {
    says: 'one that is half open and free may be chosen',
    config: edits('fixed'),
    tools: { aider: halfOpen(true) },
    chooses: 'aider',
    by: 'edits',
    because: { aider: 'chosen' },
  },
  {
    says: 'one whose instant has passed may be chosen',
    config: edits('fixed'),
    tools: { aider: { circuit: { ...open(30).circuit, takes_probe: true } } },
    chooses: 'aider',
    by: 'edits',
    because: { aider: 'chosen' },
  },
  {
    says: 'a full tool is better than one whose circuit is open',
    config: edits('fixed'),
    tools: { aider: open(31), codex: { running: 1 }, claude: open(31) },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'circuit_open', codex: 'at_max_parallel chosen' },
  },
  {
    says: 'a rule whose tools have open circuits hands over to the next',
    config: ladder(false),
    tools: { aider: open(31) },
    chooses: 'codex',
    by: 'second',
    rules: { first: 'no_eligible_candidate', second: 'eligible_candidate' },
  },
  {
    says: 'where no rule has anybody else, any tool that can do it takes over',
    config: ladder(false),
    tools: { aider: open(31), codex: open(32) },
    chooses: 'claude',
    by: null,
  },
  ...(['fixed', 'round_robin', 'auto'] as const).map((strategy): Case => ({
    says: `where all circuits are open the task waits for the first to let one through: ${strategy}`,
    config: edits(strategy),
    tools: allOpen,
    chooses: 'codex',
    by: 'edits',
    rules: { edits: 'waits_for_circuit' },
    because: {
      aider: 'circuit_open opens_later',
      claude: 'circuit_open opens_later',
      codex: 'circuit_open chosen',
    },
  })),
  {
    says: 'of circuits that let one through at the same time the first of the rule is waited for',
    config: edits('fixed'),
    tools: { aider: open(33), codex: open(33), claude: open(33) },
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'what else does as much as it may is waited for, too',
    config: edits('fixed'),
    tools: { ...allOpen, codex: { ...open(33), running: 1 } },
    chooses: 'codex',
    by: 'edits',
    because: { codex: 'at_max_parallel circuit_open chosen' },
  },
  {
    says: 'what something else keeps away is not waited for',
    config: edits('fixed'),
    tools: { ...allOpen, codex: { ...open(33), paused: true } },
    chooses: 'claude',
    by: 'edits',
    because: { codex: 'paused circuit_open' },
  },
  {
    says: 'the first rule that only circuits keep from deciding is the one that waits',
    config: ladder(false),
    tools: allOpen,
    chooses: 'aider',
    by: 'first',
    rules: { first: 'waits_for_circuit', second: 'decided_earlier' },
  },
  {
    says: 'also before a required rule whose circuits are open',
    config: ladder(true),
    tools: allOpen,
    chooses: 'aider',
    by: 'first',
    rules: { first: 'waits_for_circuit', second: 'decided_earlier' },
  },
  {
    says: 'a required rule that has somebody does not let an earlier one wait',
    config: ladder(true),
    tools: { aider: open(31) },
    chooses: 'codex',
    by: 'second',
  },
  {
    says: 'where no rule matches, any tool that can do it is waited for',
    config: { apps: { aider: {}, codex: {} } },
    tools: { aider: open(34), codex: open(32) },
    chooses: 'codex',
    by: null,
    because: { codex: 'circuit_open chosen', aider: 'circuit_open opens_later' },
  },
  {
    says: 'with when_all_open: fail there is no tool for it',
    config: edits('fixed', { when_all_open: 'fail' }),
    tools: allOpen,
    chooses: null,
    by: null,
    rules: { edits: 'no_eligible_candidate' },
    because: { aider: 'circuit_open', claude: 'circuit_open', codex: 'circuit_open' },
  },
  {
    says: 'with when_all_open: wait it waits',
    config: edits('fixed', { when_all_open: 'wait' }),
    tools: allOpen,
    chooses: 'codex',
    by: 'edits',
  },
  ...[{}, { required: true }, { strategy: 'auto' as const }].map((rule): Case => ({
    says: `the fallback of a rule takes over before the next rule, while circuits keep its tools away: ${JSON.stringify(rule)}`,
    config: ladder(false, { ...withFallback, ...rule }),
    tools: { aider: open(31) },
    chooses: 'claude',
    by: 'first',
    rules: { first: 'fallback_ready', second: 'decided_earlier' },
    because: { aider: 'circuit_open', claude: 'chosen', codex: 'not_selected' },
  })),
  ...[false, true].map((required): Case => ({
    says: `with when_all_open: fail, too: ${required ? 'required' : 'not required'}`,
    config: ladder(true, { ...withFallback, required }, { when_all_open: 'fail' }),
    tools: { aider: open(31), codex: open(31) },
    chooses: 'claude',
    by: 'first',
    rules: { first: 'fallback_ready' },
  })),
  {
    says: 'the first of the order that can do it takes over, and who is busy can',
    config: {
      apps: { aider: {}, codex: {}, claude: {}, gemini: {} },
      rules: [{ id: 'edits', select_from: ['aider'], fallback_to: ['codex', 'gemini', 'claude'] }],
    },
    tools: { aider: open(31), codex: { paused: true }, gemini: { running: 1 } },
    chooses: 'gemini',
    by: 'edits',
    because: { codex: 'paused', gemini: 'chosen', claude: 'later_in_order' },
  },
  {
    says: 'a later rule whose fallback can do it comes before the wait of an earlier one',
    config: {
      apps: { aider: {}, codex: {}, claude: {} },
      rules: [
        { id: 'first', select_from: ['aider'] },
        { id: 'second', select_from: ['codex'], fallback_to: ['claude'] },
      ],
    },
    tools: { aider: open(31), codex: open(32) },
    chooses: 'claude',
    by: 'second',
    rules: { first: 'no_eligible_candidate', second: 'fallback_ready' },
  },
  ...(
    [
      ['is paused', { claude: { paused: true } }, {}],
      ['has an open circuit', { claude: open(33) }, {}],
      ['is excluded', {}, { excluded_tools: ['claude'] }],
      ['cannot do the kind', {}, { task_kind: 'juggle' }],
    ] as const
  ).map(([says, others, task]): Case => ({
    says: `a fallback that ${says} does not keep the next rule from deciding`,
    config: {
      ...ladder(false, withFallback),
      apps: { aider: { kinds: ['edit', 'juggle'] }, codex: { kinds: ['edit', 'juggle'] }, claude: {} },
    },
    tools: { aider: open(31), ...others },
    task: task as Case['task'] & {},
    chooses: 'codex',
    by: 'second',
    rules: { first: 'no_eligible_candidate', second: 'eligible_candidate' },
  })),
  {
    says: 'nor one that is below the tier of its rule',
    config: {
      apps: { aider: { tier: 'high' }, codex: {}, claude: { tier: 'medium' } },
      rules: [
        { id: 'first', select_from: ['aider'], min_safety_tier: 'high', fallback_to: ['claude'] },
        { id: 'second', select_from: ['codex'] },
      ],
    },
    tools: { aider: open(31) },
    chooses: 'codex',
    by: 'second',
  },
  {
    says: 'a fallback stands in for open circuits alone: a rule whose tools are paused hands over to the next',
    config: ladder(false, withFallback),
    tools: { aider: { ...open(31), paused: true } },
    chooses: 'codex',
    by: 'second',
  },
]

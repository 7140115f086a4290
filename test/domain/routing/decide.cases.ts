import type { Rotation, ToolInputs } from '../../../src/contract/routing.ts'
import type { Task } from '../../../src/contract/task.ts'
import { type ConfigFacts, EXPLORES } from '../../support/routing.ts'

export interface Case {
  says: string
  config: ConfigFacts
  task?: Partial<Task>
  tools?: Record<string, Partial<ToolInputs>>
  rotations?: Rotation[]
  seed?: number
  /** The chosen tool; null is unroutable. */
  chooses: string | null
  /** The rule that ended the search; null is none. */
  by: string | null
  /** Of these rules: the reason code. */
  rules?: Record<string, string>
  /** Of these tools: the reason codes, in order. */
  because?: Record<string, string>
}

const two = { aider: {}, codex: {} }
const trusted = { aider: { tier: 'low' }, codex: { tier: 'medium' }, claude: { tier: 'high' } } as const

/** One rule for what is asked, and claude for the rest, so that it shows whether the rule matched. */
const asking = (match: object): ConfigFacts => ({
  apps: { aider: {}, claude: {} },
  rules: [
    { id: 'asking', match, select_from: ['aider'] },
    { id: 'rest', select_from: ['claude'] },
  ],
})

const choosing = (strategy: 'fixed' | 'round_robin' | 'auto', apps: ConfigFacts['apps']): ConfigFacts => ({
  apps: apps ?? {},
  rules: [{ id: 'edits', select_from: Object.keys(apps ?? {}), strategy }],
})

export const MATCHING: Case[] = [
  {
    says: 'a rule without keys matches every task',
    config: asking({}),
    chooses: 'aider',
    by: 'asking',
    rules: { asking: 'eligible_candidate', rest: 'decided_earlier' },
  },
  {
    says: 'a rule matches a kind from its list',
    config: asking({ task_kind: ['review', 'edit'] }),
    chooses: 'aider',
    by: 'asking',
  },
  {
    says: 'a rule does not match another kind',
    config: asking({ task_kind: ['review'] }),
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'task_kind_differs', rest: 'eligible_candidate' },
  },
  {
    says: 'a kind is compared as a whole, not searched for in a longer word',
    config: asking({ task_kind: ['edits'] }),
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'task_kind_differs' },
  },
  ...(
    [
      ['risk_tier', 'high', 'low'],
      ['complexity', 'expert', 'trivial'],
      ['domain', 'backend', 'docs'],
      ['priority', 'critical', 'normal'],
    ] as const
  ).flatMap(([key, one, other]): Case[] => [
    {
      says: `a rule matches a task with the ${key} that it asks for`,
      config: asking({ [key]: [one] }),
      task: { classification: { [key]: one } },
      chooses: 'aider',
      by: 'asking',
    },
    {
      says: `a rule does not match a task with another ${key}`,
      config: asking({ [key]: [one] }),
      task: { classification: { [key]: other } },
      chooses: 'claude',
      by: 'rest',
      rules: { asking: `${key}_differs` },
    },
    {
      says: `a rule that asks for a ${key} does not match a task without one`,
      config: asking({ [key]: [one] }),
      task: { classification: {} },
      chooses: 'claude',
      by: 'rest',
      rules: { asking: `${key}_absent` },
    },
  ]),
  {
    says: 'a classification that is null has none of its fields',
    config: asking({ risk_tier: ['low', 'medium', 'high'] }),
    task: { classification: null },
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'risk_tier_absent' },
  },
  {
    says: 'an absent priority is absent for rules, though a request without one is normal',
    config: asking({ priority: ['normal'] }),
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'priority_absent' },
  },
  {
    says: 'a single complexity is read as a list of one',
    config: asking({ complexity: 'simple' }),
    task: { classification: { complexity: 'simple' } },
    chooses: 'aider',
    by: 'asking',
  },
  {
    says: 'a rule matches a project from its list',
    config: asking({ project_id: ['shop'] }),
    task: { project_id: 'shop' },
    chooses: 'aider',
    by: 'asking',
  },
  {
    says: 'a rule does not match another project',
    config: asking({ project_id: ['shop'] }),
    task: { project_id: 'shop-2' },
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'project_id_differs' },
  },
  {
    says: 'a rule that asks for a project does not match a task without one',
    config: asking({ project_id: ['shop'] }),
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'project_id_absent' },
  },
  {
    says: 'one of the labels that a rule lists is enough',
    config: asking({ labels: ['team:web', 'team:core'] }),
    task: { labels: { env: 'ci', team: 'core' } },
    chooses: 'aider',
    by: 'asking',
  },
  {
    says: 'a label with another value does not match',
    config: asking({ labels: ['team:core'] }),
    task: { labels: { team: 'core2', core: 'team' } },
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'labels_differ' },
  },
  {
    says: 'a label value may contain a colon',
    config: asking({ labels: ['url:http://a:80'] }),
    task: { labels: { url: 'http://a:80' } },
    chooses: 'aider',
    by: 'asking',
  },
  {
    says: 'no labels at all are absent labels',
    config: asking({ labels: ['team:core'] }),
    task: { labels: {} },
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'labels_absent' },
  },
  {
    says: 'all keys of a rule must hold: the first that does not is the reason',
    config: asking({ task_kind: ['edit'], risk_tier: ['low'], domain: ['docs'] }),
    task: { classification: { risk_tier: 'high', domain: 'backend' } },
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'risk_tier_differs' },
  },
  {
    says: 'a key with an empty list matches nothing',
    config: asking({ domain: [] }),
    task: { classification: { domain: 'docs' } },
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'domain_differs' },
  },
  {
    says: 'a rule with a key that no task has matches nothing, rather than everything',
    config: asking({ risk_teir: ['low'] }),
    task: { classification: { risk_tier: 'low' } },
    chooses: 'claude',
    by: 'rest',
    rules: { asking: 'unknown_key' },
  },
]

export const ORDER: Case[] = [
  {
    says: 'the first rule that matches decides, however special a later one is',
    config: {
      apps: two,
      rules: [
        { id: 'any', select_from: ['aider'] },
        { id: 'edits', match: { task_kind: ['edit'] }, select_from: ['codex'] },
      ],
    },
    chooses: 'aider',
    by: 'any',
    rules: { any: 'eligible_candidate', edits: 'decided_earlier' },
    because: { aider: 'chosen', codex: 'not_selected' },
  },
  {
    says: 'a rule that matches and has no eligible tool is passed over',
    config: {
      apps: two,
      rules: [
        { id: 'first', select_from: ['aider'] },
        { id: 'second', select_from: ['codex'] },
      ],
    },
    tools: { aider: { paused: true } },
    chooses: 'codex',
    by: 'second',
    rules: { first: 'no_eligible_candidate', second: 'eligible_candidate' },
    because: { aider: 'not_selected paused', codex: 'chosen' },
  },
  {
    says: 'a required rule that matches and has no eligible tool makes the task unroutable',
    config: {
      apps: two,
      rules: [
        { id: 'first', select_from: ['aider'], required: true },
        { id: 'second', select_from: ['codex'] },
      ],
    },
    tools: { aider: { paused: true } },
    chooses: null,
    by: 'first',
    rules: { first: 'required_without_candidate', second: 'decided_earlier' },
    because: { aider: 'paused', codex: 'not_selected' },
  },
  {
    says: 'a required rule that does not match is no obstacle',
    config: {
      apps: two,
      rules: [
        { id: 'first', match: { task_kind: ['review'] }, select_from: ['aider'], required: true },
        { id: 'second', select_from: ['codex'] },
      ],
    },
    chooses: 'codex',
    by: 'second',
    rules: { first: 'task_kind_differs' },
  },
  {
    says: 'without rules every capable tool is considered, sorted by name',
    config: { apps: { codex: {}, aider: {}, pytest: { kinds: ['test'] } } },
    chooses: 'aider',
    by: null,
    because: { aider: 'chosen', codex: 'later_in_order', pytest: 'task_kind' },
  },
  {
    says: 'names are sorted by code unit: capitals come first',
    config: { apps: { aider: {}, Zed: {} } },
    chooses: 'Zed',
    by: null,
  },
  {
    says: 'after the last rule every capable tool is considered, also those of rules that were passed over',
    config: {
      apps: { aider: {}, codex: { kinds: ['edit', 'review'] } },
      rules: [{ id: 'reviews', match: { task_kind: ['review'] }, select_from: ['aider'] }],
    },
    task: { task_kind: 'review' },
    chooses: 'codex',
    by: null,
    rules: { reviews: 'no_eligible_candidate' },
    because: { aider: 'task_kind', codex: 'chosen' },
  },
  {
    says: 'where no tool can do the kind there is none',
    config: { apps: two },
    task: { task_kind: 'juggle' },
    chooses: null,
    by: null,
    because: { aider: 'task_kind', codex: 'task_kind' },
  },
  {
    says: 'a configuration without apps routes nothing',
    config: {},
    chooses: null,
    by: null,
  },
  {
    says: 'a rule without select_from chooses from every app, sorted by name',
    config: { apps: { codex: {}, aider: {} }, rules: [{ id: 'any' }] },
    chooses: 'aider',
    by: 'any',
    because: { aider: 'chosen', codex: 'later_in_order' },
  },
]

const pausedFirst = choosing('fixed', two)

export const FILTERS: Case[] = [
  {
    says: 'an app that does not list the kind is not eligible',
    config: choosing('fixed', { aider: { kinds: ['review'] }, codex: {} }),
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'task_kind', codex: 'chosen' },
  },
  {
    says: 'an app without kinds can do nothing',
    config: choosing('fixed', { aider: { kinds: [] }, codex: {} }),
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'task_kind' },
  },
  {
    says: 'a validator or analyzer may do what its capabilities list',
    config: choosing('fixed', { eslint: { kind: 'analyzer' }, pytest: { kind: 'validator' } }),
    chooses: 'eslint',
    by: 'edits',
    because: { eslint: 'chosen', pytest: 'later_in_order' },
  },
  {
    says: 'an app that lists domains does not work in another',
    config: choosing('fixed', { aider: { domains: ['docs'] }, codex: { domains: ['docs', 'backend'] } }),
    task: { classification: { domain: 'backend' } },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'domain', codex: 'chosen' },
  },
  {
    says: 'a task without a domain passes every list of domains',
    config: choosing('fixed', { aider: { domains: ['docs'] } }),
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'an app without domains works in all',
    config: choosing('fixed', { aider: { domains: [] } }),
    task: { classification: { domain: 'backend' } },
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'allowed tools leave out the others',
    config: choosing('fixed', two),
    task: { allowed_tools: ['codex'] },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'not_allowed', codex: 'chosen' },
  },
  {
    says: 'an empty list of allowed tools allows none',
    config: choosing('fixed', two),
    task: { allowed_tools: [] },
    chooses: null,
    by: null,
    because: { aider: 'not_allowed', codex: 'not_allowed' },
  },
  {
    says: 'no list of allowed tools allows all',
    config: choosing('fixed', two),
    task: { allowed_tools: null },
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'allowed tools do not reach beyond the rule',
    config: {
      apps: two,
      rules: [{ id: 'edits', select_from: ['aider'], required: true }],
    },
    task: { allowed_tools: ['codex'] },
    chooses: null,
    by: 'edits',
    because: { aider: 'not_allowed', codex: 'not_selected' },
  },
  {
    says: 'excluded tools are left out',
    config: choosing('fixed', two),
    task: { excluded_tools: ['aider', 'nobody'] },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'excluded', codex: 'chosen' },
  },
  {
    says: 'a tool that is both allowed and excluded is excluded',
    config: choosing('fixed', two),
    task: { allowed_tools: ['aider', 'codex'], excluded_tools: ['aider'] },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'excluded' },
  },
  {
    says: 'a paused tool is left out',
    config: pausedFirst,
    tools: { aider: { paused: true } },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'paused', codex: 'chosen' },
  },
  {
    says: 'every reason against a tool is named',
    config: choosing('fixed', { aider: { kinds: ['review'], domains: ['docs'] }, codex: {} }),
    task: { allowed_tools: ['codex'], excluded_tools: ['aider'], classification: { domain: 'backend' } },
    tools: { aider: { paused: true, running: 1 } },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'task_kind domain not_allowed excluded paused at_max_parallel' },
  },
]

export const LOAD: Case[] = [
  {
    says: 'a tool at max_parallel is skipped while another is free',
    config: choosing('fixed', { aider: { max: 2 }, codex: {} }),
    tools: { aider: { running: 2 } },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'at_max_parallel', codex: 'chosen' },
  },
  {
    says: 'one that could do more is free',
    config: choosing('fixed', { aider: { max: 2 }, codex: {} }),
    tools: { aider: { running: 1 } },
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'where max_parallel is absent it is 1',
    config: choosing('fixed', two),
    tools: { aider: { running: 1 } },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'at_max_parallel' },
  },
  {
    says: 'where none is free the choice is made all the same, and marked',
    config: choosing('fixed', two),
    tools: { aider: { running: 1 }, codex: { running: 3 } },
    chooses: 'aider',
    by: 'edits',
    because: { aider: 'at_max_parallel chosen', codex: 'at_max_parallel later_in_order' },
  },
  {
    says: 'a full tool waits rather than hand over to the next rule',
    config: {
      apps: two,
      rules: [
        { id: 'first', select_from: ['aider'] },
        { id: 'second', select_from: ['codex'] },
      ],
    },
    tools: { aider: { running: 1 } },
    chooses: 'aider',
    by: 'first',
    because: { aider: 'at_max_parallel chosen' },
  },
  {
    says: 'a paused tool does not count as free',
    config: choosing('fixed', two),
    tools: { aider: { running: 1 }, codex: { paused: true } },
    chooses: 'aider',
    by: 'edits',
    because: { aider: 'at_max_parallel chosen', codex: 'paused' },
  },
]

export const SAFETY: Case[] = [
  {
    says: 'where nobody chose the tools they must be trusted with the risk',
    config: { apps: trusted },
    task: { classification: { risk_tier: 'high' } },
    chooses: 'claude',
    by: null,
    because: { aider: 'safety_tier', claude: 'chosen', codex: 'safety_tier' },
  },
  {
    says: 'a tier above the risk is as good',
    config: { apps: { codex: { tier: 'high' } } },
    task: { classification: { risk_tier: 'medium' } },
    chooses: 'codex',
    by: null,
  },
  {
    says: 'an app without a tier counts as low',
    config: { apps: { aider: {} } },
    task: { classification: { risk_tier: 'medium' } },
    chooses: null,
    by: null,
    because: { aider: 'safety_tier' },
  },
  {
    says: 'and may do what has a low risk',
    config: { apps: { aider: {} } },
    task: { classification: { risk_tier: 'low' } },
    chooses: 'aider',
    by: null,
  },
  {
    says: 'a task without a risk passes every tier',
    config: { apps: trusted },
    chooses: 'aider',
    by: null,
  },
  {
    says: "inside a rule the operator's selection stands",
    config: choosing('fixed', trusted),
    task: { classification: { risk_tier: 'high' } },
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'unless the rule has a floor of its own',
    config: {
      apps: trusted,
      rules: [{ id: 'edits', select_from: ['aider', 'codex'], min_safety_tier: 'medium' }],
    },
    task: { classification: { risk_tier: 'low' } },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'safety_tier', claude: 'not_selected' },
  },
  {
    says: 'a floor holds whatever the task says of its risk, also nothing',
    config: {
      apps: trusted,
      rules: [{ id: 'edits', select_from: ['aider'], min_safety_tier: 'medium', required: true }],
    },
    chooses: null,
    by: 'edits',
    because: { aider: 'safety_tier' },
  },
  {
    says: 'a rule without select_from and with a floor asks for the higher of floor and risk',
    config: { apps: trusted, rules: [{ id: 'any', min_safety_tier: 'high' }] },
    task: { classification: { risk_tier: 'medium' } },
    chooses: 'claude',
    by: 'any',
    because: { aider: 'safety_tier', claude: 'chosen', codex: 'safety_tier' },
  },
  {
    says: 'a rule without select_from chose nobody: the risk counts there too',
    config: { apps: trusted, rules: [{ id: 'any' }] },
    task: { classification: { risk_tier: 'medium' } },
    chooses: 'claude',
    by: 'any',
    because: { aider: 'safety_tier', claude: 'chosen', codex: 'later_in_order' },
  },
]

export const STRATEGIES: Case[] = [
  {
    says: 'fixed takes the first eligible in the order of the rule',
    config: {
      apps: { aider: {}, codex: {}, claude: {} },
      rules: [{ id: 'edits', select_from: ['codex', 'claude', 'aider'], strategy: 'fixed' }],
    },
    tools: { codex: { paused: true } },
    chooses: 'claude',
    by: 'edits',
    because: { aider: 'later_in_order', claude: 'chosen', codex: 'paused' },
  },
  {
    says: 'without a strategy anywhere it is fixed',
    config: { apps: two, rules: [{ id: 'edits', select_from: ['codex', 'aider'] }] },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'later_in_order' },
  },
  {
    says: "a rule without a strategy takes the default's",
    config: {
      apps: two,
      rules: [{ id: 'edits', select_from: ['aider', 'codex'] }],
      defaults: { strategy: 'round_robin' },
    },
    rotations: [{ rule_id: 'edits', order: ['codex', 'aider'] }],
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'not_its_turn', codex: 'chosen' },
  },
  {
    says: 'round robin begins with the order of the rule',
    config: {
      apps: two,
      rules: [{ id: 'edits', select_from: ['codex', 'aider'], strategy: 'round_robin' }],
    },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'not_its_turn' },
  },
  {
    says: 'round robin skips who is not eligible',
    config: choosing('round_robin', { aider: {}, claude: {}, codex: {} }),
    tools: { codex: { paused: true } },
    rotations: [{ rule_id: 'edits', order: ['codex', 'claude', 'aider'] }],
    chooses: 'claude',
    by: 'edits',
    because: { aider: 'not_its_turn', claude: 'chosen', codex: 'paused' },
  },
  {
    says: 'the turns of another rule do not count',
    config: choosing('round_robin', two),
    rotations: [{ rule_id: 'others', order: ['codex', 'aider'] }],
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'where no rule decides the turns go by a key of their own',
    config: { apps: two, defaults: { strategy: 'round_robin' } },
    rotations: [
      { rule_id: 'edits', order: ['aider', 'codex'] },
      { rule_id: null, order: ['codex', 'aider'] },
    ],
    chooses: 'codex',
    by: null,
    because: { aider: 'not_its_turn' },
  },
  {
    says: 'auto takes who has succeeded more',
    config: choosing('auto', two),
    tools: { aider: { successes: 1, failures: 3 }, codex: { successes: 3, failures: 1 } },
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'lower_score', codex: 'chosen' },
  },
  {
    says: 'auto breaks ties by name',
    config: choosing('auto', { codex: {}, aider: {} }),
    chooses: 'aider',
    by: 'edits',
    because: { aider: 'chosen', codex: 'later_in_name' },
  },
  {
    says: 'auto explores when the seed draws it',
    config: choosing('auto', two),
    tools: { aider: { successes: 9 }, codex: { successes: 1, failures: 1 } },
    seed: EXPLORES,
    chooses: 'codex',
    by: 'edits',
    because: { aider: 'not_explored', codex: 'chosen explored' },
  },
  {
    says: 'exploration breaks ties by name, whatever the order of the rule',
    config: {
      apps: two,
      rules: [{ id: 'edits', select_from: ['codex', 'aider'], strategy: 'auto' }],
    },
    seed: EXPLORES,
    chooses: 'aider',
    by: 'edits',
    because: { aider: 'chosen explored', codex: 'not_explored' },
  },
  {
    says: 'auto explores nobody where the share is 0',
    config: { ...choosing('auto', two), defaults: { auto: { exploration: 0 } } },
    tools: { aider: { successes: 9 }, codex: { successes: 1, failures: 1 } },
    seed: EXPLORES,
    chooses: 'aider',
    by: 'edits',
  },
  {
    says: 'auto does not explore among one',
    config: choosing('auto', { aider: {} }),
    seed: EXPLORES,
    chooses: 'aider',
    by: 'edits',
    because: { aider: 'chosen' },
  },
  {
    says: 'exploration passes over a tool whose first try is running',
    config: choosing('auto', { aider: { max: 2 }, codex: {} }),
    tools: { aider: { running: 1 }, codex: { successes: 0.5 } },
    seed: EXPLORES,
    chooses: 'codex',
    by: 'edits',
  },
]

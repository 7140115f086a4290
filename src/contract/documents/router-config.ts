import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox'
import { Complexity, Priority, RiskTier } from '../classification.ts'
import { CIRCUIT_DEFAULTS, DEFAULTS } from '../defaults.ts'
import { LABEL_KEY_PATTERN, LIMITS } from '../limits.ts'
import { named, ref, words } from '../named.ts'
import { Strategy } from '../strategy.ts'
import { document } from './document.ts'
import { filled, integer, mapOf, open, semver, strings, text } from './fields.ts'

// Named in all its parts: unlike the other documents, this one is a body of the API. Unknown fields below the
// root are kept and answered with a warning, so that what was written for other programs loads unchanged.
// Ranges are no part of the form: a limit out of range is a fault of meaning.

const part = <P extends TProperties>(schemaName: string, properties: P, description: string) =>
  named(schemaName, open(properties, description))

export const AppKind = words(
  'AppKind',
  ['tool', 'validator', 'analyzer'],
  'What an app is for. Any kind may do what its capabilities list. Named in `validate_with`, an analyzer only reports, and every other kind has to succeed.',
)
export type AppKind = Static<typeof AppKind>

export const AppCapabilities = part(
  'AppCapabilities',
  {
    task_kinds: Type.Optional(strings('The kinds of task that it can do. Without any it can do nothing.')),
    domains: Type.Optional(strings('The domains that it works in. Without any it works in all.')),
  },
  'What an app can do.',
)

export const AppLimits = part(
  'AppLimits',
  {
    max_parallel: Type.Optional(
      integer(`How many at a time, 1 to ${LIMITS.max_parallel}.`, { default: DEFAULTS.max_parallel }),
    ),
    timeout_seconds: Type.Optional(
      integer(`How long one try may take, 1 to ${LIMITS.timeout_seconds}; absent is the default's.`),
    ),
  },
  'Bounds of an app.',
)

const seconds = (description: string, maximum: number, standard: number) =>
  Type.Optional(integer(`${description}, 1 to ${maximum}.`, { default: standard }))

export const AppCircuit = part(
  'AppCircuit',
  {
    failures_in_row: Type.Optional(
      integer(`It opens after this many failures in a row, 1 to ${LIMITS.circuit_failures}.`, {
        default: CIRCUIT_DEFAULTS.failures_in_row,
      }),
    ),
    failure_rate: Type.Optional(
      Type.Number({
        description: 'It opens when a larger share than this of the attempts in the window failed, 0 to 1.',
        default: CIRCUIT_DEFAULTS.failure_rate,
      }),
    ),
    min_attempts: Type.Optional(
      integer(`The fewest attempts that have a share, 1 to ${LIMITS.circuit_attempts}.`, {
        default: CIRCUIT_DEFAULTS.min_attempts,
      }),
    ),
    window_seconds: seconds(
      'How far the window goes back',
      LIMITS.circuit_window_seconds,
      CIRCUIT_DEFAULTS.window_seconds,
    ),
    open_seconds: seconds(
      'How long it opens the first time',
      LIMITS.circuit_open_seconds,
      CIRCUIT_DEFAULTS.open_seconds,
    ),
    max_open_seconds: seconds(
      'How long it opens at most, however many probes fail',
      LIMITS.circuit_open_seconds,
      CIRCUIT_DEFAULTS.max_open_seconds,
    ),
  },
  'When an app counts as broken, and for how long it is left alone.',
)
export type AppCircuit = Static<typeof AppCircuit>

export const WhenAllOpen = words(
  'WhenAllOpen',
  ['wait', 'fail'],
  'What becomes of a task where nothing but open circuits keeps it from every tool, and no fallback can do it: it waits for the first that lets an attempt through, or is unroutable.',
)
export type WhenAllOpen = Static<typeof WhenAllOpen>

export const RouterApp = part(
  'RouterApp',
  {
    kind: ref(AppKind),
    command: text('Its program. For people and for workers of yours: the server starts nothing.'),
    args: Type.Optional(
      strings('The arguments of its program. `{prompt}` and the like are for the worker to fill in.'),
    ),
    description: Type.Optional(text('What it is good for.')),
    capabilities: ref(AppCapabilities),
    limits: Type.Optional(ref(AppLimits)),
    safety_tier: Type.Optional(
      ref(RiskTier, { description: 'The highest risk that it can be trusted with; absent counts as `low`.' }),
    ),
    cost_per_call_usd_micros: Type.Optional(
      integer('What one call costs, in millionths of a US dollar; absent is unknown.'),
    ),
    circuit: Type.Optional(ref(AppCircuit)),
  },
  'An app: a tool that tasks can be routed to.',
)
export type RouterApp = Static<typeof RouterApp>

const oneOf = <T extends typeof Complexity | typeof RiskTier | typeof Priority>(
  word: T,
  description: string,
) => Type.Optional(Type.Array(ref(word), { description }))

export const RuleMatch = part(
  'RuleMatch',
  {
    task_kind: Type.Optional(strings('Tasks of these kinds.')),
    risk_tier: oneOf(RiskTier, 'Tasks of these risks.'),
    complexity: Type.Optional(
      Type.Unsafe<Static<typeof Complexity> | Static<typeof Complexity>[]>({
        anyOf: [ref(Complexity), Type.Array(ref(Complexity))],
        description: 'Tasks of these complexities. A single one is read as a list of one, with a warning.',
      }),
    ),
    domain: Type.Optional(strings('Tasks of these domains.')),
    priority: oneOf(Priority, 'Tasks of these priorities.'),
    project_id: Type.Optional(strings('Tasks of these projects.')),
    labels: Type.Optional(
      Type.Array(Type.String({ pattern: `${LABEL_KEY_PATTERN.slice(0, -1)}:` }), {
        description: 'Tasks with one of these labels, each written `key:value`.',
      }),
    ),
  },
  'Which tasks a rule is for. All keys must hold; a task that lacks one does not match. No key: every task.',
)
export type RuleMatch = Static<typeof RuleMatch>

export const RoutingRule = part(
  'RoutingRule',
  {
    id: filled('Its name, once in the configuration.'),
    description: Type.Optional(text('Why it is there.')),
    match: ref(RuleMatch),
    select_from: Type.Optional(
      strings('The apps that it chooses from, in order. Absent is every app, sorted by name.'),
    ),
    strategy: Type.Optional(ref(Strategy, { description: "How it chooses; absent is the default's." })),
    min_safety_tier: Type.Optional(
      ref(RiskTier, { description: 'Apps of a lower safety tier are left out. Absent: none is.' }),
    ),
    required: Type.Optional(
      Type.Boolean({
        description: 'Whether a task that matches is unroutable when none of the apps can take it.',
        default: false,
      }),
    ),
    fallback_to: Type.Optional(
      strings(
        'Who takes over, in order, when the chosen app has failed, and while open circuits keep those away that the rule selects.',
      ),
    ),
    validate_with: Type.Optional(
      strings(
        'Who looks at the work once it is done. It succeeds only if all of them do, but for apps of the kind analyzer, which only report.',
      ),
    ),
  },
  'A rule: tasks that match go to one of its apps. The first that matches and has one decides.',
)
export type RoutingRule = Static<typeof RoutingRule>

export const RouterRouting = part(
  'RouterRouting',
  { rules: Type.Optional(Type.Array(ref(RoutingRule), { description: 'The rules, most important first.' })) },
  'How tasks find their app.',
)

const share = (description: string, standard: number) =>
  Type.Optional(Type.Number({ description, default: standard }))

/** What `auto` goes by where the configuration says nothing else. */
export const AUTO_DEFAULTS = {
  weights: { success: 0.55, latency: 0.2, load: 0.15, cost: 0.1 },
  exploration: 0.05,
} as const

export const AutoWeights = part(
  'AutoWeights',
  {
    success: share('Of having succeeded lately.', AUTO_DEFAULTS.weights.success),
    latency: share('Of being fast.', AUTO_DEFAULTS.weights.latency),
    load: share('Of being free.', AUTO_DEFAULTS.weights.load),
    cost: share('Of being cheap.', AUTO_DEFAULTS.weights.cost),
  },
  'What counts how much in a score. Only their proportions matter.',
)

export const AutoDefaults = part(
  'AutoDefaults',
  {
    weights: Type.Optional(ref(AutoWeights)),
    exploration: share(
      'The share of decisions, 0 to 1, that goes to the app with the fewest outcomes.',
      AUTO_DEFAULTS.exploration,
    ),
  },
  'How `auto` chooses.',
)

export const RouterDefaults = part(
  'RouterDefaults',
  {
    max_attempts: Type.Optional(
      integer(`How often a task is tried, 1 to ${LIMITS.attempts}.`, { default: DEFAULTS.max_attempts }),
    ),
    timeout_seconds: Type.Optional(
      integer(`How long one try may take, 1 to ${LIMITS.timeout_seconds}.`, {
        default: DEFAULTS.timeout_seconds,
      }),
    ),
    strategy: Type.Optional(ref(Strategy, { description: 'Of rules without one; absent is `fixed`.' })),
    auto: Type.Optional(ref(AutoDefaults)),
    when_all_open: Type.Optional(
      ref(WhenAllOpen, {
        description: 'Where only open circuits keep a task from every tool; absent is `wait`.',
      }),
    ),
  },
  'What holds where neither the task nor the rule nor the app says otherwise.',
)

const routerConfigFields = {
  version: semver('The version of the configuration, as its authors count.'),
  apps: mapOf(ref(RouterApp), 'The apps by name.'),
  routing: ref(RouterRouting),
  defaults: Type.Optional(ref(RouterDefaults)),
}
export type RouterConfig = Static<TObject<typeof routerConfigFields>>

export const routerConfigExample: RouterConfig = {
  version: '1.0.0',
  apps: {
    aider: {
      kind: 'tool',
      command: 'aider',
      args: ['--message', '{prompt}', '--yes-always'],
      capabilities: { task_kinds: ['code_edit'], domains: ['backend'] },
      limits: { max_parallel: 2, timeout_seconds: 900 },
      safety_tier: 'medium',
    },
    pytest: { kind: 'validator', command: 'pytest', capabilities: { task_kinds: ['test_run'] } },
  },
  routing: {
    rules: [
      {
        id: 'edits',
        match: { task_kind: ['code_edit'], risk_tier: ['low', 'medium'] },
        select_from: ['aider'],
        strategy: 'fixed',
      },
      { id: 'tests', match: { task_kind: ['test_run'] }, select_from: ['pytest'], required: true },
    ],
  },
  defaults: { max_attempts: 3, timeout_seconds: 600, strategy: 'fixed' },
}

export const RouterConfig = named(
  'RouterConfig',
  document(
    {
      title: 'Router configuration',
      description: 'The apps that tasks can be routed to, and the rules by which they are.',
      example: routerConfigExample,
    },
    routerConfigFields,
  ),
)

import { type Static, Type } from '@sinclair/typebox'
import { CircuitInput } from './circuit.ts'
import { Timestamp, Ulid, anyOf, count, instant, name, page, pageOf } from './common.ts'
import { closed, named, nullable, ref, words } from './named.ts'
import { CandidateVerdict, RuleVerdict } from './route-verdict.ts'
import { Strategy } from './strategy.ts'
import { Task, taskExample } from './task.ts'

export const RouteOutcome = words(
  'RouteOutcome',
  ['routed', 'unroutable'],
  'Whether a tool was found for the task.',
)
export type RouteOutcome = Static<typeof RouteOutcome>

const tally = (description: string) => Type.Number({ minimum: 0, description })

export const ToolInputs = named(
  'ToolInputs',
  closed(
    {
      tool_id: name('The tool.'),
      running: count('Its step attempts that are running.'),
      paused: Type.Boolean({ description: 'Whether it is paused.' }),
      circuit: Type.Optional(ref(CircuitInput, { description: 'Its circuit; absent if that was closed.' })),
      successes: tally('Its successes, each halved for every hour since.'),
      failures: tally('Its failures, each halved for every hour since.'),
      median_duration_ms: nullable(Type.Number({ minimum: 0 }), {
        description: 'The median duration of its last 50 successful attempts; null if there are none.',
      }),
    },
    { description: 'What the ledger knew of a tool when the decision was made.' },
  ),
)
export type ToolInputs = Static<typeof ToolInputs>

export const Rotation = named(
  'Rotation',
  closed(
    {
      rule_id: nullable(name('The rule.'), { description: 'The rule; null where no rule decided.' }),
      order: Type.Array(name('A tool.'), {
        description: 'The tools in the order of their turns. Who is chosen goes to the end.',
      }),
    },
    { description: 'Whose turn it is.' },
  ),
)
export type Rotation = Static<typeof Rotation>

export const RouteInputs = named(
  'RouteInputs',
  closed(
    {
      tools: Type.Array(ref(ToolInputs), { description: 'What was known of each tool, sorted by name.' }),
      rotation: nullable(ref(Rotation), {
        description: 'Whose turn it was before the decision; null if it was not made in turn.',
      }),
      fallback_order: Type.Optional(
        Type.Array(name('A tool.'), {
          description: 'Of a fallback: who could take over, in order. Absent from first decisions.',
        }),
      ),
      validated_decision_id: Type.Optional(
        ref(Ulid, {
          description:
            'Of a validator: the decision about the work, which named it. Its tool is the one that the task allows. Absent from all others.',
        }),
      ),
    },
    {
      description:
        'All that a decision depended on beside the task, the configuration and the seed: enough to make it again.',
    },
  ),
)
export type RouteInputs = Static<typeof RouteInputs>

/** What a decision says, without the name and the time under which it was stored. */
export const answerFields = {
  outcome: ref(RouteOutcome),
  tool_id: nullable(name('The tool.'), { description: 'The chosen tool; null if unroutable.' }),
  rule_id: nullable(name('The rule.'), {
    description:
      'The rule that ended the search; null if none did, and the choice was from every tool that can do it.',
  }),
  strategy: ref(Strategy, { description: 'How the tool was chosen.' }),
  config_version: Type.Integer({ minimum: 1, description: 'The router configuration that was in force.' }),
  task: ref(Task),
  seed: Type.Integer({
    minimum: 0,
    maximum: 0xffff_ffff,
    description: 'Where the chance in it comes from: the same seed gives the same decision.',
  }),
  inputs: ref(RouteInputs),
  rules: Type.Array(ref(RuleVerdict), {
    description:
      'Every rule, in order; none for a fallback, which goes by the order of the rule before, and for a validator, which a rule names.',
  }),
  candidates: Type.Array(ref(CandidateVerdict), {
    description: 'Every tool of the configuration, sorted by name, each once.',
  }),
  fallback_to: Type.Array(name('A tool.'), {
    description:
      'Who takes over, in order, when the attempts of the tool are spent or its circuit is open: what is left of the order.',
  }),
  validate_with: Type.Array(name('A tool.'), {
    description: 'Who looks at the work once it is done. Empty for validators themselves.',
  }),
  run_id: nullable(ref(Ulid), { description: 'The run that the task belongs to.' }),
}

export const answerExample = {
  outcome: 'routed',
  tool_id: 'aider',
  rule_id: 'edits',
  strategy: 'fixed',
  config_version: 1,
  task: taskExample,
  seed: 2_463_534_242,
  inputs: {
    tools: [
      {
        tool_id: 'aider',
        running: 0,
        paused: false,
        successes: 3.25,
        failures: 0.5,
        median_duration_ms: 41_200,
      },
      { tool_id: 'pytest', running: 0, paused: false, successes: 0, failures: 0, median_duration_ms: null },
    ],
    rotation: null,
  },
  rules: [
    { rule_id: 'edits', verdict: 'decided', reason_code: 'eligible_candidate' },
    { rule_id: 'tests', verdict: 'not_reached', reason_code: 'decided_earlier' },
  ],
  candidates: [
    { tool_id: 'aider', eligible: true, reason_codes: ['chosen'], score: null, parts: null },
    {
      tool_id: 'pytest',
      eligible: false,
      reason_codes: ['not_selected', 'task_kind'],
      score: null,
      parts: null,
    },
  ],
  fallback_to: [],
  validate_with: [],
  run_id: null,
}

const decisionIds = {
  route_decision_id: ref(Ulid),
  previous_decision_id: Type.Optional(
    nullable(ref(Ulid), {
      description:
        'Of a fallback: the decision about the same execution request before this one. Null for first decisions; absent where it was recorded before there were fallbacks.',
    }),
  ),
}

export const RouteDecision = named(
  'RouteDecision',
  closed(
    { ...decisionIds, ...answerFields, created_at: ref(Timestamp) },
    {
      description: 'The stored answer to the question which tool, and why.',
      examples: [
        {
          route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5W',
          previous_decision_id: null,
          ...answerExample,
          created_at: '2026-01-05T09:30:00.500Z',
        },
      ],
    },
  ),
)
export type RouteDecision = Static<typeof RouteDecision>

export const RouteDecisionPage = pageOf('RouteDecisionPage', RouteDecision, 'route decisions')

export const RouteDecisionParams = closed(
  { route_decision_id: ref(Ulid) },
  { description: 'Which route decision.' },
)

export const RouteDecisionsQuery = closed(
  {
    tool_id: anyOf(name('A tool.'), 'Decisions that chose one of these tools.'),
    rule_id: anyOf(name('A rule.'), 'Decisions of these rules.'),
    outcome: anyOf(ref(RouteOutcome), 'Decisions with these outcomes.'),
    task_kind: anyOf(name('A kind of task.'), 'Decisions about tasks of these kinds.'),
    project_id: anyOf(name('A project.'), 'Decisions about tasks of these projects.'),
    run_id: anyOf(ref(Ulid), 'Decisions in these runs.'),
    created_after: Type.Optional(instant('Made at this instant or later.')),
    created_before: Type.Optional(instant('Made before this instant.')),
    ...page('desc'),
  },
  { description: 'Filters of the list of route decisions. Different filters must all pass.' },
)
export type RouteDecisionsQuery = Static<typeof RouteDecisionsQuery>

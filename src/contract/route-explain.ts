import { type Static, Type } from '@sinclair/typebox'
import { name } from './common.ts'
import { closed, named, nullable, ref, words } from './named.ts'
import { RouteDecision, answerExample, answerFields } from './routing.ts'

export const RouteEditKind = words(
  'RouteEditKind',
  [
    'lift_pause',
    'close_circuit',
    'lift_load',
    'drop_from_excluded',
    'add_to_allowed',
    'set_complexity',
    'set_risk_tier',
    'set_domain',
    'set_priority',
    'remove_candidate',
  ],
  'One change of the task or of the tools. In this order they are tried.',
)
export type RouteEditKind = Static<typeof RouteEditKind>

export const RouteEdit = named(
  'RouteEdit',
  closed(
    {
      edit: ref(RouteEditKind),
      value: nullable(Type.String(), {
        description:
          'With `set_…` the new value; with `remove_candidate` the tool that would have to be away; else null.',
      }),
    },
    { description: 'A single change that would make another tool the chosen one.' },
  ),
)
export type RouteEdit = Static<typeof RouteEdit>

export const RouteAlternative = named(
  'RouteAlternative',
  closed(
    {
      tool_id: name('A tool that was not chosen.'),
      edit: nullable(ref(RouteEdit), {
        description: 'The first single change that would choose it; null if none would.',
      }),
    },
    { description: 'What would have to be different for another tool to be chosen.' },
  ),
)
export type RouteAlternative = Static<typeof RouteAlternative>

export const RouteSentences = named(
  'RouteSentences',
  closed(
    {
      summary: Type.String({ description: 'The decision.' }),
      rules: Type.Array(Type.String(), { description: 'One sentence for each of `rules`.' }),
      candidates: Type.Array(Type.String(), { description: 'One sentence for each of `candidates`.' }),
    },
    { description: 'A decision in words, for readers. Programs should look at the codes.' },
  ),
)
export type RouteSentences = Static<typeof RouteSentences>

export const ExplainResult = named(
  'ExplainResult',
  closed(
    {
      ...answerFields,
      alternatives: Type.Array(ref(RouteAlternative), {
        description: 'For each tool that was not chosen, what would choose it.',
      }),
      sentences: ref(RouteSentences),
    },
    {
      description: 'What a decision would be now. Nothing was stored and nothing has changed.',
      examples: [
        {
          ...answerExample,
          alternatives: [{ tool_id: 'pytest', edit: null }],
          sentences: {
            summary: 'The task goes to aider: rule edits takes the first of its tools that can do it.',
            rules: [
              'Rule edits decided.',
              'Rule tests was not reached: the search had ended with a rule before it.',
            ],
            candidates: [
              'aider was chosen.',
              'pytest was not eligible: the rule does not choose from it; it cannot do tasks of this kind.',
            ],
          },
        },
      ],
    },
  ),
)
export type ExplainResult = Static<typeof ExplainResult>

export const ReplayResult = named(
  'ReplayResult',
  closed(
    {
      config_version: Type.Integer({ minimum: 1, description: 'The configuration that it was made under.' }),
      identical: Type.Boolean({
        description:
          'Whether it gave the same bytes: its canonical (RFC 8785) text without `route_decision_id` and `created_at`.',
      }),
      decision: ref(RouteDecision, {
        description: 'The decision as it came out now, under the id and time of the recorded one.',
      }),
    },
    {
      description: 'A recorded decision, made again from its recorded inputs. Nothing was stored.',
      examples: [
        {
          config_version: 1,
          identical: true,
          decision: {
            route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5W',
            previous_decision_id: null,
            ...answerExample,
            created_at: '2026-01-05T09:30:00.500Z',
          },
        },
      ],
    },
  ),
)
export type ReplayResult = Static<typeof ReplayResult>

export const ReplayRoute = named(
  'ReplayRoute',
  closed({}, { description: 'Nothing is needed to make a decision again.', examples: [{}] }),
)

export const ReplayQuery = closed(
  {
    config_version: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Another configuration; absent is the recorded one.' }),
    ),
  },
  { description: 'Under which configuration.' },
)
export type ReplayQuery = Static<typeof ReplayQuery>

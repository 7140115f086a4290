import { type Static, Type } from '@sinclair/typebox'
import { ToolCircuit } from './circuit.ts'
import { RiskTier } from './classification.ts'
import { Timestamp, count, instant, name, page, pageOf } from './common.ts'
import { AppKind } from './documents/router-config.ts'
import { Actor } from './event.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref } from './named.ts'

export const ToolCapabilities = named(
  'ToolCapabilities',
  closed(
    {
      task_kinds: Type.Array(Type.String(), { description: 'The kinds of task that it can do.' }),
      domains: Type.Array(Type.String(), { description: 'The domains that it works in; none is all.' }),
    },
    { description: 'What a tool can do.' },
  ),
)

export const ToolLimits = named(
  'ToolLimits',
  closed(
    {
      max_parallel: Type.Integer({ minimum: 1, description: 'How many at a time.' }),
      timeout_seconds: Type.Integer({
        minimum: 1,
        description: 'How long one try may take, unless the task says otherwise.',
      }),
    },
    { description: 'Bounds of a tool.' },
  ),
)

export const ToolOutcomes = named(
  'ToolOutcomes',
  closed(
    {
      successes: Type.Number({ minimum: 0, description: 'Successes, each halved for every hour since.' }),
      failures: Type.Number({ minimum: 0, description: 'Failures, each halved for every hour since.' }),
      success_rate: nullable(Type.Number({ minimum: 0, maximum: 1 }), {
        description: 'Successes among both; null if there are none.',
      }),
    },
    { description: 'How its attempts ended lately. What was canceled or badly asked does not count.' },
  ),
)

const milliseconds = (description: string) => nullable(Type.Number({ minimum: 0 }), { description })

export const ToolDurations = named(
  'ToolDurations',
  closed(
    {
      samples: count('How many attempts they are taken from: the last 50 that succeeded.'),
      p50_ms: milliseconds('The median, of an even number the mean of the middle two; null without samples.'),
      p90_ms: milliseconds('Nine of ten took no longer; null without samples.'),
      p99_ms: milliseconds('All but one in a hundred took no longer; null without samples.'),
    },
    { description: 'How long its successful attempts took.' },
  ),
)

const reason = (description: string) =>
  Type.String({ minLength: 1, maxLength: LIMITS.reason_length, description })

export const ToolPause = named(
  'ToolPause',
  closed(
    {
      reason: reason('Why nothing is routed to it.'),
      until: nullable(ref(Timestamp), { description: 'When it ends by itself; null if it does not.' }),
      paused_at: ref(Timestamp),
      paused_by: ref(Actor),
    },
    { description: 'A pause that is in force.' },
  ),
)
export type ToolPause = Static<typeof ToolPause>

export const Tool = named(
  'Tool',
  closed(
    {
      tool_id: name('Its name in the configuration.'),
      kind: ref(AppKind),
      command: Type.String({ description: 'Its program.' }),
      args: Type.Array(Type.String(), { description: 'The arguments of its program.' }),
      description: nullable(Type.String(), { description: 'What it is good for.' }),
      capabilities: ref(ToolCapabilities),
      limits: ref(ToolLimits),
      safety_tier: ref(RiskTier, { description: 'The highest risk that it can be trusted with.' }),
      cost_per_call_usd_micros: nullable(count('What one call costs, in millionths of a US dollar.')),
      config_version: Type.Integer({ minimum: 1, description: 'The configuration that it stands in.' }),
      running: count('Its step attempts that are running.'),
      outcomes: ref(ToolOutcomes),
      durations: ref(ToolDurations),
      last_used_at: nullable(ref(Timestamp), { description: 'When an attempt with it was last started.' }),
      pause: nullable(ref(ToolPause), { description: 'Null if it is not paused.' }),
      circuit: ref(ToolCircuit),
    },
    {
      description: 'An app of the active configuration, with what the ledger knows of it.',
      examples: [
        {
          tool_id: 'aider',
          kind: 'tool',
          command: 'aider',
          args: ['--message', '{prompt}', '--yes-always'],
          description: 'Edits files in a git repository.',
          capabilities: { task_kinds: ['code_edit'], domains: [] },
          limits: { max_parallel: 2, timeout_seconds: 900 },
          safety_tier: 'medium',
          cost_per_call_usd_micros: null,
          config_version: 1,
          running: 1,
          outcomes: { successes: 3, failures: 1, success_rate: 0.75 },
          durations: { samples: 12, p50_ms: 41_200, p90_ms: 88_000, p99_ms: 93_100 },
          last_used_at: '2026-01-05T09:29:12.000Z',
          pause: null,
          circuit: {
            state: 'open',
            reason: 'failures_in_row',
            failures_in_row: 5,
            opened_at: '2026-01-05T09:29:30.000Z',
            open_until: '2026-01-05T09:30:30.000Z',
            open_seconds: 60,
          },
        },
      ],
    },
  ),
)
export type Tool = Static<typeof Tool>

export const ToolPage = pageOf('ToolPage', Tool, 'tools')

export const ToolParams = closed({ tool_id: name('The tool.') }, { description: 'Which tool.' })

export const ToolsQuery = closed(page('asc'), { description: 'Paging.' })
export type ToolsQuery = Static<typeof ToolsQuery>

export const PauseTool = named(
  'PauseTool',
  closed(
    {
      reason: reason('Why nothing shall be routed to it.'),
      until: optional(instant('When the pause ends by itself; left out is never.')),
    },
    {
      description: 'Keeps tasks away from a tool.',
      examples: [{ reason: 'quota used up', until: '2026-01-06T00:00:00Z' }],
    },
  ),
)
export type PauseTool = Static<typeof PauseTool>

export const ResumeTool = named(
  'ResumeTool',
  closed({}, { description: 'Nothing is needed to resume a tool.', examples: [{}] }),
)

export const ResetTool = named(
  'ResetTool',
  closed(
    { reason: reason('Why it works again.') },
    { description: 'Closes the circuit of a tool.', examples: [{ reason: 'the key was renewed' }] },
  ),
)
export type ResetTool = Static<typeof ResetTool>

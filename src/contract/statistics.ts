import { type Static, Type } from '@sinclair/typebox'
import { Timestamp, count, name } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, ref } from './named.ts'
import { StatisticsBy } from './statistics-query.ts'

const ms = (description: string) => nullable(count(description))

export const DurationStatistics = named(
  'DurationStatistics',
  closed(
    {
      count: count('How many durations are known. The other fields are null where none is.'),
      p50_ms: ms('Half of them took no longer.'),
      p90_ms: ms('Nine tenths of them took no longer.'),
      p99_ms: ms('Ninety-nine hundredths of them took no longer.'),
      max_ms: ms('None took longer.'),
    },
    {
      description:
        'How long things took, in milliseconds by the clock of the server. Percentiles are exact, by nearest rank: of n durations in order, number ⌈n × p ÷ 100⌉.',
    },
  ),
)
export type DurationStatistics = Static<typeof DurationStatistics>

export const UsageSum = named(
  'UsageSum',
  closed(
    {
      sum: nullable(count('Of all attempts that reported it; 2^53 − 1 is that or more. Null if none did.')),
      attempts: count('How many attempts reported it.'),
    },
    { description: 'What attempts used up, and on how many reports that rests.' },
  ),
)
export type UsageSum = Static<typeof UsageSum>

const rate = (description: string) => nullable(Type.Number({ minimum: 0, maximum: 1 }), { description })

export const RunStatistics = named(
  'RunStatistics',
  closed(
    {
      total: count('All runs that were created.'),
      pending: count('Of them, those that have not started.'),
      running: count('Those that are running.'),
      succeeded: count('Those that succeeded.'),
      failed: count('Those that failed.'),
      quarantined: count('Those that were quarantined.'),
      canceled: count('Those that were canceled.'),
      success_rate: rate(
        'succeeded ÷ (succeeded + failed + quarantined). Null while that is 0 ÷ 0: what is open or was canceled says nothing.',
      ),
      durations: ref(DurationStatistics, {
        description: 'From start to end, of those that were started and have ended, in whatever state.',
      }),
    },
    { description: 'Runs, by the state that they are in now, and how long they took.' },
  ),
)
export type RunStatistics = Static<typeof RunStatistics>

export const RequestStatistics = named(
  'RequestStatistics',
  closed(
    {
      total: count('All execution requests that were created.'),
      blocked: count('Of them, those that wait for other tasks, or for their validators.'),
      queued: count('Those that wait for a worker, for the first time or again.'),
      claimed: count('Those that a worker holds.'),
      succeeded: count('Those that succeeded.'),
      failed: count('Those that finally failed.'),
      canceled: count('Those that were canceled.'),
      success_rate: rate('succeeded ÷ (succeeded + failed). Null while that is 0 ÷ 0.'),
      attempts_per_success: nullable(Type.Number({ minimum: 0 }), {
        description:
          'The mean of `attempts` of those that succeeded: of whatever tool, without what was rejected or released. Null if none succeeded.',
      }),
      queue: ref(DurationStatistics, {
        description:
          'From creation to first claim, of those that were claimed at least once. The time in which a task of a plan waits for others is in it.',
      }),
    },
    {
      description:
        'Execution requests, by the state that they are in now, and how long they waited. Validators are not counted: they are work about other work, and show among the step attempts.',
    },
  ),
)
export type RequestStatistics = Static<typeof RequestStatistics>

export const AttemptStatistics = named(
  'AttemptStatistics',
  closed(
    {
      total: count('All step attempts that were started.'),
      running: count('Of them, those that have not ended.'),
      succeeded: count('Those that succeeded.'),
      failed: count('Those that failed.'),
      canceled: count('Those that were canceled.'),
      success_rate: rate('succeeded ÷ (succeeded + failed). Null while that is 0 ÷ 0.'),
      durations: ref(DurationStatistics, {
        description: 'From start to end, of those that have ended, in whatever state.',
      }),
      tokens_input: ref(UsageSum, { description: 'Tokens read by models.' }),
      tokens_output: ref(UsageSum, { description: 'Tokens written by models.' }),
      cost_usd_micros: ref(UsageSum, { description: 'Cost in millionths of a US dollar.' }),
    },
    {
      description:
        'Step attempts, by the state that they are in now, how long they took and what they used up; those of validators too.',
    },
  ),
)
export type AttemptStatistics = Static<typeof AttemptStatistics>

const figures = {
  runs: nullable(ref(RunStatistics), {
    description:
      'Of the runs that were created then; null by tool, and where `tool_id` filters: a run has no tool.',
  }),
  execution_requests: ref(RequestStatistics, {
    description: 'Of the execution requests that were created then.',
  }),
  step_attempts: ref(AttemptStatistics, { description: 'Of the step attempts that were started then.' }),
}

export const StatisticsFigures = named(
  'StatisticsFigures',
  closed(figures, { description: 'What was begun in the whole window, and what became of it.' }),
)
export type StatisticsFigures = Static<typeof StatisticsFigures>

export const StatisticsBucket = named(
  'StatisticsBucket',
  closed(
    {
      from: ref(Timestamp, { description: 'Its first instant.' }),
      to: ref(Timestamp, { description: 'The first instant after it.' }),
      ...figures,
    },
    {
      description:
        'What was begun in one part of the window, and what became of it. The first and the last part end with the window, and may be shorter.',
    },
  ),
)
export type StatisticsBucket = Static<typeof StatisticsBucket>

const parts = Type.Array(ref(StatisticsBucket), {
  description: 'The same by bucket, in the order of time, empty ones too; none without `bucket_seconds`.',
})

export const StatisticsGroup = named(
  'StatisticsGroup',
  closed(
    {
      project_id: nullable(name('The project.'), { description: 'The project; null by tool.' }),
      tool_id: nullable(name('The tool.'), {
        description: 'The tool; null by project, and by tool where no tool is assigned.',
      }),
      ...figures,
      buckets: parts,
    },
    { description: 'What was begun for one project or tool, and what became of it.' },
  ),
)
export type StatisticsGroup = Static<typeof StatisticsGroup>

export const OtherStatistics = named(
  'OtherStatistics',
  closed(
    { ...figures, buckets: parts },
    { description: 'The same of all projects or tools that are not listed.' },
  ),
)
export type OtherStatistics = Static<typeof OtherStatistics>

const durations = (known: number, p50_ms: number | null, p90_ms: number | null, p99_ms: number | null) => ({
  count: known,
  p50_ms,
  p90_ms,
  p99_ms,
  max_ms: p99_ms,
})

const runsExample = {
  total: 40,
  pending: 1,
  running: 2,
  succeeded: 33,
  failed: 3,
  quarantined: 0,
  canceled: 1,
  success_rate: 33 / 36,
  durations: durations(36, 61_250, 184_000, 402_119),
}
const requestsExample = {
  total: 52,
  blocked: 2,
  queued: 1,
  claimed: 1,
  succeeded: 45,
  failed: 3,
  canceled: 0,
  success_rate: 45 / 48,
  attempts_per_success: 1.2,
  queue: durations(49, 750, 4_200, 31_000),
}
const attemptsExample = {
  total: 65,
  running: 1,
  succeeded: 47,
  failed: 14,
  canceled: 3,
  success_rate: 47 / 61,
  durations: durations(64, 48_300, 160_500, 398_004),
  tokens_input: { sum: 912_400, attempts: 51 },
  tokens_output: { sum: 88_150, attempts: 51 },
  cost_usd_micros: { sum: 4_310_000, attempts: 51 },
}
const figuresExample = {
  runs: runsExample,
  execution_requests: requestsExample,
  step_attempts: attemptsExample,
}

export const Statistics = named(
  'Statistics',
  closed(
    {
      from: ref(Timestamp, { description: 'The first instant of the window.' }),
      to: ref(Timestamp, { description: 'The first instant after it.' }),
      bucket_seconds: nullable(Type.Integer({ minimum: 1 }), {
        description: 'How long a bucket is; null without buckets.',
      }),
      by: nullable(ref(StatisticsBy), { description: 'What they are grouped by; null without groups.' }),
      total: ref(StatisticsFigures),
      buckets: parts,
      groups: Type.Array(ref(StatisticsGroup), {
        description: `The same by project or tool: the ${LIMITS.statistics_groups} for which most was begun, that first. None without \`by\`. Of more than ${LIMITS.statistics_names} names only the first are told apart.`,
      }),
      other: nullable(ref(OtherStatistics), {
        description: 'The projects or tools beyond those, together; null if all are listed.',
      }),
    },
    {
      description:
        'What was begun in a window of time, and what has become of it by now. Each run counts where it was created, each execution request where it was created, each step attempt where it was started, with its whole duration and its present state: figures of the past change until all that was begun then has ended.',
      examples: [
        {
          from: '2026-01-05T09:00:00.000Z',
          to: '2026-01-05T10:00:00.000Z',
          bucket_seconds: 3600,
          by: null,
          total: figuresExample,
          buckets: [{ from: '2026-01-05T09:00:00.000Z', to: '2026-01-05T10:00:00.000Z', ...figuresExample }],
          groups: [],
          other: null,
        },
      ],
    },
  ),
)
export type Statistics = Static<typeof Statistics>

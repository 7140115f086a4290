import { type Static, Type } from '@sinclair/typebox'
import { anyOf, instant, name } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, ref, words } from './named.ts'

export const StatisticsBy = words(
  'StatisticsBy',
  ['tool', 'project'],
  'What statistics are grouped by. `tool`: step attempts by their tool, execution requests by the one that they are assigned to; a run has no tool.',
)
export type StatisticsBy = Static<typeof StatisticsBy>

const hours = LIMITS.statistics_seconds / 3_600
const days = LIMITS.statistics_seconds_max / 86_400

export const StatisticsQuery = closed(
  {
    from: Type.Optional(instant(`The window begins at this instant. Default: ${hours} hours before \`to\`.`)),
    to: Type.Optional(
      instant(`The window ends before this instant. Default: now. It has at most ${days} days.`),
    ),
    bucket_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIMITS.statistics_seconds_max,
        description: `Cuts the window into buckets of so many seconds, counted from 1970-01-01T00:00:00Z: 3600 are hours, 86400 days in UTC, 604800 weeks from Thursday on. At most ${LIMITS.statistics_buckets} buckets, with \`by\` at most ${LIMITS.statistics_group_buckets}.`,
      }),
    ),
    by: Type.Optional(ref(StatisticsBy)),
    project_id: anyOf(name('A project.'), 'Only what belongs to these projects.'),
    tool_id: anyOf(
      name('A tool.'),
      'Only step attempts of these tools, and execution requests that are assigned to them. Then there are no figures of runs.',
    ),
  },
  {
    description: 'The window of statistics, its parts, and what is counted. Different filters must all pass.',
  },
)
export type StatisticsQuery = Static<typeof StatisticsQuery>

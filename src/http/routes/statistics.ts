import { LIMITS } from '../../contract/limits.ts'
import { ref } from '../../contract/named.ts'
import { Statistics } from '../../contract/statistics.ts'
import { StatisticsQuery } from '../../contract/statistics-query.ts'
import { sendJson } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { reads } from '../operation.ts'
import { hangUpOf } from '../wait.ts'

export function statisticsRoutes(app: App, { orchestrator }: RouteDeps): void {
  const getStatistics = reads(
    {
      operationId: 'getStatistics',
      tag: 'statistics',
      summary: 'Count what was begun, and what became of it',
      description: `Runs, execution requests and step attempts of a window of time: how many, in which states, how long they took and waited, how often they succeeded, what they used up; in all, by bucket of time, and by tool or project. Of what the API key sees. Every figure is derived from the rows of the ledger when it is asked for, in a few seconds for the largest window, beside all other work and not all at one moment. A window with more than ${LIMITS.statistics_rows} rows of a kind is \`window_too_large\`; ${LIMITS.statistics} are computed at once, a further one is \`overloaded\`.`,
      problems: ['overloaded', 'window_too_large'],
    },
    ref(Statistics),
    { querystring: StatisticsQuery },
  )
  app.get('/v1/stats', { schema: getStatistics, config: { scope: 'read' } }, async (request, reply) =>
    sendJson(reply, await orchestrator.getStatistics(request.caller, request.query, hangUpOf(reply))),
  )
}

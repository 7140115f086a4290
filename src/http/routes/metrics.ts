import { Type } from '@sinclair/typebox'
import type { Logger } from 'pino'
import { METRICS_TYPE, type Metrics } from '../../metrics/metrics.ts'
import type { App, RouteDeps } from '../deps.ts'
import { serves } from '../operation.ts'

export interface MetricsDeps extends Pick<RouteDeps, 'orchestrator'> {
  logger: Logger
  metrics: Metrics
}

export function metricRoutes(app: App, deps: MetricsDeps): void {
  const scrape = scraper(deps)
  const getMetrics = serves(
    {
      operationId: 'getMetrics',
      tag: 'health',
      summary: 'Read the metrics',
      description:
        'For Prometheus, in its text format: requests by route and status, commits, queues, claims, circuits, streams and the process. Answers also while the store does not, and while the server stops. Each `HELP` line says what its figure means.',
    },
    {
      200: {
        description: 'The metrics.',
        schema: Type.String({ description: 'The text format of Prometheus, version 0.0.4.' }),
        media_type: 'text/plain',
      },
    },
    {},
    { needs_key: true },
  )
  const config = { scope: 'read', drains: false } as const
  app.get('/metrics', { schema: getMetrics, config }, async (_request, reply) =>
    reply.headers({ 'content-type': METRICS_TYPE, 'cache-control': 'no-store' }).send(await scrape()),
  )
}

/** Who asks while somebody else is being answered gets the same answer: it is looked up once. */
function scraper({ orchestrator, logger, metrics }: MetricsDeps): () => Promise<string> {
  let underWay: Promise<string> | null = null
  const scrape = async (): Promise<string> => {
    const dispatch = await orchestrator.getDispatchFigures().catch((err: unknown) => {
      logger.error({ err }, 'could not read queues and tools for the metrics')
      return null // it is then that the rest is needed most
    })
    return metrics.text(orchestrator.getStoreFigures(), dispatch)
  }
  return () => (underWay ??= scrape().finally(() => (underWay = null)))
}

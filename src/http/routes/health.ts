import { Health } from '../../contract/health.ts'
import { ref } from '../../contract/named.ts'
import { sendJson } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { serves } from '../operation.ts'
import { LedgerError } from '../../domain/error.ts'

const well = { 200: { description: 'It is well.', schema: ref(Health) } }

export function healthRoutes(
  app: App,
  { orchestrator, isDraining }: Pick<RouteDeps, 'orchestrator'> & { isDraining: () => boolean },
): void {
  const getLiveness = serves(
    {
      operationId: 'getLiveness',
      tag: 'health',
      summary: 'Is the process alive?',
      description: 'Answers as long as the process does, also while it stops. Restart it if this fails.',
    },
    well,
    {},
  )
  const config = { drains: false }
  app.get('/livez', { schema: getLiveness, config }, (_request, reply) =>
    sendJson(reply.header('cache-control', 'no-store'), { status: 'ok' }),
  )

  const getReadiness = serves(
    {
      operationId: 'getReadiness',
      tag: 'health',
      summary: 'Does the server take requests?',
      description: 'Its store answers, and it is not stopping. Send it no traffic while this fails.',
      problems: ['draining', 'store_unavailable'],
    },
    well,
    {},
  )
  app.get('/readyz', { schema: getReadiness, config }, async (_request, reply) => {
    void reply.header('cache-control', 'no-store')
    if (isDraining()) throw new LedgerError('draining', 'The server is stopping.')
    await orchestrator.ping()
    return sendJson(reply, { status: 'ok' })
  })
}

import Fastify, { type FastifyInstance } from 'fastify'
import type { Records } from './no-op.ts'
import { LIFECYCLE } from './scenario.ts'

/** What Fastify itself costs: the same routes, and the same answers as constant text. No schema, no hook. */
export function bareApp(records: Records): FastifyInstance {
  const app = Fastify()
  for (const { name, method, route, status } of LIFECYCLE) {
    const record = records[name]
    const body = JSON.stringify(record)
    const id = 'step_attempt_id' in record ? `steps/${record.step_attempt_id}` : `runs/${record.run_id}`
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'x-request-id': '01JD8Z6V3QK0T2M4N6P8R0S2T4',
      etag: `"${record.version}"`,
      ...(status === 201 && { location: `/v1/${id}` }),
    }
    app.route({
      method,
      url: route,
      handler: (_request, reply) => reply.code(status).headers(headers).send(body),
    })
  }
  return app
}

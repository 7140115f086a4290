import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Observe } from '../metrics/durations.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { App } from './deps.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** When it came, by performance.now(): only the length of an answer, no business of the one clock. */
    came_at: number
    /** Whether it was willing to wait for something. */
    waits: boolean
  }
}

/** Measures each answer under the route that gave it; must come before everything that can answer. */
export function timeRequests(app: App, metrics: Pick<Metrics, 'answered' | 'waited'>): void {
  app.decorateRequest('came_at', 0)
  app.decorateRequest('waits', false)
  app.addHook('onRequest', (request, _reply, done) => {
    request.came_at = performance.now()
    done()
  })
  // A route knows its name when it is registered; asking each request for it would build an object each time.
  app.addHook('onRoute', (route) => {
    const method = [route.method].flat()[0]!.replace('HEAD', 'GET') // whose answer it is, without the body
    const template = route.url.replace(/:(\w+)/g, '{$1}')
    const answered = metrics.answered(method, template)
    const waited = metrics.waited(method, template)
    const observe = observer((request) => (request.waits ? waited : answered))
    route.onSend = [observe, ...[route.onSend ?? []].flat()]
  })
  const unmatched = refusedBelow(metrics)
  const observe = observer(() => unmatched)
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.is404) observe(request, reply, payload, done)
    else done(null, payload)
  })
}

/** What no route has answered. Its path may be anything, so it is not named. */
export const refusedBelow = (metrics: Pick<Metrics, 'answered'>): Observe =>
  metrics.answered('other', 'unmatched')

const observer =
  (pick: (request: FastifyRequest) => Observe) =>
  (
    request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
    done: (error: null, payload: unknown) => void,
  ): void => {
    pick(request)(reply.statusCode, (performance.now() - request.came_at) / 1_000)
    done(null, payload)
  }

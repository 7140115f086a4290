import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { Fault } from '../contract/problem.ts'
import { LedgerError } from '../domain/error.ts'
import type { KeyScope } from '../keys.ts'
import { type KnownKey, authenticator } from './auth.ts'
import { pathOf } from './problem.ts'

export interface GateOptions {
  api_keys: readonly KnownKey[]
  /** Whether only this machine can reach the server: then no page may reach it under a name of its own. */
  is_loopback: boolean
  allowed_hosts: readonly string[]
  allowed_origins: readonly string[]
  isDraining: () => boolean
}

/** What a request must pass before anything looks into it. The order is that of conventions: path, key, rest. */
export function guardGate(app: FastifyInstance, options: GateOptions): void {
  const authenticate = authenticator(options.api_keys)
  const isOpen = options.api_keys.length === 0
  const hosts = new Set(['localhost', '127.0.0.1', '[::1]', ...options.allowed_hosts])
  const origins = new Set(options.allowed_origins)
  const allowedMethods = methodsByPath(app)

  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id)
    requireOneHost(request)
    if (isOpen && options.is_loopback) requireHost(request, hosts)
    if (isOpen) requireOrigin(request, origins)
    if (request.is404) throw nowhere(request, allowedMethods(pathOf(request.url)))
    done()
  })
  // What a route needs is known when it is registered; asking the request for it builds an object each time.
  app.addHook('onRoute', (route) => {
    const { scope, drains = true } = route.config ?? {}
    const pass: onRequestHookHandler = (request, _reply, done) => {
      if (drains && options.isDraining()) throw draining()
      if (scope !== undefined) request.caller = authenticate(request, scope)
      requireReadableQuery(request)
      done()
    }
    route.onRequest = [pass, ...[route.onRequest ?? []].flat()]
  })
  // For what a route itself does not find: a file of the documentation, an OPTIONS that is no preflight.
  app.setNotFoundHandler((request) => {
    throw nowhere(request, allowedMethods(pathOf(request.url)))
  })
}

// The defaults are the strictest: a route of ours that names no scope does not start (app.ts).
declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key needs; absent is open to everybody. */
    scope?: KeyScope
    /** Whether it answers 503 while the server stops; absent is yes. */
    drains?: boolean
  }
}

/** RFC 9112 §3.2. Node keeps the first of several, and who stands before this server may go by another. */
function requireOneHost({ raw }: FastifyRequest): void {
  let hosts = 0
  for (let i = 0; i < raw.rawHeaders.length; i += 2) {
    const name = raw.rawHeaders[i]!
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  if (hosts !== 1)
    throw new LedgerError('malformed_request', `The request has ${hosts} Host headers, not one.`)
}

function requireHost({ headers }: FastifyRequest, hosts: ReadonlySet<string>): void {
  const name = (headers.host ?? '').replace(/:\d*$/, '').toLowerCase()
  if (hosts.has(name)) return
  throw new LedgerError('misdirected_request', 'This server answers to localhost, 127.0.0.1 and [::1] only.')
}

function requireOrigin({ headers }: FastifyRequest, origins: ReadonlySet<string>): void {
  const { origin, host } = headers
  if (origin === undefined || origin === `http://${host}` || origins.has(origin)) return
  throw new LedgerError('origin_refused', 'Pages of this origin may not use this server.')
}

const draining = () =>
  new LedgerError('draining', 'The server is stopping. Send the request again in a second.')

function nowhere({ method, url }: FastifyRequest, allowed_methods: string[]): LedgerError {
  if (allowed_methods.length === 0) {
    return new LedgerError('not_found', `There is nothing at ${pathOf(url)}. See /docs for what there is.`)
  }
  const detail = `${method} is not for this path; it takes ${allowed_methods.join(', ')}.`
  return new LedgerError('method_not_allowed', detail, { allowed_methods })
}

/** The methods of a path as it was asked: read from the routes as they are registered. */
function methodsByPath(app: FastifyInstance): (path: string) => string[] {
  const routes: { pattern: RegExp; method: string }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`)
    for (const name of [method].flat()) routes.push({ pattern, method: name })
  })
  return (path) => [
    ...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
  ]
}

/** A query that is not percent-encoded UTF-8, or holds a NUL, would otherwise silently match nothing. */
function requireReadableQuery({ url }: FastifyRequest): void {
  const start = url.indexOf('?')
  if (start === -1 || !url.includes('%', start)) return
  for (const pair of url.slice(start + 1).split('&')) {
    const detail = unreadable(pair)
    if (detail === null) continue
    const fault: Fault = { parameter: /^[\w-]*/.exec(pair)?.[0] ?? '', detail }
    throw new LedgerError('validation_failed', `${fault.parameter} ${detail}.`, { errors: [fault] })
  }
}

function unreadable(pair: string): string | null {
  try {
    return decodeURIComponent(pair).includes('\0') ? 'holds a NUL character' : null
  } catch {
    return 'is not percent-encoded UTF-8'
  }
}

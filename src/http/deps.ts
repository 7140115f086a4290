import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { Caller } from '../domain/decision.ts'
import type { Orchestrator } from '../orchestrator/orchestrator.ts'
import type { StoreReads } from '../store/store.ts'

/** What the routes stand on. `reads` cannot write: every change goes through the orchestrator. */
export interface RouteDeps {
  orchestrator: Orchestrator
  reads: StoreReads
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set by the gate on every route that names a scope. */
    caller: Caller
  }
}

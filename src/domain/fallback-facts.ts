import type { RouteDecision } from '../contract/routing.ts'
import type { Routing, ToolBook } from './decision.ts'

/** What it takes to find another tool for a request. */
export interface FallbackBook {
  /** The last decision about the request, with who may take over. */
  previous: RouteDecision
  /** The active configuration. */
  routing: Routing
  /** The tool that has the request. */
  tool: ToolBook
}

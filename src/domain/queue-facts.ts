import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { ToolPause } from '../contract/tool.ts'
import type { Lease, RunBook, ToolBook, WorkerBook } from './decision.ts'

/** What a worker could be given: the first requests for its tools. */
export interface Queue {
  /** Those that were asked for. */
  tools: readonly string[]
  ready: readonly ReadyRequest[]
  /** Those of what is ready, by name; each is read when it is first asked for. */
  tool: (tool_id: string) => QueueTool
}

/** A request in the queue, with its place there. Of the first for each tool few are taken: only those are read. */
export interface ReadyRequest {
  execution_request_id: string
  run_id: string
  tool_id: string
  priority_rank: number
  /** The request itself. */
  request: () => ExecutionRequest
  book: () => RunBook
}

/** What says whether a tool may be given more. */
export interface QueueTool {
  leased: number
  /** Null if the active configuration does not bound it. */
  max_parallel: number | null
  pause: ToolPause | null
  book: ToolBook
}

/** What is around a request that waits: its tool, who holds others of it, what comes first, and who asks for it. */
export interface Surroundings {
  tool: QueueTool
  /** The first leases of the tool. */
  holders: readonly Lease[]
  /** How many requests of the tool come first of those that a worker could be given now. */
  ahead: number
  /**
   * The worker that was last seen of those that ask for the tool: each is known by the tools that it named last. It is
   * one that has rejected the request only where all of them have.
   */
  asked: Pick<WorkerBook, 'worker_id' | 'last_seen_at'> | null
}

/** For whom a queue is read. */
export interface QueueScope {
  worker_id: string
  tools: readonly string[]
  limit: number
  now: string
  projects: readonly string[] | null
}

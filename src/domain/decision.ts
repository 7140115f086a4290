import type { Actor, Event } from '../contract/event.ts'
import type {
  ExecutionRequest,
  ExecutionRequestDocument,
  RequestProgress,
} from '../contract/execution-request.ts'
import type { RouterConfigVersion } from '../contract/router-config.ts'
import type { Rotation, RouteDecision } from '../contract/routing.ts'
import type { Run } from '../contract/run.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { CircuitThresholds } from './circuit.ts'
import type { CompiledRouter } from './compiled-router.ts'
import type { FallbackBook } from './fallback-facts.ts'
import type { PlanFacts, PlanScope } from './plan-facts.ts'
import type { Queue, QueueScope, Surroundings } from './queue-facts.ts'
import type { KnownTool } from './tool-record.ts'
import type { ValidationFacts } from './validation-facts.ts'

/** Where a chain of events ends: how many there are, and the hash of the last. */
export interface ChainHead {
  event_count: number
  last_hash: string
}

/** A run with what its guards need, so that one read knows everything. None of the rest is ever shown. */
export interface RunBook extends ChainHead {
  run: Run
  sequence_max: number
  steps_running: number
  /** Its execution requests, by how far they are. */
  requests: RequestCounts
}

/** `open` are those that are blocked, queued or claimed. */
export interface RequestCounts {
  open: number
  succeeded: number
  failed: number
  canceled: number
}

/** A tool with the version of its row; 0 where it has none yet. */
export interface ToolBook extends KnownTool {
  version: number
}

/** Whose turn it is, with the version of its row; 0 where it has none yet. */
export interface RotationBook extends Rotation {
  version: number
}

/** The right of a worker to a request. Only the hash of its token is kept. */
export interface Lease {
  execution_request_id: string
  run_id: string
  step_attempt_id: string
  tool_id: string
  worker_id: string
  token_hash: string
  fence: number
  lease_seconds: number
  claimed_at: string
  heartbeat_at: string
  lease_expires_at: string
  /** When the attempt, or the request in all, has taken too long, whatever its heartbeats say. */
  attempt_expires_at: string
}

/** Why a worker lost its lease: it was not heard of, its attempt took too long, or its request was ended by others. */
export const LEASE_LOSSES = ['lease_expired', 'attempt_timeout', 'request_ended'] as const
export type LeaseLoss = (typeof LEASE_LOSSES)[number]

/** What is known of a worker. */
export interface WorkerBook {
  worker_id: string
  tools: readonly string[]
  first_seen_at: string
  last_seen_at: string
  done: number
  failed: number
}

/** How often a configuration was activated, and which one last. */
export interface Activation {
  activations: number
  config_version: number | null
}

/** A configuration ready to decide with. Of one that is not active nothing but itself is known. */
export interface Routing {
  router: CompiledRouter
  tools: ReadonlyMap<string, ToolBook>
  rotations: readonly RotationBook[]
}

/** A decision with the project that it belongs to: the task's, or that of its run. */
export interface RouteBook {
  decision: RouteDecision
  project_id: string | null
  /** The request that it assigns, if it assigns one. */
  execution_request_id: string | null
}

/** A finished HTTP answer: what a repeated idempotency key gets again, byte for byte. */
export interface Answer {
  status: number
  body: string
  etag: string | null
  location: string | null
}

/** A caller's name for a request, as the store keeps it, and the hash of what was sent with it. */
export interface Claim {
  key: string
  fingerprint: string
  /** Whether the name is that of a lease: then another body is not a mistake of the caller but a lease that ended. */
  is_lease?: boolean
}

export interface Remembered extends Answer {
  fingerprint: string
  created_at: string
}

/** What a decision needs to know. A store loads these and nothing else. */
export interface Scope extends PlanScope {
  run_id?: string
  /** Loads its run too and, while it runs, its tool. */
  step_attempt_id?: string
  /** Also what is open in the run: its running attempts with their tools, and its requests. */
  open?: boolean
  /** Loads its run too. */
  execution_request_id?: string
  /** Also the lease of that request and its newest attempt, and the worker. */
  lease?: boolean
  worker_id?: string
  queue?: QueueScope
  /** Also who may take over from the tool of that request. */
  fallback?: boolean
  /** Also what is around that request, as it is at this time. */
  surroundings?: Pick<QueueScope, 'now'>
  /** Also what the worker of that lease could be given next. */
  next?: Pick<QueueScope, 'now' | 'projects'>
  /** Also the newest attempt at this place of the run, or at that of `step_attempt_id`. */
  newest_at?: number | 'step'
  /**
   * Also the end of the chain of events without a run; with `circuits` only if that of a tool in scope is not closed.
   * Where an attempt may end, also the thresholds of its tool.
   */
  system?: boolean | 'circuits'
  /** Also how often configurations were activated, and how many there are. */
  activation?: boolean
  /** Also this version of the configuration, or the one with this content. */
  config?: number | { content_hash: string }
  route_decision_id?: string
  /** Also a configuration to decide with: this one, that of the decision in scope, or the active one with its tools. */
  routing?: number | 'recorded' | 'active'
  claim?: Claim | null
}

/** What is true, for a scope. */
export interface Snapshot {
  run: RunBook | null
  step_attempt: StepAttempt | null
  request: ExecutionRequest | null
  lease: Lease | null
  worker: WorkerBook | null
  queue: Queue | null
  surroundings: Surroundings | null
  /** Null where nobody may take over: the order of the rule is at its end. */
  fallback: FallbackBook | null
  /** The running attempts of the run in scope. */
  running: readonly StepAttempt[]
  /** The execution requests of the run in scope that have not ended, without what never changes of them. */
  open_requests: readonly RequestProgress[]
  plan: PlanFacts
  validation: ValidationFacts
  newest: StepAttempt | null
  system: ChainHead | null
  /** The tools of the attempts in scope, by name. */
  tools: ReadonlyMap<string, ToolBook>
  /** Of the tool of the attempt in scope; null if the active configuration does not have it. */
  thresholds: CircuitThresholds | null
  activation: Activation | null
  /** The highest number that a configuration has; 0 if there is none. */
  config_version_max: number
  config: RouterConfigVersion | null
  route: RouteBook | null
  routing: Routing | null
  remembered: Remembered | null
}

export interface Caller {
  actor: Actor
  /** The projects that the caller may see and touch; null is all of them. */
  projects: readonly string[] | null
}

/** The versions that a client accepts: `If-Match`. */
export type IfMatch = '*' | readonly string[]

/** What a decision may not find out by itself: time, ids, chance, and who asks. */
export interface Given {
  now: string
  newId: () => string
  /** That many random bytes as hexadecimal. */
  randomHex: (bytes: number) => string
  caller: Caller
  http_request_id: string | null
  if_match: IfMatch | null
}

/** An event as it is kept: the payload is its RFC 8785 text, or null once it was erased. */
export interface LedgerEvent extends Omit<Event, 'payload'> {
  payload_text: string | null
}

/** An event before the store gave it its place in the global order. */
export type NewEvent = Omit<LedgerEvent, 'seq'>

export type Change =
  | { record: 'run'; before: RunBook | null; after: RunBook }
  | { record: 'step_attempt'; before: StepAttempt | null; after: StepAttempt }
  | {
      record: 'execution_request'
      document: ExecutionRequestDocument
      after: ExecutionRequest
      /** How many of its needs have not succeeded; absent is none. */
      waiting_for?: number
    }
  | { record: 'request_progress'; before: RequestProgress; after: RequestProgress }
  | {
      record: 'task_waits'
      execution_request_id: string
      before: number
      after: number
      /** Whether it waits for nothing any more and has no tool: the sweep ends that. */
      stranded: boolean
    }
  | { record: 'lease'; before: Lease | null; after: Lease }
  | {
      record: 'lease_ended'
      lease: Pick<Lease, 'execution_request_id' | 'fence' | 'tool_id'>
      /** Null where its worker ended it. */
      lost: LeaseLoss | null
    }
  | { record: 'worker'; before: WorkerBook | null; after: WorkerBook }
  | { record: 'tool'; before: ToolBook; after: ToolBook }
  | { record: 'router_config'; before: RouterConfigVersion | null; after: RouterConfigVersion }
  | { record: 'activation'; before: Activation; after: Activation }
  | { record: 'route_decision'; after: RouteBook }
  | { record: 'rotation'; config_version: number; after: RotationBook }

/** What shall be true, and the events that tell of it. */
export interface Decision<T> {
  changes: readonly Change[]
  events: readonly NewEvent[]
  /** Made when the events have their `seq`, which only the store can give, and before the commit. */
  result: (seqs: readonly number[]) => T
  /** What to keep under the claim of the scope, in the same transaction. */
  remember?(result: T): Remembered | null
}

export type Decide<T> = (before: Snapshot) => Decision<T>

/** A decision that changes nothing. */
export const unchanged = <T>(result: T): Decision<T> => ({ changes: [], events: [], result: () => result })

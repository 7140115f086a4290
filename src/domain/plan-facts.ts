import type {
  ExecutionRequest,
  ExecutionRequestState,
  RequestProgress,
} from '../contract/execution-request.ts'

/** A request that needs another one directly, while it is blocked; and for how many it still waits. */
export interface Dependent {
  request: ExecutionRequest
  waiting_for: number
}

/** A task that was submitted before. */
export interface EarlierTask {
  request_id: string
  state: ExecutionRequestState
  level: number
}

/** Something that a blocked request waits for. */
export interface Obstacle {
  task_id: string
  request_id: string
  state: ExecutionRequestState
}

/** A task of a run as its plan is made from it. */
export interface TaskRow {
  request_id: string
  task_id: string
  task_kind: string
  name: string
  level: number
  /** Execution requests of the same run. */
  needs: readonly string[]
  state: ExecutionRequestState
  tool_id: string | null
  attempts: number
  /** When its first attempt began. */
  started_at: string | null
  ended_at: string | null
}

/** What a decision needs to know of plans, as far as its scope asks for it. */
export interface PlanFacts {
  /** How many needs of the request in scope have not succeeded yet. */
  waiting_for: number
  /** What is blocked and needs the request in scope directly. */
  dependents: readonly Dependent[]
  /** What is blocked and needs the request in scope, directly or not. */
  descendants: readonly RequestProgress[]
  /** What the request in scope waits for; the first of it. */
  obstacles: readonly Obstacle[]
  /** Those of the tasks that were asked for by name. */
  earlier: ReadonlyMap<string, EarlierTask>
  /** How many tasks the run has, and how many needs. */
  size: { tasks: number; needs: number }
  rows: readonly TaskRow[]
  /** Of the tools of those rows: how long they usually take. */
  medians_ms: ReadonlyMap<string, number>
}

export const NO_PLAN: PlanFacts = {
  waiting_for: 0,
  dependents: [],
  descendants: [],
  obstacles: [],
  earlier: new Map(),
  size: { tasks: 0, needs: 0 },
  rows: [],
  medians_ms: new Map(),
}

/** What of plans to load for a scope. */
export interface PlanScope {
  /** What needs the request in scope: directly, as its success matters to them, or all the way down. */
  dependents?: 'next' | 'all'
  /** What a blocked request waits for. */
  obstacles?: boolean
  /** The tasks of the run with these names, and how many it has. */
  tasks_named?: readonly string[]
  /** All tasks of the run. */
  tasks?: boolean
}

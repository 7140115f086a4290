import type { BacktestRequest, BacktestResult } from '../contract/backtest.ts'
import type { Page } from '../contract/common.ts'
import type { Event, EventsQuery, RunEventsQuery } from '../contract/event.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { ExecutionRequestsQuery } from '../contract/execution-requests-query.ts'
import type { ExecutionRequestStory } from '../contract/request-story.ts'
import type { RouterConfigVersion, RouterConfigsQuery } from '../contract/router-config.ts'
import type { RouteDecision, RouteDecisionsQuery } from '../contract/routing.ts'
import type { RunAttention } from '../contract/attention.ts'
import type { Run, RunsQuery } from '../contract/run.ts'
import type { Statistics } from '../contract/statistics.ts'
import type { StepAttempt, StepsQuery } from '../contract/step.ts'
import type { Tool, ToolsQuery } from '../contract/tool.ts'
import type { Worker, WorkersQuery } from '../contract/worker.ts'
import type { Caller, Decide, LedgerEvent, Scope, Snapshot } from '../domain/decision.ts'
import type { AttemptFacts, SummaryEnd } from '../domain/run-summary.ts'
import type { StatisticsWindow } from '../domain/statistics-window.ts'

/** Who looks: what belongs to other projects is not there. */
export type Viewer = Pick<Caller, 'projects'>

/** Which runs need somebody: for any of these reasons, at an instant. */
export interface Attention {
  reasons: readonly RunAttention[]
  /** Seconds without a change. */
  stalled_for: number
  now: string
}

/** Which runs a list has. What a query says about attention depends on the time, which a store does not know. */
export interface RunFilters extends Omit<RunsQuery, 'needs_attention' | 'stalled_for'> {
  attention?: Attention
}

/** Some of a run's attempts in the order of their ids and, where they are the last, what holds at that moment. */
export interface SummaryPart {
  attempts: AttemptFacts[]
  end: SummaryEnd | null
}

/** A place in the queue of a tool; what comes first has the lowest. */
export interface QueuePlace {
  priority_rank: number
  execution_request_id: string
}

/** What waits in a queue, with the decision that put it there. */
export interface WaitingRequest extends QueuePlace {
  decision: RouteDecision
}

/** Some of a queue, and the place behind which it goes on; null at its end. */
export interface WaitingPart {
  items: WaitingRequest[]
  next: QueuePlace | null
}

/** How many requests follow a place in a queue, as far as they were counted, and the last of them; null at its end. */
export interface QueueCount {
  queued: number
  next: QueuePlace | null
}

/** What one commit carried, those that were refused not counted, and how long it took to be durable. */
export interface CommittedGroup {
  operations: number
  commit_ms: number
}

/** How a store is doing. It is known whether or not the database can be read. */
export interface StoreFigures {
  /** Writes that wait for a commit. */
  writes_waiting: number
  /** 0 where the data are in memory. */
  database_bytes: number
  wal_bytes: number
}

/** Which recorded decisions to make again, and under which version. */
export interface BacktestQuery extends BacktestRequest {
  config_version: number
}

/** Which events somebody follows: the filters of their list. */
export type FeedFilters = Pick<EventsQuery, 'kind' | 'project_id'>

/** An event with what tells whose it is. */
export interface FedEvent {
  event: LedgerEvent
  /** Null for what belongs to no run. */
  project_id: string | null
  /** Whether its run is closed, and nothing has come after it. */
  ends_run: boolean
}

/** Events in their order: a page that is bounded in bytes, whatever its last event has. */
export interface FeedPart {
  events: FedEvent[]
  /** Up to this `seq` there is nothing else that passes. */
  read_to: number
  /** Whether that was the end, at this moment. */
  at_end: boolean
  /** Whether nothing will follow: it is the end of a run that is closed. */
  is_over: boolean
}

/**
 * What can be read without deciding anything. Only committed state is seen.
 * Lists throw LedgerError `invalid_cursor` for a cursor of another list, other filters or another order.
 */
export interface StoreReads {
  getRun(run_id: string, viewer: Viewer): Promise<Run | null>
  getStepAttempt(step_attempt_id: string, viewer: Viewer): Promise<StepAttempt | null>
  listRuns(query: RunFilters, viewer: Viewer): Promise<Page<Run>>
  /** Null where there is no such run. */
  listStepAttempts(run_id: string, query: StepsQuery, viewer: Viewer): Promise<Page<StepAttempt> | null>
  /** Null where there is no such run. */
  listRunEvents(run_id: string, query: RunEventsQuery, viewer: Viewer): Promise<Page<Event> | null>
  listEvents(query: EventsQuery, viewer: Viewer): Promise<Page<Event>>
  /** The next events behind a `seq`. */
  readFeed(after: number, filters: FeedFilters, viewer: Viewer): Promise<FeedPart>
  /** The same of one run. Null where there is no such run. */
  readRunFeed(
    run_id: string,
    after: number,
    filters: Pick<FeedFilters, 'kind'>,
    viewer: Viewer,
  ): Promise<FeedPart | null>
  /** With what has happened to it. */
  getExecutionRequest(execution_request_id: string, viewer: Viewer): Promise<ExecutionRequestStory | null>
  listExecutionRequests(query: ExecutionRequestsQuery, viewer: Viewer): Promise<Page<ExecutionRequest>>
  /** What it holds is what the viewer may see of it. */
  getWorker(worker_id: string, viewer: Viewer): Promise<Worker | null>
  listWorkers(query: WorkersQuery, viewer: Viewer): Promise<Page<Worker>>
  getRouterConfig(config_version: number): Promise<RouterConfigVersion | null>
  /** How often configurations were activated, and the one that was last; null before the first. */
  getActiveRouterConfig(): Promise<{ activations: number; config: RouterConfigVersion | null }>
  listRouterConfigs(query: RouterConfigsQuery): Promise<Page<RouterConfigVersion>>
  getRouteDecision(route_decision_id: string, viewer: Viewer): Promise<RouteDecision | null>
  listRouteDecisions(query: RouteDecisionsQuery, viewer: Viewer): Promise<Page<RouteDecision>>
  /**
   * Makes recorded decisions again, and lets everybody else have their turns meanwhile. Null where there is no such
   * version.
   * @throws LedgerError `overloaded` while others run, `draining` when the store closes; the signal's reason
   */
  backtest(query: BacktestQuery, viewer: Viewer, signal: AbortSignal): Promise<BacktestResult | null>
}

/** The port behind which SQLite stands, and later PostgreSQL. No transaction handle leaves it. */
export interface Store extends StoreReads {
  /**
   * Loads `scope`, decides, writes the decision with its events and the claim's record, and commits: all of
   * it or nothing. `decide` may run more than once (after a lost race or a failed neighbour): keep it pure.
   * @throws what `decide` throws; LedgerError `overloaded`, `store_unavailable` or `disk_full`, nothing written
   */
  change<T>(scope: Scope, decide: Decide<T>): Promise<T>
  /** The same load without a write. */
  view<T>(scope: Scope, read: (before: Snapshot) => T): Promise<T>
  /** The tools of the active configuration as they are at an instant; none before the first is active. */
  listTools(query: ToolsQuery, now: string): Promise<Page<Tool>>
  /** The events of a run with a higher `run_seq`, in order, as they are kept. */
  readChain(run_id: string, after: { run_seq: number; limit: number }): Promise<LedgerEvent[]>
  /**
   * At most `limit` attempts of a run behind one of them, for its summary, and no more than a turn has time for. With the
   * last of them comes what else the summary needs, read in the same turn: also the attempts named in `again`, which have
   * changed since.
   */
  readSummary(
    run_id: string,
    part: { after: string; limit: number; again: readonly string[] },
  ): Promise<SummaryPart>
  /**
   * Counts what was begun in a window, and lets everybody else have their turns meanwhile.
   * @throws LedgerError `window_too_large`; `overloaded` while others run, `draining` when the store closes; the
   * signal's reason
   */
  statistics(window: StatisticsWindow, viewer: Viewer, signal: AbortSignal): Promise<Statistics>
  /** Requests whose lease, attempt or wait is over at that instant, and those that wait for nothing and have no tool. */
  dueRequests(now: string, limit: number): Promise<string[]>
  /** The tools of what can be claimed since then, one for each request. */
  availableTools(after: string, now: string): Promise<string[]>
  /** The tools whose open circuit lets an attempt through since then. */
  recoveringTools(after: string, now: string): Promise<string[]>
  /** The tools whose pause has ended by itself since then. */
  resumedTools(after: string, now: string): Promise<string[]>
  /** Whether there is something that a worker could be given for the tool, if it had room. */
  hasQueued(tool_id: string, now: string): Promise<boolean>
  /** The tools for which something is queued, whether or not it can be claimed yet. */
  queuedTools(): Promise<string[]>
  /** Counts at most `limit` requests in the queue of a tool, behind a place in it. */
  countQueued(tool_id: string, part: { after: QueuePlace; limit: number }): Promise<QueueCount>
  /** Since when something in the queue of a tool could have been claimed: the longest of the first ten of each priority. */
  queuedSince(tool_id: string): Promise<string | null>
  /** The tools whose circuits let nothing through at that instant. */
  openCircuits(now: string): Promise<string[]>
  /**
   * At most `limit` of what waits for one of them, behind a place in its queue, and no more than a turn has time for;
   * nothing once its circuit lets something through.
   */
  waitingBehind(
    tool_id: string,
    after: QueuePlace,
    asked: { now: string; limit: number },
  ): Promise<WaitingPart>
  /** When time ends something next, or something can be claimed; null if nothing will happen by itself. */
  nextDue(now: string): Promise<string | null>
  /** Forgets idempotency keys that are older, at most `limit` of them; answers how many. */
  forgetKeys(older_than: string, limit: number): Promise<number>
  /** The instant of the last event; null in an empty store. The clock never starts before it. */
  lastInstant(): Promise<string | null>
  figures(): StoreFigures
  /** @throws LedgerError `store_unavailable` */
  ping(): Promise<void>
  /** Waits for the writes that are under way, then leaves a store that needs no recovery. */
  close(): Promise<void>
}

import type { Assignment } from '../contract/assignment.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { RouteDecision } from '../contract/routing.ts'
import { isBarred } from './circuit.ts'
import type { Change, Decision, Given, Snapshot, ToolBook } from './decision.ts'
import { unchanged } from './decision.ts'
import { requestTold } from './ending.ts'
import type { EventDraft } from './event-chain.ts'
import { decideFallback, hasTaker, orderAfter } from './fallback-decision.ts'
import type { FallbackBook } from './fallback-facts.ts'
import { assignmentOf } from './request.ts'
import { requestMachine } from './request-machine.ts'
import { type Failure, afterFailure, earlier, queueEnd, totalEnd } from './retry.ts'
import { taskRouted } from './route-decision.ts'
import { entered } from './run-entry.ts'
import { factsOf } from './tool-record.ts'

// How another tool takes over: when the attempts of one are spent, and when its circuit is open.

/** Who takes over, null if nobody can, and what is to be kept and told of it. */
export interface FellBack {
  decision: RouteDecision
  assignment: Assignment | null
  changes: Change[]
  drafts: EventDraft[]
}

/** For whom another tool is looked for. */
export type Whose = Pick<ExecutionRequest, 'request_id' | 'run_id' | 'project_id'>

/** Null if the order of the rule is at its end. `ended` is the tool of an attempt, as the end of that leaves it. */
export function fallBack(
  book: FallbackBook | null,
  given: Given,
  { request_id, run_id, project_id }: Whose,
  ended?: ToolBook,
): FellBack | null {
  if (book === null) return null
  const { previous, routing } = book
  const order = orderAfter(previous)
  if (order.length === 0) return null
  const { router } = routing
  const known = ended === undefined ? routing.tools : withEnded(routing.tools, ended)
  const from = { ...previous, previous_decision_id: previous.route_decision_id, run_id, order }
  const decision = decideFallback(from, router, factsOf(router, known, [], given.now).tools, {
    route_decision_id: given.newId(),
    created_at: given.now,
  })
  const after = { decision, project_id, execution_request_id: request_id }
  return {
    decision,
    assignment: decision.tool_id === null ? null : assignmentOf(decision, router),
    changes: [{ record: 'route_decision', after }],
    drafts: [taskRouted(decision)],
  }
}

/** The end of an attempt is decided without counting what runs. */
function withEnded(tools: FallbackBook['routing']['tools'], ended: ToolBook): Map<string, ToolBook> {
  const { tool_id } = ended.record
  const running = (tools.get(tool_id)?.record.running ?? 1) - 1
  return new Map([...tools, [tool_id, { ...ended, record: { ...ended.record, running } }]])
}

type Moved = Partial<Pick<ExecutionRequest, 'available_at' | 'assignment' | 'tool_attempts'>>

/** What is kept and told beside the move of a request. */
interface Beside {
  changes: Change[]
  drafts: EventDraft[]
}
/** It waits again. */
export type Again = Beside & { moved: Moved }
/** It ends, perhaps after somebody was looked for in vain. */
export type End = Beside & { stop_reason: string }

const again = (moved: Moved): Again => ({ changes: [], drafts: [], moved })
export const endsAs = (stop_reason: string): End => ({ changes: [], drafts: [], stop_reason })

/** Another tool begins anew, and at once. */
const takenOver = (assignment: Assignment, { now }: Pick<Given, 'now'>): Required<Moved> => ({
  assignment,
  tool_attempts: 0,
  available_at: now,
})

/** The tool of a request, and that of the attempt that ends now, as its end leaves it. */
export interface Tools {
  tool: ToolBook
  /** Absent if no attempt ends. */
  ended: ToolBook | undefined
}

/** After a failed attempt, which `request` counts. */
export function nextTry(
  { fallback }: Pick<Snapshot, 'fallback'>,
  given: Given,
  request: ExecutionRequest,
  failure: Failure,
  { tool, ended }: Tools,
): Again | End {
  const next = afterFailure(request, failure, given)
  const isRetry = 'available_at' in next
  const alone = isRetry ? again(next) : endsAs(next.stop_reason)
  if (isRetry ? !isBarred(tool.circuit, given.now) : !next.another_tool) return alone
  const end = totalEnd(request)
  if (fallback !== null && end !== null && given.now >= end) return endsAs('total_timeout')
  const fellBack = fallBack(fallback, given, request, ended)
  if (fellBack === null) return alone
  const { assignment, changes, drafts } = fellBack
  if (assignment !== null) return { moved: takenOver(assignment, given), changes, drafts }
  // Nobody of the order can. What nothing but a circuit keeps from its own tool may wait for that.
  const fails = isRetry && fallback!.routing.router.when_all_open === 'fail'
  return { ...(fails ? endsAs('unroutable') : alone), changes, drafts }
}

/**
 * For a request that is given back: another tool takes over only if this one would let it wait. If nobody can, nothing
 * is kept of that, for a request may be given back any number of times.
 */
export function handedBack(
  { fallback }: Pick<Snapshot, 'fallback'>,
  given: Given,
  request: ExecutionRequest,
  tool: ToolBook,
): Again {
  const fellBack = isBarred(tool.circuit, given.now) ? fallBack(fallback, given, request, tool) : null
  if (fellBack?.assignment == null) return again({ available_at: given.now })
  const { assignment, changes, drafts } = fellBack
  return { moved: takenOver(assignment, given), changes, drafts }
}

/**
 * Tells by its decision whether another tool could take over a request now: a look without a write. Null where no tool
 * but that one is in service, so that there is nothing to look at. The scope must load the active configuration.
 */
export function takerLook(
  { routing }: Pick<Snapshot, 'routing'>,
  { now }: Pick<Given, 'now'>,
  tool_id: string,
): ((decision: RouteDecision) => boolean) | null {
  if (routing === null) return null
  const { router } = routing
  const { tools } = factsOf(router, routing.tools, [], now)
  const inService = tools.filter(({ paused, circuit }) => !paused && circuit?.takes_probe !== false)
  if (inService.every((tool) => tool.tool_id === tool_id)) return null
  return (decision) => hasTaker(decision, router, tools)
}

/**
 * The circuit of the tool that a request waits for has opened. It stays where it is unless another tool can take over
 * now. The scope must load the request with who may take over; anything may have come first.
 */
export function fallBackQueued(
  before: Snapshot,
  given: Given,
  tool_id: string,
): Decision<ExecutionRequest | null> {
  const { request, run: book, fallback } = before
  if (request?.state !== 'queued' || request.assignment?.tool_id !== tool_id) return unchanged(null)
  if (book === null || fallback === null || isOver(request, given)) return unchanged(null)
  if (!isBarred(fallback.tool.circuit, given.now)) return unchanged(null)
  const fellBack = fallBack(fallback, given, request)
  if (fellBack?.assignment == null) return unchanged(null)
  const edge = requestMachine.edge(request.state, 'reassign')
  const after: ExecutionRequest = {
    ...request,
    ...takenOver(fellBack.assignment, given),
    state: edge.to,
    // It waits for a worker since it was queued, whichever tool it is for.
    queue_expires_at: earlier(request.queue_expires_at, queueEnd(request, given.now)),
    updated_at: given.now,
    version: request.version + 1,
  }
  const entry = {
    book,
    changes: [...fellBack.changes, { record: 'request_progress' as const, before: request, after }],
    drafts: [...fellBack.drafts, requestTold(edge, request, after)],
  }
  return { result: () => after, ...entered(book, entry, given) }
}

const isOver = ({ queue_expires_at }: ExecutionRequest, { now }: Pick<Given, 'now'>): boolean =>
  queue_expires_at !== null && queue_expires_at <= now

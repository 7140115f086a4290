import type { ClaimExecutionRequests, ClaimedRequest } from '../contract/dispatch.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import type {
  Caller,
  ChainHead,
  Change,
  Decision,
  Given,
  Lease,
  RunBook,
  Snapshot,
  ToolBook,
  WorkerBook,
} from './decision.ts'
import type { QueueTool, ReadyRequest } from './queue-facts.ts'
import { isBarred } from './circuit.ts'
import { requestTold } from './ending.ts'
import { endOfLease, tokenHash } from './lease.ts'
import { earlier, plus, totalEnd } from './retry.ts'
import { requestMachine } from './request-machine.ts'
import { type Entry, entered, joined, still, systemEvents } from './run-entry.ts'
import { runMachine } from './run-machine.ts'
import { moveRun } from './run-moves.ts'
import { attemptStart } from './step.ts'
import { attemptBegun } from './tool.ts'
import { isPaused } from './tool-record.ts'

/** What a transaction has entered so far, by run: several requests of one run may move in it. */
export type Entries = Map<string, { before: RunBook; entry: Entry }>

/** Chains each run's events and changes each run once; behind them stands what circuits did, in a chain of its own. */
export function enteredAll(
  entries: Entries,
  given: Given,
  head: ChainHead | null,
): Pick<Decision<never>, 'changes' | 'events'> {
  const all = [...entries.values()].map(({ before, entry }) =>
    entered(before, { ...entry, system: [] }, given),
  )
  const system = [...entries.values()].flatMap(({ entry }) => entry.system ?? [])
  return {
    changes: all.flatMap(({ changes }) => changes),
    events: [...all.flatMap(({ events }) => events), ...systemEvents(head, system, given)],
  }
}

/** What a claim gives, and the tools for which there was work but no room. */
export interface Taken {
  items: ClaimedRequest[]
  full: ReadonlySet<string>
}

/** The scope must load the worker and its queue. */
export function claimRequests(before: Snapshot, given: Given, body: ClaimExecutionRequests): Decision<Taken> {
  const entries: Entries = new Map()
  const by = asWorker(given, body.worker_id)
  const { changes, ...taken } = takeFrom(before, by, body, entries)
  const worker = seenWorker(before.worker, given, body, taken.items.length)
  const told = enteredAll(entries, by, before.system)
  return { events: told.events, changes: [...told.changes, ...changes, ...worker], result: () => taken }
}

/** Events of what a worker did name the worker. */
export const asWorker = (given: Given, worker_id: string): Given => {
  const caller: Caller = { ...given.caller, actor: { type: 'worker', id: worker_id } }
  return { ...given, caller }
}

export type Terms = Pick<ClaimExecutionRequests, 'worker_id' | 'max' | 'lease_seconds'>

/**
 * Highest priority first, then oldest, as far as the tools have room; what the entries have put into the queue is in it.
 * The lease that is `freed` counts no more.
 */
export function takeFrom(
  { queue }: Pick<Snapshot, 'queue'>,
  given: Given,
  terms: Terms,
  entries: Entries,
  freed?: Lease,
): Taken & { changes: Change[] } {
  if (queue === null) throw new Error('the scope must load the queue')
  const moved = movedTools(entries)
  const rooms = new Map<string, Room>()
  const items: ClaimedRequest[] = []
  const changes: Change[] = []
  const full = new Set<string>()
  const candidates = [...queue.ready, ...justQueued(entries, queue.tools, given.now)]
  for (const ready of candidates.toSorted(byPriority)) {
    if (items.length >= (terms.max ?? 1)) break
    const { tool_id, run_id } = ready
    const room = rooms.get(tool_id) ?? roomOf(queue.tool(tool_id), moved.get(tool_id), freed, given.now)
    rooms.set(tool_id, room)
    if (room.free <= 0) {
      full.add(tool_id)
      continue
    }
    const known = entries.get(run_id) ?? untouched(ready.book())
    const taken = take(known.entry.book, given, ready.request(), terms)
    const begun = attemptBegun(room.book, taken.item.step_attempt)
    rooms.set(tool_id, { book: begun.book, free: room.free - 1 })
    const entry = joined(known.entry, { ...taken.entry, system: begun.system })
    entries.set(run_id, { before: known.before, entry })
    items.push(taken.item)
    changes.push(taken.lease, ...begun.changes)
  }
  return { items, changes, full }
}

/** What was entered so far has put this into the queue: of these tools, and not too late. */
function justQueued(entries: Entries, tools: readonly string[], now: string): ReadyRequest[] {
  const isInTime = ({ queue_expires_at: end }: ExecutionRequest) => end === null || end > now
  return [...entries.values()].flatMap(({ entry: { book, queued = [] } }) =>
    queued.filter(isInTime).flatMap((request) => {
      const { tool_id } = request.assignment! // what is queued has a tool
      if (!tools.includes(tool_id)) return []
      const { request_id: execution_request_id, run_id } = request
      const place = { execution_request_id, run_id, tool_id, priority_rank: rankOf(request) }
      return [{ ...place, request: () => request, book: () => book }]
    }),
  )
}

/** The tools that what was entered so far has moved, as it leaves them. */
function movedTools(entries: Entries): Map<string, ToolBook> {
  const moved = new Map<string, ToolBook>()
  for (const { entry } of entries.values())
    for (const change of entry.changes)
      if (change.record === 'tool') moved.set(change.after.record.tool_id, change.after)
  return moved
}

/** A tool as what was entered so far leaves it, and how many more it may be given. */
interface Room {
  book: ToolBook
  free: number
}

/** A paused tool may be given none, however many of its leases end. */
function roomOf(tool: QueueTool, moved: ToolBook | undefined, freed: Lease | undefined, now: string): Room {
  const { pause, max_parallel } = tool
  const book = moved ?? tool.book
  if (isPaused(pause, now) || isBarred(book.circuit, now)) return { book, free: 0 }
  const leased = tool.leased - (book.record.tool_id === freed?.tool_id ? 1 : 0)
  const free = (max_parallel ?? Infinity) - leased
  return { book, free: book.circuit.state === 'closed' ? free : Math.min(free, 1) }
}

const RANKS = { critical: 0, high: 1, normal: 2, low: 3 } as const

/** Lower is earlier. */
export const rankOf = ({ classification }: Pick<ExecutionRequest, 'classification'>): number =>
  RANKS[classification.priority]

const byPriority = (a: ReadyRequest, b: ReadyRequest): number =>
  a.priority_rank - b.priority_rank || (a.execution_request_id < b.execution_request_id ? -1 : 1)

/** A claim begins an attempt, and a run that had not begun. */
function take(
  book: RunBook,
  given: Given,
  request: ExecutionRequest,
  terms: Terms,
): { entry: Entry; item: ClaimedRequest; lease: Change } {
  const begun = book.run.state === 'pending' ? startedRun(book, given) : still(book)
  const fence = request.fence + 1
  const sequence = request.sequence ?? begun.book.sequence_max + 1
  const attempt = attemptStart(begun.book, given, {
    run_id: request.run_id,
    sequence,
    attempt: fence,
    retry_of: request.step_attempt_id,
    tool_id: request.assignment!.tool_id,
    tool_run_id: null,
    execution_request_id: request.request_id,
    route_decision_id: request.assignment!.route_decision_id,
    prompt_id: null,
    input_prompt: request.input?.prompt ?? null,
    metadata: {},
  })
  const { step_attempt_id } = attempt.step
  const edge = requestMachine.edge(request.state, 'claim')
  const after: ExecutionRequest = {
    ...request,
    state: edge.to,
    fence,
    sequence,
    step_attempt_id,
    worker_id: terms.worker_id,
    queue_expires_at: null,
    updated_at: given.now,
    version: request.version + 1,
  }
  const lease_token = given.randomHex(16)
  const lease = newLease(after, given, terms, lease_token)
  const claimed: Entry = {
    book: attempt.entry.book,
    changes: [...attempt.entry.changes, { record: 'request_progress', before: request, after }], // names the attempt
    drafts: [requestTold(edge, request, after), ...attempt.entry.drafts],
  }
  return {
    entry: joined(begun, claimed),
    item: {
      execution_request: after,
      step_attempt: attempt.step,
      lease_token,
      fence,
      lease_expires_at: endOfLease(lease),
    },
    lease: { record: 'lease', before: null, after: lease },
  }
}

const untouched = (book: RunBook) => ({ before: book, entry: still(book) })

const startedRun = (book: RunBook, given: Given): Entry =>
  moveRun(book, given, runMachine.edge(book.run.state, 'start'), { started_at: given.now })

function newLease(request: ExecutionRequest, { now }: Given, terms: Terms, lease_token: string): Lease {
  const lease_seconds = terms.lease_seconds ?? LIMITS.lease_seconds
  const attempt_end = plus(now, request.routing.timeout_seconds * 1_000)
  return {
    execution_request_id: request.request_id,
    run_id: request.run_id,
    step_attempt_id: request.step_attempt_id!,
    tool_id: request.assignment!.tool_id,
    worker_id: terms.worker_id,
    token_hash: tokenHash(lease_token),
    fence: request.fence,
    lease_seconds,
    claimed_at: now,
    heartbeat_at: now,
    lease_expires_at: plus(now, lease_seconds * 1_000),
    attempt_expires_at: earlier(attempt_end, totalEnd(request))!,
  }
}

/** A worker that asks in vain need not be noted each time. */
const SEEN_EVERY_MS = 10_000

function seenWorker(
  before: WorkerBook | null,
  { now }: Given,
  { worker_id, tools }: ClaimExecutionRequests,
  claimed: number,
): Change[] {
  const known = before ?? { worker_id, tools: [], first_seen_at: now, last_seen_at: now, done: 0, failed: 0 }
  const isNoted =
    before !== null &&
    before.tools.join('\n') === tools.join('\n') &&
    now < plus(before.last_seen_at, SEEN_EVERY_MS)
  if (isNoted && claimed === 0) return []
  return [{ record: 'worker', before, after: { ...known, tools, last_seen_at: now } }]
}

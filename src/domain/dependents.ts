import type { ExecutionRequest, RequestProgress } from '../contract/execution-request.ts'
import type { Task } from '../contract/task.ts'
import type { Change, Given, RunBook, Snapshot } from './decision.ts'
import { endedRequest, requestTold } from './ending.ts'
import type { Dependent } from './plan-facts.ts'
import { requestMachine } from './request-machine.ts'
import { queueEnd } from './retry.ts'
import { type RouteSeries, routeSeries } from './route-series.ts'
import { type Entry, joined, still } from './run-entry.ts'
import { counting } from './run-moves.ts'

// What the end of a request means to those that need it.

/**
 * Its success lets those go on that need nothing more; with any other end all that need it end too, all the way
 * down. The scope must have loaded the next of them, or all.
 */
export function consequences(entry: Entry, before: Snapshot, given: Given, ended: RequestProgress): Entry {
  const { dependents, descendants } = before.plan
  if (ended.state !== 'succeeded') return joined(entry, failedWith(entry.book, given, descendants))
  return dependents.length === 0 ? entry : joined(entry, released(entry.book, before, given))
}

/** What is open in the run after the entry. */
export function stillOpen({ open_requests }: Snapshot, { changes }: Entry): RequestProgress[] {
  const ended = new Set(
    changes.flatMap((change) =>
      change.record === 'request_progress' && change.after.ended_at !== null ? [change.after.request_id] : [],
    ),
  )
  return open_requests.filter(({ request_id }) => !ended.has(request_id))
}

/** Ends what can never begin. */
export function failedWith(book: RunBook, given: Given, descendants: readonly RequestProgress[]): Entry {
  const ended = descendants.map((request) => endedRequest(request, given, 'dependency_failed'))
  const count = ended.length
  return {
    book: counting(book, { open: -count, canceled: count }),
    changes: ended.flatMap(({ changes }) => changes),
    drafts: ended.map(({ draft }) => draft),
  }
}

function released(book: RunBook, before: Snapshot, given: Given): Entry {
  const { dependents } = before.plan
  const series = dependents.some(isReady) ? routeSeries(before, given) : null
  const moved = dependents.map((dependent) => {
    if (!isReady(dependent)) return { waits: waits(dependent), entry: still(book) }
    const { entry, after } = unblocked(book, given, dependent.request, series!)
    // Without a tool it has its second chance in the sweep, which can end what needs it too.
    return after === null
      ? { waits: waits(dependent, true), entry: still(book) }
      : { waits: waits(dependent), entry }
  })
  return {
    book,
    changes: [
      ...moved.map(({ waits }) => waits), // first: what is queued waits for nothing
      ...moved.flatMap(({ entry }) => entry.changes),
      ...(series?.turns() ?? []),
    ],
    drafts: moved.flatMap(({ entry }) => entry.drafts),
  }
}

const waits = ({ request, waiting_for }: Dependent, stranded = false): Change => ({
  record: 'task_waits',
  execution_request_id: request.request_id,
  before: waiting_for,
  after: waiting_for - 1,
  stranded,
})

/** The request in scope is the last that it waits for. */
export const isReady = ({ waiting_for }: Pick<Dependent, 'waiting_for'>): boolean => waiting_for === 1

/** Routes and queues what waits for nothing any more; `after` is null if no tool is there, and the entry says why. */
export function unblocked(
  book: RunBook,
  given: Given,
  request: ExecutionRequest,
  series: RouteSeries,
): { entry: Entry; after: ExecutionRequest | null } {
  const { assignment, changes, drafts } = series.route(taskOf(request), book.run, request.request_id)
  const routed: Entry = { book, changes, drafts }
  if (assignment === null) return { entry: routed, after: null }
  const edge = requestMachine.edge(request.state, 'unblock')
  const after: ExecutionRequest = {
    ...request,
    state: edge.to,
    assignment,
    available_at: given.now,
    queue_expires_at: queueEnd(request, given.now),
    updated_at: given.now,
    version: request.version + 1,
  }
  const queued: Entry = {
    book,
    changes: [{ record: 'request_progress', before: request, after }],
    drafts: [requestTold(edge, request, after)],
  }
  return { entry: joined(routed, queued), after }
}

/** What a request asks for, as it was asked. */
export const taskOf = ({ routing, run_id, ...request }: TaskSource): Task => ({
  task_kind: request.task_kind,
  task_id: request.task_id,
  project_id: request.project_id,
  phase_id: request.phase_id,
  workstream_id: request.workstream_id,
  run_id,
  classification: request.classification,
  labels: request.labels,
  allowed_tools: routing.allowed_tools ?? null,
  excluded_tools: routing.excluded_tools,
  resource_scope: request.resource_scope,
  constraints: request.constraints,
  input: request.input,
  limits: {
    max_attempts: routing.max_attempts,
    timeout_seconds: routing.timeout_seconds,
    queue_timeout_seconds: routing.queue_timeout_seconds,
    total_timeout_seconds: routing.total_timeout_seconds,
  },
})

type TaskSource = Pick<
  ExecutionRequest,
  | 'task_kind'
  | 'task_id'
  | 'project_id'
  | 'phase_id'
  | 'workstream_id'
  | 'run_id'
  | 'classification'
  | 'labels'
  | 'routing'
  | 'resource_scope'
  | 'constraints'
  | 'input'
>

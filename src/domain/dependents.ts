import type { ExecutionRequest, RequestProgress } from '../contract/execution-request.ts'
import type { Task } from '../contract/task.ts'
import type { Change, Given, RunBook, Snapshot } from './decision.ts'
import { endedRequest, requestTold } from './ending.ts'
import type { Dependent } from './plan-facts.ts'
import { requestMachine } from './request-machine.ts'
import { queueEnd } from './retry.ts'
import { type Placed, routeSeries } from './route-series.ts'
import { type Entry, joined, still } from './run-entry.ts'
import { type Open, counting, endCounted } from './run-moves.ts'
import { attemptEnd } from './step.ts'
import { toolsKnown } from './tool.ts'

// What the end of a request means to those that need it, and to those that look at it.

/**
 * Its success lets those go on that need nothing more; with any other end all that need it end too, all the way
 * down. The scope must have loaded the next of them, or all.
 */
export function consequences(entry: Entry, before: Snapshot, given: Given, ended: RequestProgress): Entry {
  const { dependents, descendants } = before.plan
  if (ended.state !== 'succeeded') {
    const alone = withoutValidators(entry, before, given, ended)
    return joined(alone, failedWith(alone.book, given, descendants))
  }
  return dependents.length === 0 ? entry : joined(entry, released(entry.book, before, given))
}

/** What is open in the run after the entry. */
export function openAfter(
  { open_requests, running }: Snapshot,
  { changes }: Entry,
): Pick<Open, 'open_requests' | 'running'> {
  const ended = new Set<string>()
  for (const change of changes) {
    if (change.record === 'request_progress' && change.after.ended_at !== null)
      ended.add(change.after.request_id)
    if (change.record === 'step_attempt' && change.after.ended_at !== null)
      ended.add(change.after.step_attempt_id)
  }
  return {
    open_requests: open_requests.filter(({ request_id }) => !ended.has(request_id)),
    running: running.filter(({ step_attempt_id }) => !ended.has(step_attempt_id)),
  }
}

/**
 * What looks at work that is not there to be looked at any more ends at once, whoever holds it: its worker learns it at
 * the next heartbeat. The scope must have loaded what is open in the run.
 */
export function withoutValidators(
  entry: Entry,
  before: Snapshot,
  given: Given,
  { request_id }: Pick<RequestProgress, 'request_id'>,
): Entry {
  const { open_requests, running } = openAfter(before, entry)
  const validators = open_requests.filter(({ validates }) => validates?.execution_request_id === request_id)
  return validators.reduce((known, validator) => {
    const step = running.find(
      ({ step_attempt_id, execution_request_id }) =>
        step_attempt_id === validator.step_attempt_id && execution_request_id === validator.request_id,
    )
    const tools = { tools: toolsKnown(before, known), thresholds: null }
    const stopped =
      step === undefined
        ? known
        : joined(known, attemptEnd(tools, given, { book: known.book, step }, ENDED_WITH_WORK).entry)
    const { after, changes, draft } = endedRequest(validator, given, VALIDATION_ENDED)
    return joined(stopped, { book: endCounted(stopped.book, after), changes, drafts: [draft] })
  }, entry)
}

const VALIDATION_ENDED = 'validation_ended'
const ENDED_WITH_WORK = { status: 'canceled', state_reason: VALIDATION_ENDED } as const

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
    const { request } = dependent
    const placed = series!.route(taskOf(request), book.run, request.request_id)
    const { entry, after } = unblocked(book, given, request, placed)
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
    queued: moved.flatMap(({ entry }) => entry.queued ?? []),
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

/** Queues what waits for nothing any more where it was routed to; `after` is null if no tool is there, and the entry says why. */
export function unblocked(
  book: RunBook,
  given: Given,
  request: ExecutionRequest,
  { assignment, changes, drafts }: Placed,
): { entry: Entry; after: ExecutionRequest | null } {
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
    queued: [after],
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

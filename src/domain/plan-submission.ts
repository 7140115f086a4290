import type { CreateExecutionRequest, ExecutionRequest } from '../contract/execution-request.ts'
import type { Fault } from '../contract/problem.ts'
import type { PlanWarning, SubmitTasks, SubmittedTasks } from '../contract/plan.ts'
import { LIMITS } from '../contract/limits.ts'
import type { Change, Decision, Given, RunBook, Snapshot } from './decision.ts'
import { failedWith, taskOf as askedTask } from './dependents.ts'
import { LedgerError } from './error.ts'
import type { EventDraft } from './event-chain.ts'
import { createdBy } from './execution-request.ts'
import { requireMatch, visibleRun } from './guard.ts'
import { newProgress, newRequest } from './new-request.ts'
import type { EarlierTask } from './plan-facts.ts'
import { type Needs, circles, levelsOf, orderOf, readGraph } from './plan-graph.ts'
import { faultOfLength, faultsOfTasks, taskOf, warningsOf } from './plan-tasks.ts'
import { pointerTo } from './pointer.ts'
import { type Bounds, requestDocument } from './request.ts'
import { queueEnd, totalEnd } from './retry.ts'
import { type Prospect, prospectOf } from './route-prospect.ts'
import { requireOpen, requireRouting } from './route-decision.ts'
import { type RouteSeries, routeSeries } from './route-series.ts'
import { type Entry, entered, joined } from './run-entry.ts'
import { counting } from './run-moves.ts'
import { requirePlaces } from './step.ts'

/** The names that a submission asks for. */
export const namesOf = ({ tasks }: SubmitTasks): string[] => [
  ...new Set(tasks.flatMap(({ task_id, depends_on }) => [task_id, ...(depends_on ?? [])])),
]

/** The scope must load the run, the active configuration with its tools, and the tasks that are named. */
export function submitTasks(before: Snapshot, given: Given, body: SubmitTasks): Decision<SubmittedTasks> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  requireOpen(book)
  const { router } = requireRouting(before)
  const { needs, warnings } = soundGraph(before, body)
  const tasks = body.tasks.map((task) => taskOf(task, body.defaults ?? null, book.run))
  const prospects = tasks.map((task) => prospectOf(task, router))
  requireProspects(prospects)
  const levels = levelsOf(needs, (task_id) => before.plan.earlier.get(task_id)!.level)
  const ids = body.tasks.map(() => given.newId())
  const series = routeSeries(before, given)
  const made = tasks.map((task, place) => {
    const { name } = body.tasks[place]!
    const asked = { request_id: ids[place]!, task, bounds: prospects[place]!.bounds }
    const met = meet(needs[place]!, ids, before.plan.earlier)
    return newTask(book, given, series, { ...asked, name, level: levels[place]!, ...met })
  })
  const submitted = told(book, made, series)
  const doomed = doomedOf(made, needs)
  const entry = joined(submitted, failedWith(submitted.book, given, doomed))
  const ended = new Set(doomed.map(({ request_id }) => request_id))
  const result: SubmittedTasks = {
    tasks: made.map(({ request }) => ({
      task_id: request.task_id!,
      execution_request_id: request.request_id,
      state: ended.has(request.request_id) ? 'canceled' : request.state,
      tool_id: request.assignment?.tool_id ?? null,
      level: request.plan!.level,
    })),
    warnings: boundedWarnings([...warnings, ...warningsOf(body)]),
  }
  return { result: () => result, ...entered(book, entry, given) }
}

/** @throws LedgerError `plan_invalid` with every fault, as many as one answer may hold */
function soundGraph({ plan: { earlier, size } }: Snapshot, body: SubmitTasks) {
  const graph = readGraph(body.tasks, (task_id) => earlier.has(task_id))
  const count = graph.needs.reduce((sum, { own, earlier }) => sum + own.length + earlier.length, 0)
  const faults: Fault[] = [
    ...graph.faults,
    ...circles(body.tasks, graph.needs),
    ...faultsOfTasks(body),
    ...faultOfLength(body),
    ...tooMany(count, LIMITS.plan_needs, 'needs in one submission'),
    ...tooMany(size.needs + count, LIMITS.run_needs, 'needs in one run'),
    ...tooMany(size.tasks + body.tasks.length, LIMITS.run_tasks, 'tasks in one run'),
  ]
  if (faults.length === 0) return graph
  throw new LedgerError(
    'plan_invalid',
    `The plan has ${faults.length} fault(s): see errors. Nothing was stored.`,
    { errors: boundedFaults(faults) },
  )
}

const tooMany = (count: number, limit: number, what: string): Fault[] =>
  count <= limit ? [] : [{ pointer: '#/tasks', detail: `makes ${count} ${what}; there may be ${limit}` }]

/** The faults of a body may be many, and each may be long. */
function boundedFaults(faults: readonly Fault[]): Fault[] {
  let room: number = LIMITS.document_faults_length
  return faults.slice(0, LIMITS.document_faults).filter(({ pointer = '', detail }) => {
    const fits = room > 0
    room -= pointer.length + detail.length
    return fits
  })
}

function boundedWarnings(warnings: readonly PlanWarning[]): PlanWarning[] {
  const more = warnings.length - LIMITS.plan_warnings
  if (more <= 0) return [...warnings]
  const rest = { pointer: '#/tasks', detail: `has ${more} more fields without effect` }
  return [...warnings.slice(0, LIMITS.plan_warnings), rest]
}

/** A tool that is paused may come back; what no app of the configuration can do is refused. */
function requireProspects(prospects: readonly Prospect[]): void {
  const errors = prospects.flatMap(({ against }, place): Fault[] =>
    against === null ? [] : [{ pointer: pointerTo('tasks', place), detail: against }],
  )
  if (errors.length === 0) return
  throw new LedgerError(
    'no_routable_tool',
    `No tool of the active configuration could ever do ${errors.length} of the tasks: see errors. Nothing was stored.`,
    { errors: boundedFaults(errors) },
  )
}

interface Met {
  needs: string[]
  /** How many of them have not succeeded. */
  waiting_for: number
  /** Whether one of them never will. */
  is_doomed: boolean
}

function meet(
  { own, earlier: names }: Needs,
  ids: readonly string[],
  earlier: ReadonlyMap<string, EarlierTask>,
): Met {
  const known = names.map((task_id) => earlier.get(task_id)!) // the graph is sound
  return {
    needs: [...own.map((place) => ids[place]!), ...known.map(({ request_id }) => request_id)],
    waiting_for: own.length + known.filter(({ state }) => state !== 'succeeded').length,
    is_doomed: known.some(({ state }) => state === 'failed' || state === 'canceled'),
  }
}

interface Asked extends Met {
  request_id: string
  task: CreateExecutionRequest
  bounds: Bounds
  name: string
  level: number
}

interface Made {
  request: ExecutionRequest
  is_doomed: boolean
  changes: Change[]
  drafts: EventDraft[]
}

/** What needs nothing is routed at once. Where no tool is there just now, the sweep looks again. */
function newTask(book: RunBook, given: Given, series: RouteSeries, asked: Asked): Made {
  const { request_id, task, name, level, needs, waiting_for, is_doomed } = asked
  const { now } = given
  const by = { execution_request_id: request_id, created_by: createdBy(given), created_at: now }
  const document = requestDocument(task, asked.bounds, by)
  const fixed = { ...document, run_id: book.run.run_id, created_at: now }
  const placed = waiting_for === 0 ? series.route(askedTask(fixed), book.run, request_id) : null
  // What is refused a tool now has its second chance in the sweep, and is decided then.
  const ready = placed === null || placed.assignment === null ? null : placed
  const made = newRequest(
    document,
    {
      run_id: book.run.run_id,
      plan: { name, level, needs },
      validates: null,
      created_at: now,
      ...newProgress(ready === null ? 'blocked' : 'queued', given),
      assignment: ready?.assignment ?? null,
      queue_expires_at: ready === null ? totalEnd(fixed) : queueEnd(fixed, now),
    },
    waiting_for,
  )
  return {
    request: made.request,
    is_doomed,
    changes: [...(ready?.changes ?? []), made.change],
    drafts: [...(ready?.drafts ?? []), made.draft],
  }
}

function told(book: RunBook, made: readonly Made[], series: RouteSeries): Entry {
  const after = counting(book, { open: made.length })
  requirePlaces(after)
  return {
    book: after,
    changes: [...made.flatMap(({ changes }) => changes), ...series.turns()],
    drafts: made.flatMap(({ drafts }) => drafts),
  }
}

/** What needs a task that has ended without success, and what needs that: they were never to begin. */
function doomedOf(made: readonly Made[], needs: readonly Needs[]): ExecutionRequest[] {
  const doomed = made.map(({ is_doomed }) => is_doomed)
  if (!doomed.includes(true)) return []
  for (const place of orderOf(needs)) doomed[place] ||= needs[place]!.own.some((need) => doomed[need]!)
  return made.flatMap(({ request }, place) => (doomed[place] ? [request] : []))
}

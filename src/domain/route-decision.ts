import type { ExplainResult, ReplayResult } from '../contract/route-explain.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { Task } from '../contract/task.ts'
import { canonicalText } from './canonical.ts'
import type { Caller, Change, Decision, Given, Routing, RunBook, Snapshot } from './decision.ts'
import { LedgerError } from './error.ts'
import { sees } from './guard.ts'
import { explain } from './route-explain.ts'
import { type Facts, type Routed, decide, decisionText, replay } from './routing.ts'
import { entered } from './run-entry.ts'
import { isOpen } from './run-machine.ts'
import { factsOf } from './tool-record.ts'

/** The scope must load the active configuration with its tools, and the run that the task names. */
export function createRouteDecision(before: Snapshot, given: Given, task: Task): Decision<RouteDecision> {
  const book = runOf(before, given, task)
  const project_id = projectOf(book, given, task)
  if (book !== null) requireOpen(book)
  const { decision, changes } = route(before, given, task, { run_id: book?.run.run_id ?? null, project_id })
  if (book === null) return { changes, events: [], result: () => decision }
  const entry = { book, changes, drafts: [taskRouted(decision)] }
  return { ...entered(book, entry, given), result: () => decision }
}

/** To what a decision belongs. */
interface Belonging {
  run_id: string | null
  project_id: string | null
  /** The request that it assigns. */
  execution_request_id?: string | null
}

/** Decides with the active configuration: the decision, and what is to be kept of it. */
export function route(
  before: Snapshot,
  given: Given,
  task: Task,
  { run_id, project_id, execution_request_id = null }: Belonging,
): { decision: RouteDecision; changes: Change[] } {
  const routing = requireRouting(before)
  const { decision, rotation } = decide(task, routing.router, factsAt(routing, given.now), {
    route_decision_id: given.newId(),
    created_at: given.now,
    run_id,
    seed: seedOf(given),
  })
  const changes: Change[] = [
    { record: 'route_decision', after: { decision, project_id, execution_request_id } },
  ]
  if (rotation !== null) changes.push(turn(routing, rotation))
  return { decision, changes }
}

/** 32 random bits. */
export const seedOf = ({ randomHex }: Pick<Given, 'randomHex'>): number => Number.parseInt(randomHex(4), 16)

/** What the decision would be, with no effect. The scope is that of a decision. */
export function explainRoute(
  before: Snapshot,
  given: Pick<Given, 'now' | 'caller'> & { seed: number },
  task: Task,
): ExplainResult {
  const book = runOf(before, given, task)
  projectOf(book, given, task)
  const routing = requireRouting(before)
  const run_id = book?.run.run_id ?? null
  return explain(task, routing.router, factsAt(routing, given.now), { run_id, seed: given.seed })
}

/** The scope must load the decision, and a configuration to make it again with. */
export function replayRouteDecision(before: Snapshot, given: Pick<Given, 'caller'>): ReplayResult {
  const { route, routing } = before
  if (route === null || !seesRoute(given.caller, route)) throw routeNotFound()
  if (routing === null) throw unknownVersion('config_version')
  const { decision: recorded } = route
  const decision = replay(recorded, routing.router)
  const identical = decisionText(decision) === decisionText(recorded)
  return { config_version: routing.router.config_version, identical, decision }
}

/** What belongs to no project is for those who see all of them. */
export const seesRoute = (
  { projects }: Pick<Caller, 'projects'>,
  { project_id }: { project_id: string | null },
): boolean => projects === null || (project_id !== null && projects.includes(project_id))

export const routeNotFound = () =>
  new LedgerError(
    'route_decision_not_found',
    'No route decision has this id. Compare it with the list at /v1/routing/decisions.',
  )

/** A query names a version that is not there. */
export const unknownVersion = (parameter: string) =>
  new LedgerError('unknown_reference', `The query names a version in ${parameter} that does not exist.`, {
    errors: [{ parameter, detail: 'names no version of the router configuration' }],
  })

export function requireRouting({ routing }: Snapshot): Routing {
  if (routing !== null) return routing
  throw new LedgerError(
    'no_active_router_config',
    'No router configuration is active. Create one at /v1/routing/configs and activate it.',
  )
}

export const factsAt = ({ router, tools, rotations }: Routing, now: string): Facts =>
  factsOf(router, tools, rotations, now)

/** The run that the task names. @throws LedgerError `unknown_reference` */
export function runOf(
  { run }: Snapshot,
  { caller }: Pick<Given, 'caller'>,
  { run_id }: Task,
): RunBook | null {
  if (run_id == null) return null
  if (run !== null && sees(caller, run.run.project_id)) return run
  throw misplaced('#/run_id', 'names no run', `No run has the id ${run_id}.`)
}

/** @throws LedgerError where the task's project is not its run's, or not one of the caller's */
export function projectOf(
  book: RunBook | null,
  { caller }: Pick<Given, 'caller'>,
  task: Pick<Task, 'project_id'>,
): string | null {
  const own = book?.run.project_id ?? null
  const project_id = task.project_id ?? own
  if (own !== null && project_id !== own) {
    throw misplaced('#/project_id', "is not the run's project", `The run belongs to project ${own}.`)
  }
  if (seesRoute(caller, { project_id })) return project_id
  throw new LedgerError('forbidden', 'This API key routes tasks of its own projects only; name one.', {
    errors: [{ pointer: '#/project_id', detail: 'is not one of the projects of the API key' }],
  })
}

const misplaced = (pointer: string, detail: string, sentence: string) =>
  new LedgerError('unknown_reference', `${sentence} Correct ${pointer.slice(2)} or leave it out.`, {
    errors: [{ pointer, detail }],
  })

export function requireOpen({ run }: RunBook): void {
  if (isOpen(run.state)) return
  throw new LedgerError('run_not_running', `The run is ${run.state}: nothing is routed in it any more.`, {
    state: run.state,
  })
}

export function turn({ router, rotations }: Routing, rotation: NonNullable<Routed['rotation']>): Change {
  const kept = rotations.find(({ rule_id }) => rule_id === rotation.rule_id)
  const after = { ...rotation, version: (kept?.version ?? 0) + 1 }
  return { record: 'rotation', config_version: router.config_version, after }
}

/** The whole of it is kept as a decision. */
export function taskRouted({ route_decision_id, outcome, tool_id, rule_id }: RouteDecision) {
  const route_decision = { route_decision_id, outcome, rule_id, tool_id }
  return { kind: 'task_routed', payload_text: canonicalText({ route_decision }) }
}

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EventVerification } from '../src/contract/event.ts'
import type { ExecutionRequestStory } from '../src/contract/request-story.ts'
import type { ExplainResult, ReplayResult } from '../src/contract/route-explain.ts'
import type { RouteDecision } from '../src/contract/routing.ts'
import type { RunSummary } from '../src/contract/run-summary.ts'
import type { StepAttempt } from '../src/contract/step.ts'
import type { Api } from './api.ts'
import type { DemoTask } from './tasks.ts'
import type { Snapshot } from './watch.ts'

/** A task that was handed in, with the words in which the server explained before where it would go. */
export interface Submitted {
  plan: DemoTask
  request_id: string
  explained: ExplainResult
}

/** A stored decision, and whether it came out the same when it was made again from what it recorded. */
export type Replayed = RouteDecision & { is_identical: boolean }

export interface TaskReport extends Submitted {
  request: ExecutionRequestStory
  /** In the order in which they began, those of its validators among them. */
  attempts: StepAttempt[]
  /** None where the task never became ready. */
  decisions: Replayed[]
  /** Those about its validators. */
  validator_decisions: Replayed[]
}

export interface Report extends Snapshot {
  tasks: TaskReport[]
  summary: RunSummary
  chain: EventVerification
  /** The text of the file that the last task has written; null if there is none. */
  written: string | null
}

/** Far more than the demo has of anything, so that one page holds all. */
const PAGE = 500

/**
 * Everything from the ledger, after the run.
 * @param directory where the programs of the demo leave their files
 */
export async function gather(
  api: Api,
  {
    snapshot,
    submitted,
    directory,
  }: { snapshot: Snapshot; submitted: readonly Submitted[]; directory: string },
): Promise<Report> {
  const run = `/v1/runs/${snapshot.run.run_id}`
  const { items } = await api.get<{ items: StepAttempt[] }>(`${run}/steps?limit=${PAGE}`)
  const file = join(directory, 'report.md')
  return {
    ...snapshot,
    tasks: await Promise.all(submitted.map((each) => taskReport(api, each, items))),
    summary: await api.get<RunSummary>(`${run}/summary`),
    chain: await api.get<EventVerification>(`${run}/events/verify`),
    written: existsSync(file) ? readFileSync(file, 'utf8') : null,
  }
}

async function taskReport(
  api: Api,
  submitted: Submitted,
  attempts: readonly StepAttempt[],
): Promise<TaskReport> {
  const request = await storyOf(api, submitted.request_id)
  const validators = await Promise.all(
    request.validations.map(({ execution_request_id }) => storyOf(api, execution_request_id)),
  )
  const ids = [request, ...validators].map(({ request_id }) => request_id)
  return {
    ...submitted,
    request,
    attempts: attempts.filter(({ execution_request_id }) => ids.includes(execution_request_id ?? '')),
    decisions: await replays(api, request),
    validator_decisions: (await Promise.all(validators.map((each) => replays(api, each)))).flat(),
  }
}

const storyOf = (api: Api, request_id: string): Promise<ExecutionRequestStory> =>
  api.get(`/v1/execution-requests/${request_id}`)

const replays = (api: Api, { decisions }: ExecutionRequestStory): Promise<Replayed[]> =>
  Promise.all(decisions.map(({ route_decision_id }) => replayed(api, route_decision_id)))

async function replayed(api: Api, route_decision_id: string): Promise<Replayed> {
  const path = `/v1/routing/decisions/${route_decision_id}`
  const { identical } = await api.post<ReplayResult>(`${path}/replay`)
  return { ...(await api.get<RouteDecision>(path)), is_identical: identical }
}

/** How many attempts were under way at the same time. Instants are texts that sort. */
export function mostAtOnce(tasks: readonly TaskReport[]): number {
  const attempts = tasks.flatMap((task) => task.attempts)
  const beside = attempts.map(({ started_at: instant }) =>
    attempts.filter(
      ({ started_at, ended_at }) => started_at <= instant && (ended_at === null || ended_at > instant),
    ),
  )
  return Math.max(0, ...beside.map(({ length }) => length))
}

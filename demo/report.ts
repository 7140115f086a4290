import type { EventVerification } from '../src/contract/event.ts'
import type { ExecutionRequest } from '../src/contract/execution-request.ts'
import type { ExplainResult, ReplayResult } from '../src/contract/route-explain.ts'
import type { RouteDecision } from '../src/contract/routing.ts'
import type { StepAttempt } from '../src/contract/step.ts'
import type { Api } from './api.ts'
import type { DemoTask } from './tasks.ts'
import { secondsOf } from './view.ts'
import { type Snapshot, attemptsOf } from './watch.ts'

/** A task that was handed in, with the words in which the server explained before where it would go. */
export interface Submitted {
  plan: DemoTask
  request_id: string
  explained: ExplainResult
}

export interface TaskReport extends Submitted {
  request: ExecutionRequest
  attempts: StepAttempt[]
  decision: RouteDecision
  /** Whether the stored decision, made again from what it recorded, came out the same. */
  is_identical: boolean
}

export interface Report {
  snapshot: Snapshot
  tasks: TaskReport[]
  chain: EventVerification
}

/** Everything from the ledger, after the run. */
export async function gather(api: Api, snapshot: Snapshot, submitted: readonly Submitted[]): Promise<Report> {
  const tasks = submitted.map((each) => taskReport(api, snapshot, each))
  const verification = api.get<EventVerification>(`/v1/runs/${snapshot.run.run_id}/events/verify`)
  return { snapshot, tasks: await Promise.all(tasks), chain: await verification }
}

async function taskReport(api: Api, snapshot: Snapshot, submitted: Submitted): Promise<TaskReport> {
  const request = snapshot.requests.find(({ request_id }) => request_id === submitted.request_id)
  const id = request?.assignment?.route_decision_id
  if (request === undefined || id === undefined) throw new Error(`${submitted.request_id} has no decision`)
  const decision = await api.get<RouteDecision>(`/v1/routing/decisions/${id}`)
  const { identical } = await api.post<ReplayResult>(`/v1/routing/decisions/${id}/replay`)
  const attempts = attemptsOf(snapshot, request)
  return { ...submitted, request, attempts, decision, is_identical: identical }
}

export function reportText({ snapshot, tasks, chain }: Report): string {
  const { run, attempts } = snapshot
  const identical = tasks.filter(({ is_identical }) => is_identical).length
  const verdict = chain.valid ? 'verified' : `broken at event ${chain.first_bad?.run_seq}`
  return [
    ...tasks.flatMap((task) => [...taskLines(task), '']),
    `run        ${run.run_id} ${run.state} by itself after ${secondsOf(spanOf(run))}`,
    `attempts   ${attempts.length} for ${tasks.length} tasks, of which ${run.counters.errors} failed`,
    `decisions  ${tasks.length}, of which ${identical} came out the same when made again from their records`,
    `events     ${chain.events_checked}, chain ${verdict}, last hash ${chain.last_hash}`,
    '',
  ].join('\n')
}

function taskLines({ plan, request, attempts, explained, decision }: TaskReport): string[] {
  const sentences = explained.candidates.flatMap(({ tool_id, reason_codes, score }, index) => {
    const isChosen = tool_id === decision.tool_id
    // Of a tool that cannot do such tasks at all nobody asks why it was not chosen.
    const isOfInterest = isChosen ? score !== null : !reason_codes.includes('task_kind')
    const label = isChosen ? 'why    ' : 'why not'
    return isOfInterest ? [`  ${label}  ${explained.sentences.candidates[index] ?? ''}`] : []
  })
  return [
    `${plan.task_id}: ${plan.title}`,
    `  tool     ${decision.tool_id}: ${request.state}`,
    `  why      ${explained.sentences.summary}`,
    ...sentences,
    ...attempts.flatMap(attemptLines),
  ]
}

function attemptLines(attempt: StepAttempt): string[] {
  const { attempt: number, exit_code, stdout_tail, stderr_tail, error_log } = attempt
  const took = attempt.ended_at === null ? '' : ` after ${secondsOf(spanOf(attempt))}`
  // Only where no program came to its own end is there more to read than what it printed.
  const printed = exit_code === null ? (error_log ?? '') : `${stdout_tail ?? ''}\n${stderr_tail ?? ''}`
  return [
    `  try ${number}    ${endOf(attempt)}${took}`,
    ...lastLines(printed).map((line) => `           | ${line}`),
  ]
}

const endOf = ({ exit_code, signal, error_class, state }: StepAttempt): string =>
  exit_code === null ? (signal ?? error_class ?? state) : `exit code ${exit_code}`

const spanOf = ({ started_at, ended_at }: { started_at: string | null; ended_at: string | null }): number =>
  started_at === null || ended_at === null ? 0 : Date.parse(ended_at) - Date.parse(started_at)

const SHOWN_LINES = 4
const SHOWN_CHARACTERS = 96

/** The last lines that say something, without what would move a terminal's cursor. */
function lastLines(text: string): string[] {
  const lines = text.split('\n').map((line) => line.replaceAll(/\p{C}/gu, '').trim())
  return lines
    .filter((line) => line !== '')
    .slice(-SHOWN_LINES)
    .map((line) => (line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS - 1)}…` : line))
}

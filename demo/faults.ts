import { isDeepStrictEqual } from 'node:util'
import type { RunPlan } from '../src/contract/run-plan.ts'
import { type Replayed, type Report, type TaskReport, mostAtOnce } from './report.ts'

/** What is not as it has to be, a sentence each. */
export function faultsOf({ run, plan, tasks, summary, chain, written }: Report): string[] {
  return [
    ...tasks.flatMap(taskFaults),
    ...orderFaults(plan),
    ...(mostAtOnce(tasks) > 1 ? [] : ['No two tasks were under way at the same time.']),
    ...countFaults(tasks, summary.step_attempts),
    ...reportFaults(tasks, written),
    ...(run.state === 'succeeded'
      ? []
      : [`The run is ${run.state}: ${run.error_message ?? run.state_reason}`]),
    ...(chain.valid ? [] : [`The events of the run do not verify: ${JSON.stringify(chain.first_bad)}`]),
  ]
}

function taskFaults(task: TaskReport): string[] {
  const { request, attempts, plan } = task
  const { task_id } = request
  const last = attempts.at(-1)
  if (request.state !== 'succeeded')
    return [`${task_id} ${request.state} (${request.stop_reason}). ${last?.error_log ?? ''}`.trim()]
  const were = attempts.map(({ tool_id, state }) => `${tool_id}: ${state}`)
  return [
    ...(isDeepStrictEqual(were, plan.attempts)
      ? []
      : [`${task_id} had the attempts ${were.join(', ')}, and has to have ${plan.attempts.join(', ')}.`]),
    ...decisionFaults(task),
  ]
}

function decisionFaults(task: TaskReport): string[] {
  const { request, decisions, validator_decisions } = task
  const { task_id } = request
  return [
    ...(isAsExplained(task) ? [] : [`${task_id} was not decided as it was explained before.`]),
    ...(isOneStory(decisions) ? [] : [`The decisions on ${task_id} do not name each other.`]),
    ...([...decisions, ...validator_decisions].every(({ is_identical }) => is_identical)
      ? []
      : [`A decision on ${task_id} came out differently when made again.`]),
  ]
}

/** What was explained has to hold when the task was ready. Tools that are busy by then may have one reason more. */
function isAsExplained({ explained, decisions: [decision] }: TaskReport): boolean {
  return (
    decision?.tool_id === explained.tool_id &&
    decision.rule_id === explained.rule_id &&
    explained.candidates.every(({ reason_codes, score }, index) => {
      const decided = decision.candidates[index]
      return decided?.score === score && reason_codes.every((code) => decided.reason_codes.includes(code))
    })
  )
}

/** Whether each decision after the first names the one before it. */
const isOneStory = (decisions: readonly Replayed[]): boolean =>
  decisions.every(
    ({ previous_decision_id }, index) =>
      previous_decision_id === (decisions[index - 1]?.route_decision_id ?? null),
  )

/** What began before all that it needs had ended. Instants are texts that sort. */
function orderFaults({ nodes }: RunPlan): string[] {
  return nodes.flatMap(({ task_id, needs, started_at }) => {
    const early = nodes.filter(
      (other) =>
        needs.includes(other.task_id) &&
        started_at !== null &&
        (other.ended_at === null || other.ended_at > started_at),
    )
    return early.map((other) => `${task_id} began before ${other.task_id} had ended.`)
  })
}

/** The summary of a run counts on its own; it has to come to the same. */
function countFaults(
  tasks: readonly TaskReport[],
  { total, succeeded, failed, retries, fallbacks }: Report['summary']['step_attempts'],
): string[] {
  const attempts = tasks.flatMap((task) => task.attempts)
  const counted = {
    total: attempts.length,
    succeeded: attempts.filter(({ state }) => state === 'succeeded').length,
    failed: attempts.filter(({ state }) => state === 'failed').length,
    retries: attempts.filter(({ retry_of }) => retry_of !== null).length,
    fallbacks: tasks.reduce((sum, { decisions }) => sum + Math.max(0, decisions.length - 1), 0),
  }
  const said = { total, succeeded, failed, retries, fallbacks }
  if (isDeepStrictEqual(said, counted)) return []
  return [`The summary says ${JSON.stringify(said)} of the attempts, which are ${JSON.stringify(counted)}.`]
}

/** The join has to have what all that it waited for have found. */
function reportFaults(tasks: readonly TaskReport[], written: string | null): string[] {
  const join = tasks.find(({ plan, request }) => plan.task.kind === 'report' && request.state === 'succeeded')
  const needs = join?.plan.task.depends_on ?? []
  return needs
    .filter((task_id) => written === null || !written.includes(`\n## ${task_id}: `))
    .map((task_id) => `The report has nothing of ${task_id}.`)
}

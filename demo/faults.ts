import { isDeepStrictEqual } from 'node:util'
import type { Report, TaskReport } from './report.ts'

/** What is not as it has to be, a sentence each. */
export function faultsOf({ snapshot: { run }, tasks, chain }: Report): string[] {
  return [
    ...tasks.flatMap(taskFaults),
    ...(run.state === 'succeeded'
      ? []
      : [`The run is ${run.state}: ${run.error_message ?? run.state_reason}`]),
    ...(chain.valid ? [] : [`The events of the run do not verify: ${JSON.stringify(chain.first_bad)}`]),
  ]
}

function taskFaults({ plan, request, attempts, decision, explained, is_identical }: TaskReport): string[] {
  const { task_id } = plan
  const isAsExplained =
    decision.tool_id === explained.tool_id && isDeepStrictEqual(decision.candidates, explained.candidates)
  const last = attempts.at(-1)
  return [
    ...(request.state === 'succeeded'
      ? []
      : [`${task_id} ${request.state} (${request.stop_reason}). ${last?.error_log ?? ''}`.trim()]),
    ...(attempts.length === plan.attempts
      ? []
      : [`${task_id} took ${counted(attempts.length)}, and has to take ${plan.attempts}.`]),
    ...(isAsExplained ? [] : [`${task_id} was not decided as it was explained before.`]),
    ...(is_identical ? [] : [`The decision on ${task_id} came out differently when made again.`]),
  ]
}

const counted = (attempts: number): string => (attempts === 1 ? '1 attempt' : `${attempts} attempts`)

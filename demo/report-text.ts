import { endText, printedText } from '../src/cli/attempt-text.ts'
import { labeled as labeledText, lastLines, spanText } from '../src/cli/layout.ts'
import { criticalPathText, planDrawing } from '../src/cli/plan-text.ts'
import type { StepAttempt } from '../src/contract/step.ts'
import { type Report, type TaskReport, mostAtOnce } from './report.ts'

export function reportText(report: Report): string {
  const { plan, tasks } = report
  return [
    ...planDrawing(plan),
    '',
    criticalPathText(plan),
    '',
    ...tasks.flatMap((task) => [...taskLines(task), '']),
    ...closingLines(report),
    '',
  ].join('\n')
}

function closingLines({ run, tasks, summary, chain }: Report): string[] {
  const { total, failed, retries, fallbacks } = summary.step_attempts
  const decisions = tasks.flatMap((task) => [...task.decisions, ...task.validator_decisions])
  const identical = decisions.filter(({ is_identical }) => is_identical).length
  const verdict = chain.valid ? 'verified' : `broken at event ${chain.first_bad?.run_seq}`
  const replays = `${identical} came out the same when made again from their records`
  return [
    `run        ${run.run_id} ${run.state} by itself after ${spanText(summary.durations.run_ms ?? 0)}`,
    `attempts   ${total} for ${tasks.length} tasks, up to ${mostAtOnce(tasks)} at once`,
    `failures   ${failed}; tried again ${retries} times, ${fallbacks} of them by another tool`,
    `decisions  ${decisions.length}, of which ${replays}`,
    `events     ${chain.events_checked}, chain ${verdict}, last hash ${chain.last_hash}`,
  ]
}

/** What was decided, and what came of it, in the order in which it happened. */
function taskLines(task: TaskReport): string[] {
  const { plan, request, attempts } = task
  const first = [`${request.task_id}: ${plan.task.name}`, ...whyLines(task)]
  if (attempts.length === 0)
    return [...first, ...labeled('ended', `${request.state} (${request.stop_reason})`)]
  return [
    ...first,
    ...attempts.flatMap((attempt, index) =>
      attempt.execution_request_id === request.request_id
        ? [...fallbackLines(task, index), ...attemptLines(`try ${attempt.attempt}`, attempt)]
        : attemptLines('check', attempt),
    ),
  ]
}

/** In the words of the server. */
function whyLines({ explained, decisions: [decision] }: TaskReport): string[] {
  const candidates = explained.candidates.flatMap(({ tool_id, reason_codes, score }, index) => {
    const isChosen = tool_id === decision?.tool_id
    // Of a tool that cannot do such tasks at all nobody asks why it was not chosen.
    const isOfInterest = isChosen ? score !== null : !reason_codes.includes('task_kind')
    const label = isChosen ? 'why' : 'why not'
    return isOfInterest ? labeled(label, explained.sentences.candidates[index] ?? '') : []
  })
  const validators = explained.validate_with.flatMap((tool_id) =>
    labeled('why', `Rule ${explained.rule_id} validates the work with ${tool_id}.`),
  )
  return [...labeled('why', explained.sentences.summary), ...candidates, ...validators]
}

/** Where an attempt is the first one of a tool that took over. */
function fallbackLines({ decisions, attempts }: TaskReport, index: number): string[] {
  const { route_decision_id, tool_id } = attempts[index]!
  const before = attempts[index - 1]
  const decision = decisions.find((each) => each.route_decision_id === route_decision_id)
  if (before === undefined || before.route_decision_id === route_decision_id) return []
  if (decision?.previous_decision_id !== before.route_decision_id) return []
  const failed = attempts.filter((each) => each.route_decision_id === before.route_decision_id).length
  const times = failed === 1 ? 'once' : `${failed} times`
  const { tool_id: other } = before
  return labeled('why', `${other} has failed ${times}: rule ${decision.rule_id} falls back to ${tool_id}.`)
}

function attemptLines(label: string, attempt: StepAttempt): string[] {
  const took = attempt.ended_at === null ? '' : ` after ${spanText(spanOf(attempt))}`
  return [
    ...labeled(label, `${attempt.tool_id}: ${endText(attempt)}${took}`),
    ...lastLines(printedText(attempt), SHOWN).map((line) => `           | ${line}`),
  ]
}

const spanOf = ({ started_at, ended_at }: { started_at: string; ended_at: string | null }): number =>
  ended_at === null ? 0 : Date.parse(ended_at) - Date.parse(started_at)

const WIDTH = 100
const INDENT = 11

/** Of what a program printed. */
const SHOWN = { count: 3, width: 86 }

const labeled = (label: string, text: string): string[] =>
  labeledText(label, text, { width: WIDTH, indent: INDENT })

import type { RunPlan } from '../contract/run-plan.ts'
import type { RunSummary } from '../contract/run-summary.ts'
import type { StepAttempt } from '../contract/step.ts'
import { endText, printedText } from './attempt-text.ts'
import { placeOf } from './event-details.ts'
import { eventLines } from './event-lines.ts'
import { type Cell, lastLines, printable, spanText, table } from './layout.ts'
import { type Output, styleOf } from './output.ts'
import { criticalPathText, planDrawing } from './plan-text.ts'
import type { OpenRequest, RunStory } from './run.ts'

/** A run as a person wants to read it: what it is, how far it is, what was done, what failed, what happened last. */
export function runLines(story: RunStory, output: Output): string[] {
  const { plan, steps, events, summary } = story
  const failures = steps.filter(({ state }) => state === 'failed')
  const { total, failed } = summary.step_attempts
  const known = [
    ...plan.nodes.map(({ execution_request_id, task_id }) => [execution_request_id, task_id] as const),
    ...steps.map(({ step_attempt_id, tool_id }) => [step_attempt_id, tool_id] as const),
  ]
  const linesOf = eventLines(output, { hasRuns: false, known })
  return [
    ...headLines(story, output),
    ...section('What it waits for', story.open.flatMap(openLines), output),
    ...section('Plan', plan.nodes.length === 0 ? [] : planSection(plan, output), output),
    ...(plan.critical_path.task_ids.length === 0 ? [] : ['', printable(criticalPathText(plan))]),
    ...section(`Steps${ofAll(steps.length, total)}`, table(steps.map(stepCells), output), output),
    ...(failed === 0 ? [] : failureSection(failures, failed, output)),
    ...section(`Events${ofAll(events.length, lastRunSeq(story))}`, events.flatMap(linesOf), output),
  ]
}

const ofAll = (shown: number, all: number): string => (shown < all ? ` (the last ${shown} of ${all})` : '')

const lastRunSeq = ({ events }: RunStory): number => events.at(-1)?.run_seq ?? 0

const section = (title: string, lines: readonly string[], { paint }: Output): string[] =>
  lines.length === 0 ? [] : ['', paint('bold', title), ...lines]

function headLines({ run, summary, plan }: RunStory, { paint }: Output): string[] {
  const { run_id, state, origin, labels } = run
  const why = run.error_message ?? run.state_reason
  const facts: [string, string | null][] = [
    ['project', placeOf(run)],
    [
      'labels',
      Object.entries(labels)
        .map(([key, value]) => `${key}:${value}`)
        .join(', '),
    ],
    [
      'asked',
      [origin.trigger_type, origin.trigger_ref, origin.requested_by]
        .filter((each) => each !== null)
        .join(', '),
    ],
    ['created', instantText(run.created_at)],
    ['started', run.started_at && instantText(run.started_at)],
    ['ended', run.ended_at && instantText(run.ended_at)],
    ['took', summary.durations.run_ms === null ? null : spanText(summary.durations.run_ms)],
    ['exit code', run.exit_code === null ? null : String(run.exit_code)],
    ['why', why],
    ['attempts', attemptsText(summary)],
    ['requests', countsText(summary.execution_requests)],
    ['tasks', plan.nodes.length === 0 ? null : progressText(plan)],
    ['used', usageText(summary)],
  ]
  return [
    `${paint('bold', `Run ${run_id}`)}  ${paint(styleOf(state), state)}`,
    ...facts
      .filter(([, text]) => text !== null && text !== '')
      .map(([label, text]) => `  ${paint('dim', label.padEnd(9))}  ${printable(text!)}`),
  ]
}

const instantText = (instant: string): string => `${instant.slice(0, 19).replace('T', ' ')} UTC`

/** What there is any of: `12 succeeded, 4 failed`. */
const countsText = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ')

function attemptsText({ step_attempts }: RunSummary): string {
  const { total, retries, fallbacks, ...counts } = step_attempts
  if (total === 0) return 'none'
  const again = retries === 0 ? '' : `; ${retries} of them retries, ${fallbacks} by another tool`
  return `${countsText(counts)}${again}`
}

function progressText({ progress, estimate }: RunPlan): string {
  const { done, total, percent } = progress
  const left =
    estimate.remaining_ms === null || estimate.of === 0
      ? ''
      : `, about ${spanText(estimate.remaining_ms)} left`
  return `${done} of ${total} done (${percent} %)${left}`
}

function usageText({ usage: { tokens_input, tokens_output, cost_usd_micros } }: RunSummary): string {
  const tokens = tokens_input + tokens_output === 0 ? [] : [`${tokens_input} tokens in, ${tokens_output} out`]
  return [...tokens, ...(cost_usd_micros === 0 ? [] : [costText(cost_usd_micros)])].join(', ')
}

const costText = (usd_micros: number): string => `$${(usd_micros / 1_000_000).toFixed(4)}`

/** Of a request that has not ended, why nothing is happening, or who has it. */
function openLines({ request, diagnosis }: OpenRequest): string[] {
  const name = `${request.task_id ?? request.task_kind} (${diagnosis.state}):`
  return diagnosis.findings.map(({ detail }) => `  ${printable(name)} ${printable(detail)}`)
}

/** More tasks than this are a list: nobody follows so many lines with the eye. */
const DRAWN_TASKS = 100

/** A drawing, or a list where that would be too wide or too high. */
function planSection(plan: RunPlan, output: Output): string[] {
  if (plan.nodes.length <= DRAWN_TASKS) {
    const drawing = planDrawing(plan)
    if (drawing.every((line) => line.length <= (output.width ?? Infinity))) return drawing
  }
  const rows = plan.nodes.map(({ task_id, state, tool_id, duration_ms, blocked_by }): Cell[] => [
    { text: `  ${printable(task_id)}` },
    { text: state, style: styleOf(state) },
    { text: printable(tool_id ?? '–') },
    { text: duration_ms === null ? '–' : spanText(duration_ms) },
    { text: blocked_by.length === 0 ? '' : `waits for ${printable(blocked_by.join(', '))}` },
  ])
  return table(rows, output)
}

function stepCells(step: StepAttempt): Cell[] {
  const { sequence, attempt, tool_id, state, usage } = step
  const tokens = usage.tokens_input === null && usage.tokens_output === null ? '' : tokensText(usage)
  return [
    { text: `  ${sequence}.${attempt}` },
    { text: printable(tool_id) },
    { text: state, style: styleOf(state) },
    { text: tookText(step) },
    { text: printable(state === 'succeeded' || state === 'running' ? '' : endText(step)) },
    { text: usage.cost_usd_micros === null ? '' : costText(usage.cost_usd_micros) },
    { text: tokens },
  ]
}

const tokensText = ({ tokens_input, tokens_output }: StepAttempt['usage']): string =>
  `${tokens_input ?? 0} tokens in, ${tokens_output ?? 0} out`

/** By the clock of the server; what still runs has no end to count to. */
const tookText = ({ started_at, ended_at }: StepAttempt): string =>
  ended_at === null
    ? `since ${started_at.slice(11, 19)}`
    : spanText(Date.parse(ended_at) - Date.parse(started_at))

const TAIL_LINES = 5
const TAIL_WIDTH = 120
const TAIL_MARK = '    | '

/** What stands so far back that its step is not among those shown is counted all the same. */
function failureSection(failures: readonly StepAttempt[], all: number, output: Output): string[] {
  const title = `Failures${ofAll(failures.length, all)}`
  return ['', output.paint('bold', title), ...failures.flatMap((step) => failureLines(step, output))]
}

function failureLines(step: StepAttempt, { paint, width }: Output): string[] {
  const { sequence, attempt, tool_id, error_class } = step
  const kind = error_class === null ? '' : `, ${error_class}`
  const tail = { count: TAIL_LINES, width: (width ?? TAIL_WIDTH) - TAIL_MARK.length }
  return [
    `  ${sequence}.${attempt}  ${printable(tool_id)}: ${paint('red', printable(endText(step)))}${printable(kind)} after ${tookText(step)}`,
    ...lastLines(printedText(step), tail).map((line) => `${TAIL_MARK}${line}`),
  ]
}

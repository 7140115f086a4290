import type { Event } from '../contract/event.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { RouteDecision } from '../contract/routing.ts'
import type { Run } from '../contract/run.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { Tool } from '../contract/tool.ts'
import { endText, printedText } from './attempt-text.ts'
import { cut, lastLines, spanText } from './layout.ts'
import type { Names } from './names.ts'
import { shortId } from './run-id.ts'

/** What the server writes into its own events. Others have shapes of their own, and an erased one has none. */
interface Told {
  run?: Partial<Run>
  step_attempt?: Partial<StepAttempt>
  execution_request?: Partial<ExecutionRequest>
  route_decision?: Partial<RouteDecision>
  tool?: Partial<Pick<Tool, 'tool_id' | 'pause' | 'circuit'>>
  config?: { config_version?: number }
  reason?: string
}

type Teller = (told: Told, event: Event, names: Names) => readonly (string | null | undefined)[]

/** The server's kinds by their first word. */
const TELLERS: Record<string, Teller> = {
  run: tellRun,
  step: tellStep,
  request: tellRequest,
  task: ({ route_decision: decision }) => [
    decision?.tool_id == null ? 'there is no tool for it' : `to ${decision.tool_id}`,
    decision?.rule_id == null ? null : `by rule ${decision.rule_id}`,
  ],
  circuit: ({ tool, reason }) => [
    tool?.tool_id,
    tool?.circuit?.reason,
    tool?.circuit?.open_until == null ? null : `until ${timeOf(tool.circuit.open_until)}`,
    reason,
  ],
  tool: ({ tool }) => [tool?.tool_id, tool?.pause?.reason],
  config: ({ config }) => [`version ${config?.config_version}`],
}

const TOOL_CALLS = /^tool_call_/ // the one prefix of the server's that clients share

/** What matters of an event beside its kind, its run and its change of state: the task, the tool, the message. */
export function detailsOf(event: Event, names: Names): string {
  const { kind, payload } = event
  if (payload === null) return '(erased)'
  const teller = TOOL_CALLS.test(kind) ? undefined : TELLERS[kind.slice(0, kind.indexOf('_'))]
  if (teller === undefined) return freeText(payload)
  return teller(payload as Told, event, names)
    .filter((text) => text != null && text !== '')
    .join('  ')
}

const FREE_WIDTH = 200

/** Of what a client wrote, its text, or else all of it. */
function freeText(payload: Record<string, unknown>): string {
  const text = payload['text'] ?? payload['message']
  if (typeof text === 'string') return cut(text, FREE_WIDTH)
  return Object.keys(payload).length === 0 ? '' : cut(JSON.stringify(payload), FREE_WIDTH)
}

function tellRun({ run = {} }: Told, { kind }: Event): ReturnType<Teller> {
  if (kind === 'run_created') {
    return [placeOf(run), ...Object.entries(run.labels ?? {}).map(([key, value]) => `${key}:${value}`)]
  }
  if (kind === 'run_updated') {
    return [
      Object.keys(run)
        .filter((field) => !['updated_at', 'version'].includes(field))
        .join(', '),
    ]
  }
  const code = run.exit_code == null ? null : `exit code ${run.exit_code}`
  return [code, run.error_message, run.state_reason]
}

/** Where a run belongs. */
export const placeOf = ({ project_id, phase_id, workstream_id }: Partial<Run>): string =>
  [project_id, phase_id, workstream_id].filter((name) => name != null).join('/')

function tellStep({ step_attempt: step = {} }: Told, event: Event, names: Names): ReturnType<Teller> {
  const id = event.step_attempt_id ?? ''
  if (event.kind === 'step_started') {
    names.set(id, `${step.tool_id}`)
    names.set(`${id} began`, event.ts)
    return [step.tool_id, `step ${step.sequence}`, (step.attempt ?? 1) > 1 ? `attempt ${step.attempt}` : null]
  }
  const tool_id = names.get(id)
  const began = names.get(`${id} began`)
  names.delete(id)
  names.delete(`${id} began`)
  const { exit_code = null, signal = null, error_class = null, state = 'canceled', state_reason } = step
  const took = began === undefined ? '' : ` after ${spanText(Date.parse(event.ts) - Date.parse(began))}`
  const end =
    exit_code === null && state === 'succeeded' ? 'done' : endText({ exit_code, signal, error_class, state })
  const { stdout_tail = null, stderr_tail = null, error_log = null } = step
  const printed = printedText({ exit_code, stdout_tail, stderr_tail, error_log })
  const words = state === 'failed' ? lastLines(printed, ONE_LINE) : []
  return [tool_id, `${end}${took}`, state_reason, ...words]
}

function tellRequest(
  { execution_request: request = {} }: Told,
  event: Event,
  names: Names,
): ReturnType<Teller> {
  const { kind, to } = event
  const { request_id = '', assignment, cancel_reason } = request
  if (kind === 'request_created') names.set(request_id, taskName(request, names))
  const task = names.get(request_id) ?? `request ${shortId(request_id)}`
  if (kind === 'request_cancel_requested') return [task, cancel_reason]
  const tool = assignment?.tool_id == null ? null : `${to === 'queued' ? 'for' : 'by'} ${assignment.tool_id}`
  if (kind !== 'request_completed') return [task, tool, ...waitOf(request, event)]
  names.delete(request_id)
  return [task, tool, to === 'succeeded' ? null : request.stop_reason, cancel_reason]
}

function taskName({ task_id, task_kind, validates }: Partial<ExecutionRequest>, names: Names): string {
  if (validates == null) return task_id ?? `${task_kind}`
  return `check of ${names.get(validates.execution_request_id) ?? task_kind}`
}

/** What a request that was tried waits for, and what was wrong with the work if a validator said so. */
function waitOf({ available_at, validation_error }: Partial<ExecutionRequest>, { from, to, ts }: Event) {
  if (to === 'blocked' && from === 'claimed') return ['done, and waits for its validators']
  if (to !== 'queued' || from === null) return []
  const isLater = available_at !== undefined && available_at > ts
  const words = from === 'blocked' ? lastLines(validation_error?.message ?? '', ONE_LINE) : []
  return [isLater ? `again at ${timeOf(available_at)}` : null, ...words]
}

const ONE_LINE = { count: 1, width: FREE_WIDTH }

const timeOf = (instant: string): string => instant.slice(11, 19)

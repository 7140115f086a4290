import type { RequestProgress } from '../contract/execution-request.ts'
import type { CreateRun, Run } from '../contract/run.ts'
import type { Given, RequestCounts, RunBook, Snapshot } from './decision.ts'
import { type Ended, endedRequest, endedStep } from './ending.ts'
import { type EventDraft, chainStart } from './event-chain.ts'
import type { Edge } from './machine.ts'
import { payloadText, runText } from './payload.ts'
import { type Entry, joined } from './run-entry.ts'
import { type RunCommand, isOpen, runMachine } from './run-machine.ts'
import { toolsAfter } from './tool.ts'

export function newRun(given: Given, body: CreateRun, traceparent: string | null): Entry {
  const run: Run = {
    run_id: given.newId(),
    project_id: body.project_id,
    phase_id: body.phase_id,
    workstream_id: body.workstream_id ?? null,
    execution_request_id: body.execution_request_id ?? null,
    state: 'pending',
    state_reason: null,
    origin: {
      trigger_type: body.origin?.trigger_type ?? 'other',
      trigger_ref: body.origin?.trigger_ref ?? null,
      requested_by: body.origin?.requested_by ?? null,
    },
    counters: { step_attempts: 0, patches_created: 0, patches_applied: 0, errors: 0 },
    exit_code: null,
    error_message: null,
    labels: body.labels ?? {},
    metadata: body.metadata ?? {},
    completion: body.completion ?? 'manual',
    on_failure: body.on_failure ?? 'fail',
    traceparent,
    created_at: given.now,
    started_at: null,
    ended_at: null,
    updated_at: given.now,
    version: 1,
  }
  const draft = { kind: 'run_created', to: run.state, payload_text: payloadText({ run: runText(run) }) }
  const book = { ...chainStart(run.run_id), run, sequence_max: 0, steps_running: 0, requests: NO_REQUESTS }
  return { book, changes: [], drafts: [draft] }
}

const NO_REQUESTS: RequestCounts = { open: 0, succeeded: 0, failed: 0, canceled: 0 }

export function counting(book: RunBook, by: Partial<RequestCounts>): RunBook {
  const { open, succeeded, failed, canceled } = book.requests
  const requests = {
    open: open + (by.open ?? 0),
    succeeded: succeeded + (by.succeeded ?? 0),
    failed: failed + (by.failed ?? 0),
    canceled: canceled + (by.canceled ?? 0),
  }
  return { ...book, requests }
}

const ENDS = {
  succeeded: { open: -1, succeeded: 1 },
  failed: { open: -1, failed: 1 },
  canceled: { open: -1, canceled: 1 },
} as const satisfies Partial<Record<RequestProgress['state'], Partial<RequestCounts>>>

/** A request has ended. A run waits for validators, but their verdicts are about other requests, and count there. */
export const endCounted = (book: RunBook, { state, validates }: RequestProgress): RunBook =>
  counting(book, validates === null ? ENDS[state as keyof typeof ENDS] : { open: -1 })

export type RunEdge = Edge<Run['state'], RunCommand>
export type Moved = Partial<
  Pick<Run, 'started_at' | 'ended_at' | 'error_message' | 'exit_code' | 'state_reason'>
>

/** What is open in a run, and ends with it. */
export type Open = Pick<Snapshot, 'running' | 'open_requests' | 'tools'>

export const NOTHING_OPEN: Open = { running: [], open_requests: [], tools: new Map() }

/**
 * Moves a run along an edge. What closes it ends all that is open in it, and tells of that first.
 * `moved` must have its keys in alphabetical order: they go into the payload as they are.
 */
export function moveRun(
  book: RunBook,
  given: Given,
  edge: RunEdge,
  moved: Moved,
  open: Open = NOTHING_OPEN,
): Entry {
  const { run } = book
  const after: Run = { ...run, ...moved, state: edge.to, updated_at: given.now, version: run.version + 1 }
  const told = runMoved(run, after, edge, moved)
  if (isOpen(edge.to)) return { book: { ...book, run: after }, changes: [], drafts: [told] }
  const { requests, steps_running } = book
  const { running, open_requests } = open
  if (running.length !== steps_running) throw new Error('steps_running counts wrong')
  if (open_requests.length !== requests.open) throw new Error('requests_open counts wrong')
  const reason = `run_${edge.to}`
  const steps = running.map((step) => endedStep(step, given, reason))
  const ended: Ended[] = [...steps, ...open_requests.map((request) => endedRequest(request, given, reason))]
  const work = open_requests.filter(({ validates }) => validates === null)
  const tools = toolsAfter(
    open,
    steps.map(({ after }) => ({ ...after, ended_at: given.now })),
  )
  return {
    book: {
      ...book,
      run: after,
      steps_running: 0,
      requests: { ...requests, open: 0, canceled: requests.canceled + work.length },
    },
    changes: [...ended.flatMap(({ changes }) => changes), ...tools.changes],
    drafts: [...ended.map(({ draft }) => draft), told],
  }
}

function runMoved(run: Run, after: Run, edge: RunEdge, moved: Moved): EventDraft {
  const { state, updated_at, version } = after
  const { state_reason, ...rest } = moved
  const reason = state_reason === undefined ? {} : { state_reason }
  const text = JSON.stringify({ ...rest, state, ...reason, updated_at, version })
  return { kind: edge.event, from: run.state, to: edge.to, payload_text: payloadText({ run: text }) }
}

/**
 * Ends a run whose completion is `auto`, if what the entry did leaves nothing to wait for.
 * `open` is what is open after the entry; `because` says why, where the run does not simply succeed.
 */
export function settled(
  entry: Entry,
  given: Given,
  open: Open,
  because: string = tally(entry.book.requests),
): Entry {
  const command = ownCommand(entry.book)
  if (command === null) return entry
  const started = entry.book.run.state === 'pending' && command !== 'cancel' ? begun(entry, given) : entry
  const edge = runMachine.edge(started.book.run.state, command)
  return joined(started, moveRun(started.book, given, edge, ownMove(command, given, because), open))
}

/** What fails before it was claimed fails a run that nobody had started. */
function begun(entry: Entry, given: Given): Entry {
  const edge = runMachine.edge(entry.book.run.state, 'start')
  return joined(entry, moveRun(entry.book, given, edge, { started_at: given.now }))
}

const tally = ({ succeeded, failed, canceled }: RequestCounts): string =>
  `Of its execution requests ${succeeded} succeeded, ${failed} failed and ${canceled} were canceled.`

type OwnCommand = Extract<RunCommand, 'succeed' | 'fail' | 'quarantine' | 'cancel'>

/** A failure is the run's at once, unless it goes on; then, and else, it waits for the last request. */
function ownCommand({ run, requests, steps_running }: RunBook): OwnCommand | null {
  if (run.completion !== 'auto' || !isOpen(run.state)) return null
  const { open, succeeded, failed, canceled } = requests
  if (failed > 0 && run.on_failure !== 'continue') return run.on_failure
  if (open > 0 || steps_running > 0 || succeeded + failed + canceled === 0) return null
  if (failed > 0) return 'fail'
  return canceled > 0 ? 'cancel' : 'succeed'
}

function ownMove(command: OwnCommand, { now }: Given, because: string): Moved {
  switch (command) {
    case 'succeed':
      return { ended_at: now, error_message: null, exit_code: null }
    case 'fail':
      return { ended_at: now, error_message: because, exit_code: null }
    case 'quarantine':
    case 'cancel':
      return { ended_at: now, state_reason: because }
  }
}

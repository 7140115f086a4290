import type { RunTransitions } from '../contract/machine.ts'
import type { CancelRun, CompleteRun, CreateRun, QuarantineRun, Run } from '../contract/run.ts'
import type { StepAttempt } from '../contract/step.ts'
import { LIMITS } from '../contract/limits.ts'
import type { Change, Decision, Given, RunBook, Snapshot } from './decision.ts'
import { LedgerError } from './error.ts'
import { type EventDraft, chain, chainStart } from './event-chain.ts'
import { requireAgreement, requireMatch, sees, visibleRun } from './guard.ts'
import { type Edge, commandStatuses } from './machine.ts'
import { payloadText, runText } from './payload.ts'
import { type RunCommand, isOpen, runMachine } from './run-machine.ts'
import { endedStep } from './step.ts'

export function createRun(
  _before: Snapshot,
  given: Given,
  body: CreateRun,
  traceparent: string | null,
): Decision<Run> {
  if (!sees(given.caller, body.project_id)) throw foreignProject(body.project_id)
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
  const { events, head } = chain(run.run_id, chainStart(run.run_id), [draft], given)
  const after: RunBook = { ...head, run, sequence_max: 0, steps_running: 0 }
  return { result: () => run, changes: [{ record: 'run', before: null, after }], events }
}

const foreignProject = (project_id: string) =>
  new LedgerError('forbidden', `This API key may not create runs in project ${project_id}.`, {
    errors: [{ pointer: '#/project_id', detail: 'is not one of the projects of the API key' }],
  })

export function startRun(before: Snapshot, given: Given): Decision<Run> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  const edge = admit(before, book, 'start')
  return moveRun(book, given, edge, { started_at: given.now })
}

export function completeRun(before: Snapshot, given: Given, body: CompleteRun): Decision<Run> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  requireAgreement(body)
  const edge = admit(before, book, body.status === 'succeeded' ? 'succeed' : 'fail')
  const moved = {
    ended_at: given.now,
    error_message: body.error_message ?? null,
    exit_code: body.exit_code ?? null,
  }
  return moveRun(book, given, edge, moved, before.running)
}

/** A failed run keeps what it failed with: only the state and its reason move. */
export function quarantineRun(before: Snapshot, given: Given, body: QuarantineRun): Decision<Run> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  const edge = admit(before, book, 'quarantine')
  const moved = { ended_at: book.run.ended_at ?? given.now, state_reason: body.reason }
  return moveRun(book, given, edge, moved, before.running)
}

export function cancelRun(before: Snapshot, given: Given, body: CancelRun): Decision<Run> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  const edge = admit(before, book, 'cancel')
  const moved = { ended_at: given.now, state_reason: body.reason ?? null }
  return moveRun(book, given, edge, moved, before.running)
}

/** Every command of a run, and what its guards would say now. */
export function listTransitions(before: Snapshot, given: Pick<Given, 'caller'>): RunTransitions {
  const book = visibleRun(before, given)
  const { run_id, state } = book.run
  const commands = commandStatuses(runMachine, { run_id }, (command) => admit(before, book, command))
  return { run_id, state, commands }
}

type RunEdge = Edge<Run['state'], RunCommand>

/** The one guard of every move of a run: the table, and the rule that stands beside it. */
function admit(before: Snapshot, book: RunBook, command: RunCommand): RunEdge {
  const edge = runMachine.edge(book.run.state, command)
  if (command === 'succeed' && book.steps_running > 0) throw stepsRunning(before, book)
  return edge
}

function stepsRunning({ running }: Snapshot, { steps_running }: RunBook) {
  return new LedgerError(
    'steps_running',
    `The run cannot succeed while ${steps_running} step attempt(s) are running. Complete them first.`,
    {
      state: 'running',
      command: 'succeed',
      allowed_commands: runMachine.allowed('running').filter((command) => command !== 'succeed'),
      steps_running,
      step_attempt_ids: running.slice(0, LIMITS.listed_ids).map((step) => step.step_attempt_id),
    },
  )
}

type Moved = Partial<Pick<Run, 'started_at' | 'ended_at' | 'error_message' | 'exit_code' | 'state_reason'>>

/** `moved` must have its keys in alphabetical order: they go into the payload as they are. */
function moveRun(
  book: RunBook,
  given: Given,
  edge: RunEdge,
  moved: Moved,
  running: readonly StepAttempt[] = [],
): Decision<Run> {
  const { run } = book
  const after: Run = { ...run, ...moved, state: edge.to, updated_at: given.now, version: run.version + 1 }
  const closes = !isOpen(edge.to)
  if (closes && running.length !== book.steps_running) throw new Error('steps_running counts wrong')
  const ended = closes ? running.map((step) => endedStep(step, given, `run_${edge.to}`)) : []
  const drafts = [...ended.map(({ draft }) => draft), runMoved(run, after, edge, moved)]
  const { events, head } = chain(run.run_id, book, drafts, given)
  const runChange: Change = {
    record: 'run',
    before: book,
    after: { ...book, ...head, run: after, steps_running: closes ? 0 : book.steps_running },
  }
  return { result: () => after, changes: [...ended.map(({ change }) => change), runChange], events }
}

function runMoved(run: Run, after: Run, edge: RunEdge, moved: Moved): EventDraft {
  const { state, updated_at, version } = after
  const { state_reason, ...rest } = moved
  const reason = state_reason === undefined ? {} : { state_reason }
  const text = JSON.stringify({ ...rest, state, ...reason, updated_at, version })
  return { kind: edge.event, from: run.state, to: edge.to, payload_text: payloadText({ run: text }) }
}

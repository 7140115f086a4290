import type { RunTransitions } from '../contract/machine.ts'
import type { CancelRun, CompleteRun, CreateRun, QuarantineRun, Run } from '../contract/run.ts'
import { LIMITS } from '../contract/limits.ts'
import type { Decision, Given, RunBook, Snapshot } from './decision.ts'
import { LedgerError } from './error.ts'
import { requireAgreement, requireMatch, sees, visibleRun } from './guard.ts'
import { commandStatuses } from './machine.ts'
import { type Entry, entered } from './run-entry.ts'
import { type RunCommand, runMachine } from './run-machine.ts'
import { type RunEdge, moveRun, newRun } from './run-moves.ts'

export function createRun(
  _before: Snapshot,
  given: Given,
  body: CreateRun,
  traceparent: string | null,
): Decision<Run> {
  if (!sees(given.caller, body.project_id)) throw foreignProject(body.project_id)
  return written(null, newRun(given, body, traceparent), given)
}

const foreignProject = (project_id: string) =>
  new LedgerError('forbidden', `This API key may not create runs in project ${project_id}.`, {
    errors: [{ pointer: '#/project_id', detail: 'is not one of the projects of the API key' }],
  })

export function startRun(before: Snapshot, given: Given): Decision<Run> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  const edge = admit(before, book, 'start')
  return written(book, moveRun(book, given, edge, { started_at: given.now }), given)
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
  return written(book, moveRun(book, given, edge, moved, before), given)
}

/** A failed run keeps what it failed with: only the state and its reason move. */
export function quarantineRun(before: Snapshot, given: Given, body: QuarantineRun): Decision<Run> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  const edge = admit(before, book, 'quarantine')
  const moved = { ended_at: book.run.ended_at ?? given.now, state_reason: body.reason }
  return written(book, moveRun(book, given, edge, moved, before), given)
}

export function cancelRun(before: Snapshot, given: Given, body: CancelRun): Decision<Run> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  const edge = admit(before, book, 'cancel')
  const moved = { ended_at: given.now, state_reason: body.reason ?? null }
  return written(book, moveRun(book, given, edge, moved, before), given)
}

const written = (book: RunBook | null, entry: Entry, given: Given): Decision<Run> => ({
  result: () => entry.book.run,
  ...entered(book, entry, given),
})

/** Every command of a run, and what its guards would say now. */
export function listTransitions(before: Snapshot, given: Pick<Given, 'caller'>): RunTransitions {
  const book = visibleRun(before, given)
  const { run_id, state } = book.run
  const commands = commandStatuses(runMachine, { run_id }, (command) => admit(before, book, command))
  return { run_id, state, commands }
}

/** The one guard of every move of a run: the table, and the rule that stands beside it. */
function admit(before: Snapshot, book: RunBook, command: RunCommand): RunEdge {
  const edge = runMachine.edge(book.run.state, command)
  if (command === 'succeed' && book.steps_running > 0) throw stepsRunning(before, book)
  if (command === 'succeed' && book.requests.open > 0) throw requestsOpen(before, book)
  return edge
}

function stepsRunning({ running }: Snapshot, { steps_running }: RunBook) {
  return new LedgerError(
    'steps_running',
    `The run cannot succeed while ${steps_running} step attempt(s) are running. Complete them first.`,
    {
      ...unfinished,
      steps_running,
      step_attempt_ids: running.slice(0, LIMITS.listed_ids).map((step) => step.step_attempt_id),
    },
  )
}

function requestsOpen({ open_requests }: Snapshot, { requests }: RunBook) {
  return new LedgerError(
    'requests_open',
    `The run cannot succeed while ${requests.open} execution request(s) have not ended. Wait for them or cancel them.`,
    {
      ...unfinished,
      requests_open: requests.open,
      execution_request_ids: open_requests.slice(0, LIMITS.listed_ids).map(({ request_id }) => request_id),
    },
  )
}

const unfinished = {
  state: 'running',
  command: 'succeed',
  allowed_commands: runMachine.allowed('running').filter((command) => command !== 'succeed'),
} as const

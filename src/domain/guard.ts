import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { Fault } from '../contract/problem.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { Caller, Given, RunBook, Snapshot } from './decision.ts'
import { LedgerError } from './error.ts'

/** A key bound to projects sees nothing of the others. */
export const sees = ({ projects }: Pick<Caller, 'projects'>, project_id: string): boolean =>
  projects === null || projects.includes(project_id)

/** @throws LedgerError `run_not_found`, also where the caller may not see it. */
export function visibleRun({ run }: Snapshot, { caller }: Pick<Given, 'caller'>): RunBook {
  if (run === null || !sees(caller, run.run.project_id)) throw runNotFound()
  return run
}

/** @throws LedgerError `step_attempt_not_found`, also where the caller may not see it. */
export function visibleStep(before: Snapshot, { caller }: Given): { book: RunBook; step: StepAttempt } {
  const { run: book, step_attempt: step } = before
  if (book === null || step === null || !sees(caller, book.run.project_id)) throw stepNotFound()
  return { book, step }
}

/** @throws LedgerError `execution_request_not_found`, also where the caller may not see it. */
export function visibleRequest(
  { run: book, request }: Snapshot,
  { caller }: Pick<Given, 'caller'>,
): { book: RunBook; request: ExecutionRequest } {
  if (book === null || request === null || !sees(caller, request.project_id)) throw requestNotFound()
  return { book, request }
}

export const requestNotFound = () =>
  new LedgerError(
    'execution_request_not_found',
    'No execution request has this id. Compare it with the list at /v1/execution-requests.',
  )

export const runNotFound = () =>
  new LedgerError('run_not_found', 'No run has this id. Compare it with the list at /v1/runs.')

export const stepNotFound = () =>
  new LedgerError('step_attempt_not_found', "No step attempt has this id. Compare it with its run's list.")

/** @throws LedgerError `precondition_failed` where `If-Match` names other versions. RFC 9110 §13.1.1. */
export function requireMatch({ if_match }: Given, version: number): void {
  if (if_match === null || if_match === '*' || if_match.includes(String(version))) return
  throw new LedgerError(
    'precondition_failed',
    `The resource is at version ${version}, not at the one in If-Match. Read it again and decide anew.`,
    { version },
  )
}

/** @throws LedgerError `precondition_required` without `If-Match`, `precondition_failed` where it names others. */
export function requireIfMatch(given: Given, version: number): void {
  if (given.if_match === null) {
    throw new LedgerError(
      'precondition_required',
      'Send If-Match with the ETag of what you have seen, so that you change nothing unseen.',
      { version },
    )
  }
  requireMatch(given, version)
}

/** What all projects share is not for a key that is bound to some. @throws LedgerError `forbidden` */
export function requireUnbound({ caller }: Pick<Given, 'caller'>): void {
  if (caller.projects === null) return
  throw new LedgerError(
    'forbidden',
    'This API key is bound to projects; what all of them share is not its business.',
  )
}

/** @throws LedgerError `exit_code_contradicts` for a success with another exit code than 0. */
export function requireAgreement(body: { status: string; exit_code?: number | null }): void {
  if (body.status !== 'succeeded' || (body.exit_code ?? 0) === 0) return
  const fault: Fault = { pointer: '#/exit_code', detail: 'must be 0 or absent with status succeeded' }
  throw new LedgerError(
    'exit_code_contradicts',
    `Succeeded contradicts the exit code ${body.exit_code}. Report failed, or the exit code 0.`,
    { errors: [fault] },
  )
}

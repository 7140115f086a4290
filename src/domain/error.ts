import type { Fault } from '../contract/problem.ts'
import type { ProblemCode } from '../contract/problems.ts'

/** Facts that a refusal carries into its problem, beside the code and the sentence. */
export interface ErrorContext {
  errors?: Fault[]
  [fact: string]: unknown
}

/** An expected refusal. `detail` is a sentence for the caller that says what to do, and holds no internals. */
export class LedgerError extends Error {
  readonly code: ProblemCode
  readonly context: ErrorContext

  /** @param cause what a store or library threw: for the log, never for the caller */
  constructor(code: ProblemCode, detail: string, context: ErrorContext = {}, cause?: unknown) {
    super(detail, { cause })
    this.name = 'LedgerError'
    this.code = code
    this.context = context
  }
}

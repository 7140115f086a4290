import type { StepAttempt } from '../contract/step.ts'

type Ended = Pick<StepAttempt, 'exit_code' | 'signal' | 'error_class' | 'state'>

/** How an attempt ended, or that it has not. */
export const endText = ({ exit_code, signal, error_class, state }: Ended): string =>
  exit_code === null ? (signal ?? error_class ?? state) : `exit code ${exit_code}`

type Printed = Pick<StepAttempt, 'exit_code' | 'stdout_tail' | 'stderr_tail' | 'error_log'>

/** What there is to read: only where no program came to its own end is it more than what that printed. */
export const printedText = ({ exit_code, stdout_tail, stderr_tail, error_log }: Printed): string =>
  exit_code === null ? (error_log ?? '') : `${stdout_tail ?? ''}\n${stderr_tail ?? ''}`

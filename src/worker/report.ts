import type { CompleteExecutionRequest, FailExecutionRequest } from '../contract/dispatch.ts'
import type { ProgramEnd } from './executor.ts'
import type { Output } from './output.ts'

/** Why a program was ended before its own end; null if it was not. */
export type Cause = 'timeout' | 'canceled' | 'lost' | 'stopped' | null

export interface Facts {
  lease_token: string
  end: ProgramEnd & { duration_ms: number }
  cause: Cause
  stdout: Output
  stderr: Output
  logs_path: string
  /** What it was allowed to take. */
  timeout_ms: number
  program: string
}

/** What to tell the server: success, or the failure as what it is. */
export type Report =
  { call: 'complete'; body: CompleteExecutionRequest } | { call: 'fail'; body: FailExecutionRequest }

export function reportOf(facts: Facts): Report {
  const { end, cause } = facts
  const program = programFieldsOf(facts)
  if (cause === null && end.kind === 'exited' && end.exit_code === 0)
    return { call: 'complete', body: program }
  const { retryable, ...error } = failureOf(facts)
  return { call: 'fail', body: { ...program, error, ...(retryable === false ? { retryable } : {}) } }
}

function programFieldsOf({ lease_token, end, stdout, stderr, logs_path }: Facts) {
  return {
    lease_token,
    ...(end.kind === 'exited' ? { exit_code: end.exit_code } : {}),
    ...(end.kind === 'signaled' ? { signal: end.signal } : {}),
    stdout_tail: stdout.tail(),
    stderr_tail: stderr.tail(),
    outputs: { logs_path },
    usage: { duration_ms: end.duration_ms },
  }
}

interface Failure {
  class: string
  code?: string
  message: string
  retryable?: false
}

function failureOf({ end, cause, timeout_ms, program }: Facts): Failure {
  if (cause === 'canceled')
    return { class: 'canceled', message: 'The worker ended the program as it was asked.' }
  if (cause === 'timeout') {
    return { class: 'timeout', message: `The worker ended the program after ${timeout_ms / 1_000} s.` }
  }
  switch (end.kind) {
    case 'exited':
      return { class: 'tool_error', message: `${program} exited with ${end.exit_code}.` }
    case 'signaled':
      return { class: 'killed', code: end.signal, message: `${program} was ended by ${end.signal}.` }
    case 'not_started':
      return end.is_missing
        ? {
            class: 'tool_missing',
            code: end.code,
            message: `This worker cannot start ${program}: it is not there, or not a program.`,
            retryable: false,
          }
        : {
            class: 'not_started',
            code: end.code,
            message: `This worker cannot start ${program}: ${end.code}.${end.code === 'E2BIG' ? TOO_LONG : ''}`,
            ...(end.code === 'E2BIG' ? { retryable: false } : {}),
          }
  }
}

const TOO_LONG = ' The prompt is too long for an argument; {prompt_file} takes any.'

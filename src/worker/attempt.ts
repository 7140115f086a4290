import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClaimedRequest } from '../contract/dispatch.ts'
import { makeDirectory } from '../directory.ts'
import { filledArgv } from './argv.ts'
import { type Program, startProgram } from './executor.ts'
import { type Latest, type Output, createLatest, createOutput } from './output.ts'
import type { Cause, Facts } from './report.ts'
import { attemptsIn } from './retention.ts'
import type { Tool } from './tools-file.ts'

/** A program at work for a claim. */
export interface Attempt {
  /** All that is to be said of it; after this nothing of it is left but its files. */
  ended: Promise<Facts>
  /** The latest of what it has printed so far. */
  output(): string
  /** Ends it; the first cause counts, and none after its own end. */
  end(cause: Exclude<Cause, null>): void
  kill(): void
}

export interface AttemptOptions {
  claimed: ClaimedRequest
  tool: Tool
  data_dir: string
  /** The worker's own; the program gets what the tools file names, and no more. */
  env: NodeJS.ProcessEnv
}

/** What every program needs to find other programs, and its settings. */
const ALWAYS_PASSED = ['PATH', 'HOME']

/** @throws Error where the files of the attempt cannot be made */
export function startAttempt({ claimed, tool, data_dir, env }: AttemptOptions): Attempt {
  const files = attemptFiles(claimed, data_dir)
  const { execution_request: request, lease_token } = claimed
  const argv = filledArgv(tool.argv, {
    prompt: request.input?.prompt ?? '',
    working_directory: tool.working_directory,
    ...files,
  })
  const program = startProgram({
    argv,
    cwd: tool.working_directory,
    env: passed(env, [...ALWAYS_PASSED, ...tool.env]),
    stdout: files.stdout,
    stderr: files.stderr,
  })
  const timeout_ms = timeoutOf(tool, request.routing.timeout_seconds)
  const control = controlOf(program, timeout_ms)
  const close = () => [control, files.stdout, files.stderr].forEach((one) => one.close())
  const ended = program.ended.finally(close).then((end) => {
    const { stdout, stderr, logs_path } = files
    const cause = control.cause()
    return { lease_token, end, cause, stdout, stderr, logs_path, timeout_ms, program: argv[0] ?? '' }
  })
  return { ended, output: files.latest.text, end: control.end, kill: program.kill }
}

interface Files {
  prompt_file: string
  request_file: string
  logs_path: string
  stdout: Output
  stderr: Output
  latest: Latest
}

/** A directory of its own for each attempt, for the owner alone. The lease token is in none of its files. */
function attemptFiles({ execution_request, step_attempt }: ClaimedRequest, data_dir: string): Files {
  const directory = join(attemptsIn(data_dir), step_attempt.step_attempt_id)
  makeDirectory(directory)
  const inDirectory = (name: string) => join(directory, name)
  const own = { mode: 0o600 }
  const latest = createLatest()
  writeFileSync(inDirectory('prompt.txt'), execution_request.input?.prompt ?? '', own)
  writeFileSync(inDirectory('request.json'), `${JSON.stringify(execution_request, null, 2)}\n`, own)
  return {
    prompt_file: inDirectory('prompt.txt'),
    request_file: inDirectory('request.json'),
    logs_path: directory,
    ...outputsIn(inDirectory, latest),
    latest,
  }
}

function outputsIn(inDirectory: (name: string) => string, latest: Latest): Pick<Files, 'stdout' | 'stderr'> {
  const stdout = createOutput(inDirectory('stdout.log'), { latest })
  try {
    return { stdout, stderr: createOutput(inDirectory('stderr.log'), { latest }) }
  } catch (error) {
    stdout.close() // where descriptors are short, one that is lost is never found again
    throw error
  }
}

const passed = (env: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))

/** The server ends an attempt on its own at its timeout, and takes no report then: leave time for one. */
const REPORT_SHARE = 0.1
const REPORT_MS = 6_000

/** The tool's own limit, or the request's, which is cut by a tenth, at most 6 s, so that the report arrives in time. */
function timeoutOf({ timeout_seconds }: Tool, request_seconds: number): number {
  const request_ms = request_seconds * 1_000
  const in_time = request_ms - Math.min(REPORT_MS, request_ms * REPORT_SHARE)
  return Math.min(in_time, (timeout_seconds ?? Infinity) * 1_000)
}

const LONGEST_MS = 2 ** 31 - 1

function controlOf(program: Program, timeout_ms: number) {
  let cause: Cause = null
  let isOver = false
  const end = (why: Exclude<Cause, null>): void => {
    if (isOver || cause !== null) return
    if (program.end()) cause = why
  }
  const timer = setTimeout(() => end('timeout'), Math.min(timeout_ms, LONGEST_MS))
  return {
    end,
    cause: () => cause,
    close() {
      isOver = true
      clearTimeout(timer)
    },
  }
}

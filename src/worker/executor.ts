import { type ChildProcess, spawn } from 'node:child_process'
import { pause } from '../client/pause.ts'
import { isDirectory } from '../directory.ts'
import type { Output } from './output.ts'

/** How a program came to its end; why it was ended is known to who ended it. */
export type ProgramEnd =
  | { kind: 'exited'; exit_code: number }
  | { kind: 'signaled'; signal: string }
  | { kind: 'not_started'; code: string; is_missing: boolean }

export interface Program {
  /** Settles when nothing of its process group is left. */
  ended: Promise<ProgramEnd & { duration_ms: number }>
  /** SIGTERM to its group, and SIGKILL after a while; false where it has ended by itself. */
  end(): boolean
  /** SIGKILL to its group. */
  kill(): void
}

export interface ProgramOptions {
  argv: readonly string[]
  cwd: string
  /** All that it sees of the environment. */
  env: Record<string, string>
  stdout: Output
  stderr: Output
}

/** What was asked to end is killed after this. */
export const KILL_AFTER_MS = 5_000
const LOOK_EVERY_MS = 25
/** How long the pipes may stay open by processes that have left the group. */
const PIPES_MS = 1_000

const FOREVER = new AbortController().signal

/** Starts a program in a process group of its own, without a shell. What goes wrong is told as its end. */
export function startProgram(options: ProgramOptions): Program {
  const since = performance.now()
  const child = spawned(options)
  if ('kind' in child) return notStarted(child)
  const group = groupOf(child)
  const piped = [drained(child.stdout, options.stdout), drained(child.stderr, options.stderr)]
  const ended = (async () => {
    const end = await endOf(child, options.cwd)
    const duration_ms = Math.round(performance.now() - since)
    await group.clear()
    const over = new AbortController()
    await Promise.race([Promise.all(piped), pause(PIPES_MS, over.signal)])
    over.abort()
    child.stdout?.destroy()
    child.stderr?.destroy()
    return { ...end, duration_ms }
  })()
  return { ended, end: group.end, kill: group.kill }
}

type NotStarted = Extract<ProgramEnd, { kind: 'not_started' }>

function spawned({ argv, cwd, env }: ProgramOptions): ChildProcess | NotStarted {
  const [program = '', ...args] = argv
  try {
    return spawn(program, args, { cwd, env, detached: true, shell: false, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    return failedStart(error, cwd) // too long a list of arguments is thrown, where others are an event
  }
}

function notStarted(end: NotStarted): Program {
  return { ended: Promise.resolve({ ...end, duration_ms: 0 }), end: () => false, kill: () => {} }
}

/** ENOENT is also what a missing working directory says. */
function failedStart(error: unknown, cwd: string): NotStarted {
  const { code = 'UNKNOWN' } = error as NodeJS.ErrnoException
  const is_missing = (code === 'ENOENT' || code === 'EACCES') && isDirectory(cwd)
  return { kind: 'not_started', code, is_missing }
}

function endOf(child: ChildProcess, cwd: string): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(failedStart(error, cwd))
    })
    // Not `close`, which waits for the pipes: a child that was left behind may hold them for ever.
    child.once('exit', (exit_code, signal) =>
      resolve(signal === null ? { kind: 'exited', exit_code: exit_code ?? 0 } : { kind: 'signaled', signal }),
    )
  })
}

/** Undefined where there were no descriptors left to make one, which its type does not say. */
type Pipe = ChildProcess['stdout'] | undefined

/** All that has come through the pipe is taken. */
function drained(pipe: Pipe, output: Output): Promise<void> {
  return new Promise((resolve) => {
    if (pipe == null) return resolve()
    pipe.on('data', (chunk: Buffer) => output.take(chunk))
    pipe.once('close', () => resolve())
    pipe.on('error', () => {}) // a pipe that breaks is closed as well
  })
}

/** The processes of a program. Its group has the id of its first process, and keeps it until the last has ended. */
function groupOf(child: ChildProcess) {
  let kill_at: number | null = null
  let timer: NodeJS.Timeout | undefined
  let isCleared = false

  /** Whether there was any process to get it. */
  const signal = (name: NodeJS.Signals | 0): boolean => {
    if (child.pid === undefined || isCleared) return false
    try {
      return process.kill(-child.pid, name)
    } catch {
      return false
    }
  }
  const kill = (): void => void signal('SIGKILL')
  return {
    kill,
    end() {
      if (child.exitCode !== null || child.signalCode !== null) return false
      if (kill_at !== null) return true
      kill_at = performance.now() + KILL_AFTER_MS
      signal('SIGTERM')
      timer = setTimeout(kill, KILL_AFTER_MS)
      return true
    },
    /** Its first process has ended. If that was asked to, the others have the same time; otherwise none. */
    async clear() {
      while (kill_at !== null && performance.now() < kill_at && signal(0)) await pause(LOOK_EVERY_MS, FOREVER)
      clearTimeout(timer)
      kill()
      isCleared = true // from now on the number may be that of another group
    },
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DemoFailed } from './stopping.ts'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CLI = join(ROOT, 'src/cli.ts')

/** The programs of this checkout before those of the machine. */
const PATH = [join(ROOT, 'node_modules/.bin'), dirname(process.execPath), process.env['PATH']].join(delimiter)

export interface ChildOptions {
  name: string
  /** The command line of signalbox. */
  args: readonly string[]
  /** Its working directory: one without a settings file. */
  cwd: string
  /** Beside PATH and HOME. What else stands in the environment, settings above all, is not the demo's. */
  env?: Record<string, string>
  /** The message of its log that says that it works. */
  says: string
  /** Called where it ends although nobody told it to. */
  onDeath: (failure: DemoFailed) => void
}

export interface Child {
  name: string
  pid: number
  /** What it said when it began to work. */
  said: Record<string, unknown>
  /**
   * How it ended, in words; `exit code 0` is as it should be. What does not end within its time is killed.
   * @param signals one after the other, without waiting
   */
  stop(...signals: NodeJS.Signals[]): Promise<string>
}

const START_MS = 30_000
const STOP_MS = 15_000
const KEPT_LINES = 12

const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** @throws DemoFailed with its last words, where it ends or says nothing instead of working */
export async function startChild(options: ChildOptions, signal: AbortSignal): Promise<Child> {
  signal.throwIfAborted()
  const { name, args, cwd, env, says, onDeath } = options
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd,
    env: { PATH, HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C is for the demo, which then ends both in their order.
    detached: true,
  })
  running.add(child)
  for (const end of ['exit', 'error'] as const) child.once(end, () => running.delete(child))
  const words = lastWords(child)
  let isStopping = false
  const died = once(child, 'close').then(() => {
    const failure = new DemoFailed(`The ${name} ended with ${endOf(child)}${words()}`)
    if (!isStopping) onDeath(failure)
    throw failure
  })
  died.catch(() => {}) // whoever waits for it looks
  const stop = (...signals: NodeJS.Signals[]): Promise<string> => {
    isStopping = true
    return stopped(child, signals)
  }
  try {
    const late = timeout(START_MS, () => new DemoFailed(`The ${name} did not begin to work${words()}`))
    const said = await Promise.race([lineOf(child, says), died, late, broken(signal)])
    return { name, pid: child.pid ?? 0, said, stop }
  } catch (error) {
    await stop('SIGTERM', 'SIGINT')
    throw error
  }
}

const endOf = ({ exitCode, signalCode }: ChildProcess): string =>
  signalCode === null ? `exit code ${exitCode}` : signalCode

async function stopped(child: ChildProcess, signals: readonly NodeJS.Signals[]): Promise<string> {
  if (!running.has(child)) return endOf(child)
  const gone = once(child, 'exit')
  signals.forEach((signal) => child.kill(signal))
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await gone
  clearTimeout(timer)
  return endOf(child)
}

/** Reads its log to the end, so that it never fills the pipe. */
function lineOf(child: ChildProcess, msg: string): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    createInterface(child.stdout!).on('line', (text) => {
      if (!text.includes(`"msg":"${msg}"`)) return
      resolve(JSON.parse(text) as Record<string, unknown>)
    })
  })
}

/** The end of what it wrote to stderr. */
function lastWords(child: ChildProcess): () => string {
  const lines: string[] = []
  createInterface(child.stderr!).on('line', (line) => {
    lines.push(line)
    if (lines.length > KEPT_LINES) lines.shift()
  })
  return () =>
    lines.length === 0 ? ', and wrote no error' : `:\n${lines.map((line) => `    ${line}`).join('\n')}`
}

const timeout = (ms: number, error: () => Error): Promise<never> =>
  new Promise((_resolve, reject) => void setTimeout(() => reject(error()), ms).unref())

const broken = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  )

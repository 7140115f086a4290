import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Interface, createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CLI = join(ROOT, 'src/cli.ts')
/** Where the servers that tests start keep what they compiled: starting them is most of what many tests do. */
const COMPILE_CACHE = join(ROOT, 'node_modules/.cache/signalbox-tests')

/** How long a process may take to say where it serves, or to end. Far more than any needs; nothing waits for ever. */
const PATIENCE_MS = 15_000

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Ended extends Exit {
  stdout: string
  stderr: string
}

/** One line of the server's log. */
export type LogLine = Record<string, unknown>

export interface ServerProcess {
  url: string
  port: number
  pid: number
  data_dir: string
  /** Settles when the process has ended, whatever ended it. */
  exited: Promise<Exit>
  signal(name: NodeJS.Signals): void
  /** SIGKILL: the process gets no chance to do anything. */
  kill(): Promise<Exit>
  /** SIGTERM, or another polite signal, and how the process ended. */
  stop(signal?: NodeJS.Signals): Promise<Exit>
  /** The same flags on the same directory; the port may be another one. Only after the process has ended. */
  restart(...flags: string[]): Promise<ServerProcess>
  /** Waits for a line of the log with this message. */
  logged(msg: string): Promise<LogLine>
  stderr(): string
}

export interface StartOptions {
  data_dir: string
  flags?: readonly string[]
  env?: Record<string, string>
  /** Arguments of Node itself, before the program. */
  node?: readonly string[]
  /** A command that ends by exec-ing what follows it, so that its process becomes the server. */
  through?: readonly string[]
}

const started = new Set<ChildProcess>()
const directories = new Set<string>()

export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'signalbox-test-'))
  directories.add(path)
  return path
}

/** Ends what a test left behind, and only that: for `afterEach`. */
export async function cleanUp(): Promise<void> {
  await Promise.all([...started].map((child) => ended(child, () => child.kill('SIGKILL'))))
  for (const path of directories) rmSync(path, { recursive: true, force: true })
  directories.clear()
}

/** A real server, as soon as it says where it serves. */
export async function startServer(options: StartOptions): Promise<ServerProcess> {
  const { data_dir, flags = [] } = options
  const child = launch(['serve', '--port', '0', '--data-dir', data_dir, ...flags], options)
  const errors = collected(child.stderr)
  const log = logOf(child)
  const serving = await log.line('serving', () => errors())
  const exited = exitOf(child)
  const url = String(serving['url'])
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid!,
    data_dir,
    exited,
    signal: (name) => void child.kill(name),
    kill: () => ended(child, () => child.kill('SIGKILL')),
    stop: (signal = 'SIGTERM') => ended(child, () => child.kill(signal)),
    restart: (...more) => startServer({ ...options, flags: [...flags, ...more] }),
    logged: (msg) => log.line(msg, () => errors()),
    stderr: errors,
  }
}

/** One command line, to its end. */
export async function signalbox(args: readonly string[], options: Omit<StartOptions, 'data_dir'> = {}) {
  const child = launch(args, options)
  const stdout = collected(child.stdout)
  const stderr = collected(child.stderr)
  const exit = await ended(child)
  return { ...exit, stdout: stdout(), stderr: stderr() } satisfies Ended
}

/** A program of the tests, that is a client of a server. */
export interface Program {
  /** What it prints. */
  lines: Interface
  /** Settles when the process has ended, whatever ended it. */
  exited: Promise<Exit>
  /** One line, and nothing more. */
  tell(line: string): void
  /** SIGKILL; what it had printed is read to its end. */
  kill(): Promise<Exit>
}

export function startProgram(path: string, ...args: string[]): Program {
  const child = spawn(process.execPath, [join(ROOT, path), ...args], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: COMPILE_CACHE },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  noted(child)
  return {
    lines: createInterface(child.stdout),
    exited: exitOf(child),
    tell: (line) => void child.stdin.end(`${line}\n`),
    kill: () => ended(child, () => child.kill('SIGKILL')),
  }
}

/** A command that goes on until something ends it. */
export interface CommandProcess {
  /** What it has printed so far, line by line. */
  printed: string[]
  stderr(): string
  /** Waits until it has printed so many lines. */
  reaches(count: number): Promise<string[]>
  /** Waits until it has said this on stderr. */
  remarks(text: string): Promise<void>
  /** Closes the pipe that it prints into, as `head` does. */
  stopReading(): void
  signal(name: NodeJS.Signals): void
  /** How it ended, by itself or by a signal; what it had printed is read to its end. */
  end(): Promise<Exit>
}

export function startCommand(
  args: readonly string[],
  options: Omit<StartOptions, 'data_dir'> = {},
): CommandProcess {
  const child = launch(args, options)
  const stderr = collected(child.stderr)
  const printed: string[] = []
  createInterface(child.stdout).on('line', (line) => printed.push(line))
  const until = (holds: () => boolean, what: string): Promise<void> => {
    let look = (): void => {}
    const happens = new Promise<void>((resolve, reject) => {
      look = () => (holds() ? resolve() : undefined)
      for (const stream of [child.stdout, child.stderr]) stream.on('data', look)
      child.once('close', () => reject(new Error(`the command ended before ${what}: ${stderr()}`)))
      look()
    })
    return within(`no ${what}`, happens).finally(() => {
      for (const stream of [child.stdout, child.stderr]) stream.off('data', look)
    })
  }
  return {
    printed,
    stderr,
    async reaches(count) {
      await until(() => printed.length >= count, `${count} lines`)
      return printed
    },
    remarks: (text) => until(() => stderr().includes(text), `«${text}»`),
    stopReading: () => void child.stdout.destroy(),
    signal: (name) => void child.kill(name),
    end: () => ended(child),
  }
}

/** What `serve` says and ends with where it refuses to serve. */
export const refusedServer = ({ data_dir, flags = [], ...options }: StartOptions): Promise<Ended> =>
  signalbox(['serve', '--port', '0', '--data-dir', data_dir, ...flags], options)

function launch(args: readonly string[], { node = [], through = [], env = {} }: Partial<StartOptions>) {
  const [command = '', ...rest] = [...through, process.execPath, ...node, CLI, ...args]
  const child = spawn(command, rest, {
    cwd: tmpdir(), // no settings file of whoever runs the tests
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  noted(child)
  return child
}

function noted(child: ChildProcess): void {
  started.add(child)
  child.once('exit', () => started.delete(child))
}

const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

async function exitOf(child: ChildProcess): Promise<Exit> {
  if (!isOver(child)) await once(child, 'exit')
  return { code: child.exitCode, signal: child.signalCode }
}

/** Waits for the end; a process that does not come to one is killed, and the test fails. */
async function ended(child: ChildProcess, end: () => void = () => {}): Promise<Exit> {
  const isClosed = [child.stdout, child.stderr].every((pipe) => pipe === null || pipe.closed)
  const closed = isClosed ? Promise.resolve() : once(child, 'close')
  end()
  return within(`process ${child.pid} did not end`, exitAfter(child, closed), () => child.kill('SIGKILL'))
}

async function exitAfter(child: ChildProcess, closed: Promise<unknown>): Promise<Exit> {
  await closed // the pipes too: what was written last has arrived
  return exitOf(child)
}

/** Fails loudly where something that a test waits for does not happen. */
export async function within<T>(
  complaint: string,
  happens: Promise<T>,
  giveUp: () => void = () => {},
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      giveUp()
      reject(new Error(`${complaint} within ${PATIENCE_MS} ms`))
    }, PATIENCE_MS)
  })
  try {
    return await Promise.race([happens, late])
  } finally {
    clearTimeout(timer)
  }
}

function collected(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  return () => text
}

/** Reads all of the log, so that it never fills the pipe, and keeps what is not about a single request. */
function logOf(child: ChildProcess) {
  const seen = new Map<string, LogLine>()
  const waiting = new Map<string, (line: LogLine) => void>()
  const lines = createInterface(child.stdout!)
  lines.on('line', (text) => {
    if (text.includes('"msg":"request"')) return
    const line = JSON.parse(text) as LogLine
    const msg = String(line['msg'])
    seen.set(msg, line)
    waiting.get(msg)?.(line)
  })
  return {
    line(msg: string, errors: () => string): Promise<LogLine> {
      const known = seen.get(msg)
      if (known !== undefined) return Promise.resolve(known)
      const said = new Promise<LogLine>((resolve, reject) => {
        waiting.set(msg, resolve)
        lines.once('close', () => reject(new Error(`the process ended before it said «${msg}»: ${errors()}`)))
      })
      return within(`nothing said «${msg}»`, said)
    },
  }
}

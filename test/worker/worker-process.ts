import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { vi } from 'vitest'
import { stringify } from 'yaml'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { bodyOf, connect, readAll } from '../support/client.ts'
import {
  type Exit,
  ROOT,
  type ServerProcess,
  startServer,
  temporaryDirectory,
  within,
} from '../support/process.ts'

/** Tool id → its entry in the tools file. */
export type ToolEntries = Record<string, { argv: string[] } & Record<string, unknown>>

export type Line = Record<string, unknown> & { msg: string }

const started = new Set<ChildProcess>()

/** For `afterEach`: a worker that is killed takes nothing with it, so tests end what they started. */
export async function endWorkers(): Promise<void> {
  for (const child of started) {
    const gone = once(child, 'exit')
    child.kill('SIGTERM') // twice: it ends its programs
    child.kill('SIGINT')
    await within(`worker ${child.pid} did not end`, gone, () => child.kill('SIGKILL'))
  }
}

/** A server that sends each task to the tool of the same name. */
export function startToolServer(
  tool_ids: readonly string[],
  env: Record<string, string> = {},
): Promise<ServerProcess> {
  const directory = temporaryDirectory()
  const file = join(directory, 'router.json')
  const apps = tool_ids.map((id) => [
    id,
    { kind: 'tool', command: id, capabilities: { task_kinds: [id] }, limits: { max_parallel: 100 } },
  ])
  const rules = tool_ids.map((id) => ({ id, match: { task_kind: [id] }, select_from: [id] }))
  writeFileSync(
    file,
    JSON.stringify({ version: '1.0.0', apps: Object.fromEntries(apps), routing: { rules } }),
  )
  return startServer({ data_dir: join(directory, 'data'), flags: ['--router-config', file], env })
}

export interface WorkerProcess {
  pid: number
  data_dir: string
  lines: Line[]
  /** The first line with this message, and with these facts if they are given. */
  said(msg: string, facts?: Record<string, unknown>): Promise<Line>
  signal(name: NodeJS.Signals): void
  /** Nobody reads what it says from now on. */
  closeOutput(): void
  /** How it ended; it has been told to, or is about to by itself. */
  exit(): Promise<Exit>
  /** The most memory that it ever had. */
  peakBytes(): number
}

export interface WorkerFlags {
  tools: ToolEntries
  flags?: string[]
  env?: Record<string, string>
  /** A command that ends by exec-ing what follows it, so that its process becomes the worker. */
  through?: readonly string[]
}

export async function startWorker(server: ServerProcess, options: WorkerFlags): Promise<WorkerProcess> {
  const worker = launchWorker(server.url, options)
  await worker.said('working')
  return worker
}

/** Not waiting for it to say that it works. */
export function launchWorker(
  url: string,
  { tools, flags = [], env = {}, through = [] }: WorkerFlags,
): WorkerProcess {
  const directory = temporaryDirectory()
  const file = join(directory, 'tools.yaml')
  const data_dir = join(directory, 'worker-data')
  writeFileSync(file, stringify({ tools }))
  const args = [
    'worker',
    '--server',
    url,
    '--tools',
    file,
    '--data-dir',
    data_dir,
    '--name',
    'tester',
    ...flags,
  ]
  const [program = '', ...rest] = [...through, process.execPath, join(ROOT, 'src/cli.ts'), ...args]
  const child = spawn(program, rest, {
    cwd: tmpdir(),
    env: { PATH: process.env['PATH'], HOME: directory, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.add(child)
  const exited = once(child, 'exit').then(([code, signal]): Exit => {
    started.delete(child)
    return { code, signal }
  })
  return {
    pid: child.pid!,
    data_dir,
    ...linesOf(child),
    signal: (name) => void child.kill(name),
    closeOutput: () => void child.stdout.destroy(),
    exit: () => within('the worker did not end', exited),
    peakBytes: () =>
      Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) * 1_024,
  }
}

function linesOf(child: ChildProcess): Pick<WorkerProcess, 'lines' | 'said'> {
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  const reader = createInterface(child.stdout!)
  const look = () => waiting.forEach((one) => one())
  reader.on('line', (text) => {
    lines.push(JSON.parse(text) as Line)
    look()
  })
  let isOver = false
  reader.on('close', () => {
    isOver = true
    look()
  })
  const fits = (line: Line, msg: string, facts: Record<string, unknown>) =>
    line.msg === msg && Object.entries(facts).every(([key, value]) => line[key] === value)
  return {
    lines,
    said(msg, facts = {}) {
      const happens = new Promise<Line>((resolve, reject) => {
        const one = () => {
          const found = lines.find((line) => fits(line, msg, facts))
          if (found === undefined && !isOver) return
          waiting.delete(one)
          if (found === undefined)
            reject(new Error(`the worker ended before «${msg}»: ${JSON.stringify(lines)}`))
          else resolve(found)
        }
        waiting.add(one)
        one()
      })
      return within(`no worker said «${msg}» ${JSON.stringify(facts)}`, happens)
    },
  }
}

export interface Task {
  prompt?: string
  limits?: Record<string, number>
  task_id?: string
}

/** Builds a request that is tried once, unless the test says more. */
export async function submit(
  server: ServerProcess,
  tool_id: string,
  { prompt, limits, ...task }: Task = {},
): Promise<ExecutionRequest> {
  const body = {
    ...task,
    task_kind: tool_id,
    project_id: 'worker',
    phase_id: 'test',
    input: { prompt: prompt ?? null },
    limits: { max_attempts: 1, ...limits },
  }
  return post(server, '/v1/execution-requests', body)
}

export async function post<T>(server: ServerProcess, path: string, body: unknown = {}): Promise<T> {
  const connection = connect(server.url)
  try {
    return bodyOf<T>(await connection.post(path, body))
  } finally {
    connection.close()
  }
}

export async function read(
  server: ServerProcess,
  { request_id }: ExecutionRequest,
): Promise<ExecutionRequest> {
  const connection = connect(server.url)
  try {
    return bodyOf(await connection.get(`/v1/execution-requests/${request_id}`))
  } finally {
    connection.close()
  }
}

/** The attempts of the run of a request, in order. */
export async function attemptsOf(
  server: ServerProcess,
  { run_id }: ExecutionRequest,
): Promise<StepAttempt[]> {
  const connection = connect(server.url)
  try {
    return await readAll(connection, `/v1/runs/${run_id}/steps`)
  } finally {
    connection.close()
  }
}

/** Submits, waits for the worker's report, and reads what the server has of it. */
export async function outcome(
  server: ServerProcess,
  worker: WorkerProcess,
  tool_id: string,
  task: Task = {},
) {
  const { request_id, ...rest } = await submit(server, tool_id, task)
  const line = await worker.said('reported', { execution_request_id: request_id })
  const request = await read(server, { request_id, ...rest })
  const attempts = await attemptsOf(server, request)
  return { request, attempt: attempts.at(-1)!, line }
}

/** Whether there is no such process; one that only waits for its parent to notice has ended. */
export function isGone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return true
  }
}

/** What a program wrote into a file, once it has written a whole line. */
export const lineIn = (file: string): Promise<string> =>
  vi.waitFor(
    () => {
      const text = readFileSync(file, 'utf8')
      if (!text.endsWith('\n')) throw new Error(`${file} has no line`)
      return text.trim()
    },
    { timeout: 15_000, interval: 20 },
  )

/** A program in a line of JavaScript; `tools` never sees a shell. */
export const js = (code: string): string[] => [process.execPath, '-e', code]

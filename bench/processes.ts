import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

/** The server has the first core for itself; the client and this program share the second. */
export const SERVER_CORE = 0
export const CLIENT_CORE = 1

const pins = (core: number): boolean => spawnSync('taskset', ['-c', `${core}`, 'true']).status === 0

/** Whether processes can be kept on cores of their own. Without it the ratios say less, and the report says so. */
export const canPin = pins(SERVER_CORE) && pins(CLIENT_CORE)

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

export interface Start {
  core: number
  file: string
  args?: readonly string[]
  stdio?: StdioOptions
}

/** Starts a program on one core. It does not outlive this one. */
export function startPinned({ core, file, args = [], stdio }: Start): ChildProcess {
  const command = [process.execPath, file, ...args]
  const [program = '', ...rest] = canPin ? ['taskset', '-c', `${core}`, ...command] : command
  const child = spawn(program, rest, { stdio: stdio ?? ['ignore', 'inherit', 'inherit', 'ipc'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Keeps this program itself away from the server's core. */
export function pinSelf(): void {
  if (canPin) spawnSync('taskset', ['-a', '-cp', `${CLIENT_CORE}`, `${process.pid}`])
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** Asks a child, and waits for its answer; children answer in order, one question at a time. */
export async function ask<T>(child: ChildProcess, question: object): Promise<T> {
  const answer = nextMessage<T>(child)
  child.send(question)
  return answer
}

/** @throws Error if the child ends first, or says that it failed */
export function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) =>
      reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (message: { failed?: string }) => {
      child.off('exit', ended)
      if (message.failed === undefined) resolve(message as T)
      else reject(new Error(message.failed))
    })
  })
}

/** The other end of `ask`. */
export function answer(handle: (question: never) => unknown): void {
  process.on('message', (question) => {
    Promise.resolve()
      .then(() => handle(question as never))
      .then((result) => process.send?.(result ?? {}))
      .catch((error: unknown) =>
        process.send?.({ failed: error instanceof Error ? error.stack : String(error) }),
      )
  })
}

/** `getconf CLK_TCK` is 100 on every Linux that Node runs on. */
const TICK_MS = 10

const read = (file: string): string | null => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null // no Linux, or no such process
  }
}

/** What all threads of a process have used, in user and in system mode; NaN where it cannot be known. */
export function cpuMs(pid: number): number {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === null) return NaN
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // from the third, for a name may hold spaces
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** What processes had of all cores together; NaN where it cannot be known. Interrupts are left out: ours make most. */
export function machineBusyMs(): number {
  const stat = read('/proc/stat')
  if (stat === null) return NaN
  const [user, nice, system, , , , , steal] = stat.split('\n')[0]!.split(/\s+/).slice(1).map(Number)
  return (user! + nice! + system! + steal!) * TICK_MS
}

/** Resident memory; NaN where it cannot be known. */
export function rssMb(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
  return kilobytes === undefined ? NaN : Number(kilobytes) / 1024
}

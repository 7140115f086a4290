import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory, within } from './process.ts'

/** A real file system of a few megabytes, which only the processes started `through` it see. */
export interface SmallDisk {
  path: string
  through: readonly string[]
  /** Takes all the space there is. */
  fill(): void
  /** Gives it back. */
  free(): void
  unmount(): Promise<void>
}

// Root may make a mount namespace; others only inside a user namespace of their own.
const ASIDE = process.getuid?.() === 0 ? [] : ['--map-root-user']
const INTO = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials']

/** Whether this machine lets the tests mount something that nobody else sees. */
export const canMount = (): boolean =>
  spawnSync('unshare', ['--mount', ...ASIDE, 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0

/** The mount lives in a namespace that one sleeping process holds: it is gone with it, whatever happens. */
export async function mountSmallDisk({ megabytes }: { megabytes: number }): Promise<SmallDisk> {
  const path = temporaryDirectory()
  const mount = `mount -t tmpfs -o size=${megabytes}m none "${path}" && echo mounted && exec sleep 600`
  const holder = spawn('unshare', ['--mount', ...ASIDE, 'sh', '-c', mount], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await within('the disk was not mounted', once(holder.stdout, 'data'))
  const ballast = join(`/proc/${holder.pid}/root`, path, 'ballast')
  return {
    path,
    through: ['nsenter', `--target=${holder.pid}`, '--mount', ...INTO],
    fill: () => fill(ballast),
    free: () => rmSync(ballast),
    unmount: () => end(holder),
  }
}

function fill(ballast: string): void {
  for (const bytes of [1_048_576, 4_096, 1]) {
    const block = Buffer.alloc(bytes)
    while (fits(() => appendFileSync(ballast, block)));
  }
}

function fits(append: () => void): boolean {
  try {
    append()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}

async function end(holder: ChildProcess): Promise<void> {
  const exited = once(holder, 'exit')
  holder.kill('SIGKILL')
  await exited
}

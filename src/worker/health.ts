import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pause } from '../client/pause.ts'
import { makeDirectory } from '../directory.ts'
import { attemptsIn } from './retention.ts'

/** Whether the worker can keep the files of attempts. While it cannot, it must not draw work that it only gives back. */
export interface Health {
  /** It could keep the files of an attempt. */
  kept(): void
  /** It could not. */
  failed(): void
  isWell(): boolean
  /** Waits, longer each time, and then tries. @throws ErrnoException where it still can make no file */
  recover(signal: AbortSignal): Promise<void>
}

const FIRST_MS = 1_000
const CAP_MS = 60_000

export function createHealth(data_dir: string): Health {
  let faults = 0
  return {
    kept: () => void (faults = 0),
    failed: () => void faults++,
    isWell: () => faults === 0,
    async recover(signal) {
      await pause(Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(faults - 1, 10)), signal)
      if (signal.aborted) return
      faults++ // one small file proves little: only an attempt ends it
      tryFile(attemptsIn(data_dir))
    },
  }
}

function tryFile(directory: string): void {
  const file = join(directory, `.try-${process.pid}`)
  makeDirectory(directory)
  try {
    writeFileSync(file, 'as much as a prompt needs at least', { mode: 0o600 })
  } finally {
    rmSync(file, { force: true })
  }
}

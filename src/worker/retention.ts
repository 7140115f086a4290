import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

const DAY_MS = 86_400_000

/** Where the files of an attempt are: a directory of its own. */
export const attemptsIn = (data_dir: string): string => join(data_dir, 'attempts')

/**
 * Removes the files of attempts that began so many days ago, which must be more than the seven that an attempt may take.
 * @returns how many attempts were forgotten; what cannot be removed stays, and is tried again the next time
 */
export function forgetAttempts(
  data_dir: string,
  { keep_days, now_ms }: { keep_days: number; now_ms: number },
): number {
  const oldest = now_ms - keep_days * DAY_MS
  let forgotten = 0
  for (const name of namesIn(attemptsIn(data_dir))) {
    const directory = join(attemptsIn(data_dir), name)
    try {
      if (statSync(directory).mtimeMs >= oldest) continue
      rmSync(directory, { recursive: true })
      forgotten++
    } catch {
      // Another worker of this directory was faster, or the disk does not let it.
    }
  }
  return forgotten
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return [] // no attempt was made yet
  }
}

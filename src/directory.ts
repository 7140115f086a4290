import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory, with those above it, for its owner alone; one that is there is left as it is. Node's own `recursive`
 * tries for ever where a file system refuses with ENOENT, as /proc and automounters do.
 * @throws ErrnoException what mkdir says
 */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && isDirectory(path)) return
    const above = dirname(path)
    if (code !== 'ENOENT' || existsSync(above)) throw error
    makeDirectory(above)
    makeDirectory(path)
  }
}

/** Whether there is a directory, as far as can be seen: behind what may not be read, or leads in a circle, is none. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

import { randomFillSync } from 'node:crypto'
import { monotonicFactory } from 'ulid'

/** Where ids and chance come from, as the clock is where time comes from. */
export interface Entropy {
  /** A ULID of that millisecond; ids of one process sort by creation. */
  newId(now_ms: number): string
  /** That many random bytes as hexadecimal. */
  hex(bytes: number): string
}

/**
 * Ids of requests: unlike those of records they need not sort, and are far too many to draw each by chance.
 * @param start what no other process has, so that ids do not come again after a restart
 */
export function requestIds(start: string): () => string {
  let count = 0
  return () => `${start}-${(++count).toString(36)}`
}

/** Random bytes are drawn in bulk: a system call for each salt would cost more than the hash it salts. */
export function createEntropy(): Entropy {
  const pool = Buffer.alloc(8_192)
  let used = pool.length
  const take = (bytes: number): number => {
    if (used + bytes > pool.length) {
      randomFillSync(pool)
      used = 0
    }
    used += bytes
    return used - bytes
  }
  const newId = monotonicFactory(() => pool[take(1)]! / 256)
  return {
    newId,
    hex(bytes) {
      const start = take(bytes)
      return pool.toString('hex', start, start + bytes)
    },
  }
}

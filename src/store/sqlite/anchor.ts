import { readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection } from './connection.ts'
import { StoreRefused } from './refused.ts'

/** How much of the store was there once: kept beside the database, to notice if it loses its end. */
export interface Anchor {
  seq: number
  count: number
  hash: string
}

const INTERVAL_MS = 1_000

export interface AnchorKeeper {
  /** Something was committed: the anchor follows within a second. */
  follow(): void
  /** Writes what is committed now, and follows no more. */
  close(): Promise<void>
}

/**
 * A truncated or damaged WAL is no error for SQLite: it starts with what is left. The anchor is what tells.
 * It is read from the database after the commit, so it is never ahead of it.
 */
export function keepAnchor(
  db: Connection,
  file: string,
  { known, onTick = () => {} }: { known: Anchor | null; onTick?: () => void },
): AnchorKeeper {
  const tailOf = tailReader(db)
  let counted = known // what is in `count` already, so that each event is counted once
  let written_seq = known?.seq
  let timer: NodeJS.Timeout | null = null
  let writing = Promise.resolve()

  const write = (): void => {
    const anchor = (counted = tailOf(counted))
    writing = writing.then(async () => {
      if (anchor === null || anchor.seq === written_seq) return
      // A failed write leaves the older anchor, which still holds; the next one tries again.
      await writeSynced(file, anchor).then(
        () => (written_seq = anchor.seq),
        () => {},
      )
    })
  }
  return {
    follow() {
      timer ??= setTimeout(() => {
        timer = null
        onTick()
        write()
      }, INTERVAL_MS).unref()
    },
    close() {
      if (timer !== null) clearTimeout(timer)
      write()
      return writing
    },
  }
}

function tailReader(db: Connection): (before: Anchor | null) => Anchor | null {
  const last = db.prepare<[], Omit<Anchor, 'count'>>('SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1')
  const countAfter = db.prepare<[number], number>('SELECT count(*) FROM events WHERE seq > ?').pluck()
  return (before) => {
    const tail = last.get()
    if (tail === undefined) return null
    const { seq: from, count } = before ?? { seq: 0, count: 0 }
    return { ...tail, count: count + (countAfter.get(from) ?? 0) }
  }
}

/** Null if there is none. @throws StoreRefused `damaged` if it cannot be read as one */
export function readAnchor(file: string): Anchor | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const anchor = anchorOf(text)
  if (anchor === null) {
    throw new StoreRefused(
      'damaged',
      `${file} cannot be read. If the store beside it is whole, remove that file and start again.`,
    )
  }
  return anchor
}

function anchorOf(text: string): Anchor | null {
  try {
    const { seq, count, hash } = JSON.parse(text) as Partial<Anchor>
    if (typeof seq !== 'number' || typeof count !== 'number' || typeof hash !== 'string') return null
    return { seq, count, hash }
  } catch {
    return null
  }
}

/** The anchor that a store does not reach, or null if all is well. */
export function lostTail(db: Connection, anchor: Anchor | null): Anchor | null {
  return anchor === null || holds(db, anchor) ? null : anchor
}

function holds(db: Connection, anchor: Anchor): boolean {
  const hash = db.prepare<[number], string>('SELECT hash FROM events WHERE seq = ?').pluck().get(anchor.seq)
  const count = db
    .prepare<[number], number>('SELECT count(*) FROM events WHERE seq <= ?')
    .pluck()
    .get(anchor.seq)
  return hash === anchor.hash && count === anchor.count
}

const textOf = (anchor: Anchor): string => `${JSON.stringify(anchor)}\n`

/** Off the event loop; the rename makes it whole or not at all. */
async function writeSynced(file: string, anchor: Anchor): Promise<void> {
  const handle = await open(`${file}.tmp`, 'w')
  try {
    await handle.writeFile(textOf(anchor))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${file}.tmp`, file)
}

export const anchorFile = (data_dir: string): string => join(data_dir, 'anchor.json')

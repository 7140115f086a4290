import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeCursor } from '../src/store/cursor.ts'
import { databaseFile } from '../src/store/sqlite/open.ts'
import type { Load } from './plan.ts'
import { storedRuns } from './stored-runs.ts'

type Paths = NonNullable<Load['paths']>

/** A data directory with runs in it, and what to read there. */
export interface StoredReads {
  dir: string
  /** A JSON list of paths. */
  paths_file: string
  /** @throws Error if the server does not answer with what a path stands for */
  check: (port: number) => Promise<void>
}

/** Pages are read at so many places, lest one be measured that is always at hand. */
const MIDDLE_PAGES = 1_000

export async function storedReads(options: {
  cache: string
  scratch: string
  runs: number
  paths: Paths
  onProgress: (loaded: number) => void
}): Promise<StoredReads> {
  const { cache, scratch, runs, paths, onProgress } = options
  const { dir, ids } = await storedRuns(cache, runs, onProgress)
  readThrough(databaseFile(dir))
  const list = READS[paths](ids)
  const paths_file = join(scratch, `${paths.replaceAll(' ', '-')}-${runs}.json`)
  writeFileSync(paths_file, JSON.stringify(list.map(({ path }) => path)))
  return { dir, paths_file, check: (port) => checkRead(port, list[0]!) }
}

const CHUNK_BYTES = 4_194_304

/**
 * Brings the file into the cache of the operating system. It may be of an earlier bench: measured cold, the large
 * one showed the disk and not the server (0.29 of the small one instead of 0.8).
 */
function readThrough(file: string): void {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  const fd = openSync(file, 'r')
  while (readSync(fd, chunk) > 0);
  closeSync(fd)
}

interface Read {
  path: string
  /** Whether an answer is the right one. */
  fits: (answer: { run_id?: string; items?: { run_id: string }[] }) => boolean
}

const READS: Record<Paths, (ids: readonly string[]) => Read[]> = {
  run: (ids) => ids.map((id) => ({ path: `/v1/runs/${id}`, fits: ({ run_id }) => run_id === id })),
  'first page': (ids) => [{ path: '/v1/runs', fits: pageFrom(ids.toSorted().at(-1)!, 'up') }],
  'middle page': (ids) => {
    const sorted = ids.toSorted()
    const middle = sorted.slice(sorted.length * 0.25, sorted.length * 0.75)
    const stride = middle.length / Math.min(MIDDLE_PAGES, middle.length)
    return Array.from({ length: middle.length / stride }, (_, i) => {
      const id = middle[Math.floor(i * stride)]!
      const cursor = encodeCursor({ list: 'runs', order: 'desc' }, id)
      return { path: `/v1/runs?cursor=${cursor}`, fits: pageFrom(id, 'down') }
    })
  },
}

/** Newest first: a page after a run begins below it; the first page begins at or above any run. */
const pageFrom =
  (id: string, way: 'up' | 'down'): Read['fits'] =>
  ({ items = [] }) =>
    items.length > 1 && (way === 'down' ? items[0]!.run_id < id : items[0]!.run_id >= id)

async function checkRead(port: number, { path, fits }: Read): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  const text = await response.text()
  if (!response.ok || !fits(JSON.parse(text) as object)) {
    throw new Error(`GET ${path} does not answer as it should: ${text.slice(0, 300)}`)
  }
}

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hash } from 'node:crypto'
import type { Instant } from '../src/clock.ts'
import { createEntropy } from '../src/entropy.ts'
import { createOrchestrator } from '../src/orchestrator/orchestrator.ts'
import { openWriter } from '../src/store/sqlite/connection.ts'
import { applyMigrations, readMigrations } from '../src/store/sqlite/migrate.ts'
import { databaseFile } from '../src/store/sqlite/open.ts'
import { sqliteStore } from '../src/store/sqlite/store.ts'
import { MIGRATIONS } from './paths.ts'
import { plainCall } from './calls.ts'
import { createBodies } from './scenario.ts'

/** A data directory that holds so many runs, and some of their ids. */
export interface StoredRuns {
  dir: string
  /** Evenly spread over the whole, in a random order. */
  ids: string[]
}

/** Enough that one round does not read the same run twice. */
const SAMPLE = 50_000
const FIRST_MS = Date.parse('2026-01-01T00:00:00.000Z')
/** Between two runs. */
const STEP_MS = 1_000
const GROUP = 256

/** Loads them once, and keeps them for later benches as long as the tables are the same. */
export async function storedRuns(
  cache: string,
  runs: number,
  onProgress: (loaded: number) => void,
): Promise<StoredRuns> {
  const schema = readMigrations(MIGRATIONS).map(({ checksum }) => checksum)
  const version = hash('sha256', JSON.stringify([schema, createBodies, STEP_MS])).slice(0, 12)
  const dir = join(cache, `runs-${runs}-${version}`)
  const idsFile = join(dir, 'ids.json')
  if (!existsSync(idsFile)) {
    const partial = `${dir}.partial`
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { recursive: true })
    const ids = await load(databaseFile(partial), runs, onProgress)
    writeFileSync(join(partial, 'ids.json'), JSON.stringify(sampled(ids)))
    renameSync(partial, dir)
  }
  return { dir, ids: JSON.parse(readFileSync(idsFile, 'utf8')) as string[] }
}

/** Through the product's own code, so that rows and events are what it writes, but without waiting for the disk. */
async function load(file: string, runs: number, onProgress: (loaded: number) => void): Promise<string[]> {
  const db = openWriter(file)
  db.pragma('synchronous = OFF')
  let now: Instant = instantOf(0)
  applyMigrations(db, readMigrations(MIGRATIONS), now.text)
  const store = sqliteStore(db, { write_queue_max: GROUP })
  const ledger = createOrchestrator({ store, clock: () => now, entropy: createEntropy() })
  const ids: string[] = []
  while (ids.length < runs) {
    const group = Array.from({ length: Math.min(GROUP, runs - ids.length) }, (_, i) => {
      now = instantOf(ids.length + i)
      return ledger.createRun(plainCall, createBodies[(ids.length + i) % createBodies.length]!, null)
    })
    for (const outcome of await Promise.all(group)) if ('record' in outcome) ids.push(outcome.record.run_id)
    onProgress(ids.length)
  }
  await store.close()
  return ids
}

function instantOf(run: number): Instant {
  const ms = FIRST_MS + run * STEP_MS
  return { ms, text: new Date(ms).toISOString() }
}

function sampled(ids: readonly string[]): string[] {
  const stride = Math.max(1, ids.length / SAMPLE)
  const sample = Array.from(
    { length: Math.min(SAMPLE, ids.length) },
    (_, i) => ids[Math.floor((i + Math.random()) * stride)]!,
  )
  for (let i = sample.length - 1; i > 0; i--) {
    const other = Math.floor(Math.random() * (i + 1))
    ;[sample[i], sample[other]] = [sample[other]!, sample[i]!]
  }
  return sample
}

import { hash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createClock } from '../src/clock.ts'
import { createEntropy } from '../src/entropy.ts'
import { createOrchestrator } from '../src/orchestrator/orchestrator.ts'
import { openWriter } from '../src/store/sqlite/connection.ts'
import { applyMigrations, readMigrations } from '../src/store/sqlite/migrate.ts'
import { databaseFile } from '../src/store/sqlite/open.ts'
import { sqliteStore } from '../src/store/sqlite/store.ts'
import { MIGRATIONS } from './paths.ts'
import { enqueue } from './queue.ts'
import { prepareRouter } from './router.ts'
import { requestBodies, routerConfig } from './scenario.ts'

/**
 * Makes a data directory with so many requests in the queue: a copy, for it will be worked off. What it is a copy of
 * is made once, and kept for later benches as long as the tables are the same.
 */
export async function storedQueue(options: {
  cache: string
  queued: number
  dir: string
  onProgress: (queued: number) => void
}): Promise<void> {
  const { cache, queued, dir, onProgress } = options
  const schema = readMigrations(MIGRATIONS).map(({ checksum }) => checksum)
  const version = hash('sha256', JSON.stringify([schema, requestBodies, routerConfig])).slice(0, 12)
  const kept = join(cache, `queue-${queued}-${version}`)
  if (!existsSync(kept)) {
    const partial = `${kept}.partial`
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { recursive: true })
    await fill(databaseFile(partial), queued, onProgress)
    renameSync(partial, kept)
  }
  mkdirSync(dir, { recursive: true })
  copyFileSync(databaseFile(kept), databaseFile(dir))
}

/** Through the product's own code, so that rows and events are what it writes, but without waiting for the disk. */
async function fill(file: string, queued: number, onProgress: (queued: number) => void): Promise<void> {
  const db = openWriter(file)
  db.pragma('synchronous = OFF')
  const clock = createClock(null)
  applyMigrations(db, readMigrations(MIGRATIONS), clock().text)
  const store = sqliteStore(db, { write_queue_max: 256 })
  const ledger = createOrchestrator({ store, clock, entropy: createEntropy() })
  await prepareRouter(ledger)
  await enqueue(ledger, queued, onProgress)
  await store.close()
}

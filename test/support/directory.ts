import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { type OpenOptions, databaseFile, openStore } from '../../src/store/sqlite/open.ts'
import { NOW } from './given.ts'
import { MIGRATIONS, ledgerOf, tempDir } from './store.ts'

/** Opens a directory as a server does; it is closed when the test ends, if the test does not close it. */
export async function openDirectory(data_dir: string, options: Partial<OpenOptions> = {}) {
  const opened = await openStore({
    data_dir,
    migrations: MIGRATIONS,
    accept_loss: false,
    now: NOW,
    write_queue_max: 100,
    ...options,
  })
  let isOpen = true
  const close = async () => {
    if (isOpen) await opened.store.close()
    isOpen = false
  }
  onTestFinished(close)
  return { ...opened, ledger: ledgerOf(opened.store), close }
}

export const refused = (reason: string) => expect.objectContaining({ name: 'StoreRefused', reason }) as Error

export const anchorOf = (data_dir: string): unknown =>
  JSON.parse(readFileSync(join(data_dir, 'anchor.json'), 'utf8'))

/** Writes runs into a directory and closes it. */
export async function fillDirectory(data_dir: string, runs: number, start = NOW) {
  const { store, close } = await openDirectory(data_dir)
  const ledger = ledgerOf(store, { start })
  for (let i = 0; i < runs; i++) await ledger.createRun()
  await close()
}

/** What a crash leaves: a run that is in the log and not yet in the database, and an anchor that knows of it. */
export async function crashedDirectory(options: Partial<OpenOptions> = {}): Promise<string> {
  const [data_dir, copy] = [tempDir(), tempDir()]
  const { ledger, close } = await openDirectory(data_dir, options)
  await ledger.createRun()
  for (const end of ['', '-wal']) copyFileSync(databaseFile(data_dir) + end, databaseFile(copy) + end)
  await close()
  copyFileSync(join(data_dir, 'anchor.json'), join(copy, 'anchor.json'))
  return copy
}

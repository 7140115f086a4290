import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { backup } from '../../../src/store/sqlite/backup.ts'
import { databaseFile } from '../../../src/store/sqlite/open.ts'
import { crashedDirectory, fillDirectory, openDirectory } from '../../support/directory.ts'
import { ANYBODY } from '../../support/given.ts'
import { expectSound, ledgerOf, pagesOf, runIn, tempDir } from '../../support/store.ts'

/** Opens a backup as the store of a directory of its own. */
async function restored(file: string) {
  const data_dir = join(tempDir(), 'restored')
  mkdirSync(data_dir)
  copyFileSync(file, databaseFile(data_dir))
  return openDirectory(data_dir)
}

/** Damages a store that nobody serves. */
function tamper(data_dir: string, sql: string): void {
  const db = new Database(databaseFile(data_dir))
  db.exec(sql)
  db.close()
}

describe('a backup', () => {
  it('of a store that is served is one file, and a store with everything that was answered before', async () => {
    const data_dir = tempDir()
    const { ledger } = await openDirectory(data_dir, { write_queue_max: 10_000 })
    const before = [await runIn(ledger, 'failed'), await runIn(ledger, 'running')]
    const writes = Array.from({ length: 500 }, () => ledger.createRun())
    const folder = tempDir()
    const file = join(folder, 'copy.db')
    const result = await backup({ data_dir, file })
    await Promise.all(writes)

    expect(readdirSync(folder)).toEqual(['copy.db'])
    expect(result).toMatchObject({ file, bytes: statSync(file).size })
    const { store } = await restored(file)
    const runs = (await pagesOf((cursor) => store.listRuns({ limit: 500, ...cursor }, ANYBODY))).flat()
    const events = (await pagesOf((cursor) => store.listEvents({ limit: 500, ...cursor }, ANYBODY))).flat()
    expect({ runs: runs.length, events: events.length }).toEqual({ runs: result.runs, events: result.events })
    expect(runs.map(({ run_id }) => run_id)).toEqual(
      expect.arrayContaining(before.map(({ run_id }) => run_id)),
    )
    for (const { run_id } of before) await expectSound(store, run_id)
  })

  it('holds at any moment: what is half written is not in it', async () => {
    const data_dir = tempDir()
    const { store } = await openDirectory(data_dir, { write_queue_max: 10_000 })
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'running')
    const folder = tempDir()
    for (let i = 0; i < 5; i++) {
      const writes = Array.from({ length: 40 }, () => ledger.createStep(run_id))
      const file = join(folder, `${i}.db`)
      const { events } = await backup({ data_dir, file })
      await Promise.all(writes)
      const copy = await restored(file)
      await expectSound(copy.store, run_id)
      expect((await copy.store.view({ run_id }, ({ run }) => run))?.event_count).toBe(events)
    }
  })

  it('of a store that nobody serves works the same, and leaves it as it was', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 3)
    const before = readFileSync(databaseFile(data_dir))
    const file = join(tempDir(), 'copy.db')
    expect(await backup({ data_dir, file })).toMatchObject({ runs: 3, events: 3 })
    expect(readFileSync(databaseFile(data_dir)).equals(before)).toBe(true)
  })

  it('of a store that crashed has what is in its log', async () => {
    const data_dir = await crashedDirectory()
    const file = join(tempDir(), 'copy.db')
    expect(await backup({ data_dir, file })).toMatchObject({ runs: 1, events: 1 })
  })

  it('tells how far it is', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 3)
    const told: number[] = []
    const onProgress = ({ copied_pages, total_pages }: { copied_pages: number; total_pages: number }) => {
      told.push(copied_pages)
      expect(copied_pages).toBeLessThanOrEqual(total_pages)
    }
    await backup({ data_dir, file: join(tempDir(), 'copy.db'), onProgress })
    expect(told.length).toBeGreaterThan(0)
  })
})

describe('a backup is refused', () => {
  it('where a file of the name is, which stays as it was', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 1)
    const file = join(tempDir(), 'copy.db')
    writeFileSync(file, 'mine')
    await expect(backup({ data_dir, file })).rejects.toThrow('exists already')
    expect(readFileSync(file, 'utf8')).toBe('mine')
  })

  it('where there is no store, and makes none', async () => {
    const data_dir = tempDir()
    await expect(backup({ data_dir, file: join(tempDir(), 'copy.db') })).rejects.toThrow('no store')
    expect(readdirSync(data_dir)).toEqual([])
  })

  it.each([
    ['a run without its last event', 'UPDATE runs SET event_count = 2', 'lacks events'],
    ['a run that ends with another hash', "UPDATE runs SET last_hash = 'other'", 'lacks events'],
    [
      'a row that refers to nothing',
      `PRAGMA foreign_keys = OFF; INSERT INTO run_labels VALUES ('a', 'b', 'nobody')`,
      'refer to missing ones',
    ],
  ])('where the copy does not hold, and leaves nothing behind: %s', async (_name, sql, said) => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 1)
    tamper(data_dir, sql)
    const folder = tempDir()
    await expect(backup({ data_dir, file: join(folder, 'copy.db') })).rejects.toThrow(said)
    expect(readdirSync(folder)).toEqual([])
  })

  it('where it cannot be written', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 1)
    const file = join(tempDir(), 'nowhere', 'copy.db')
    await expect(backup({ data_dir, file })).rejects.toThrow()
    expect(existsSync(file)).toBe(false)
  })
})

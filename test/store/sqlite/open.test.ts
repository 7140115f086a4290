import { readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Migration } from '../../../src/store/sqlite/migrate.ts'
import { databaseFile } from '../../../src/store/sqlite/open.ts'
import { crashedDirectory, fillDirectory, openDirectory, refused } from '../../support/directory.ts'
import { ANYBODY } from '../../support/given.ts'
import { MIGRATIONS, expectSound, runIn, tempDir } from '../../support/store.ts'

const NEXT: Migration = {
  version: MIGRATIONS.length + 1,
  name: '9999_next.sql',
  sql: 'CREATE TABLE next (x TEXT) STRICT',
  checksum: 'next',
}

describe('a data directory', () => {
  it('is made, for its owner alone, with the store in it', async () => {
    const data_dir = join(tempDir(), 'deep', 'data')
    const { migrated, lost, ledger, store } = await openDirectory(data_dir)
    expect({ migrated, lost }).toEqual({ migrated: { from: 0, to: MIGRATIONS.length }, lost: null })
    expect(statSync(data_dir).mode & 0o777).toBe(0o700)
    const run = await ledger.createRun()
    expect(await store.getRun(run.run_id, ANYBODY)).toEqual(run)
  })

  it('has after a close what it had before, in one file that needs no other', async () => {
    const data_dir = tempDir()
    const first = await openDirectory(data_dir)
    const { run_id } = await runIn(first.ledger, 'failed')
    await first.close()
    expect(readdirSync(data_dir).toSorted()).toEqual(['anchor.json', 'lock.db', 'signalbox.db'])
    const second = await openDirectory(data_dir)
    expect(second.migrated).toEqual({ from: MIGRATIONS.length, to: MIGRATIONS.length })
    expect(await second.store.getRun(run_id, ANYBODY)).toMatchObject({ state: 'failed' })
    await expectSound(second.store, run_id)
  })

  it('is held by one at a time: a second one is refused, and the first goes on', async () => {
    const data_dir = tempDir()
    const { ledger, store } = await openDirectory(data_dir)
    const before = await ledger.createRun()
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('locked'))
    await expect(openDirectory(data_dir)).rejects.toThrow(data_dir)
    await ledger.createRun()
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(2)
    await expectSound(store, before.run_id)
  })

  it('is free again after a close, and after a refusal', async () => {
    const data_dir = tempDir()
    const first = await openDirectory(data_dir)
    await first.close()
    writeFileSync(join(data_dir, 'anchor.json'), 'x')
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('damaged'))
    rmSync(join(data_dir, 'anchor.json'))
    await expect(openDirectory(data_dir)).resolves.toBeDefined()
  })
})

describe('an older store', () => {
  it('is copied before it is migrated, and the copy is the older one', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 3)
    const { migrated } = await openDirectory(data_dir, { migrations: [...MIGRATIONS, NEXT] })
    expect(migrated).toEqual({ from: MIGRATIONS.length, to: NEXT.version })
    const copy = new Database(`${databaseFile(data_dir)}.before-${NEXT.version}`, { readonly: true })
    onTestFinished(() => void copy.close())
    expect(copy.prepare('SELECT max(version) FROM schema_migrations').pluck().get()).toBe(MIGRATIONS.length)
    expect(copy.prepare('SELECT count(*) FROM runs').pluck().get()).toBe(3)
    expect(copy.pragma('integrity_check', { simple: true })).toBe('ok')
  })

  it('that is new or up to date is not copied', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 1)
    await fillDirectory(data_dir, 1)
    expect(readdirSync(data_dir).filter((file) => file.includes('before'))).toEqual([])
  })

  it('stays as it was where a migration breaks, and serves with the older program', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 1)
    const broken = { ...NEXT, sql: 'CREATE TABLE next (x TEXT) STRICT; CREATE TABLE runs (x TEXT)' }
    await expect(openDirectory(data_dir, { migrations: [...MIGRATIONS, broken] })).rejects.toThrow(
      'already exists',
    )
    const { store } = await openDirectory(data_dir)
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(1)
  })
})

describe('a store that this program must not touch', () => {
  const bytesOf = (data_dir: string) => readFileSync(databaseFile(data_dir))

  it('is a newer one: refused, and not a byte of it is written', async () => {
    const data_dir = tempDir()
    const { close } = await openDirectory(data_dir, { migrations: [...MIGRATIONS, NEXT] })
    await close()
    const before = bytesOf(data_dir)
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('newer'))
    expect(bytesOf(data_dir).equals(before)).toBe(true)
  })

  it('is a newer one that crashed: its log stays as it was, too', async () => {
    const data_dir = await crashedDirectory({ migrations: [...MIGRATIONS, NEXT] })
    const log = `${databaseFile(data_dir)}-wal`
    const [before, logBefore] = [bytesOf(data_dir), readFileSync(log)]
    expect(logBefore.length).toBeGreaterThan(0)
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('newer'))
    expect(bytesOf(data_dir).equals(before)).toBe(true)
    expect(readFileSync(log).equals(logBefore)).toBe(true)
  })

  it('is one that was made with another migration of the same number', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 1)
    const before = bytesOf(data_dir)
    const edited = MIGRATIONS.with(0, { ...MIGRATIONS[0]!, checksum: 'edited' })
    await expect(openDirectory(data_dir, { migrations: edited })).rejects.toThrow(
      refused('changed_migration'),
    )
    expect(bytesOf(data_dir).equals(before)).toBe(true)
  })

  it('is one that is no database', async () => {
    const data_dir = tempDir()
    writeFileSync(
      databaseFile(data_dir),
      'this is a text, and long enough to be read as a page. '.repeat(100),
    )
    const before = bytesOf(data_dir)
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('damaged'))
    expect(bytesOf(data_dir).equals(before)).toBe(true)
  })

  it('is one that lost half of its pages', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 200)
    truncateSync(databaseFile(data_dir), Math.floor(statSync(databaseFile(data_dir)).size / 8_192) * 4_096)
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('damaged'))
  })
})

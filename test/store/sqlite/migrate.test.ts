import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openWriter } from '../../../src/store/sqlite/connection.ts'
import {
  type Migration,
  appliedMigrations,
  applyMigrations,
  pendingMigrations,
  readMigrations,
} from '../../../src/store/sqlite/migrate.ts'
import { NOW, after } from '../../support/given.ts'
import { MIGRATIONS, dumpOf, tempDir } from '../../support/store.ts'

function folderWith(files: Record<string, string>): string {
  const folder = join(tempDir(), 'migrations')
  mkdirSync(folder)
  for (const [name, sql] of Object.entries(files)) writeFileSync(join(folder, name), sql)
  return folder
}

function opened() {
  const db = openWriter(':memory:')
  onTestFinished(() => void db.close())
  return db
}

const ONE: Migration = {
  version: 1,
  name: '0001_a.sql',
  sql: 'CREATE TABLE a (x TEXT) STRICT',
  checksum: 'one',
}
const TWO: Migration = {
  version: 2,
  name: '0002_b.sql',
  sql: 'CREATE TABLE b (x TEXT) STRICT',
  checksum: 'two',
}
const BROKEN: Migration = {
  ...TWO,
  sql: "CREATE TABLE b (x TEXT) STRICT; INSERT INTO a VALUES ('half'); CREATE TABLE a (x TEXT)",
}

const refused = (reason: string) => expect.objectContaining({ name: 'StoreRefused', reason }) as Error

describe('a folder of migrations', () => {
  it('is read in the order of its numbers, with the checksum of each', () => {
    const read = readMigrations(folderWith({ '0002_b.sql': 'B', '0001_a.sql': 'A' }))
    expect(read).toEqual([
      {
        version: 1,
        name: '0001_a.sql',
        sql: 'A',
        checksum: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      },
      {
        version: 2,
        name: '0002_b.sql',
        sql: 'B',
        checksum: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      },
    ])
    expect(read[0]?.checksum).not.toBe(read[1]?.checksum)
  })

  it('may hold other files', () => {
    expect(readMigrations(folderWith({ '0001_a.sql': 'A', 'README.md': '', '1_b.sql': 'B' }))).toHaveLength(1)
  })

  it.each([
    [['0001_a.sql', '0003_c.sql'], '0003_c.sql'],
    [['0002_b.sql'], '0002_b.sql'],
    [['0001_a.sql', '0001_b.sql'], '0001_b.sql'],
  ])('is refused with a gap or a number that stands twice: %j', (names, culprit) => {
    const folder = folderWith(Object.fromEntries(names.map((name) => [name, ''])))
    expect(() => readMigrations(folder)).toThrow(culprit)
  })

  it('that is shipped begins with a sentence that says why, in every file', () => {
    expect(MIGRATIONS.length).toBeGreaterThan(0)
    for (const { sql } of MIGRATIONS) expect(sql).toMatch(/^-- [A-Z].*[.:]?/)
  })
})

describe('a new file', () => {
  it('has had none, and looking does not write', () => {
    const db = opened()
    expect(appliedMigrations(db)).toEqual([])
    expect(pendingMigrations(db, [ONE, TWO])).toEqual([ONE, TWO])
    expect(dumpOf(db)).toEqual({})
  })

  it('gets all of them, each with the record of it', () => {
    const db = opened()
    applyMigrations(db, [ONE, TWO], NOW)
    expect(dumpOf(db)).toEqual({
      a: [],
      b: [],
      schema_migrations: [
        { version: 1, name: '0001_a.sql', checksum: 'one', applied_at: NOW },
        { version: 2, name: '0002_b.sql', checksum: 'two', applied_at: NOW },
      ],
    })
    expect(pendingMigrations(db, [ONE, TWO])).toEqual([])
  })

  it('gets those that are shipped', () => {
    const db = opened()
    applyMigrations(db, MIGRATIONS, NOW)
    expect(Object.keys(dumpOf(db))).toEqual(
      expect.arrayContaining(['events', 'idempotency_keys', 'run_labels', 'runs', 'step_attempts']),
    )
    expect(appliedMigrations(db)).toHaveLength(MIGRATIONS.length)
  })
})

describe('an older store', () => {
  it('gets what it lacks, and keeps when it had the rest', () => {
    const db = opened()
    applyMigrations(db, [ONE], NOW)
    const pending = pendingMigrations(db, [ONE, TWO])
    expect(pending).toEqual([TWO])
    applyMigrations(db, pending, after(NOW, 1_000))
    expect(dumpOf(db)['schema_migrations']).toMatchObject([
      { version: 1, applied_at: NOW },
      { version: 2, applied_at: after(NOW, 1_000) },
    ])
  })

  it('keeps what it had where a migration breaks: it is applied whole or not at all', () => {
    const db = opened()
    applyMigrations(db, [ONE], NOW)
    const before = dumpOf(db)
    expect(() => applyMigrations(db, [BROKEN], NOW)).toThrow('already exists')
    expect(dumpOf(db)).toEqual(before)
    expect(db.inTransaction).toBe(false)
  })

  it('keeps the migrations before the one that breaks', () => {
    const db = opened()
    expect(() => applyMigrations(db, [ONE, BROKEN], NOW)).toThrow('already exists')
    expect(appliedMigrations(db)).toMatchObject([{ version: 1 }])
    applyMigrations(db, pendingMigrations(db, [ONE, TWO]), NOW)
    expect(appliedMigrations(db)).toMatchObject([{ version: 1 }, { version: 2 }])
  })

  it('is refused if a migration that it had is another one now', () => {
    const db = opened()
    applyMigrations(db, [ONE, TWO], NOW)
    const edited = { ...ONE, checksum: 'edited' }
    expect(() => pendingMigrations(db, [edited, TWO])).toThrow(refused('changed_migration'))
    expect(() => pendingMigrations(db, [edited, TWO])).toThrow('0001_a.sql')
  })
})

describe('a newer store', () => {
  it('is refused, with both numbers', () => {
    const db = opened()
    applyMigrations(db, [ONE, TWO], NOW)
    expect(() => pendingMigrations(db, [ONE])).toThrow(refused('newer'))
    expect(() => pendingMigrations(db, [ONE])).toThrow(/migration 2, this program knows 1/)
  })

  it('is called newer, not changed, also if an older migration differs', () => {
    const db = opened()
    applyMigrations(db, [ONE, TWO], NOW)
    expect(() => pendingMigrations(db, [{ ...ONE, checksum: 'other' }])).toThrow(refused('newer'))
  })
})

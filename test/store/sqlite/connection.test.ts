import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openWriter, requireFullSync, requireSound } from '../../../src/store/sqlite/connection.ts'
import { ledgerOf, openFileStore, runIn, tempDir } from '../../support/store.ts'

function openedFile() {
  const file = join(tempDir(), 'signalbox.db')
  const db = openWriter(file)
  onTestFinished(() => void db.close())
  return { file, db }
}

describe('the connection that writes', () => {
  it.each([
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['foreign_keys', 1],
    ['recursive_triggers', 1],
    ['busy_timeout', 50],
    ['wal_autocheckpoint', 1_000],
    ['temp_store', 2],
    ['mmap_size', 0],
    ['trusted_schema', 0],
    ['cell_size_check', 1],
    ['page_size', 4_096],
  ])('runs at %s = %s, read back', (pragma, expected) => {
    const { db } = openedFile()
    expect(db.pragma(pragma, { simple: true }) ?? 0).toBe(expected)
  })

  it('still syncs every commit after many writes and a checkpoint', async () => {
    const { db, store } = openFileStore()
    const ledger = ledgerOf(store)
    await Promise.all(Array.from({ length: 50 }, () => runIn(ledger, 'failed')))
    db.pragma('wal_checkpoint(TRUNCATE)')
    await ledger.createRun()
    expect(db.pragma('synchronous', { simple: true })).toBe(2)
    expect(() => requireFullSync(db)).not.toThrow()
  })

  it.each([
    ['OFF', 0],
    ['NORMAL', 1],
    ['EXTRA', 3],
  ])('is refused at synchronous = %s', (level, number) => {
    const { db } = openedFile()
    db.pragma(`synchronous = ${level}`)
    expect(() => requireFullSync(db)).toThrow(`synchronous=${number} instead of 2 (FULL)`)
  })
})

describe('a damaged file', () => {
  it('is found, and said in words', async () => {
    const { file, store } = openFileStore()
    await runIn(ledgerOf(store), 'failed')
    await store.close()
    scribble(file, 4_096 * 2)
    const db = openWriter(file)
    onTestFinished(() => void db.close())
    expect(() => requireSound(db)).toThrow(expect.objectContaining({ reason: 'damaged' }) as Error)
  })

  it('is not found where none is', async () => {
    const { db, store } = openFileStore()
    await runIn(ledgerOf(store), 'failed')
    expect(() => requireSound(db)).not.toThrow()
  })
})

/** Overwrites most of a page. */
function scribble(file: string, offset: number): void {
  expect(readFileSync(file).length).toBeGreaterThan(offset + 4_096)
  const handle = openSync(file, 'r+')
  writeSync(handle, Buffer.alloc(2_048, 0xff), 0, 2_048, offset)
  closeSync(handle)
}

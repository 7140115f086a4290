import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createClock } from '../../../src/clock.ts'
import { canonicalText } from '../../../src/domain/canonical.ts'
import { chainStart, checkChain } from '../../../src/domain/event-chain.ts'
import { createOrchestrator } from '../../../src/orchestrator/orchestrator.ts'
import { databaseFile } from '../../../src/store/sqlite/open.ts'
import { anchorOf, crashedDirectory, fillDirectory, openDirectory, refused } from '../../support/directory.ts'
import { ANYBODY, countingEntropy } from '../../support/given.ts'
import { tempDir } from '../../support/store.ts'

describe('the anchor', () => {
  it('is written at the close, and says what the store holds', async () => {
    const data_dir = tempDir()
    const { ledger, store, close } = await openDirectory(data_dir)
    await ledger.createRun()
    const { run_id } = await ledger.createRun()
    const last = await ledger.appendEvent(run_id, { kind: 'note' })
    expect(await store.lastInstant()).toBe(last.ts)
    await close()
    expect(anchorOf(data_dir)).toEqual({ seq: last.seq, count: 3, hash: last.hash })
  })

  it('follows within a second of a commit, while the store goes on', async () => {
    const data_dir = tempDir()
    const { ledger } = await openDirectory(data_dir)
    const begun = performance.now()
    await ledger.createRun()
    await vi.waitFor(() => expect(anchorOf(data_dir)).toMatchObject({ seq: 1, count: 1 }), {
      timeout: 15_000,
      interval: 20,
    })
    expect(performance.now() - begun).toBeGreaterThan(900) // and no sooner: it costs a sync of its own
  })

  it('is there for none of an empty store', async () => {
    const data_dir = tempDir()
    const { close } = await openDirectory(data_dir)
    await close()
    expect(existsSync(join(data_dir, 'anchor.json'))).toBe(false)
  })

  it('goes on counting where it stood when the store was opened', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 2)
    await fillDirectory(data_dir, 3, '2026-02-01T00:00:00.000Z')
    expect(anchorOf(data_dir)).toMatchObject({ seq: 5, count: 5 })
  })

  it('that could not be written while it served is written at the close', async () => {
    const data_dir = tempDir()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    mkdirSync(join(data_dir, 'anchor.json.tmp')) // what is written first cannot be
    const { ledger, close } = await openDirectory(data_dir)
    await ledger.createRun()
    await vi.advanceTimersByTimeAsync(1_000)
    vi.useRealTimers()
    rmSync(join(data_dir, 'anchor.json.tmp'), { recursive: true })
    await close()
    expect(anchorOf(data_dir)).toMatchObject({ seq: 1, count: 1 })
  })

  it.each(['', 'x', '{}', '{"seq":1}', '[]', 'null', '{"seq":"1","count":1,"hash":"x"}'])(
    'that cannot be read is refused: %j',
    async (text) => {
      const data_dir = tempDir()
      await fillDirectory(data_dir, 1)
      writeFileSync(join(data_dir, 'anchor.json'), text)
      await expect(openDirectory(data_dir)).rejects.toThrow(refused('damaged'))
    },
  )
})

describe('a store that is shorter than its anchor', () => {
  /** Five runs, but the database is a copy from when there were two; the anchor is the newer one. */
  async function olderCopy() {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 2)
    const copy = join(tempDir(), 'older.db')
    copyFileSync(databaseFile(data_dir), copy)
    await fillDirectory(data_dir, 3, '2026-02-01T00:00:00.000Z')
    copyFileSync(copy, databaseFile(data_dir))
    return data_dir
  }

  it('is refused: an older copy took its place', async () => {
    const data_dir = await olderCopy()
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('shorter'))
    await expect(openDirectory(data_dir)).rejects.toThrow('held 5 up to seq 5')
  })

  it('is refused: the file is gone', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 1)
    rmSync(databaseFile(data_dir))
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('shorter'))
  })

  it('is refused: its log was cut, which is no error for SQLite', async () => {
    const data_dir = await crashedDirectory()
    const log = `${databaseFile(data_dir)}-wal`
    truncateSync(log, statSync(log).size - 4_096)
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('shorter'))
  })

  it('is not one that crashed: what is in its log is read', async () => {
    const { store, lost } = await openDirectory(await crashedDirectory())
    expect(lost).toBeNull()
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(1)
  })

  it('is refused: it has as many events, but others', async () => {
    const [one, two] = [tempDir(), tempDir()]
    await fillDirectory(one, 2)
    await fillDirectory(two, 2, '2026-02-01T00:00:00.000Z')
    copyFileSync(databaseFile(two), databaseFile(one))
    await expect(openDirectory(one)).rejects.toThrow(refused('shorter'))
  })

  it('is refused: its end is there, but an event in its middle is gone', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 3)
    const db = new Database(databaseFile(data_dir))
    db.exec('DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE seq = 2')
    db.close()
    await expect(openDirectory(data_dir)).rejects.toThrow(refused('shorter'))
  })

  it('is not one that is longer: the anchor may be a second behind', async () => {
    const data_dir = tempDir()
    await fillDirectory(data_dir, 2)
    const anchor = readFileSync(join(data_dir, 'anchor.json'))
    await fillDirectory(data_dir, 3, '2026-02-01T00:00:00.000Z')
    writeFileSync(join(data_dir, 'anchor.json'), anchor)
    await expect(openDirectory(data_dir)).resolves.toMatchObject({ lost: null })
  })

  it('is not one without an anchor: it cannot be known', async () => {
    const data_dir = await olderCopy()
    rmSync(join(data_dir, 'anchor.json'))
    await expect(openDirectory(data_dir)).resolves.toMatchObject({ lost: null })
  })

  it('stays refused, as often as it is tried', async () => {
    const data_dir = await olderCopy()
    for (let i = 0; i < 3; i++) await expect(openDirectory(data_dir)).rejects.toThrow(refused('shorter'))
  })

  it('goes on if an operator accepts the loss, and the ledger says so in a chain that holds', async () => {
    const data_dir = await olderCopy()
    const { store, lost, close } = await openDirectory(data_dir, { accept_loss: true })
    expect(lost).toMatchObject({ seq: 5, count: 5 })
    const clock = createClock(await store.lastInstant())
    const orchestrator = createOrchestrator({ store, clock, entropy: countingEntropy() })
    await orchestrator.recordLoss(lost!)

    const { items } = await store.listEvents({ after: 2 }, ANYBODY)
    expect(items).toMatchObject([
      {
        kind: 'audit_loss_accepted',
        run_id: null,
        run_seq: 1,
        actor: { type: 'system', id: null },
        payload: { anchor: lost },
      },
    ])
    const kept = items.map(({ payload, ...rest }) => ({ ...rest, payload_text: canonicalText(payload) }))
    const system = await store.view({ system: true }, (before) => before.system)
    const check = checkChain({ head: chainStart(null), first_bad: null }, kept)
    expect(check).toEqual({ head: system, first_bad: null })

    await close()
    expect(anchorOf(data_dir)).toMatchObject({ seq: 3, count: 3 })
    await expect(openDirectory(data_dir)).resolves.toMatchObject({ lost: null })
  })
})

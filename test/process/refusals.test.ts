import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import type { Anchor } from '../../src/store/sqlite/anchor.ts'
import { bodyOf, connect, readEvents } from '../support/client.ts'
import {
  type Ended,
  type ServerProcess,
  cleanUp,
  refusedServer,
  startServer,
  temporaryDirectory,
  within,
} from '../support/process.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 60_000 })

let data_dir: string
let file: string

beforeEach(() => {
  data_dir = temporaryDirectory()
  file = join(data_dir, 'signalbox.db')
})
afterEach(cleanUp)

/** One line for a person, nothing else, and no stack. */
function expectRefusal({ code, stdout, stderr }: Ended, exit_code: number, line: RegExp): void {
  expect({ code, stdout }).toEqual({ code: exit_code, stdout: '' })
  expect(stderr).toMatch(/^signalbox: [^\n]+\n$/)
  expect(stderr).toMatch(line)
}

async function createRuns(server: ServerProcess, count: number): Promise<void> {
  const connection = connect(server.url)
  for (let i = 0; i < count; i++) {
    bodyOf(await connection.post('/v1/runs', { project_id: 'shop', phase_id: `phase-${i}` }))
  }
  connection.close()
}

async function eventsOf(server: ServerProcess): Promise<Event[]> {
  const connection = connect(server.url)
  const events = await readEvents(connection)
  connection.close()
  return events
}

/** Waits until the anchor, which follows within a second, knows of that event. */
function anchorReaches(seq: number): Promise<void> {
  const anchor = join(data_dir, 'anchor.json')
  const isThere = () => existsSync(anchor) && (JSON.parse(readFileSync(anchor, 'utf8')) as Anchor).seq >= seq
  const reached = Promise.withResolvers<void>()
  const watcher = watch(data_dir, () => isThere() && reached.resolve())
  if (isThere()) reached.resolve()
  return within(`no anchor at seq ${seq}`, reached.promise).finally(() => watcher.close())
}

/** Lets a server write that many events, and stops it. */
async function writeEvents(events: number): Promise<void> {
  const server = await startServer({ data_dir })
  await createRuns(server, events)
  await server.stop()
}

let template: string

beforeAll(async () => {
  template = data_dir = mkdtempSync(join(tmpdir(), 'signalbox-template-'))
  await writeEvents(3)
})
afterAll(() => rmSync(template, { recursive: true }))

/** A store with three events, at rest, as a server left it. */
function putStoreThere(): void {
  cpSync(template, data_dir, { recursive: true })
}

describe('a second server on the same directory', () => {
  it('is refused with 75 and says why, and the first serves on', async () => {
    const first = await startServer({ data_dir })
    expectRefusal(await refusedServer({ data_dir }), 75, /another process serves .*--data-dir/i)
    await createRuns(first, 1)
    expect(await first.stop()).toEqual({ code: 0, signal: null })
  })

  it('serves as soon as the first is gone, however it went', async () => {
    const first = await startServer({ data_dir })
    await first.kill()
    const second = await startServer({ data_dir })
    expect(await second.stop()).toEqual({ code: 0, signal: null })
  })
})

describe('a port that is in use', () => {
  it('ends the server with 1, says which, and lets the directory go', async () => {
    const other = temporaryDirectory()
    const first = await startServer({ data_dir })
    const flags = ['--port', String(first.port)]
    const { code, stderr } = await refusedServer({ data_dir: other, flags })
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^signalbox: 127\\.0\\.0\\.1:${first.port} is in use\\..*\n$`))
    const second = await startServer({ data_dir: other })
    expect(await second.stop()).toEqual({ code: 0, signal: null })
  })
})

describe('a store that is shorter than its anchor', () => {
  const SHORTER = /lost events: it once held 5 up to seq 5,.*--accept-loss/

  /** An older copy is put back over a store that went on. */
  async function putOlderCopyBack(): Promise<void> {
    putStoreThere()
    await writeEvents(2)
    copyFileSync(join(template, 'signalbox.db'), file)
  }

  it('is refused with 78, and stays as it is', async () => {
    await putOlderCopyBack()
    expectRefusal(await refusedServer({ data_dir }), 78, SHORTER)
    expectRefusal(await refusedServer({ data_dir }), 78, SHORTER)
  })

  it('is served with --accept-loss, and the ledger says so in its events', async () => {
    await putOlderCopyBack()
    const lost = JSON.parse(readFileSync(join(data_dir, 'anchor.json'), 'utf8')) as unknown
    const server = await startServer({ data_dir, flags: ['--accept-loss'] })
    const events = await eventsOf(server)
    expect(events).toHaveLength(4)
    expect(events.at(-1)).toMatchObject({
      kind: 'audit_loss_accepted',
      run_id: null,
      run_seq: 1,
      actor: { type: 'system', id: null },
      payload: { anchor: lost },
    })
    await createRuns(server, 1)
    await server.stop()
  })

  it('is not lost twice: the next start needs no flag', async () => {
    await putOlderCopyBack()
    const server = await startServer({ data_dir, flags: ['--accept-loss'] })
    await server.stop()
    const again = await startServer({ data_dir })
    expect((await eventsOf(again)).filter(({ kind }) => kind === 'audit_loss_accepted')).toHaveLength(1)
    await again.stop()
  })

  it('--accept-loss records nothing where nothing is lost', async () => {
    putStoreThere()
    const server = await startServer({ data_dir, flags: ['--accept-loss'] })
    expect(await eventsOf(server)).toHaveLength(3)
    await server.stop()
  })
})

describe('a WAL that lost its end', () => {
  /** Killed when the anchor knew of everything, so that all of it is in the WAL. */
  async function killedWithAnchor(events: number): Promise<void> {
    const server = await startServer({ data_dir })
    await createRuns(server, events)
    await anchorReaches(events)
    await server.kill()
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(0)
  }

  it.each([
    ['half of it', (bytes: number) => Math.floor(bytes / 2)],
    ['its last page', (bytes: number) => bytes - 1],
    ['all of it', () => 0],
  ])('%s: the store is refused with 78', async (_what, left) => {
    await killedWithAnchor(20)
    truncateSync(`${file}-wal`, left(statSync(`${file}-wal`).size))
    expectRefusal(await refusedServer({ data_dir }), 78, /lost events: it once held 20 up to seq 20/)
  })

  it('whole, after the same kill: the store is served with everything', async () => {
    await killedWithAnchor(20)
    const server = await startServer({ data_dir })
    expect(await eventsOf(server)).toHaveLength(20)
    await server.stop()
  })
})

describe('a store that a newer program has made', () => {
  const NEWER = /at migration 9999, this program knows \d+: use the newer program/

  const migrate = (db: Database.Database): void => {
    db.prepare('INSERT INTO schema_migrations VALUES (9999, ?, ?, ?)').run('9999_later.sql', 'x', 'then')
  }

  it('is refused with 78, and no byte of it changes', async () => {
    putStoreThere()
    const db = new Database(file)
    migrate(db)
    db.close()
    const before = readFileSync(file)
    expectRefusal(await refusedServer({ data_dir }), 78, NEWER)
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('is refused the same where it was killed and its last writes are in the WAL', async () => {
    putStoreThere()
    const db = new Database(file)
    migrate(db)
    const [killed, killedWal] = [readFileSync(file), readFileSync(`${file}-wal`)]
    db.close()
    rmSync(file)
    writeFileSync(file, killed)
    writeFileSync(`${file}-wal`, killedWal)
    expectRefusal(await refusedServer({ data_dir }), 78, NEWER)
    expect(readFileSync(file).equals(killed)).toBe(true)
    expect(readFileSync(`${file}-wal`).equals(killedWal)).toBe(true)
  })
})

describe('a data file that is damaged', () => {
  it('is refused with 78 where it is no database at all', async () => {
    writeFileSync(file, 'precious notes, but no database\n'.repeat(100))
    const before = readFileSync(file)
    expectRefusal(await refusedServer({ data_dir }), 78, /damaged.*Restore a backup/)
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('is refused with 78 where a page was overwritten that nothing reads at the start', async () => {
    putStoreThere()
    const db = new Database(file)
    const page_size = db.pragma('page_size', { simple: true }) as number
    const root = db
      .prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_state'")
      .pluck()
      .get() as number
    db.close()
    const bytes = readFileSync(file)
    bytes.fill(0xa5, (root - 1) * page_size, root * page_size)
    writeFileSync(file, bytes)
    expectRefusal(await refusedServer({ data_dir }), 78, /damaged.*Restore a backup/)
  })
})

describe('an anchor that cannot be read', () => {
  it.each([
    ['empty', ''],
    ['cut off', '{"seq":3,"cou'],
    ['of another shape', '{"seq":"three"}'],
  ])('%s: is refused with 78, because nobody can tell whether something is lost', async (_what, text) => {
    putStoreThere()
    writeFileSync(join(data_dir, 'anchor.json'), text)
    expectRefusal(await refusedServer({ data_dir }), 78, /anchor\.json/)
  })
})

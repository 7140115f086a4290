import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import type { StepNews } from '../../src/domain/step-report.ts'
import type { Frame, Listener, Wanted } from '../../src/http/channels.ts'
import { createFeed } from '../../src/http/feed.ts'
import { OWN_CALL } from '../../src/orchestrator/call.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import { applyMigrations } from '../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../src/store/sqlite/store.ts'
import { NO_ID } from '../support/builders.ts'
import { ANYBODY, NOW, countingEntropy, handClock } from '../support/given.ts'
import { MIGRATIONS } from '../support/store.ts'

const call = { ...OWN_CALL, caller: ANYBODY, claim: null, present: () => ({}) as never }
const EVERYTHING: Wanted = { filters: {}, viewer: ANYBODY }

/** What one listener was given. */
interface Heard extends Listener {
  seqs: number[]
  bytes: Buffer[]
  /** What came without an id, and how many events had come before it. */
  progress: [text: string, events: number][]
  turns: number
}

/** The feed over a store that tells what it runs. */
function opened() {
  const ran: string[] = []
  const db = new Database(':memory:', { verbose: (sql) => void ran.push(String(sql)) })
  applyMigrations(db, MIGRATIONS, NOW)
  const store = sqliteStore(db, { write_queue_max: 10_000 })
  const orchestrator = createOrchestrator({ store, clock: handClock().clock, entropy: countingEntropy() })
  onTestFinished(() => (db.open ? store.close() : undefined))
  const errors: unknown[] = []
  let report: (news: StepNews) => void = () => {}
  const onError = (error: unknown) => void errors.push(error)
  const feed = createFeed({
    reads: store,
    onCommitted: orchestrator.onCommitted,
    onReported: (listener) => void (report = listener),
    onError,
  })
  const listener = (): Heard => {
    const heard: Heard = {
      seqs: [],
      bytes: [],
      progress: [],
      turns: 0,
      receive(frames: readonly Frame[], bytes: Buffer) {
        heard.seqs.push(...frames.map(({ seq }) => seq))
        heard.bytes.push(bytes)
        heard.turns++
      },
      receiveProgress: (bytes: Buffer) => void heard.progress.push([bytes.toString(), heard.seqs.length]),
      finish: () => feed.leave(heard),
      fail: () => feed.leave(heard),
    }
    return heard
  }
  const create = async (project_id = 'shop'): Promise<Run> => {
    const outcome = await orchestrator.createRun(call, { project_id, phase_id: 'build' }, null)
    return (outcome as { record: Run }).record
  }
  /** What the store runs for this, until it has come to rest. */
  const costOf = async (act: () => Promise<unknown>): Promise<string[]> => {
    const before = ran.length
    await act()
    for (let turn = 0; turn < 2_000; turn++) await nextTurn()
    return ran.slice(before).map((sql) => sql.split(' ', 1)[0]!)
  }
  /** A running attempt, and how a worker says how far it is. */
  const anAttempt = async () => {
    const { run_id } = await create()
    await orchestrator.startRun(call, run_id)
    const outcome = await orchestrator.createStepAttempt(call, run_id, { tool_id: 'pytest' })
    const { step_attempt_id } = (outcome as { record: StepAttempt }).record
    const attempt = { run_id, step_attempt_id, execution_request_id: NO_ID }
    return {
      complete: () => orchestrator.completeStepAttempt(call, step_attempt_id, { status: 'succeeded' }),
      says: (output: string) =>
        report({
          message: { kind: 'step_progress', ...attempt, ts: NOW, progress: null, output },
          project_id: 'shop',
        }),
    }
  }
  return { db, ran, feed, store, errors, listener, create, anAttempt, costOf }
}

describe('a commit', () => {
  it('costs no statement more while nobody listens: before the first, and after the last', async () => {
    const { feed, listener, create, costOf } = opened()
    await create()
    const alone = await costOf(() => create())
    const heard = listener()
    feed.join(heard, EVERYTHING, 2)
    expect((await costOf(() => create())).length).toBeGreaterThan(alone.length)
    feed.leave(heard)
    expect(await costOf(() => create())).toEqual(alone)
    expect(heard.seqs).toEqual([3])
  })

  it('is read once for all who listen, whatever each of them wants', async () => {
    const { feed, listener, create, costOf } = opened()
    const join = (wanted: Wanted) => feed.join(listener(), wanted, 0)
    join(EVERYTHING)
    await costOf(() => create())
    const one = await costOf(() => create())
    for (let i = 0; i < 100; i++) join({ ...EVERYTHING, filters: { project_id: [`project-${i % 7}`] } })
    for (let i = 0; i < 100; i++) join(EVERYTHING)
    await costOf(async () => {})
    expect(await costOf(() => create())).toEqual(one)
  })

  it('is told to all who want the same as one piece of memory', async () => {
    const { feed, listener, create, costOf } = opened()
    const many = Array.from({ length: 5 }, listener)
    for (const heard of many) feed.join(heard, EVERYTHING, 0)
    await costOf(() => create())
    for (const { bytes } of many) expect(bytes[0]).toBe(many[0]!.bytes[0])
  })

  it('of a group is told once for the group, and not before those who wrote are answered', async () => {
    const { feed, listener, create, costOf } = opened()
    const heard = listener()
    feed.join(heard, EVERYTHING, 0)
    await costOf(async () => {})
    const ahead: number[] = []
    let answered = 0
    const write = () => create().then(() => ahead.push(heard.seqs.length - answered++))
    const ran = await costOf(() => Promise.all(Array.from({ length: 30 }, write)))
    expect(ahead.filter((count) => count > 0)).toEqual([])
    expect(heard.seqs).toHaveLength(30)
    expect(heard.turns).toBeLessThanOrEqual(ran.filter((word) => word === 'BEGIN').length)
  })
})

describe('what nobody wants', () => {
  it('makes no piece of its own, though it fills pages between what is wanted', async () => {
    const { feed, listener, create, costOf } = opened()
    const others = Array.from({ length: 150 }, () => 'bank') // with their envelopes three pages
    await Promise.all(['shop', ...others, 'shop'].map((project_id) => create(project_id)))
    const heard = listener()
    await costOf(async () => feed.join(heard, { ...EVERYTHING, filters: { project_id: ['shop'] } }, 0))
    expect([heard.seqs, heard.turns]).toEqual([[1, 152], 1])
  })

  it('is not read to its end, however long that takes, before what is wanted is told', async () => {
    const { ran, feed, listener, create, costOf } = opened()
    await Promise.all(Array.from({ length: 1_500 }, (_, i) => create(i === 0 ? 'shop' : 'bank')))
    const heard = listener()
    let before = 0
    heard.receive = () => void (before = ran.length)
    await costOf(async () => feed.join(heard, { ...EVERYTHING, filters: { project_id: ['shop'] } }, 0))
    expect(before).toBeGreaterThan(0)
    expect(ran.length).toBeGreaterThan(before)
  })
})

describe('a listener', () => {
  it('hears of what was committed while it came, and of nothing twice', async () => {
    const { feed, listener, create, costOf } = opened()
    const [early, late] = [listener(), listener()]
    await create()
    feed.join(early, EVERYTHING, 1)
    const creating = create()
    await costOf(() => creating)
    expect(feed.join(late, EVERYTHING, 1)).toBe(false) // the feed has told of 2 already: read on
    expect(feed.join(late, EVERYTHING, 2)).toBe(true)
    await costOf(() => create())
    expect([early.seqs, late.seqs]).toEqual([[2, 3], [3]])
  })

  it('who joins behind what was committed is told of it, though no commit follows', async () => {
    const { feed, listener, create, costOf } = opened()
    await create()
    const heard = listener()
    await costOf(async () => feed.join(heard, EVERYTHING, 0))
    expect(heard.seqs).toEqual([1])
  })

  it('is told when the table cannot be read, and may come again', async () => {
    const { db, feed, errors, listener, costOf } = opened()
    const heard = listener()
    let failed = 0
    heard.fail = () => {
      failed++
      feed.leave(heard)
    }
    await costOf(async () => {
      feed.join(heard, EVERYTHING, 0)
      db.close()
    })
    expect([failed, errors.length]).toEqual([1, 1])
  })

  it('of one run is not asked about the events of others', async () => {
    const { feed, store, listener, create, costOf } = opened()
    const [run, other] = [await create(), await create()]
    const heard = listener()
    feed.join(heard, { ...EVERYTHING, run_id: run.run_id }, 2)
    await costOf(() => create())
    expect(heard.turns).toBe(0)
    expect((await store.getRun(other.run_id, ANYBODY))?.state).toBe('pending')
  })
})

describe('how far an attempt is', () => {
  it('is told behind all that was committed before, of each attempt the last', async () => {
    const { feed, listener, create, anAttempt, costOf } = opened()
    const { says } = await anAttempt()
    const heard = listener()
    feed.join(heard, EVERYTHING, 3)
    await costOf(async () => {
      await Promise.all([create(), create()])
      says('a')
      says('b')
    })
    expect(heard.progress).toEqual([
      [expect.stringMatching(/^event: step_progress\ndata: .*"output":"b"}\n\n$/), 2],
    ])
  })

  it('is not told behind its end', async () => {
    const { feed, listener, anAttempt, costOf } = opened()
    const { complete, says } = await anAttempt()
    const heard = listener()
    await costOf(async () => feed.join(heard, EVERYTHING, 3))
    await costOf(async () => {
      const ending = complete() // is committed before the feed reads
      says('a')
      await ending
    })
    expect([heard.seqs, heard.progress]).toEqual([[4], []])
  })

  it('is not kept for those who come when all others have left', async () => {
    const { feed, listener, anAttempt, costOf } = opened()
    const { says } = await anAttempt()
    const [gone, heard] = [listener(), listener()]
    await costOf(async () => feed.join(gone, EVERYTHING, 3))
    await costOf(async () => {
      says('a')
      feed.leave(gone)
      feed.join(heard, EVERYTHING, 3)
    })
    says('b')
    await costOf(async () => {})
    expect([gone.progress, heard.progress.map(([text]) => /"output":"(.)"/.exec(text)?.[1])]).toEqual([
      [],
      ['b'],
    ])
  })
})

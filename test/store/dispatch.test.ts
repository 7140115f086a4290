import { describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { claimRequests } from '../../src/domain/claim.ts'
import type { Change, Decision, Lease } from '../../src/domain/decision.ts'
import { LedgerError } from '../../src/domain/error.ts'
import type { Connection } from '../../src/store/sqlite/connection.ts'
import { randomFrom } from '../support/client.ts'
import { type Desk, expectAllSound, openDesk } from '../support/dispatch.ts'
import { after } from '../support/given.ts'
import { refusalOf } from '../support/refusal.ts'
import { dumpOf, eventsOf, openFileStore, openMemoryStore } from '../support/store.ts'

describe('the end of a lease and its completion, which come together 1 000 times', () => {
  it('have exactly one winner each time, and it is the one that time says', { timeout: 60_000 }, async () => {
    const { db, store } = openMemoryStore()
    const desk = await openDesk(store)
    const random = randomFrom(7)
    const { run_id } = await desk.run()
    const won = { completed: 0, expired: 0 }
    const written = writesOf(db)
    const eventsNow = () => store.view({ run_id }, ({ run }) => run!.event_count)
    for (let i = 0; i < 1_000; i++) {
      await desk.request({ run_id, limits: { max_attempts: 1 } })
      const held = await desk.claimOne({ lease_seconds: 5 })
      const events = await eventsNow()
      const end = held.lease_expires_at
      const at = (instant: string) => ((desk.now = instant), desk)
      // Which one comes first is drawn, and which side of the end each one's clock was read on.
      const late = { complete: random() < 0.5, expire: random() < 0.5 }
      const complete = () => completed(at(after(end, late.complete ? 0 : -1)), held)
      const expire = () => at(after(end, late.expire ? 0 : -1)).expire(held.execution_request)
      const isFirst = random() < 0.5
      const [one, other] = isFirst ? [complete(), expire()] : [expire(), complete()]
      const [done, gone] = (await Promise.all(isFirst ? [one, other] : [other, one])) as [boolean, unknown]
      expect([done, gone !== null]).toEqual([
        !late.complete && (isFirst || !late.expire),
        late.expire && !(isFirst && !late.complete),
      ])
      const last = gone ?? (await at(end).expire(held.execution_request))
      expect(done).toBe(last === null)
      won[done ? 'completed' : 'expired']++
      const { state, stop_reason } = await desk.requestNow(held.execution_request)
      expect([state, stop_reason]).toEqual(done ? ['succeeded', 'succeeded'] : ['failed', 'max_attempts'])
      // Nothing is of the loser: the attempt and the request ended once. Nor does it change anything when it asks again.
      expect(await eventsNow()).toBe(events + 2)
      const writes = written()
      expect(await (done ? at(end).expire(held.execution_request) : completed(desk, held))).toBe(
        done ? null : false,
      )
      expect(written()).toBe(writes)
    }
    expect(Math.min(won.completed, won.expired)).toBeGreaterThan(200)
    const ends = (await eventsOf(store, run_id)).filter(({ kind }) => kind === 'request_completed')
    expect(ends).toHaveLength(1_000)
    await expectAllSound(db, store)
  })

  async function completed(desk: Desk, held: ClaimedRequest): Promise<boolean> {
    return desk.complete(held).then(
      () => true,
      (error: LedgerError) => (expect(error.code).toBe('lease_lost'), false),
    )
  }
})

describe('a worker whose lease is over, 1 000 times', () => {
  it('is refused and changes nothing, whoever has the request now', { timeout: 60_000 }, async () => {
    const { db, store } = openMemoryStore()
    const desk = await openDesk(store)
    const random = randomFrom(8)
    const written = writesOf(db)
    const { run_id } = await desk.run()
    for (let i = 0; i < 1_000; i++) {
      await desk.request({ run_id })
      const held = await desk.claimOne({ lease_seconds: 5 })
      desk.pass(5_000)
      const isEnded = random() < 0.8 // else nobody has noticed yet
      if (isEnded) await desk.expire(held.execution_request)
      desk.pass(1_000)
      const next = isEnded && random() < 0.8 ? await desk.claimOne({ worker_id: 'w2' }) : null

      const writes = written()
      const words = [
        () => desk.complete(held),
        () => desk.fail(held),
        () => desk.reject(held),
        () => desk.release(held),
      ]
      expect((await refusalOf(words[i % words.length]!())).code).toBe('lease_lost')
      expect(await desk.heartbeat(held)).toMatchObject({ lease_lost: true, lease_expires_at: null })
      expect(written()).toBe(writes)
      await desk.complete(next ?? (await lastClaim(desk, held)))
    }
    const ends = (await eventsOf(store, run_id)).filter(({ kind }) => kind === 'request_completed')
    expect(ends.map(({ to }) => to)).toEqual(Array.from({ length: 1_000 }, () => 'succeeded'))
    await expectAllSound(db, store)
  })

  /** Takes the request once its lease is ended. */
  async function lastClaim(desk: Desk, { execution_request }: ClaimedRequest): Promise<ClaimedRequest> {
    await desk.expire(execution_request)
    desk.pass(1_000)
    return desk.claimOne({ worker_id: 'w2' })
  }
})

/** How many rows were ever written. */
function writesOf(db: Connection): () => number {
  const writes = db.prepare<[], number>('SELECT total_changes()').pluck()
  return () => writes.get()!
}

describe.each([
  ['in one group', 128],
  ['each in its own transaction', 1],
])('many claims at once, %s,', (_name, group_max) => {
  it('never give one request to two', async () => {
    const { db, store } = openFileStore({ group_max })
    const desk = await openDesk(store)
    const { run_id } = await desk.run({ completion: 'auto' })
    for (let i = 0; i < 60; i++) await desk.request(i % 2 === 0 ? { run_id } : {})
    const claims = Array.from({ length: 40 }, (_, i) => desk.claim({ worker_id: `w${i}`, max: 1 + (i % 3) }))
    const taken = await Promise.all(claims)
    const ids = taken.flatMap(({ items }) =>
      items.map(({ execution_request }) => execution_request.request_id),
    )
    expect(new Set(ids).size).toBe(60)
    expect(ids).toHaveLength(60)
    const tokens = taken.flatMap(({ items }) => items.map(({ lease_token }) => lease_token))
    expect(new Set(tokens).size).toBe(60)
    await expectAllSound(db, store)
  })

  it('never give a tool more than max_parallel', async () => {
    const { db, store } = openFileStore({ group_max })
    const desk = await openDesk(store)
    for (let i = 0; i < 6; i++) await desk.request({ task_kind: 'test' })
    const claims = Array.from({ length: 6 }, (_, i) => desk.claim({ worker_id: `w${i}`, tools: ['pytest'] }))
    const taken = await Promise.all(claims)
    expect(taken.map(({ items }) => items.length)).toEqual([1, 1, 0, 0, 0, 0])
    await expectAllSound(db, store)
  })
})

describe('a write over what is no longer so', () => {
  /** A claim as it was decided, and the world has moved on since. */
  async function aStaleClaim() {
    const { db, store } = openMemoryStore()
    const desk = await openDesk(store)
    await desk.request()
    const queue = { worker_id: 'w1', tools: ['aider'], limit: 1, now: desk.now, projects: null }
    let decided: Decision<unknown> | null = null
    await store.view({ worker_id: 'w1', queue }, (before) => {
      decided = claimRequests(before, desk.given(), { worker_id: 'w1', tools: ['aider'] })
    })
    return { db, store, desk, decided: decided! }
  }

  const only = (changes: readonly Change[]) => () => ({ changes, events: [], result: () => null })

  it.each(['canceled', 'claimed by another', 'claimed and released'])(
    'fails for a request that was %s meanwhile',
    async (what) => {
      const { db, store, desk, decided } = await aStaleClaim()
      if (what === 'canceled') {
        const id = db
          .prepare<[], string>('SELECT execution_request_id FROM execution_requests')
          .pluck()
          .get()!
        await desk.cancel({ request_id: id })
      } else {
        const held = await desk.claimOne({ worker_id: 'w2' })
        if (what !== 'claimed by another') await desk.release(held)
      }
      const dump = dumpOf(db)
      const stale = decided.changes.filter(({ record }) => record === 'request_progress')
      await expect(store.change({}, only(stale))).rejects.toThrow(/stale write: execution_requests/)
      await expect(store.change({}, () => decided)).rejects.toThrow()
      expect(dumpOf(db)).toEqual(dump)
    },
  )

  it('fails for a lease that moved, or is another one', async () => {
    const { db, store, desk } = await aStaleClaim()
    const held = await desk.claimOne()
    const execution_request_id = held.execution_request.request_id
    const before = (await store.view({ execution_request_id, lease: true }, ({ lease }) => lease))!
    desk.pass(1_000)
    await desk.heartbeat(held)
    const dump = dumpOf(db)
    const beat = (stale: Lease): Change => ({ record: 'lease', before: stale, after: { ...stale } })
    const now = { ...before, heartbeat_at: desk.now, lease_expires_at: after(desk.now, 60_000) }
    for (const change of [
      beat(before),
      beat({ ...now, fence: 2 }),
      beat({ ...now, token_hash: 'f'.repeat(64) }),
      { record: 'lease_ended', lease: { ...now, fence: 2 }, lost: null } as const,
    ]) {
      await expect(store.change({}, only([change]))).rejects.toThrow('stale write: leases')
    }
    expect(dumpOf(db)).toEqual(dump)
    await store.change({}, only([beat(now)]))
  })

  it('cannot make a second lease of a request', async () => {
    const { store, desk } = await aStaleClaim()
    const { request_id } = (await desk.claimOne()).execution_request
    const lease = await store.view(
      { execution_request_id: request_id, lease: true },
      (before) => before.lease,
    )
    const twice: Change = { record: 'lease', before: null, after: { ...lease!, fence: 2 } }
    await expect(store.change({}, only([twice]))).rejects.toThrow(/UNIQUE/)
  })
})

describe('any sequence of what workers, clients and time do', () => {
  it.each([1, 2, 3])('leaves a ledger that is sound, seed %i', async (seed) => {
    const { db, store } = openMemoryStore()
    const desk = await openDesk(store)
    const random = randomFrom(seed)
    const draw = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
    const runs = [
      await desk.run(),
      await desk.run({ completion: 'auto', on_failure: 'continue' }),
      await desk.run({ completion: 'auto', on_failure: 'quarantine' }),
    ]
    const held: ClaimedRequest[] = []
    const limits = { max_attempts: 2, timeout_seconds: 20, queue_timeout_seconds: 30 }
    const moves: (() => Promise<unknown>)[] = [
      () => desk.request({ limits, run_id: draw(runs).run_id }),
      () => desk.request({ limits, task_kind: draw(['edit', 'test']) }),
      async () => {
        const worker_id = draw(['w1', 'w2', 'w3'])
        held.push(...(await desk.claim({ worker_id, tools: ['aider', 'pytest'], max: 3 })).items)
      },
      () => desk.complete(draw(held), {}, random() < 0.5).then(({ next }) => next && held.push(next)),
      () => desk.fail(draw(held), draw(['tool_error', 'auth', 'canceled', 'timeout'])),
      () => desk.reject(draw(held)),
      () => desk.release(draw(held)),
      () => desk.heartbeat(draw(held)),
      () => desk.cancel(draw(held).execution_request),
      async () => desk.pass(Math.floor(random() * 8_000)),
      async () => {
        for (const request_id of await store.dueRequests(desk.now, 50)) await desk.expire({ request_id })
      },
    ]
    let refused = 0
    for (let i = 0; i < 400; i++) {
      const move = draw(held.length === 0 ? moves.slice(0, 3) : moves)
      await move().catch((error: unknown) => {
        if (!(error instanceof LedgerError)) throw error
        refused++
      })
    }
    expect(refused).toBeGreaterThan(20)
    await desk.cancelRun(runs[0]!.run_id)
    await expectAllSound(db, store)
  })
})

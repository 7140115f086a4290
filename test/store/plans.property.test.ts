import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { randomFrom } from '../support/client.ts'
import { type Desk, expectAllSound, openDesk } from '../support/dispatch.ts'
import { aTask } from '../support/plans.ts'
import { eventsOf, openMemoryStore, requestsOf } from '../support/store.ts'

/** What is drawn: who needs whom, and from where chance comes. */
interface Drawn {
  /** For each task, which of those before it in some order it needs. */
  needs: number[][]
  max_attempts: number[]
  on_failure: 'fail' | 'quarantine' | 'continue'
  submissions: number
  /** How often something goes wrong: never, seldom, often. */
  trouble: number
  seed: number
}

const drawn = (most: number): fc.Arbitrary<Drawn> =>
  fc.integer({ min: 1, max: most }).chain((count) =>
    fc.record({
      needs: fc.tuple(
        ...Array.from({ length: count }, (_, i) =>
          i === 0
            ? fc.constant<number[]>([])
            : fc.uniqueArray(fc.nat({ max: i - 1 }), { maxLength: Math.min(i, 4) }),
        ),
      ),
      max_attempts: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: count, maxLength: count }),
      on_failure: fc.constantFrom('fail', 'quarantine', 'continue'),
      submissions: fc.integer({ min: 1, max: 3 }),
      trouble: fc.constantFrom(0, 0.1, 1),
      seed: fc.nat(),
    }),
  )

/** A lease, in seconds; longer than a plan takes but for the leases that are let go. */
const HOUR = 3_600

type State = 'waiting' | 'claimed' | 'succeeded' | 'failed' | 'canceled'

/** What a plan must come to, by the rules and nothing else. */
class Model {
  readonly states: State[]
  readonly #attempts: number[]
  readonly #asked = new Set<number>()
  readonly #plan: Drawn
  closed: string | null = null

  constructor(plan: Drawn) {
    this.#plan = plan
    this.states = plan.needs.map(() => 'waiting')
    this.#attempts = plan.needs.map(() => 0)
  }

  isReady = (task: number): boolean =>
    this.#plan.needs[task]!.every((need) => this.states[need] === 'succeeded')

  claim(task: number): void {
    expect([this.closed, this.states[task], this.isReady(task)]).toEqual([null, 'waiting', true])
    this.states[task] = 'claimed'
  }

  succeed = (task: number): void => this.#end(task, 'succeeded')

  /** One attempt has failed. */
  fail(task: number, is_final: boolean): void {
    if (this.#asked.has(task)) return this.#end(task, 'canceled')
    this.#attempts[task]!++
    if (is_final || this.#attempts[task]! >= this.#plan.max_attempts[task]!) return this.#end(task, 'failed')
    this.states[task] = 'waiting'
  }

  release(task: number): void {
    if (this.#asked.has(task)) return this.#end(task, 'canceled')
    this.states[task] = 'waiting'
  }

  cancel(task: number): void {
    if (this.states[task] === 'claimed') this.#asked.add(task)
    else this.#end(task, 'canceled')
  }

  #end(task: number, state: State): void {
    this.states[task] = state
    if (state !== 'succeeded') this.#endBelow(task)
    const has = (each: State) => this.states.includes(each)
    const { on_failure } = this.#plan
    if (state === 'failed' && on_failure !== 'continue') {
      this.states.forEach((each, i) => {
        if (each === 'waiting' || each === 'claimed') this.states[i] = 'canceled'
      })
      this.closed = on_failure === 'fail' ? 'failed' : 'quarantined'
    } else if (!has('waiting') && !has('claimed')) {
      this.closed = has('failed') ? 'failed' : has('canceled') ? 'canceled' : 'succeeded'
    }
  }

  #endBelow(task: number): void {
    this.#plan.needs.forEach((needs, below) => {
      if (!needs.includes(task) || this.states[below] !== 'waiting') return
      this.states[below] = 'canceled'
      this.#endBelow(below)
    })
  }
}

/** Workers, clients and time in any order, until the run has ended by itself. */
async function carriedOut(plan: Drawn) {
  const { db, store } = openMemoryStore()
  const desk = await openDesk(store)
  const { run_id } = await desk.run({ completion: 'auto', on_failure: plan.on_failure })
  const requests = await submitted(desk, run_id, plan)
  const model = new Model(plan)
  const random = randomFrom(plan.seed)
  const takeOne = <T>(from: T[]): T => from.splice(Math.floor(random() * from.length), 1)[0]!
  const taskOf = ({ execution_request }: ClaimedRequest) => Number(execution_request.task_id!.slice(1))
  let held: ClaimedRequest[] = []

  const moves: [share: number, act: () => Promise<void>][] = [
    [
      4,
      async () => {
        const { items } = await desk.claim({ max: 1 + Math.floor(random() * 4), lease_seconds: HOUR })
        for (const item of items) model.claim(taskOf(item))
        held.push(...items)
      },
    ],
    [
      6,
      async () => {
        if (held.length === 0) return
        const item = takeOne(held)
        await desk.complete(item)
        model.succeed(taskOf(item))
      },
    ],
    [
      plan.trouble,
      async () => {
        if (held.length === 0 || random() < 0.5) return
        const item = takeOne(held)
        const is_final = random() < 0.2
        await desk.fail(item, is_final ? 'auth' : 'tool_error')
        model.fail(taskOf(item), is_final)
      },
    ],
    [
      0.5,
      async () => {
        if (held.length === 0) return
        const item = takeOne(held)
        await desk.release(item)
        model.release(taskOf(item))
      },
    ],
    [
      0.2 * plan.trouble,
      async () => {
        // The lease of one of them ends, and nobody else's.
        const item = held.length === 0 ? undefined : takeOne(held)
        if (item === undefined) return
        for (const ms of [0, (HOUR - 1) * 1_000]) {
          desk.pass(ms)
          for (const other of held) await desk.heartbeat(other)
        }
        desk.pass(1_000)
        await desk.expire(item.execution_request)
        model.fail(taskOf(item), false)
      },
    ],
    [
      0.1 * plan.trouble,
      async () => {
        const open = model.states.flatMap((state, i) =>
          state === 'waiting' || state === 'claimed' ? [i] : [],
        )
        const task = takeOne(open)
        const before = model.states[task]
        await desk.cancel({ request_id: requests[task]! }).then(
          () => model.cancel(task),
          () => expect(before).toBe('claimed'), // it was asked already
        )
      },
    ],
    [1, async () => desk.pass(Math.floor(random() * 3_000))],
  ]
  const shares = moves.reduce((sum, [share]) => sum + share, 0)
  for (let i = 0; model.closed === null; i++) {
    expect(i).toBeLessThan(20_000)
    let chance = random() * shares
    const [, act] = moves.find(([share]) => (chance -= share) < 0) ?? moves[0]!
    await act()
    held = held.filter((item) => model.states[taskOf(item)] === 'claimed')
  }
  return { db, store, run_id, model, run: await desk.runNow({ run_id }) }
}

/** In one to three submissions; each names what came before. */
async function submitted(desk: Desk, run_id: string, { needs, max_attempts, submissions }: Drawn) {
  const tasks = needs.map((own, i) =>
    aTask(
      `t${i}`,
      own.map((need) => `t${need}`),
      { execution: { max_attempts: max_attempts[i]!, timeout_seconds: 100 * HOUR } },
    ),
  )
  const size = Math.ceil(tasks.length / submissions)
  const ids: string[] = []
  for (let at = 0; at < tasks.length; at += size) {
    const answer = await desk.submit(run_id, tasks.slice(at, at + size))
    ids.push(...answer.tasks.map(({ execution_request_id }) => execution_request_id))
  }
  return ids
}

/** Seconds of virtual time pass, and real ones too: the machine may be busy. */
const TIMEOUT = 60_000

it(
  'any plan comes to what its rules say, whatever workers, clients and time do',
  { timeout: TIMEOUT },
  async () => {
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(drawn(200), async (plan) => {
        const { db, store, run_id, model, run } = await carriedOut(plan)
        const rows = await requestsOf(store, run_id)
        expect(rows.map(({ state }) => state)).toEqual(model.states)
        expect(run.state).toBe(model.closed)
        seen.add(run.state)
        for (const { plan: place, state, stop_reason, fence } of rows) {
          const ends = place!.needs.map((need) => rows.find(({ request_id }) => request_id === need)!.state)
          if (fence > 0) expect(ends.every((end) => end === 'succeeded')).toBe(true)
          if (stop_reason !== 'dependency_failed') continue
          expect([state, fence]).toEqual(['canceled', 0])
          expect(ends.some((end) => end === 'failed' || end === 'canceled')).toBe(true)
        }
        await expectAllSound(db, store)
      }),
      { numRuns: 40, endOnFailure: true },
    )
    expect([...seen]).toEqual(expect.arrayContaining(['failed', 'succeeded']))
  },
)

it('the same plan with the same outcomes gives the same events', { timeout: TIMEOUT }, async () => {
  const once = async (plan: Drawn) => {
    const { store, run_id } = await carriedOut(plan)
    return eventsOf(store, run_id)
  }
  await fc.assert(
    fc.asyncProperty(drawn(40), async (plan) => {
      expect(await once(plan)).toEqual(await once(plan))
    }),
    { numRuns: 8 },
  )
})

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { randomFrom } from '../support/client.ts'
import { type Desk, expectAllSound, openDesk } from '../support/dispatch.ts'
import { aTask } from '../support/plans.ts'
import { aConfig } from '../support/routing.ts'
import { eventsOf, openMemoryStore, requestsOf } from '../support/store.ts'

/** What is drawn: who needs whom, and from where chance comes. */
interface Drawn {
  /** For each task, which of those before it in some order it needs. */
  needs: number[][]
  max_attempts: number[]
  on_failure: 'fail' | 'quarantine' | 'continue'
  submissions: number
  /** Who looks at each task once it is done. */
  validate_with: string[]
  /** How often something goes wrong: never, seldom, often. */
  trouble: number
  seed: number
}

const ANALYZER = 'metrics'
const VALIDATORS = ['pytest', 'eslint', ANALYZER]
/** How often each validator may try. */
const LOOKS = 2

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
      validate_with: fc.subarray(VALIDATORS),
      trouble: fc.constantFrom(0, 0.1, 1),
      seed: fc.nat(),
    }),
  )

/** A lease, in seconds; longer than a plan takes but for the leases that are let go. */
const HOUR = 3_600

type State = 'waiting' | 'claimed' | 'validating' | 'succeeded' | 'failed' | 'canceled'

/** What a plan must come to, by the rules and nothing else. */
class Model {
  readonly states: State[]
  readonly #attempts: number[]
  readonly #asked = new Set<number>()
  /** How often each validator that is open has tried. */
  readonly #looks = new Map<string, number>()
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

  /** The work is done, and the validators begin to look at it. */
  complete(task: number): void {
    this.#attempts[task]!++
    for (const tool of this.#plan.validate_with) this.#looks.set(`${task} ${tool}`, 0)
    if (this.#requiredOf(task).length > 0) this.states[task] = 'validating'
    else this.#end(task, 'succeeded')
  }

  isLooking = (task: number, tool: string): boolean => this.#looks.has(`${task} ${tool}`)

  #requiredOf = (task: number): string[] =>
    VALIDATORS.filter((tool) => tool !== ANALYZER && this.isLooking(task, tool))

  agree(task: number, tool: string): void {
    this.#looks.delete(`${task} ${tool}`)
    if (tool === ANALYZER) this.#settle()
    else if (this.#requiredOf(task).length === 0) this.#end(task, 'succeeded')
  }

  /** One attempt of a validator has failed; a verdict is final. */
  disagree(task: number, tool: string, is_final: boolean): void {
    const tries = this.#looks.get(`${task} ${tool}`)! + 1
    this.#looks.set(`${task} ${tool}`, tries)
    if (!is_final && tries < LOOKS) return
    this.#looks.delete(`${task} ${tool}`)
    if (tool === ANALYZER) return this.#settle()
    this.#stopLooking(task)
    if (this.#asked.has(task)) return this.#end(task, 'canceled')
    if (this.#attempts[task]! >= this.#plan.max_attempts[task]!) return this.#end(task, 'failed')
    this.states[task] = 'waiting'
  }

  #stopLooking(task: number): void {
    for (const tool of VALIDATORS) this.#looks.delete(`${task} ${tool}`)
  }

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
    if (state !== 'succeeded') {
      this.#stopLooking(task)
      this.#endBelow(task)
    }
    const { on_failure } = this.#plan
    if (state !== 'failed' || on_failure === 'continue') return this.#settle()
    this.states.forEach((_, i) => {
      if (this.isOpen(i)) this.states[i] = 'canceled'
    })
    this.#looks.clear()
    this.closed = on_failure === 'fail' ? 'failed' : 'quarantined'
  }

  isOpen = (task: number): boolean => ['waiting', 'claimed', 'validating'].includes(this.states[task]!)

  #settle(): void {
    if (this.#looks.size > 0 || this.states.some((_, i) => this.isOpen(i))) return
    const has = (each: State) => this.states.includes(each)
    this.closed = has('failed') ? 'failed' : has('canceled') ? 'canceled' : 'succeeded'
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
  const desk = await openDesk(store, configOf(plan))
  const { run_id } = await desk.run({ completion: 'auto', on_failure: plan.on_failure })
  const requests = await submitted(desk, run_id, plan)
  const model = new Model(plan)
  const random = randomFrom(plan.seed)
  const takeOne = <T>(from: T[]): T => from.splice(Math.floor(random() * from.length), 1)[0]!
  const workOf = ({ execution_request: { validates, request_id } }: ClaimedRequest) =>
    requests.indexOf(validates?.execution_request_id ?? request_id)
  const toolOf = ({ step_attempt, execution_request: { validates } }: ClaimedRequest) =>
    validates === null ? null : step_attempt.tool_id
  const isHeld = (item: ClaimedRequest): boolean => {
    const tool = toolOf(item)
    return tool === null ? model.states[workOf(item)] === 'claimed' : model.isLooking(workOf(item), tool)
  }
  let held: ClaimedRequest[] = []

  const moves: [share: number, act: () => Promise<void>][] = [
    [
      4,
      async () => {
        const { items } = await desk.claim({ max: 1 + Math.floor(random() * 4), lease_seconds: HOUR })
        for (const item of items) model.claim(workOf(item))
        held.push(...items)
      },
    ],
    [
      4,
      async () => {
        const max = 1 + Math.floor(random() * 4)
        const { items } = await desk.claim({ tools: VALIDATORS, max, lease_seconds: HOUR })
        expect(items.filter((item) => !isHeld(item))).toEqual([])
        held.push(...items)
      },
    ],
    [
      6,
      async () => {
        if (held.length === 0) return
        const item = takeOne(held)
        await desk.complete(item)
        const tool = toolOf(item)
        if (tool === null) model.complete(workOf(item))
        else model.agree(workOf(item), tool)
      },
    ],
    [
      plan.trouble,
      async () => {
        if (held.length === 0 || random() < 0.5) return
        const item = takeOne(held)
        const is_final = random() < 0.2
        const tool = toolOf(item)
        if (tool === null) {
          await desk.fail(item, is_final ? 'auth' : 'tool_error')
          model.fail(workOf(item), is_final)
        } else {
          await desk.fail(item, is_final ? 'tool_error' : 'internal')
          model.disagree(workOf(item), tool, is_final)
        }
      },
    ],
    [
      0.5,
      async () => {
        if (held.length === 0) return
        const item = takeOne(held)
        await desk.release(item)
        if (toolOf(item) === null) model.release(workOf(item))
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
        const tool = toolOf(item)
        if (tool === null) model.fail(workOf(item), false)
        else model.disagree(workOf(item), tool, false)
      },
    ],
    [
      0.1 * plan.trouble,
      async () => {
        const open = model.states.flatMap((_, i) => (model.isOpen(i) ? [i] : []))
        if (open.length === 0) return // analyzers alone are left
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
    held = held.filter(isHeld)
  }
  return { db, store, run_id, model, run: await desk.runNow({ run_id }) }
}

const configOf = ({ validate_with }: Pick<Drawn, 'validate_with'>) =>
  aConfig({
    apps: {
      aider: { max: 1_000 },
      ...Object.fromEntries(VALIDATORS.map((tool) => [tool, { kind: kindOf(tool), kinds: [], max: 1_000 }])),
    },
    rules: [{ id: 'edits', select_from: ['aider'], validate_with }],
    defaults: { max_attempts: LOOKS, timeout_seconds: 100 * HOUR },
  })
const kindOf = (tool: string) => (tool === ANALYZER ? 'analyzer' : 'validator')

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
const TIMEOUT = 180_000

it(
  'any plan comes to what its rules say, whatever workers, clients and time do',
  { timeout: TIMEOUT },
  async () => {
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(drawn(200), async (plan) => {
        const { db, store, run_id, model, run } = await carriedOut(plan)
        const rows = (await requestsOf(store, run_id)).filter(({ validates }) => validates === null)
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

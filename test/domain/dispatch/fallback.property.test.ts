import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ClaimedRequest } from '../../../src/contract/dispatch.ts'
import type { ExecutionRequest } from '../../../src/contract/execution-request.ts'
import { LedgerError } from '../../../src/domain/error.ts'
import { takerLook } from '../../../src/domain/fallback.ts'
import { pauseTool, resetTool, resumeTool } from '../../../src/domain/tool.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { allWaiting, fallbackConfig, ORDER } from '../../support/fallbacks.ts'
import { openMemoryStore } from '../../support/store.ts'

// What requesters, workers, operators and time do, in any order. Refusals are part of it.

const aTool = fc.constantFrom(...ORDER)
const anErrorClass = fc.constantFrom('tool_error', 'tool_error', 'rate_limited', 'auth', 'invalid_request')
const act = fc.oneof(
  fc.record({ act: fc.constant('request' as const), max_attempts: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ act: fc.constant('exclude' as const), tool: aTool }),
  { weight: 4, arbitrary: fc.record({ act: fc.constant('claim' as const), tool: aTool }) },
  { weight: 6, arbitrary: fc.record({ act: fc.constant('fail' as const), error_class: anErrorClass }) },
  fc.record({ act: fc.constantFrom('complete' as const, 'release' as const, 'reject' as const) }),
  fc.record({ act: fc.constantFrom('pause' as const, 'resume' as const, 'reset' as const), tool: aTool }),
  { weight: 3, arbitrary: fc.record({ act: fc.constant('sweep' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constant('pass' as const), ms: fc.constantFrom(900, 9_000, 90_000) }),
  },
)
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

class Story {
  readonly requests: ExecutionRequest[] = []
  #held: ClaimedRequest[] = []
  #workers = 0
  readonly #desk: Desk

  constructor(desk: Desk) {
    this.#desk = desk
  }

  async go(each: Act): Promise<void> {
    const desk = this.#desk
    switch (each.act) {
      case 'request':
        return void this.requests.push(await desk.request({ limits: { max_attempts: each.max_attempts } }))
      case 'exclude':
        return void this.requests.push(await desk.request({ excluded_tools: [each.tool] }))
      case 'claim':
        this.#workers++ // who has rejected a request is not offered it again
        return void this.#held.push(
          ...(await desk.claim({ worker_id: `w${this.#workers}`, tools: [each.tool] })).items,
        )
      case 'fail':
        return this.#end((held) => desk.fail(held, each.error_class))
      case 'complete':
      case 'release':
      case 'reject':
        return this.#end((held) => desk[each.act](held))
      case 'pass':
        return desk.pass(each.ms)
      case 'sweep':
        return this.#sweep()
      default:
        await this.#operate(each.act, each.tool)
    }
  }

  async #end(end: (held: ClaimedRequest) => Promise<unknown>): Promise<void> {
    const held = this.#held.shift()
    if (held !== undefined) await end(held).catch(refused)
  }

  async #sweep(): Promise<void> {
    const { store, now } = this.#desk
    for (const request_id of await store.dueRequests(now, 100)) await this.#desk.expire({ request_id })
    for (const tool_id of await store.openCircuits(now)) {
      const canMove = await store.view({ routing: 'active' }, (before) => takerLook(before, { now }, tool_id))
      for (const { execution_request_id, decision } of await allWaiting(store, tool_id, now)) {
        const moved = await this.#desk.fallBack({ request_id: execution_request_id }, tool_id)
        expect(moved !== null).toBe(canMove?.(decision) ?? false)
      }
    }
  }

  #operate(act: 'pause' | 'resume' | 'reset', tool_id: string): Promise<unknown> {
    return this.#desk
      .write({ routing: 'active', system: true }, (before, given) => {
        const because = { reason: 'maintenance' }
        if (act === 'resume') return resumeTool(before, given, tool_id)
        return (act === 'pause' ? pauseTool : resetTool)(before, given, tool_id, because)
      })
      .catch(refused)
  }
}

function refused(error: unknown): void {
  if (!(error instanceof LedgerError)) throw error
}

async function expectOrder(desk: Desk, request: ExecutionRequest): Promise<void> {
  const { decisions, step_attempts, assignment, routing, ...now } = await desk.storyOf(request)
  const routed = decisions.filter(({ outcome }) => outcome === 'routed')
  expect(decisions.map(({ previous_decision_id }) => previous_decision_id)).toEqual([
    null,
    ...decisions.slice(0, -1).map(({ route_decision_id }) => route_decision_id),
  ])
  expect(assignment).toMatchObject({
    route_decision_id: routed.at(-1)!.route_decision_id,
    tool_id: routed.at(-1)!.tool_id,
  })
  const chosen = routed.map(({ tool_id }) => ORDER.findIndex((tool) => tool === tool_id))
  expect(chosen).toEqual([...new Set(chosen)].toSorted())
  let place = 0
  for (const [i, step] of step_attempts.entries()) {
    expect(step.attempt).toBe(i + 1)
    const at = routed.findIndex(({ route_decision_id }) => route_decision_id === step.route_decision_id)
    expect(at).toBeGreaterThanOrEqual(place)
    expect(routed[at]!.tool_id).toBe(step.tool_id)
    place = at
  }
  const counted = step_attempts.filter(({ state }) => state === 'failed' || state === 'succeeded')
  expect(now.attempts).toBe(counted.length)
  for (const tool of ORDER) {
    const own = counted.filter(({ tool_id }) => tool_id === tool).length
    expect(own).toBeLessThanOrEqual(routing.max_attempts)
    if (tool === assignment!.tool_id) expect(now.tool_attempts).toBe(own)
  }
}

it('whatever happens: tools are tried in their order, none more often than it may, by one list of decisions', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { minLength: 10, maxLength: 80 }),
      fc.boolean(),
      fc.constantFrom('wait' as const, 'fail' as const),
      async (acts, required, when_all_open) => {
        const { db, store } = openMemoryStore()
        const desk = await openDesk(store, fallbackConfig({ required }, { when_all_open }))
        const story = new Story(desk)
        for (const each of acts) await story.go(each).catch(refused)
        for (const request of story.requests) await expectOrder(desk, request)
        await expectAllSound(db, store)
        await store.close()
      },
    ),
    { numRuns: 60, seed: 20_260_105 },
  )
}, 120_000)

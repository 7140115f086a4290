import { describe, expect, it } from 'vitest'
import type { CompiledRouter } from '../../../src/domain/compiled-router.ts'
import { decide } from '../../../src/domain/routing.ts'
import { CLOSED } from '../../../src/domain/circuit.ts'
import { type KnownTool, attemptEnded, factsOf, newToolRecord } from '../../../src/domain/tool-record.ts'
import { aRouter, aTask, given } from '../../support/routing.ts'
import { attemptStarted } from '../../support/router-check.ts'

const START = Date.parse('2026-01-05T09:00:00.000Z')
const at = (ms: number): string => new Date(START + ms).toISOString()
const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface Behaviour {
  takes_ms: number
  /** Of every ten attempts. */
  succeeds: number
}

/** A ledger of attempts that end before the next decision, one every minute. */
class World {
  now = 0
  readonly router: CompiledRouter
  readonly known = new Map<string, KnownTool>()
  readonly chosen: string[] = []

  constructor(router: CompiledRouter) {
    this.router = router
  }

  live(minutes: number, behaviour: Record<string, Behaviour>): void {
    for (let i = 0; i < minutes; i++) {
      const facts = factsOf(this.router, this.known, [], at(this.now))
      const seed = Math.imul(this.chosen.length + 1, 0x9e3779b1) >>> 0
      const tool_id = decide(aTask(), this.router, facts, given({ seed })).decision.tool_id!
      this.#attempt(tool_id, behaviour[tool_id]!)
      this.chosen.push(tool_id)
      this.now += MINUTE
    }
  }

  #attempt(tool_id: string, { takes_ms, succeeds }: Behaviour): void {
    const { record } = this.known.get(tool_id) ?? { record: newToolRecord(tool_id) }
    const tries = this.chosen.filter((one) => one === tool_id).length
    const state = (tries * 7) % 10 < succeeds ? 'succeeded' : 'failed'
    const [started_at, ended_at] = [at(this.now), at(this.now + takes_ms)]
    const end = { state, error_class: null, started_at, ended_at } as const
    const known = { record: attemptEnded(attemptStarted(record, started_at), end), pause: null }
    this.known.set(tool_id, { ...known, circuit: CLOSED })
  }

  shareOf(tool_id: string, last: number): number {
    return this.chosen.slice(-last).filter((one) => one === tool_id).length / last
  }
}

const auto = (apps: string[]): CompiledRouter =>
  aRouter({
    apps: Object.fromEntries(apps.map((tool_id) => [tool_id, {}])),
    rules: [{ id: 'edits', select_from: apps, strategy: 'auto' }],
  })

describe('auto learns', () => {
  it('a new tool gets its exploration share, though it fails and the other does well', () => {
    const world = new World(auto(['aider', 'newcomer']))
    world.live(4000, {
      aider: { takes_ms: 20_000, succeeds: 10 },
      newcomer: { takes_ms: 30_000, succeeds: 0 },
    })
    expect(world.shareOf('newcomer', 4000)).toBeGreaterThan(0.04)
    expect(world.shareOf('newcomer', 4000)).toBeLessThan(0.06)
  })

  it('and becomes the first choice if it is the better one', () => {
    const world = new World(auto(['aider', 'newcomer']))
    world.live(300, {
      aider: { takes_ms: 30_000, succeeds: 6 },
      newcomer: { takes_ms: 30_000, succeeds: 10 },
    })
    expect(world.shareOf('newcomer', 100)).toBeGreaterThan(0.8)
  })

  it('a tool that fails fast loses to one that succeeds slowly', () => {
    const world = new World(auto(['fast-failer', 'slow-succeeder']))
    world.live(300, {
      'fast-failer': { takes_ms: 100, succeeds: 1 },
      'slow-succeeder': { takes_ms: 50_000, succeeds: 9 },
    })
    expect(world.shareOf('slow-succeeder', 200)).toBeGreaterThan(0.9)
  })

  it('a failure that takes no time leaves no mark of being fast', () => {
    const world = new World(auto(['fast-failer', 'slow-succeeder']))
    world.live(200, {
      'fast-failer': { takes_ms: 1, succeeds: 0 },
      'slow-succeeder': { takes_ms: 50_000, succeeds: 9 },
    })
    expect(world.known.get('fast-failer')?.record).toMatchObject({
      durations_ms: [],
      median_duration_ms: null,
    })
  })

  it('after ten half-lives the past is forgotten', () => {
    const world = new World(auto(['aider', 'codex']))
    world.live(120, { aider: { takes_ms: 1000, succeeds: 0 }, codex: { takes_ms: 1000, succeeds: 10 } })
    expect(world.shareOf('codex', 60)).toBeGreaterThan(0.9)
    world.now += 10 * HOUR
    const { tools } = factsOf(world.router, world.known, [], at(world.now))
    for (const { successes, failures } of tools) expect(successes + failures).toBeLessThan(0.1)
    world.live(60, { aider: { takes_ms: 1000, succeeds: 10 }, codex: { takes_ms: 1000, succeeds: 0 } })
    expect(world.shareOf('aider', 50)).toBeGreaterThan(0.9)
  })
})

import { describe, expect, it, onTestFinished } from 'vitest'
import type { ToolCircuit } from '../../../src/contract/circuit.ts'
import type { ClaimedRequest } from '../../../src/contract/dispatch.ts'
import type { RouterConfig } from '../../../src/contract/documents/router-config.ts'
import type { LedgerEvent } from '../../../src/domain/decision.ts'
import { createStepAttempt } from '../../../src/domain/step.ts'
import { chainStart, checkChain } from '../../../src/domain/event-chain.ts'
import { getTool, resetTool } from '../../../src/domain/tool.ts'
import { openWriter } from '../../../src/store/sqlite/connection.ts'
import { sqliteStore } from '../../../src/store/sqlite/store.ts'
import type { Store } from '../../../src/store/store.ts'
import { Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { ANYBODY, after } from '../../support/given.ts'
import { aConfig } from '../../support/routing.ts'
import { openFileStore, openMemoryStore, pagesOf } from '../../support/store.ts'

/** Edits go to aider, and to codex where aider cannot have them; tests have a tool of their own. */
const CONFIG = aConfig({
  apps: { aider: { max: 10 }, codex: { max: 10 }, pytest: { kinds: ['test'], max: 10 } },
  rules: [{ id: 'edits', match: { task_kind: ['edit'] }, select_from: ['aider', 'codex'] }],
})
const ONE_TRY = { limits: { max_attempts: 1 } }

const toolNow = (desk: Desk, tool_id = 'aider') =>
  desk.store.view({ routing: 'active' }, (before) => getTool(before, tool_id, desk.now))
const circuitNow = async (desk: Desk, tool_id = 'aider') => (await toolNow(desk, tool_id)).circuit
const reset = (desk: Desk, tool_id = 'aider') =>
  desk.write({ routing: 'active', system: true }, (before, given) =>
    resetTool(before, given, tool_id, { reason: 'a new key' }),
  )
const toolOf = ({ step_attempt }: ClaimedRequest) => step_attempt.tool_id

/** The store over a file that has one already, as after a restart; time goes on. */
async function restarted(desk: Desk, file: string): Promise<Desk> {
  await desk.store.close()
  const store = sqliteStore(openWriter(file), { write_queue_max: 100 })
  onTestFinished(() => store.close())
  const again = new Desk(store)
  again.now = desk.now
  return again
}

async function opened(document: RouterConfig = CONFIG) {
  const { db, store } = openMemoryStore()
  return { db, store, desk: await openDesk(store, document) }
}

/** Five failures in a row; then more requests, as far as the test needs some, which wait for the tool. */
async function broken(desk: Desk, waiting = 0): Promise<ToolCircuit> {
  for (let i = 0; i < 5 + waiting; i++) await desk.request({ ...ONE_TRY, allowed_tools: ['aider'] })
  for (let i = 0; i < 5; i++) await desk.fail(await desk.claimOne())
  return circuitNow(desk)
}

const circuitEvents = async (store: Store) => {
  const kind = ['circuit_opened', 'circuit_half_opened', 'circuit_closed']
  return (await pagesOf((cursor) => store.listEvents({ kind, ...cursor }, ANYBODY))).flat()
}

/** The chain of what belongs to no run holds, and its events about a circuit add up to what is shown of it. */
async function expectTold(desk: Desk, tool_id = 'aider'): Promise<void> {
  const events = (await circuitEvents(desk.store)).map(({ payload, from, to }) => ({
    ...(payload!['tool'] as { tool_id: string; circuit: ToolCircuit }),
    from,
    to,
  }))
  const own = events.filter((event) => event.tool_id === tool_id)
  own.forEach(({ circuit, from, to }, i) => {
    expect([from, to]).toEqual([own[i - 1]?.to ?? 'closed', circuit.state])
  })
  const { failures_in_row, ...shown } = await circuitNow(desk, tool_id)
  const { state, reason, opened_at, open_until, open_seconds } = own.reduce(
    (known, { circuit }) => ({ ...known, ...circuit }),
    { state: 'closed', reason: null, opened_at: null, open_until: null, open_seconds: null } as ToolCircuit,
  )
  expect(shown).toEqual({ state, reason, opened_at, open_until, open_seconds })
  expect(failures_in_row).toBeGreaterThanOrEqual(0)
}

describe('a tool that is broken', () => {
  it('gets its threshold of attempts; what comes then goes to the other', async () => {
    const { db, store, desk } = await opened()
    const tried = { aider: 0, codex: 0 }
    for (let i = 0; i < 40; i++) {
      await desk.request(ONE_TRY)
      const held = await desk.claimOne({ tools: ['aider', 'codex'] })
      tried[toolOf(held) as 'aider']++
      await (toolOf(held) === 'aider' ? desk.fail(held) : desk.complete(held))
      desk.pass(1_000)
    }
    expect(tried).toEqual({ aider: 5, codex: 35 })
    await expectAllSound(db, store)
    await expectTold(desk)
  })

  it('gets no more of what is queued for it: that waits', async () => {
    const { desk } = await opened()
    expect(await broken(desk, 3)).toMatchObject({
      state: 'open',
      reason: 'failures_in_row',
      failures_in_row: 5,
    })
    expect((await desk.claim({ max: 5 })).items).toEqual([])
    desk.pass(59_999)
    expect((await desk.claim({ max: 5 })).items).toEqual([])
  })

  it('gets one attempt when its time has come, and is back when that succeeds', async () => {
    const { db, store, desk } = await opened()
    await broken(desk, 4)
    desk.pass(60_000)
    const probe = await desk.claimOne({ max: 5 })
    expect(await circuitNow(desk)).toMatchObject({ state: 'half_open', reason: 'failures_in_row' })
    expect((await desk.claim({ max: 5 })).items).toEqual([])
    await desk.complete(probe)
    expect(await circuitNow(desk)).toEqual({
      state: 'closed',
      reason: null,
      failures_in_row: 0,
      opened_at: null,
      open_until: null,
      open_seconds: null,
    })
    expect((await desk.claim({ max: 5 })).items).toHaveLength(3)
    expect(
      (await circuitEvents(store)).map(({ kind, run_id, from, to }) => [kind, run_id, from, to]),
    ).toEqual([
      ['circuit_opened', null, 'closed', 'open'],
      ['circuit_half_opened', null, 'open', 'half_open'],
      ['circuit_closed', null, 'half_open', 'closed'],
    ])
    await expectAllSound(db, store)
    await expectTold(desk)
  })

  it('is left alone for twice as long when that fails', async () => {
    const { desk } = await opened()
    await broken(desk, 2)
    desk.pass(60_000)
    await desk.fail(await desk.claimOne())
    expect(await circuitNow(desk)).toMatchObject({
      state: 'open',
      reason: 'probe_failed',
      open_until: after(desk.now, 120_000),
      open_seconds: 120,
    })
    desk.pass(119_999)
    expect((await desk.claim()).items).toEqual([])
    desk.pass(1)
    await desk.complete(await desk.claimOne())
    expect((await circuitNow(desk)).state).toBe('closed')
    await expectTold(desk)
  })

  it('is no hindrance for other tools in the same claim', async () => {
    const { desk } = await opened()
    await broken(desk, 2)
    await desk.request({ task_kind: 'test' })
    const { items } = await desk.claim({ tools: ['aider', 'pytest'], max: 5 })
    expect(items.map(toolOf)).toEqual(['pytest'])
  })

  it('goes by the thresholds of its app, whatever others have', async () => {
    const apps = { ...CONFIG.apps, aider: { ...CONFIG.apps['aider']!, circuit: { failures_in_row: 2 } } }
    const { desk } = await opened({ ...CONFIG, apps })
    for (let i = 0; i < 3; i++) await desk.request({ ...ONE_TRY, allowed_tools: ['aider'] })
    for (let i = 0; i < 2; i++) await desk.fail(await desk.claimOne())
    expect((await circuitNow(desk)).state).toBe('open')
    expect((await desk.claim()).items).toEqual([])
  })
})

describe('what says at once that a tool is broken', () => {
  it.each([
    ['auth', undefined, 60_000],
    ['rate_limited', undefined, 60_000],
    ['auth', 5_000, 5_000],
    ['rate_limited', 3_600_000, 3_600_000],
  ] as const)('is a failure of class %s with retry_after_ms %s: for %i ms', async (error_class, told, ms) => {
    const { desk } = await opened()
    for (let i = 0; i < 2; i++) await desk.request({ allowed_tools: ['aider'] })
    await desk.fail(await desk.claimOne(), error_class, told === undefined ? {} : { retry_after_ms: told })
    expect(await circuitNow(desk)).toMatchObject({
      state: 'open',
      reason: error_class,
      open_until: after(desk.now, ms),
    })
    desk.pass(ms - 1)
    expect((await desk.claim()).items).toEqual([])
    desk.pass(1)
    await desk.claimOne()
    await expectTold(desk)
  })
})

describe('what says nothing of a tool', () => {
  it.each(['invalid_request', 'canceled', 'timeout'])(
    'is a failure of class %s, however many',
    async (what) => {
      const { desk } = await opened()
      for (let i = 0; i < 12; i++) {
        await desk.request({ ...ONE_TRY, allowed_tools: ['aider'] })
        await desk.fail(await desk.claimOne(), what)
      }
      expect(await circuitNow(desk)).toMatchObject({ state: 'closed', failures_in_row: 0 })
    },
  )

  it.each([
    ['a lease that ends without a heartbeat', { lease_seconds: 5 }],
    ['an attempt that takes too long', {}],
  ])('is %s, however many', async (_, lease) => {
    const { desk } = await opened()
    for (let i = 0; i < 12; i++) {
      await desk.request({ limits: { max_attempts: 1, timeout_seconds: 5 }, allowed_tools: ['aider'] })
      const held = await desk.claimOne(lease)
      desk.pass(5_000)
      expect((await desk.expire(held.execution_request))!.stop_reason).toBe('max_attempts')
    }
    expect(await circuitNow(desk)).toMatchObject({ state: 'closed', failures_in_row: 0 })
  })
})

describe('a probe', () => {
  const ENDS: Record<string, (desk: Desk, probe: ClaimedRequest) => Promise<unknown>> = {
    'is released': (desk, probe) => desk.release(probe),
    'is rejected': (desk, probe) => desk.reject(probe),
    'was asked wrongly': (desk, probe) => desk.fail(probe, 'invalid_request'),
    'is canceled': (desk, probe) => desk.fail(probe, 'canceled'),
    'is lost by its worker': async (desk, probe) => {
      desk.pass(60_000)
      await desk.expire(probe.execution_request)
    },
    'ends with its run': (desk, probe) => desk.failRun(probe.execution_request.run_id),
  }

  it.each(Object.keys(ENDS))('that %s shows nothing: the next claim may try', async (how) => {
    const { db, store, desk } = await opened()
    await broken(desk, 3)
    desk.pass(60_000)
    const probe = await desk.claimOne()
    await ENDS[how]!(desk, probe)
    expect((await circuitNow(desk)).state).toBe('half_open')
    const next = await desk.claimOne({ worker_id: 'w2', max: 5 })
    expect((await desk.claim({ worker_id: 'w3' })).items).toEqual([])
    await desk.complete(next)
    expect((await circuitNow(desk)).state).toBe('closed')
    await expectAllSound(db, store)
    await expectTold(desk)
  })

  it('gives its worker the next request when it succeeds, in the same transaction', async () => {
    const { desk } = await opened()
    await broken(desk, 3)
    desk.pass(60_000)
    const probe = await desk.claimOne()
    const { next } = await desk.complete(probe, {}, true)
    expect(next).not.toBeNull()
    expect((await circuitNow(desk)).state).toBe('closed')
    await expectTold(desk)
  })

  it('may be what a worker gets with the end of other work', async () => {
    const { db, store, desk } = await opened()
    await desk.request({ allowed_tools: ['aider'] })
    const old = await desk.claimOne({ worker_id: 'w2', lease_seconds: 600 })
    await broken(desk, 3)
    expect((await desk.complete(old, {}, true)).next).toBeNull()
    await desk.request({ task_kind: 'test' })
    const other = await desk.claimOne({ worker_id: 'w3', tools: ['pytest', 'aider'] })
    desk.pass(59_999)
    await desk.heartbeat(other)
    desk.pass(1)
    const { next } = await desk.complete(other, {}, true)
    expect(toolOf(next!)).toBe('aider')
    expect((await circuitNow(desk)).state).toBe('half_open')
    await expectAllSound(db, store)
    await expectTold(desk)
  })

  it('is one for each tool, in one claim: both are told in one chain', async () => {
    const { store, desk } = await opened()
    for (const task of [{ allowed_tools: ['aider'] }, { task_kind: 'test' }]) {
      for (let i = 0; i < 3; i++) await desk.request(task)
    }
    for (const tool of ['aider', 'pytest']) {
      await desk.fail(await desk.claimOne({ tools: [tool] }), 'auth')
    }
    desk.pass(60_000)
    const { items } = await desk.claim({ tools: ['aider', 'pytest'], max: 9 })
    expect(items.map(toolOf).sort()).toEqual(['aider', 'pytest'])
    await expectTold(desk)
    await expectTold(desk, 'pytest')
    const all = (await pagesOf((cursor) => store.listEvents(cursor, ANYBODY))).flat()
    const own = all
      .filter(({ run_id }) => run_id === null)
      .map(({ payload, ...event }): LedgerEvent => ({ ...event, payload_text: JSON.stringify(payload) }))
    const { first_bad } = checkChain({ head: chainStart(null), first_bad: null }, own)
    expect([own.length, first_bad]).toEqual([6, null])
  })

  it('is given to one of two who ask at once', async () => {
    for (const group_max of [128, 1]) {
      const { store } = openFileStore({ group_max })
      const desk = await openDesk(store, CONFIG)
      await broken(desk, 9)
      desk.pass(60_000)
      const workers = ['w1', 'w2', 'w3', 'w4', 'w5']
      const taken = await Promise.all(workers.map((worker_id) => desk.claim({ worker_id, max: 3 })))
      expect(taken.map(({ items }) => items.length)).toEqual([1, 0, 0, 0, 0])
      await expectTold(desk)
    }
  })

  it('is not what began before the circuit opened, however it ends', async () => {
    const { desk } = await opened()
    for (let i = 0; i < 2; i++) await desk.request({ allowed_tools: ['aider'] })
    const old = [await desk.claimOne({ lease_seconds: 600 }), await desk.claimOne({ lease_seconds: 600 })]
    await broken(desk, 2)
    desk.pass(60_000)
    await desk.complete(old[0]!)
    expect((await circuitNow(desk)).state).toBe('open')
    const probe = await desk.claimOne()
    await desk.fail(old[1]!)
    expect((await circuitNow(desk)).state).toBe('half_open')
    await desk.complete(probe)
    expect((await circuitNow(desk)).state).toBe('closed')
  })
})

describe('a restart in the middle', () => {
  async function onFile() {
    const { file, store } = openFileStore()
    const desk = await openDesk(store, CONFIG)
    await broken(desk, 4)
    return { file, desk }
  }

  it('finds what is open open, for as long', async () => {
    const { file, desk } = await onFile()
    const before = await circuitNow(desk)
    const again = await restarted(desk, file)
    expect(await circuitNow(again)).toEqual(before)
    expect((await again.claim()).items).toEqual([])
    expect(await again.store.nextDue(again.now)).toBe(before.open_until)
    again.pass(60_000)
    expect(await again.store.recoveringTools('', again.now)).toContain('aider')
    await again.complete(await again.claimOne())
    expect((await circuitNow(again)).state).toBe('closed')
    await expectTold(again)
  })

  it('waits for the probe that was under way', async () => {
    const { file, desk } = await onFile()
    desk.pass(60_000)
    const probe = await desk.claimOne()
    const again = await restarted(desk, file)
    expect((await again.claim({ worker_id: 'w2' })).items).toEqual([])
    await again.complete(probe)
    expect((await circuitNow(again)).state).toBe('closed')
    expect((await again.claim({ worker_id: 'w2', max: 9 })).items).toHaveLength(3)
    await expectTold(again)
  })

  it('lets the next attempt through where the probe had ended without showing anything', async () => {
    const { file, desk } = await onFile()
    desk.pass(60_000)
    await desk.release(await desk.claimOne())
    const again = await restarted(desk, file)
    expect((await circuitNow(again)).state).toBe('half_open')
    await again.fail(await again.claimOne({ max: 9 }))
    expect(await circuitNow(again)).toMatchObject({ state: 'open', open_seconds: 120 })
    await expectTold(again)
  })

  it('goes on counting where it was', async () => {
    const { file, store } = openFileStore()
    const desk = await openDesk(store, CONFIG)
    for (let i = 0; i < 5; i++) await desk.request({ ...ONE_TRY, allowed_tools: ['aider'] })
    for (let i = 0; i < 4; i++) await desk.fail(await desk.claimOne())
    const again = await restarted(desk, file)
    await again.fail(await again.claimOne())
    expect((await circuitNow(again)).reason).toBe('failures_in_row')
  })
})

describe('attempts over the steps API', () => {
  const attempt = async (desk: Desk, run_id: string, status: 'succeeded' | 'failed') => {
    const step = await desk.write({ run_id }, (before, given) =>
      createStepAttempt(before, given, { tool_id: 'aider' }),
    )
    return desk.completeStep(step, status)
  }

  it('count as well, and may show that a tool works again', async () => {
    const { db, store, desk } = await opened()
    await desk.request({ task_kind: 'test' })
    const { run_id } = (await desk.claimOne({ tools: ['pytest'], lease_seconds: 600 })).execution_request
    for (let i = 0; i < 5; i++) await attempt(desk, run_id, 'failed')
    expect((await circuitNow(desk)).state).toBe('open')
    await attempt(desk, run_id, 'succeeded')
    expect((await circuitNow(desk)).state).toBe('open')
    desk.pass(60_000)
    await attempt(desk, run_id, 'failed')
    expect(await circuitNow(desk)).toMatchObject({ state: 'open', open_seconds: 120 })
    desk.pass(120_000)
    await attempt(desk, run_id, 'succeeded')
    expect((await circuitNow(desk)).state).toBe('closed')
    await expectTold(desk)
    await expectAllSound(db, store)
  })

  it('do not open the circuit of a tool that is nobody’s to route to', async () => {
    const { desk, store } = await opened(aConfig({ apps: { pytest: { kinds: ['test'] } } }))
    await desk.request({ task_kind: 'test' })
    const { run_id } = (await desk.claimOne({ tools: ['pytest'] })).execution_request
    for (let i = 0; i < 9; i++) await attempt(desk, run_id, 'failed')
    expect(await circuitEvents(store)).toEqual([])
  })
})

describe('an app that leaves the configuration', () => {
  it('keeps its circuit until it is back', async () => {
    const { desk } = await opened()
    const before = await broken(desk, 1)
    await desk.install(aConfig({ apps: { pytest: { kinds: ['test'] } } }))
    expect((await desk.claim()).items).toEqual([])
    await desk.install({ ...CONFIG, version: '1.0.1' })
    expect(await circuitNow(desk)).toEqual(before)
  })
})

describe('a reset', () => {
  it('closes the circuit without a probe, says who and why, and forgets what was counted', async () => {
    const { store, desk } = await opened()
    await broken(desk, 6)
    expect((await reset(desk)).circuit).toMatchObject({ state: 'closed', failures_in_row: 0 })
    for (let i = 0; i < 4; i++) await desk.fail(await desk.claimOne())
    expect((await circuitNow(desk)).state).toBe('closed')
    const [, closed] = await circuitEvents(store)
    expect(closed).toMatchObject({
      kind: 'circuit_closed',
      from: 'open',
      to: 'closed',
      actor: ANYBODY.actor,
      payload: { reason: 'a new key', tool: { tool_id: 'aider', circuit: { state: 'closed' } } },
    })
    await expectTold(desk)
  })

  it('while a probe runs makes nothing of its end but an outcome', async () => {
    const { desk } = await opened()
    await broken(desk, 2)
    desk.pass(60_000)
    const probe = await desk.claimOne()
    await reset(desk)
    await desk.fail(probe)
    expect(await circuitNow(desk)).toMatchObject({ state: 'closed', failures_in_row: 1 })
    await expectTold(desk)
  })
})

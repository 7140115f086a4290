import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ClaimResult, ClaimedRequest } from '../../src/contract/dispatch.ts'
import { OWN_CALL } from '../../src/orchestrator/call.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import { applyMigrations } from '../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../src/store/sqlite/store.ts'
import { CONFIG, Desk } from '../support/dispatch.ts'
import { ANYBODY, NOW, countingEntropy, handClock } from '../support/given.ts'
import { MIGRATIONS } from '../support/store.ts'

const call = { ...OWN_CALL, caller: ANYBODY, claim: null, present: () => ({}) as never }

/** The use cases over a store that tells what it runs. */
async function opened() {
  let ran = 0
  const db = new Database(':memory:', { verbose: () => void ran++ })
  applyMigrations(db, MIGRATIONS, NOW)
  const store = sqliteStore(db, { write_queue_max: 10_000 })
  const { clock, advance } = handClock()
  const orchestrator = createOrchestrator({ store, clock, entropy: countingEntropy() })
  onTestFinished(async () => {
    orchestrator.endWaiting()
    await store.close()
  })
  await new Desk(store).install(CONFIG)
  const gone = new AbortController()

  async function claim(worker_id: string, wait_ms = 60_000, tools = ['aider']): Promise<ClaimedRequest[]> {
    const patience = { wait_ms, signal: gone.signal }
    const outcome = await orchestrator.claimExecutionRequests(call, { worker_id, tools }, patience)
    return (outcome as { record: ClaimResult }).record.items
  }
  const request = async (task_kind = 'edit') => {
    const task = { task_kind, project_id: 'shop', phase_id: 'build' }
    await orchestrator.createExecutionRequest(call, task)
  }
  const complete = (held: ClaimedRequest) =>
    orchestrator.completeExecutionRequest(
      call,
      held.execution_request.request_id,
      { lease_token: held.lease_token },
      false,
    )
  return { store, orchestrator, advance, claim, request, complete, gone, ran: () => ran }
}

/** All that is on its way has come to rest: the store has run nothing for some turns of the loop. */
async function atRest(ran: () => number): Promise<void> {
  for (let still = 0, last = ran(); still < 20; still++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (ran() !== last) still = 0
    last = ran()
  }
}

describe('500 waiting claims', () => {
  it('and no work: the store runs no statement', async () => {
    const { claim, gone, ran } = await opened()
    const claims = Array.from({ length: 500 }, (_, i) => claim(`w${i}`))
    await atRest(ran)
    const before = ran()
    await atRest(ran)
    expect(ran()).toBe(before)
    gone.abort()
    expect((await Promise.all(claims)).flat()).toEqual([])
    expect(ran()).toBe(before)
  })

  it('and one item: one of them looks', async () => {
    const { claim, request, orchestrator, ran } = await opened()
    const claims = Array.from({ length: 500 }, (_, i) => claim(`w${i}`))
    await atRest(ran)
    const before = ran()
    await request()
    const [first] = await claims[0]!
    expect(first?.step_attempt.tool_id).toBe('aider')
    await atRest(ran)
    expect(ran() - before).toBeLessThan(60)
    orchestrator.endWaiting()
    expect((await Promise.all(claims)).flat()).toHaveLength(1)
  })

  it('and one item that somebody else takes: one of them looks', async () => {
    const { claim, request, orchestrator, ran } = await opened()
    const claims = Array.from({ length: 500 }, (_, i) => claim(`w${i}`))
    await atRest(ran)
    const before = ran()
    const [, faster] = await Promise.all([request(), claim('faster', 0)])
    await atRest(ran)
    expect(ran() - before).toBeLessThan(80)
    orchestrator.endWaiting()
    expect([faster, ...(await Promise.all(claims))].flat()).toHaveLength(1)
  })

  it('and more work than their tool has room for: each item is looked at once', async () => {
    const { claim, request, orchestrator, ran } = await opened()
    for (let i = 0; i < 3; i++) await request('test')
    const claims = Array.from({ length: 500 }, (_, i) => claim(`w${i}`, 60_000, ['pytest']))
    await atRest(ran)
    const before = ran()
    await request('test')
    await atRest(ran)
    expect(ran() - before).toBeLessThan(60)
    orchestrator.endWaiting()
    expect((await Promise.all(claims)).flat()).toHaveLength(2)
  })

  it('end at once when the server stops, without another look', async () => {
    const { claim, orchestrator, ran } = await opened()
    const claims = Array.from({ length: 500 }, (_, i) => claim(`w${i}`))
    await atRest(ran)
    const before = ran()
    orchestrator.endWaiting()
    expect((await Promise.all(claims)).flat()).toEqual([])
    expect(ran()).toBe(before)
    expect(await claim('late')).toEqual([]) // looks, and does not wait
  })
})

describe('a claim that finds its tool full', () => {
  it('is woken by the end of a lease that is written in the same transaction', async () => {
    const { claim, request, complete } = await opened()
    for (let i = 0; i < 3; i++) await request('test')
    const held = [await claim('w1', 0, ['pytest']), await claim('w2', 0, ['pytest'])].flat()
    const waiting = claim('w3', 60_000, ['pytest'])
    await complete(held[0]!)
    expect(await waiting).toHaveLength(1)
  })
})

describe('a hint', () => {
  it('goes on where whoever heard it takes other work', async () => {
    const { claim, orchestrator } = await opened()
    const both = claim('w1', 60_000, ['aider', 'pytest'])
    const edits = claim('w2', 60_000, ['aider'])
    const task = { project_id: 'shop', phase_id: 'build' }
    // Both are there when w1 looks, and it takes the one with the higher priority.
    await Promise.all([
      orchestrator.createExecutionRequest(call, { ...task, task_kind: 'edit' }),
      orchestrator.createExecutionRequest(call, {
        ...task,
        task_kind: 'test',
        classification: { priority: 'critical' },
      }),
    ])
    expect((await both).map(({ step_attempt }) => step_attempt.tool_id)).toEqual(['pytest'])
    expect((await edits).map(({ step_attempt }) => step_attempt.tool_id)).toEqual(['aider'])
  })
})

describe('a retry that becomes available while its failure is being written', () => {
  it('is offered then: no sweep comes for it again', async () => {
    const { claim, request, orchestrator, advance } = await opened()
    await request()
    const [held] = await claim('w1', 0)
    const waiting = claim('w2')
    const body = { lease_token: held!.lease_token, error: { class: 'tool_error' }, retry_after_ms: 5 }
    const failing = orchestrator.failExecutionRequest(call, held!.execution_request.request_id, body)
    advance(10)
    await Promise.all([orchestrator.sweep(), failing])
    expect(await waiting).toHaveLength(1)
  })
})

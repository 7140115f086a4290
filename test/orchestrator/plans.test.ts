import { beforeEach, describe, expect, it } from 'vitest'
import type { ClaimResult, ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { PlanTask } from '../../src/contract/plan.ts'
import { OWN_CALL } from '../../src/orchestrator/call.ts'
import { type Orchestrator, createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import { type Desk, openDesk } from '../support/dispatch.ts'
import { ANYBODY, NOW, countingEntropy, handClock } from '../support/given.ts'
import { aTask } from '../support/plans.ts'
import { openMemoryStore } from '../support/store.ts'

const call = { ...OWN_CALL, caller: ANYBODY, claim: null, present: () => ({}) as never }
const system = { ...call, caller: { actor: { type: 'system', id: null }, projects: null } } as const

let orchestrator: Orchestrator
let desk: Desk
let due: string[]
beforeEach(async () => {
  const { store } = openMemoryStore()
  desk = await openDesk(store)
  orchestrator = createOrchestrator({ store, clock: handClock().clock, entropy: countingEntropy() })
  due = []
  orchestrator.onDue((instant) => due.push(instant))
})

async function submitted(tasks: PlanTask[]): Promise<string> {
  const { run_id } = await desk.run()
  await orchestrator.submitTasks(call, run_id, { tasks })
  return run_id
}

async function claimed(): Promise<ClaimedRequest> {
  const patience = { wait_ms: 0, signal: new AbortController().signal }
  const body = { worker_id: 'w1', tools: ['aider'] }
  const outcome = await orchestrator.claimExecutionRequests(call, body, patience)
  return (outcome as { record: ClaimResult }).record.items[0]!
}

const pause = (tool_id: string) => orchestrator.pauseTool(system, tool_id, { reason: 'quota' })
const complete = ({ execution_request, lease_token }: ClaimedRequest) =>
  orchestrator.completeExecutionRequest(call, execution_request.request_id, { lease_token }, false)

describe('the sweep is told to look at once', () => {
  it('when a task is ready and no tool is there for it', async () => {
    await submitted([aTask('a'), aTask('b', ['a'], { kind: 'test' })])
    const held = await claimed()
    await pause('pytest')
    due = []
    await complete(held)
    expect(due).toEqual([NOW])
    expect(await desk.store.nextDue(NOW)).toBe(NOW)
    expect(await orchestrator.sweep()).toBeNull()
  })

  it('when one is submitted for which no tool is there', async () => {
    await pause('aider')
    await submitted([aTask('a')])
    expect(due).toEqual([NOW])
  })

  it('and not when a task is queued, nor when it goes on waiting', async () => {
    await submitted([aTask('a'), aTask('z'), aTask('b', ['a']), aTask('c', ['a', 'z'])])
    const held = await claimed()
    due = []
    await complete(held)
    expect(due).toEqual([])
  })
})

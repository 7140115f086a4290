import { afterEach, describe, expect, it } from 'vitest'
import type { Change } from '../../../src/domain/decision.ts'
import { createHub } from '../../../src/orchestrator/hub.ts'
import { aConfig } from '../../support/routing.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { NOW, after } from '../../support/given.ts'
import { aTask, tasksOf } from '../../support/plans.ts'
import { type OpenedTestStore, eventsOf, openMemoryStore } from '../../support/store.ts'
import { validatedConfig } from '../../support/validations.ts'

// Whoever completes with claim_next is given what the completion itself has put into the queue, too.

const config = aConfig({ apps: { aider: { kinds: ['edit'], max: 2 }, pytest: { kinds: ['test'] } } })

let opened: OpenedTestStore
let desk: Desk
/** Of the last decision. */
let changes: readonly Change[]
async function open(document = config): Promise<void> {
  opened = openMemoryStore()
  const { store } = opened
  desk = await openDesk(
    {
      ...store,
      change: (scope, decide) =>
        store.change(scope, (before) => {
          const decision = decide(before)
          changes = decision.changes
          return decision
        }),
    },
    document,
  )
}
afterEach(() => expectAllSound(opened.db, opened.store))

/** A run with these tasks, of which the first is claimed. */
async function begun(tasks: Parameters<Desk['submit']>[1], tools = ['aider', 'pytest']) {
  const run = await desk.run({ completion: 'auto' })
  await desk.submit(run.run_id, tasks)
  return { run, held: await desk.claimOne({ tools, lease_seconds: 7 }) }
}

describe('a task that waited for the one that is done', () => {
  it('is claimed in the same transaction, and told after it', async () => {
    await open()
    const { run, held } = await begun(tasksOf({ a: [], b: ['a'] }))
    const seen = (await eventsOf(opened.store, run.run_id)).length
    desk.pass(1_000)
    const { next } = await desk.complete(held, {}, true)
    expect(next).toMatchObject({
      execution_request: { task_id: 'b', state: 'claimed', worker_id: 'w1', version: 3 },
      step_attempt: { state: 'running', sequence: 2, attempt: 1 },
      lease_expires_at: after(NOW, 8_000),
    })
    expect(next!.execution_request).toEqual(await desk.requestNow(next!.execution_request))
    const told = (await eventsOf(opened.store, run.run_id)).slice(seen)
    expect(told.map(({ kind }) => kind)).toEqual([
      'step_completed',
      'request_completed',
      'task_routed',
      'request_queued',
      'request_claimed',
      'step_started',
    ])
    expect((await desk.complete(next!, {}, true)).next).toBeNull()
    expect((await desk.runNow(run)).state).toBe('succeeded')
  })

  it('is not for a worker that did not name its tool', async () => {
    await open()
    const { held } = await begun([aTask('a'), aTask('b', ['a'], { kind: 'test' })], ['aider'])
    expect((await desk.complete(held, {}, true)).next).toBeNull()
    expect((await desk.claimOne({ tools: ['pytest'] })).execution_request.task_id).toBe('b')
  })

  it('comes in its turn: what is more urgent comes first, whoever has just been queued', async () => {
    await open()
    const { held } = await begun([
      aTask('a'),
      aTask('b', ['a'], { classification: { priority: 'low' } }),
      aTask('c', ['a'], { classification: { priority: 'high' } }),
    ])
    const urgent = await desk.request({ classification: { priority: 'critical' } })
    const first = await desk.complete(held, {}, true)
    expect(first.next!.execution_request.request_id).toBe(urgent.request_id)
    const second = await desk.complete(first.next!, {}, true)
    expect(second.next!.execution_request.task_id).toBe('c')
  })

  it('waits where its tool has no room', async () => {
    await open()
    const { held } = await begun([aTask('t', [], { kind: 'test' }), aTask('b', ['t'])], ['pytest', 'aider'])
    for (let i = 0; i < 2; i++) {
      await desk.request()
      await desk.claimOne({ worker_id: 'w2' })
    }
    expect((await desk.complete(held, {}, true)).next).toBeNull()
  })

  it('is not given when its time is over', async () => {
    await open()
    const { held } = await begun([
      aTask('a'),
      aTask('b', ['a'], { execution_request_template: { limits: { total_timeout_seconds: 5 } } }),
    ])
    desk.pass(5_000)
    const { execution_request, next } = await desk.complete(held, {}, true)
    expect(execution_request.state).toBe('succeeded')
    expect(next).toBeNull()
  })
})

describe('a validator of the work that is done', () => {
  it('is claimed in the same transaction', async () => {
    await open(validatedConfig())
    const work = await desk.request()
    const { next } = await desk.complete(await desk.claimOne({ tools: ['aider', 'eslint'] }), {}, true)
    expect(next).toMatchObject({
      execution_request: {
        state: 'claimed',
        assignment: { tool_id: 'eslint' },
        validates: { execution_request_id: work.request_id },
      },
    })
  })
})

describe('those who wait for such a task', () => {
  it.each([
    ['are not woken where it was claimed at once', true],
    ['are woken where it was not', false],
  ])('%s', async (_, claim_next) => {
    await open()
    const { held } = await begun(tasksOf({ a: [], b: ['a'] }))
    await desk.complete(held, {}, claim_next)
    const hub = createHub()
    const place = hub.waiters.join(new Set(['aider']))
    hub.published(changes, NOW)
    const tired = new AbortController()
    setImmediate(() => tired.abort())
    expect(await place.wait(60_000, tired.signal)).toBe(!claim_next)
  })
})

import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { Event } from '../../src/contract/event.ts'
import { randomFrom } from '../support/client.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { type Workshop, workshopOf } from './dispatch-client.ts'

const RACES = 50
/** Turns of the loop after the completion came in: with none its body is unread, with one it waits to be written. */
const TURNS = 2

let app: TestApp
let shop: Workshop
beforeEach(async () => {
  app = await openTestApp()
  shop = await workshopOf(app)
  return () => app.close()
})

/** A request that is tried once, and whose lease lasts another millisecond. */
async function heldToTheLast(): Promise<ClaimedRequest> {
  await shop.request({ limits: { max_attempts: 1 } })
  const held = await shop.claimed({ lease_seconds: 5 })
  app.pass(4_999)
  return held
}

async function eventsOf({ execution_request }: ClaimedRequest): Promise<Event[]> {
  const { body } = await app.request('GET', `/v1/runs/${execution_request.run_id}/events`)
  return body.items
}

/** The lease ends so many turns after the server has begun to read a request. */
async function endLeaseAfter(turns: number): Promise<void> {
  await once(app.app.server, 'request')
  for (let i = 0; i < turns; i++) await nextTurn()
  app.pass(1)
  await app.sweep()
}

describe(`the end of a lease and its completion, which meet ${RACES} times over HTTP`, () => {
  it('have one winner each time, and the loser changes nothing', async () => {
    const random = randomFrom(11)
    const won = { completed: 0, expired: 0 }
    for (let i = 0; i < RACES; i++) {
      const held = await heldToTheLast()
      const before = await eventsOf(held)
      const ending = endLeaseAfter(Math.floor(random() * (TURNS + 1)))
      const answer = await shop.end(held, 'complete')
      await ending

      const isDone = answer.status === 200
      if (!isDone) expect(answer).toMatchObject({ status: 409, body: { code: 'lease_lost' } })
      const state = isDone ? 'succeeded' : 'failed'
      const { run_id, request_id } = held.execution_request
      const { body: request } = await app.request('GET', `/v1/execution-requests/${request_id}`)
      const stop_reason = isDone ? 'succeeded' : 'max_attempts'
      expect(request).toMatchObject({ state, stop_reason, attempts: 1, fence: 1 })
      const more = (await eventsOf(held)).slice(before.length)
      expect(more.map(({ kind, to }) => [kind, to]).sort()).toEqual([
        ['request_completed', state],
        ['run_completed', state],
        ['step_completed', state],
      ])
      const { body: check } = await app.request('GET', `/v1/runs/${run_id}/events/verify`)
      expect(check.valid).toBe(true)

      const writes = app.writes()
      if (isDone) await app.sweep()
      else expect((await shop.end(held, 'complete')).status).toBe(409)
      expect(app.writes()).toBe(writes)
      won[isDone ? 'completed' : 'expired']++
    }
    expect(Math.min(won.completed, won.expired)).toBeGreaterThan(0)
  })
})

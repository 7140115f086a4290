import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { randomFrom } from '../support/client.ts'
import { expectPlansSound } from '../support/dispatch.ts'
import { type Answer, type TestApp, openTestApp } from '../support/http.ts'
import { tasksOf } from '../support/plans.ts'
import { type Client, clientOf } from './client.ts'
import { type Workshop, workshopOf } from './dispatch-client.ts'

let app: TestApp
let client: Client
let workshop: Workshop
beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
  workshop = await workshopOf(app)
})
afterAll(async () => {
  expectPlansSound(app.db)
  await app.close()
})

const ROUNDS = 150

interface Event {
  kind: string
  run_seq: number
  to: string | null
}

const eventsIn = async (run_id: string): Promise<Event[]> =>
  (await client.get(`/v1/runs/${run_id}/events?limit=500`)).body.items

const CLOSINGS = ['cancel', 'fail', 'quarantine'] as const
type Closing = (typeof CLOSINGS)[number]
const close = (run_id: string, how: Closing): Promise<Answer> =>
  how === 'fail'
    ? client.post(`/v1/runs/${run_id}/complete`, { status: 'failed' })
    : client.post(`/v1/runs/${run_id}/${how}`, how === 'cancel' ? {} : { reason: 'a race' })

/** A run with a task that is claimed, one that needs it, and one that waits for a worker. */
async function aField() {
  const { run_id } = await client.aRun('running')
  await client.post(`/v1/runs/${run_id}/tasks`, { tasks: tasksOf({ a: [], b: ['a'], z: [] }) })
  const held = await workshop.claimed()
  return { run_id, held }
}

/** After the run was closed nothing of it was begun, queued or claimed, and nothing of it is open. */
async function expectClosed(run_id: string): Promise<void> {
  const events = await eventsIn(run_id)
  const closed = events.findIndex(({ kind }) => /^run_(completed|canceled|quarantined)$/.test(kind))
  expect(closed).toBe(events.length - 1)
  const open = ['blocked', 'queued', 'claimed'].map((state) => `state=${state}`).join('&')
  expect((await client.get(`/v1/execution-requests?run_id=${run_id}&${open}`)).body.items).toEqual([])
  expect((await client.get(`/v1/runs/${run_id}/steps?state=running`)).body.items ?? []).toEqual([])
  const leases = app.db.prepare('SELECT count(*) FROM leases WHERE run_id = ?').pluck()
  expect(leases.get(run_id)).toBe(0)
}

it(
  'no pair of clients, workers and sweeps can make a task run after its run was closed',
  { timeout: 120_000 },
  async () => {
    const random = randomFrom(11)
    const won: Record<string, number> = {}
    const count = (name: string) => (won[name] = (won[name] ?? 0) + 1)
    for (let round = 0; round < ROUNDS; round++) {
      const { run_id, held } = await aField()
      const other = ['complete', 'claim', 'complete and go on', 'sweep', 'submit'][round % 5]!
      const rival: Record<string, () => Promise<Answer | null>> = {
        complete: () => workshop.end(held, 'complete'),
        'complete and go on': () => workshop.completeAndGoOn(held),
        claim: () => workshop.claim({ worker_id: 'w2', max: 5 }),
        submit: () => client.post(`/v1/runs/${run_id}/tasks`, { tasks: tasksOf({ c: ['a'], d: [] }) }),
        sweep: () => app.sweep().then(() => null),
      }
      if (other === 'sweep') app.pass(60_000) // the lease has lapsed: the request is tried again
      const how = CLOSINGS[round % 3]!
      const is_first = random() < 0.5
      const both = is_first ? [close(run_id, how), rival[other]!()] : [rival[other]!(), close(run_id, how)]
      const answers = await Promise.all(both)
      const [closing, moved] = is_first ? answers : answers.toReversed()
      expect(closing!.status).toBe(200)
      await expectClosed(run_id)
      if (other === 'complete' || other === 'complete and go on') {
        const done = moved!.status === 200
        if (!done) expect(moved!.body.code).toBe('lease_lost')
        const ends = (await eventsIn(run_id)).filter(
          ({ kind, to }) => kind === 'request_completed' && to === 'succeeded',
        )
        expect(ends).toHaveLength(done ? 1 : 0)
        count(`${other}: ${done ? 'the worker' : 'the client'} first`)
      } else if (other === 'claim') {
        const items = (moved!.body?.items ?? []) as ClaimedRequest[]
        for (const item of items) {
          expect((await workshop.heartbeat(item)).body.lease_lost).toBe(true)
          expect((await workshop.end(item, 'complete')).body.code).toBe('lease_lost')
        }
        count(`claim: ${items.length > 0 ? 'the worker' : 'the client'} first`)
      } else if (other === 'submit') {
        if (moved!.status !== 201) expect(moved!.body.code).toBe('run_not_running')
        count(`submit: ${moved!.status === 201 ? 'the tasks' : 'the client'} first`)
      }
    }
    for (const name of ['complete', 'complete and go on', 'claim', 'submit']) {
      const counts = Object.entries(won).filter(([key]) => key.startsWith(`${name}:`))
      expect(counts, JSON.stringify(won)).toHaveLength(2)
    }
  },
)

it('two that complete what a task needs, at once, make it ready once', { timeout: 60_000 }, async () => {
  for (let round = 0; round < 60; round++) {
    const { run_id } = await client.aRun('running')
    await client.post(`/v1/runs/${run_id}/tasks`, { tasks: tasksOf({ a: [], b: [], c: ['a', 'b'] }) })
    const [a, b] = [await workshop.claimed(), await workshop.claimed()]
    const ends = await Promise.all([workshop.end(a, 'complete'), workshop.end(b, 'complete')])
    expect(ends.map(({ status }) => status)).toEqual([200, 200])
    const told = (await eventsIn(run_id)).filter(({ kind }) => kind === 'request_queued')
    expect(told).toHaveLength(1)
    await client.post(`/v1/runs/${run_id}/cancel`)
  }
})

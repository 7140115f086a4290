import { afterEach, beforeEach, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { randomFrom } from '../support/client.ts'
import { expectPlansSound } from '../support/dispatch.ts'
import { type TestApp, exchange, openTestApp } from '../support/http.ts'
import { SHAPES } from '../support/plans.ts'
import { tempDir } from '../support/store.ts'
import { type Client, clientOf } from '../http/client.ts'
import { workshopOf } from '../http/dispatch-client.ts'

let app: TestApp
let client: Client

beforeEach(async () => {
  app = await openTestApp({ file: `${tempDir()}/signalbox.db` })
  client = clientOf(app)
  await workshopOf(app)
})
afterEach(() => app.close())

const TASKS = 1_000
const LOOPS = 16

/** A bare loop: claim, complete, with what comes next, until the run has ended. Its answers are not held against the document. */
async function loop(worker_id: string, isOver: () => boolean): Promise<string[]> {
  const done: string[] = []
  const post = (path: string, body: object) =>
    exchange({ port: app.port, method: 'POST', path: `/v1/execution-requests/${path}`, sent: { body } })
  while (!isOver()) {
    const { body } = await post('claim?wait_seconds=1', { worker_id, tools: ['aider'] })
    let held = body?.items[0] as ClaimedRequest | null | undefined
    while (held != null) {
      const { request_id, task_id } = held.execution_request
      const answer = await post(`${request_id}/complete?claim_next=true`, { lease_token: held.lease_token })
      expect(answer.status).toBe(200)
      done.push(task_id!)
      held = answer.body.next as ClaimedRequest | null
    }
  }
  return done
}

it.each(Object.entries(SHAPES))(
  `${TASKS} tasks in %s are carried out by ${LOOPS} claim loops, each once and after what it needs`,

  async (shape, tasksOf) => {
    const tasks = tasksOf(TASKS, randomFrom(5))
    const { run_id } = await client.aRun('pending', { completion: 'auto' })
    const start = performance.now()
    const { status } = await client.post(`/v1/runs/${run_id}/tasks`, { tasks })
    const submitted = performance.now()
    expect(status).toBe(201)
    let counted = 0
    const loops = Array.from({ length: LOOPS }, (_, i) =>
      loop(`w${i}`, () => {
        counted = app.db
          .prepare<[string], number>(
            "SELECT count(*) FROM execution_requests WHERE run_id = ? AND state = 'succeeded'",
          )
          .pluck()
          .get(run_id)!
        return counted === TASKS
      }),
    )
    const done = (await Promise.all(loops)).flat()
    const ended = performance.now()
    console.log(
      `${shape}: submitted in ${Math.round(submitted - start)} ms, carried out in ${Math.round(ended - submitted)} ms`,
    )
    expect(new Set(done).size).toBe(TASKS)
    expect(done).toHaveLength(TASKS)
    expect((await client.get(`/v1/runs/${run_id}`)).body.state).toBe('succeeded')
    const { body: plan } = await client.get(`/v1/runs/${run_id}/plan`)
    expect(plan.progress).toMatchObject({ total: TASKS, done: TASKS, percent: 100 })
    const order = app.db
      .prepare<[string], string>(
        "SELECT payload ->> '$.execution_request.request_id' FROM events WHERE run_id = ? AND kind IN ('request_claimed', 'request_completed') ORDER BY seq",
      )
      .pluck()
      .all(run_id)
    const claimed = new Map<string, number>()
    const ends = new Map<string, number>()
    order.forEach((id, place) => void (claimed.has(id) ? ends.set(id, place) : claimed.set(id, place)))
    const ids = new Map<string, string>(
      plan.nodes.map((node: { task_id: string; execution_request_id: string }) => [
        node.task_id,
        node.execution_request_id,
      ]),
    )
    for (const { task_id, depends_on } of tasks) {
      for (const need of depends_on ?? []) {
        expect(ends.get(ids.get(need)!)).toBeLessThan(claimed.get(ids.get(task_id)!)!)
      }
    }
    expectPlansSound(app.db)
    expect((await client.get(`/v1/runs/${run_id}/events/verify`)).body.valid).toBe(true)
  },
)

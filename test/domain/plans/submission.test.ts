import { beforeEach, expect, it } from 'vitest'
import { canonicalText } from '../../../src/domain/canonical.ts'
import { type ExecutionRequest, requestDocumentFields } from '../../../src/contract/execution-request.ts'
import { contentHash } from '../../../src/domain/router-config.ts'
import { type Desk, expectAllSound, openDesk } from '../../support/dispatch.ts'
import { AWKWARD } from '../../support/builders.ts'
import { aTask, tasksOf } from '../../support/plans.ts'
import { type OpenedTestStore, openMemoryStore } from '../../support/store.ts'

let opened: OpenedTestStore
let desk: Desk
beforeEach(async () => {
  opened = openMemoryStore()
  desk = await openDesk(opened.store)
  return () => expectAllSound(opened.db, opened.store)
})

const documentOf = (request: ExecutionRequest) =>
  Object.fromEntries(Object.entries(request).filter(([field]) => field in requestDocumentFields))

it('writes the hash and the event that the general canonicaliser would', async () => {
  const { run_id } = await desk.run()
  const template = {
    input: { prompt: AWKWARD, files: ['a'], data: { z: [1.5, { b: 1, a: null }], a: AWKWARD } },
    labels: { b: AWKWARD, a: 'x' },
    limits: { total_timeout_seconds: 900 },
  }
  const { tasks } = await desk.submit(run_id, [
    aTask('a', [], { name: AWKWARD, execution_request_template: template }),
    aTask('b', ['a'], { classification: { priority: 'high', domain: 'backend' } }),
  ])
  const payloads = opened.db
    .prepare<[string], string>(
      "SELECT payload FROM events WHERE run_id = ? AND kind = 'request_created' ORDER BY seq",
    )
    .pluck()
    .all(run_id)
  for (const [i, { execution_request_id: request_id }] of tasks.entries()) {
    const execution_request = await desk.requestNow({ request_id })
    expect(execution_request.content_hash).toBe(contentHash(documentOf(execution_request)))
    expect(payloads[i]).toBe(canonicalText({ execution_request }))
  }
})

it('gives a task of one tool the bounds that it would have alone, and of several the longest', async () => {
  const app = (timeout_seconds?: number) => ({
    kind: 'tool' as const,
    command: 'program',
    capabilities: { task_kinds: ['edit', `edit-${timeout_seconds}`] },
    limits: timeout_seconds === undefined ? {} : { timeout_seconds },
  })
  await desk.install({
    version: '1.0.0',
    apps: { a: app(30), b: app(1_800), c: app() },
    routing: { rules: [] },
  })
  const { run_id } = await desk.run()
  const { tasks } = await desk.submit(run_id, [
    aTask('any', ['one']),
    aTask('one', [], { kind: 'edit-30' }),
    aTask('own', ['one'], { execution: { timeout_seconds: 7 } }),
  ])
  const times = []
  for (const { execution_request_id: request_id } of tasks)
    times.push((await desk.requestNow({ request_id })).routing.timeout_seconds)
  expect(times).toEqual([1_800, 30, 7])
})

it('carries priorities to the queue, and oldest first within one', async () => {
  const { run_id } = await desk.run()
  const tasks = tasksOf({ root: [], a: ['root'], b: ['root'], c: ['root'] })
  tasks[3]!.classification = { priority: 'high' }
  await desk.submit(run_id, tasks)
  await desk.complete(await desk.claimOne())
  const { items } = await desk.claim({ max: 3 })
  expect(items.map(({ execution_request }) => execution_request.task_id)).toEqual(['c', 'a', 'b'])
})

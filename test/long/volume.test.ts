import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClock } from '../../src/clock.ts'
import type { Event, EventVerification } from '../../src/contract/event.ts'
import type { Run } from '../../src/contract/run.ts'
import type { Outcome } from '../../src/domain/idempotency.ts'
import { createEntropy } from '../../src/entropy.ts'
import type { Call } from '../../src/orchestrator/call.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import { openStore } from '../../src/store/sqlite/open.ts'
import { type Connection, type Reply, bodyOf, connect, readAll } from '../support/client.ts'
import { ROOT, type ServerProcess, cleanUp, startServer, temporaryDirectory } from '../support/process.ts'
import { MIGRATIONS } from '../support/store.ts'

const RUNS = 100_000
const EVENTS = 50_000
const AT_ONCE = 1_000

let server: ServerProcess
let connection: Connection
/** All runs, oldest first. */
let runs: Run[]
let long_run_id: string

beforeAll(async () => {
  const data_dir = temporaryDirectory()
  await fill(data_dir)
  server = await startServer({ data_dir })
  connection = connect(server.url)
}, 300_000)
afterAll(async () => {
  connection.close()
  await cleanUp()
})

/** Through the same use cases that HTTP calls, but without HTTP, which would take most of the time. */
async function fill(data_dir: string): Promise<void> {
  const clock = createClock(null)
  const { store } = await openStore({
    data_dir,
    migrations: MIGRATIONS,
    accept_loss: false,
    write_queue_max: 2 * AT_ONCE,
    now: clock().text,
  })
  const orchestrator = createOrchestrator({ store, clock, entropy: createEntropy() })
  runs = await manyTimes(RUNS, async (index) => {
    const outcome = await orchestrator.createRun(call(), bodyOfRun(index), null)
    return recordOf(outcome)
  })
  await manyTimes(RUNS / 10, async (index) => {
    const { run_id } = runs[10 * index]!
    runs[10 * index] = recordOf(await orchestrator.cancelRun(call(), run_id, { reason: 'every tenth' }))
  })
  long_run_id = runs[1]!.run_id
  await manyTimes(EVENTS - 1, async (index) => {
    await orchestrator.appendRunEvent(call(), long_run_id, { kind: 'note', payload: { index } })
  })
  await store.close()
}

const call = <T>(): Call<T> => ({
  caller: { actor: { type: 'anonymous', id: null }, projects: null },
  http_request_id: null,
  if_match: null,
  claim: null,
  present: () => {
    throw new Error('nobody waits for this answer')
  },
})

const recordOf = <T>(outcome: Outcome<T>): T => {
  if ('replayed' in outcome) throw new Error('nothing is repeated here')
  return outcome.record
}

const bodyOfRun = (index: number) => ({
  project_id: `project-${index % 10}`,
  phase_id: index === 12_345 ? 'once' : 'build',
  labels: index % 100 === 1 ? { nightly: 'yes', host: `host-${index % 7}` } : {},
})

async function manyTimes<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  while (results.length < count) {
    const indexes = Array.from(
      { length: Math.min(AT_ONCE, count - results.length) },
      (_, i) => results.length + i,
    )
    results.push(...(await Promise.all(indexes.map(work))))
  }
  return results
}

const idsOf = (some: readonly Run[]): string[] => some.map((run) => run.run_id)

describe(`a list of ${RUNS} runs`, () => {
  const cases: [string, (run: Run) => boolean][] = [
    ['', () => true],
    ['project_id=project-3', (run) => run.project_id === 'project-3'],
    ['project_id=project-3&project_id=project-4', (run) => /-[34]$/.test(run.project_id)],
    ['state=canceled', (run) => run.state === 'canceled'],
    [
      'state=canceled&project_id=project-0',
      (run) => run.state === 'canceled' && run.project_id === 'project-0',
    ],
    ['state=canceled&project_id=project-1', () => false],
    ['label=nightly:yes', (run) => run.labels['nightly'] === 'yes'],
    ['label=host:host-1&label=host:host-2', (run) => /-[12]$/.test(run.labels['host'] ?? '')],
    ['label=nightly:yes&state=pending', (run) => run.labels['nightly'] === 'yes' && run.state === 'pending'],
    ['phase_id=once', (run) => run.phase_id === 'once'],
    ['phase_id=never', () => false],
  ]

  it.each(cases)('with the filters «%s» is complete, page after page', async (filters, passes) => {
    const expected = idsOf(runs.filter(passes))
    const path = `/v1/runs?limit=500&${filters}`
    expect(idsOf(await readAll<Run>(connection, `${path}&order=asc`))).toEqual(expected)
    expect(idsOf(await readAll<Run>(connection, path))).toEqual(expected.toReversed())
  })

  it('is complete between two instants', async () => {
    const [after, before] = [runs[30_000]!.created_at, runs[60_000]!.created_at]
    const expected = idsOf(runs.filter((run) => run.created_at >= after && run.created_at < before))
    const found = await readAll<Run>(
      connection,
      `/v1/runs?limit=500&order=asc&created_after=${after}&created_before=${before}`,
    )
    expect(idsOf(found)).toEqual(expected)
    expect(expected.length).toBeGreaterThan(1_000)
  })

  it('skips and repeats nothing while runs are created', async () => {
    const writer = connect(server.url)
    let isListed = false
    const writing = (async () => {
      let created = 0
      while (!isListed) {
        bodyOf(await writer.post('/v1/runs', { project_id: 'project-5', phase_id: 'meanwhile' }))
        created++
      }
      return created
    })()
    const found = await readAll<Run>(connection, '/v1/runs?limit=500&project_id=project-5')
    isListed = true
    expect(await writing).toBeGreaterThan(10)
    writer.close()
    const known = found.filter((run) => run.phase_id !== 'meanwhile')
    expect(idsOf(known)).toEqual(idsOf(runs.filter((run) => run.project_id === 'project-5')).toReversed())
    expect(new Set(idsOf(found)).size).toBe(found.length)
  })
})

describe(`a run with ${EVENTS} events`, () => {
  it('is verified while others are answered', async () => {
    const other = connect(server.url)
    let isVerified = false
    const verifying = connection
      .get(`/v1/runs/${long_run_id}/events/verify`)
      .finally(() => (isVerified = true))
    let answered = 0
    while (!isVerified) {
      bodyOf(await other.get(`/v1/runs/${runs[2]!.run_id}`))
      answered++
    }
    other.close()
    expect(bodyOf<EventVerification>(await verifying)).toMatchObject({ valid: true, events_checked: EVENTS })
    expect(answered).toBeGreaterThan(20)
  })

  it('is read completely, page after page', async () => {
    const events = await readAll<Event>(connection, `/v1/runs/${long_run_id}/events?limit=500`)
    expect(events.map((event) => event.run_seq)).toEqual(
      Array.from({ length: EVENTS }, (_, index) => index + 1),
    )
  })

  it('is verified by the verifier that shares no code with the server', async () => {
    let pages = ''
    for (let path: string | undefined = `/v1/runs/${long_run_id}/events?limit=500`; path !== undefined;) {
      const reply: Reply = await connection.get(path)
      pages += reply.text
      path = /<(.*)>; rel="next"/.exec(String(reply.headers['link']))?.[1]
    }
    const verdict = execFileSync('python3', [join(ROOT, 'verify/verify_events.py')], { input: pages })
    expect(verdict.toString()).toContain(`ok: ${EVENTS} events`)
  })
})

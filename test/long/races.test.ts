import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { type Connection, type Reply, bodyOf, connect, inLanes, randomFrom } from '../support/client.ts'
import { type ServerProcess, cleanUp, startServer, temporaryDirectory } from '../support/process.ts'
import { readWholeHistory, verifyEverything } from '../process/history.ts'
import { type Plan, type Write, request, writeOf } from '../process/workload.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

let server: ServerProcess
let lanes: Connection[]

beforeEach(async () => {
  server = await startServer({ data_dir: temporaryDirectory() })
  lanes = Array.from({ length: 64 }, () => connect(server.url))
})
afterEach(async () => {
  for (const lane of lanes) lane.close()
  expect(await server.stop()).toEqual({ code: 0, signal: null })
  await cleanUp()
})

const RACERS = 8
const ROUNDS = 250

/** What the racers meet. */
interface Field {
  run_id: string
  step_attempt_id: string
}

interface Race {
  name: string
  field: 'pending run' | 'running run' | 'running step' | 'failed step'
  racers: (field: Field, round: number) => Plan[]
  /** How often each command succeeded, by what it does. */
  judge: (won: Record<string, number>, run: Run) => void
}

const start = ({ run_id }: Field): Plan => ({
  does: 'start',
  run_id,
  path: `/v1/runs/${run_id}/start`,
  body: {},
})
const end = ({ run_id }: Field, does: string, body: object = {}): Plan => ({
  does,
  run_id,
  path: `/v1/runs/${run_id}/${does === 'succeed' || does === 'fail' ? 'complete' : does}`,
  body,
})
const succeed = (field: Field) => end(field, 'succeed', { status: 'succeeded' })
const fail = (field: Field) => end(field, 'fail', { status: 'failed', exit_code: 1 })
const cancel = (field: Field) => end(field, 'cancel')
const quarantine = (field: Field) => end(field, 'quarantine', { reason: 'a race' })
const endStep = ({ run_id, step_attempt_id }: Field, status: string): Plan => ({
  does: 'end step',
  run_id,
  path: `/v1/steps/${step_attempt_id}/complete`,
  body: { status },
})
const times = (count: number, ...plans: Plan[]): Plan[] => Array.from({ length: count }, () => plans).flat()

const RACES: Race[] = [
  {
    name: 'to start a run',
    field: 'pending run',
    racers: (field) => times(RACERS, start(field)),
    judge: (won) => expect(won).toEqual({ start: 1 }),
  },
  {
    name: 'to start a run or cancel it',
    field: 'pending run',
    racers: (field) => times(RACERS / 2, start(field), cancel(field)),
    judge(won, run) {
      expect(won).toEqual({ ...(won['start'] === undefined ? {} : { start: 1 }), cancel: 1 })
      expect(run.state).toBe('canceled')
    },
  },
  {
    name: 'to end a run in every way',
    field: 'running run',
    racers: (field) => times(RACERS / 4, succeed(field), fail(field), cancel(field), quarantine(field)),
    judge(won, run) {
      // Only what failed may still be quarantined.
      const [first, ...more] = Object.keys(won).sort()
      expect(more).toEqual(first === 'fail' ? ['quarantine'].slice(0, more.length) : [])
      expect(Object.values(won).every((count) => count === 1)).toBe(true)
      expect(run.ended_at).not.toBeNull()
    },
  },
  {
    name: 'to end a step attempt',
    field: 'running step',
    racers: (field) =>
      times(RACERS / 4, ...['succeeded', 'failed', 'canceled', 'failed'].map((s) => endStep(field, s))),
    judge: (won) => expect(won).toEqual({ 'end step': 1 }),
  },
  {
    name: 'to end a run under its step attempt',
    field: 'running step',
    racers: (field) =>
      times(RACERS / 4, endStep(field, 'succeeded'), succeed(field), cancel(field), fail(field)),
    judge(won, run) {
      expect(won['end step'] ?? 0).toBeLessThanOrEqual(1)
      const ends = (won['succeed'] ?? 0) + (won['cancel'] ?? 0) + (won['fail'] ?? 0)
      expect(ends).toBe(1)
      if (run.state === 'succeeded') expect(won['end step']).toBe(1)
    },
  },
  {
    name: 'to retry a step attempt',
    field: 'failed step',
    racers: ({ run_id, step_attempt_id }) =>
      times(RACERS, { does: 'retry', run_id, path: `/v1/steps/${step_attempt_id}/retry`, body: {} }),
    judge: (won) => expect(won).toEqual({ retry: 1 }),
  },
  {
    name: 'for a place in a run',
    field: 'running run',
    racers: ({ run_id }) =>
      times(RACERS, {
        does: 'step',
        run_id,
        path: `/v1/runs/${run_id}/steps`,
        body: { tool_id: 't', sequence: 7 },
      }),
    judge: (won) => expect(won).toEqual({ step: 1 }),
  },
  {
    name: 'under one idempotency key',
    field: 'running run',
    racers: ({ run_id }, round) =>
      times(RACERS, {
        does: 'note',
        run_id,
        path: `/v1/runs/${run_id}/events`,
        body: { kind: 'note' },
        key: `k${round}`,
      }),
    judge: (won, run) => {
      expect(won).toEqual({ note: RACERS }) // everybody gets the one answer
      expect(run.version).toBe(2)
    },
  },
]

async function done<T>(connection: Connection, plan: Plan): Promise<T> {
  return bodyOf<T>(await request(connection, writeOf(plan)))
}

async function prepare(connection: Connection, field: Race['field']): Promise<Field> {
  const body = { project_id: 'race', phase_id: field }
  const { run_id } = await done<Run>(connection, { does: 'create', run_id: null, path: '/v1/runs', body })
  const prepared: Field = { run_id, step_attempt_id: '' }
  if (field === 'pending run') return prepared
  await done(connection, start(prepared))
  if (field === 'running run') return prepared
  const path = `/v1/runs/${run_id}/steps`
  const step = await done<StepAttempt>(connection, {
    does: 'step',
    run_id,
    path,
    body: { tool_id: 'pytest' },
  })
  prepared.step_attempt_id = step.step_attempt_id
  if (field === 'failed step') await done(connection, endStep(prepared, 'failed'))
  return prepared
}

/** All at once, each on a connection of its own. */
async function race(
  starters: readonly Connection[],
  { field, racers, judge }: Race,
  round: number,
): Promise<void> {
  const prepared = await prepare(starters[0]!, field)
  const writes = racers(prepared, round).map(writeOf)
  await Promise.all(writes.map((write, index) => request(starters[index]!, write)))
  const { run, events } = await readWholeHistory(starters[0]!, prepared.run_id)

  const won: Record<string, number> = {}
  for (const { does, reply, replayed, request_ids } of writes) {
    const effects = events.filter(({ http_request_id }) => request_ids.includes(http_request_id ?? ''))
    const succeeded = reply!.status < 300
    expect(succeeded || reply!.status === 409, reply!.text).toBe(true)
    expect(effects.length > 0, `${does} was answered ${reply!.status}`).toBe(succeeded && !replayed)
    if (succeeded) won[does] = (won[does] ?? 0) + 1
  }
  expect(
    new Set(writes.filter(({ replayed }) => replayed).map(({ reply }) => reply!.text)).size,
  ).toBeLessThan(2)
  judge(won, run)
}

describe(`${ROUNDS} races of ${RACERS}`, () => {
  it.each(RACES)('$name: what succeeds succeeds once', async (one) => {
    const groups = Array.from({ length: lanes.length / RACERS }, (_, i) =>
      lanes.slice(i * RACERS, (i + 1) * RACERS),
    )
    const rounds = Array.from({ length: ROUNDS }, (_, round) => round)
    await inLanes(groups, rounds, (starters, round) => race(starters, one, round))
  })
})

const MINUTE_MS = 60_000
const POOL = 10

/** A run that everybody writes to, and what they know of its step attempts. */
interface Shared {
  run_id: string
  steps: string[]
}

describe(`64 clients with random operations on ${POOL} runs for a minute (SEED=${seed})`, () => {
  it('leave a ledger in which everything holds', async () => {
    const journal: Write[] = []
    const pool: Shared[] = []
    const counts: Record<string, number> = {}
    const perform = async (connection: Connection, plan: Plan): Promise<Reply> => {
      const write = writeOf(plan)
      journal.push(write)
      const reply = await request(connection, write)
      const seen = `${plan.does} ${reply.status}`
      counts[seen] = (counts[seen] ?? 0) + 1
      return reply
    }
    const newRun = async (connection: Connection): Promise<Shared> => {
      const body = { project_id: 'crowd', phase_id: 'minute' }
      const reply = await perform(connection, { does: 'create', run_id: null, path: '/v1/runs', body })
      return { run_id: bodyOf<Run>(reply).run_id, steps: [] }
    }
    for (let i = 0; i < POOL; i++) pool.push(await newRun(lanes[0]!))
    const end_at = performance.now() + MINUTE_MS

    await Promise.all(
      lanes.map(async (connection, index) => {
        const random = randomFrom(seed + index)
        for (let i = 0; performance.now() < end_at; i++) {
          const place = Math.floor(random() * POOL)
          const shared = pool[place]!
          const reply = await perform(connection, crowdPlan(shared, random, `c${index}-${i}`))
          expect([200, 201, 409, 412], reply.text).toContain(reply.status)
          learn(shared, reply)
          if (isClosed(reply) && pool[place] === shared) pool[place] = await newRun(connection)
          // Others read what these write: twice as often, as is usual.
          bodyOf(await connection.get(`/v1/runs/${shared.run_id}`))
          bodyOf(await connection.get(`/v1/runs/${shared.run_id}/events?limit=20&order=desc`))
        }
      }),
    )
    expectEverySort(counts)
    await verifyEverything(lanes, journal)
  })
})

/** What one of the crowd does next. Most of it may be refused, because somebody else was faster. */
function crowdPlan({ run_id, steps }: Shared, random: () => number, mark: string): Plan {
  const field = { run_id, step_attempt_id: steps[Math.floor(random() * steps.length)] ?? '' }
  const path = `/v1/runs/${run_id}`
  const key = random() < 0.5 ? mark : null
  const patch: Plan = {
    does: 'patch',
    method: 'PATCH',
    run_id,
    path,
    body: { labels: { mark } },
    key,
  }
  const dice = random()
  if (dice < 0.03) return oneOf([succeed, fail, cancel, quarantine], random)(field)
  if (dice < 0.15) return { ...start(field), key }
  if (dice < 0.35 && steps.length > 0) return { ...endStep(field, oneOf(OUTCOMES, random)), key }
  if (dice < 0.45 && steps.length > 0) {
    return { does: 'retry', run_id, path: `/v1/steps/${field.step_attempt_id}/retry`, body: {}, key }
  }
  if (dice < 0.65) return { does: 'step', run_id, path: `${path}/steps`, body: { tool_id: 'pytest' }, key }
  if (dice < 0.8) return patch
  return { does: 'note', run_id, path: `${path}/events`, body: { kind: 'note', payload: { mark } }, key }
}

const OUTCOMES = ['succeeded', 'failed', 'canceled']
const oneOf = <T>(things: readonly T[], random: () => number): T =>
  things[Math.floor(random() * things.length)]!

function learn(shared: Shared, reply: Reply): void {
  if (reply.status !== 201) return
  const { step_attempt_id, event_id } = JSON.parse(reply.text) as {
    step_attempt_id?: string
    event_id?: string
  }
  if (step_attempt_id !== undefined && event_id === undefined) shared.steps.push(step_attempt_id)
}

const isClosed = (reply: Reply): boolean => {
  if (reply.status !== 200) return false
  const { ended_at, step_attempt_id } = JSON.parse(reply.text) as {
    ended_at?: string
    step_attempt_id?: string
  }
  return step_attempt_id === undefined && ended_at != null
}

/** A load in which something never succeeded, or was never refused, shows little. */
function expectEverySort(counts: Record<string, number>): void {
  const seen = Object.keys(counts)
  for (const does of ['create', 'step', 'retry', 'note']) expect(seen).toContain(`${does} 201`)
  for (const does of ['start', 'end step', 'patch', 'succeed', 'fail', 'cancel', 'quarantine']) {
    expect(seen).toContain(`${does} 200`)
  }
  for (const does of ['start', 'end step', 'step', 'retry', 'succeed']) expect(seen).toContain(`${does} 409`)
}

import { expect } from 'vitest'
import type { Event, EventVerification } from '../../src/contract/event.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { RunTransitions } from '../../src/contract/machine.ts'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { type Connection, type Reply, bodyOf, inLanes, readAll } from '../support/client.ts'
import { fold } from '../support/fold.ts'
import type { Write } from './workload.ts'

/** A run as its rows have it, and all that happened to it. */
export interface History {
  run: Run
  steps: StepAttempt[]
  events: Event[]
}

/** Reads a run, and fails if its rows and its events do not tell the same. */
export async function readWholeHistory(connection: Connection, run_id: string): Promise<History> {
  const path = `/v1/runs/${run_id}`
  const run = bodyOf<Run>(await connection.get(path))
  const steps = await readAll<StepAttempt>(connection, `${path}/steps?limit=500`)
  const requests = await readAll<ExecutionRequest>(
    connection,
    `/v1/execution-requests?run_id=${run_id}&order=asc&limit=500`,
  )
  const events = await readAll<Event>(connection, `${path}/events?limit=500`)
  const verification = bodyOf<EventVerification>(await connection.get(`${path}/events/verify`))
  const transitions = bodyOf<RunTransitions>(await connection.get(`${path}/transitions`))

  expect(events.map((event) => event.run_seq)).toEqual(events.map((_event, index) => index + 1))
  // The server compares the end of the chain with what the run's row says of it.
  expect(verification).toEqual({
    run_id,
    valid: true,
    events_checked: events.length,
    last_hash: events.at(-1)!.hash,
    first_bad: null,
  })
  expect(fold(events)).toEqual({ run, step_attempts: steps, execution_requests: requests })
  expectOrder(events)
  // The only place where the count of running attempts, which the run's row keeps, can be seen.
  const succeed = transitions.commands.find(({ command }) => command === 'succeed')!
  expect(succeed.allowed).toBe(run.state === 'running' && steps.every(({ state }) => state !== 'running'))
  return { run, steps, events }
}

/** `seq` grows, and time never falls. */
function expectOrder(events: readonly Event[]): void {
  for (const [index, event] of events.slice(1).entries()) {
    const before = events[index]!
    expect(event.seq > before.seq && event.ts >= before.ts, `event ${event.seq} after ${before.seq}`).toBe(
      true,
    )
  }
}

/**
 * Holds writes against what is there: what was answered with 2xx happened once and is answered the same again,
 * and nothing happened by half, or that nobody asked for. `all` are the writes that there were ever.
 */
export async function verifyWrites(
  lanes: readonly Connection[],
  writes: readonly Write[],
  all: readonly Write[],
): Promise<void> {
  const repeatable = writes.filter((write) => isAcknowledged(write) && write.key !== null)
  await inLanes(lanes, repeatable, expectSameAnswer)
  // After the repeats, so that one which took effect a second time is seen here.
  const run_ids = new Set(writes.map(runOf).filter((run_id) => run_id !== null))
  const histories = await historiesOf(lanes, run_ids)
  for (const write of writes) {
    const history = histories.get(runOf(write) ?? '')
    if (history !== undefined) expectEffect(write, history)
  }
  const events = [...histories.values()].flatMap((history) => history.events)
  expectAskedFor(events, all)
}

/** The same for everything that there is, also what the clients never heard of. */
export async function verifyEverything(lanes: readonly Connection[], all: readonly Write[]): Promise<void> {
  await verifyWrites(lanes, all, all)
  const feed = await readAll<Event>(lanes[0]!, '/v1/events?limit=500')
  expectOrder(feed)
  expectAskedFor(feed, all)
  const run_ids = new Set(feed.map(({ run_id }) => run_id!))
  const histories = await historiesOf(lanes, run_ids)
  const told = [...histories.values()].flatMap(({ events }) => events).sort((a, b) => a.seq - b.seq)
  expect(feed).toEqual(told)
}

async function historiesOf(lanes: readonly Connection[], run_ids: ReadonlySet<string>) {
  const histories = new Map<string, History>()
  await inLanes(lanes, [...run_ids], async (lane, run_id) => {
    histories.set(run_id, await readWholeHistory(lane, run_id))
  })
  return histories
}

const isAcknowledged = ({ reply }: Write): boolean => reply !== null && reply.status < 300

/** A creation has its run in its answer. */
const runOf = ({ run_id, reply }: Write): string | null =>
  run_id ?? (reply === null ? null : bodyOf<Run>(reply).run_id)

async function expectSameAnswer(connection: Connection, write: Write): Promise<void> {
  const { method, path, body, key } = write
  const headers = { 'idempotency-key': key!, 'x-request-id': 'a-repeat' }
  const again = await connection.send({ method, path, body, headers })
  expect(again.headers['idempotency-replayed']).toBe('true')
  expect(answerOf(again)).toEqual(answerOf(write.reply!))
}

const answerOf = ({ status, text, headers }: Reply) => {
  const { etag, location } = headers
  return { status, text, etag, location, type: headers['content-type'] }
}

/** What is answered happened, by one of the requests, and the answer is what it led to. */
function expectEffect(write: Write, { events }: History): void {
  const its = events.filter(({ http_request_id }) => write.request_ids.includes(http_request_id!))
  const requests = [...new Set(its.map(({ http_request_id }) => http_request_id))]
  if (!isAcknowledged(write)) {
    const most = write.reply === null ? 1 : 0 // without an answer once at most; refused, never
    expect(requests.length, `effects of ${write.does}`).toBeLessThanOrEqual(most)
    return
  }
  expect(requests.length, `effects of ${write.does}`).toBe(1)
  // A repeat that was replayed found it done; one that was not did it.
  expect(requests[0] === write.request_ids.at(-1)).toBe(!write.replayed)
  const answer = bodyOf<Partial<StepAttempt & Event>>(write.reply!)
  expect(answer).toEqual(recordAfter(its.at(-1)!, answer, events))
}

/** What a write has to answer with: the record as the events tell it, up to the write's last one. */
function recordAfter(last: Event, answer: Partial<StepAttempt & Event>, events: readonly Event[]): unknown {
  if (answer.event_id !== undefined) return last
  const { run, step_attempts } = fold(events.slice(0, last.run_seq))
  if (answer.step_attempt_id === undefined) return run
  return step_attempts.find(({ step_attempt_id }) => step_attempt_id === answer.step_attempt_id)
}

/** Nothing happened that nobody asked for, and no repeat did anything. */
function expectAskedFor(events: readonly Event[], all: readonly Write[]): void {
  const asked = new Set(all.flatMap(({ request_ids }) => request_ids))
  const unasked = events.filter(({ http_request_id }) => !asked.has(http_request_id ?? ''))
  expect(unasked.slice(0, 3), `${unasked.length} events that nobody asked for`).toEqual([])
}

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Run } from '../src/contract/run.ts'
import { HOST, endWith } from './journeys.ts'
import type { PlanSample } from './plan-figures.ts'
import { SHAPES, type Shape, tasksOf } from './plan-shapes.ts'
import { SERVER_CORE, ask, kill, nextMessage, startPinned } from './processes.ts'
import { median } from './report.ts'
import { createBodies } from './scenario.ts'
import type { Question, Turns } from './server.ts'
import { type Reply, type Wire, openWire } from './wire.ts'
import { claimBody, completionBody, heldIn } from './work.ts'

const TASKS = 1_000
const WORKERS = 16
/** Of each shape in each round: enough for a median, and for a longest. */
const SUBMISSIONS = 8
const WAIT_SECONDS = 30
/** Of the server that does nothing: as long as what it is compared with takes. */
const NO_OP_PAIRS = 10_000

interface Server {
  port: number
  /** How long its event loop stood still, and what it used, since it was asked last. */
  turns: () => Promise<Turns>
  stop: () => Promise<void>
}

interface Options {
  module: (name: string) => string
  scratch: string
  records_file: string
}

/**
 * A thousand tasks that need each other: how long a submission keeps everybody else waiting and what it costs, and how
 * fast workers that do nothing carry all of them out.
 */
export async function measurePlans({
  rounds,
  progress,
  ...options
}: Options & { rounds: number; progress: (text: string) => void }): Promise<PlanSample[]> {
  const dir = join(options.scratch, 'plans')
  mkdirSync(dir, { recursive: true })
  const durable = await start(options, ['--dir', dir, '--routes'])
  const no_op = await start(options, ['--kind', 'no-op', '--records', options.records_file])
  try {
    const samples: PlanSample[] = []
    for (let round = 0; round <= rounds; round++) {
      progress(`plans: round ${round} of ${rounds}`)
      const rate = await carryOut(no_op, NO_OP_PAIRS)
      const parts = []
      for (const shape of SHAPES) parts.push(await measureShape(durable, shape, rate))
      const sample = Object.assign({ no_op_per_s: rate }, ...parts) as PlanSample // each shape gives its own
      if (round > 0) samples.push(sample) // in round 0 the servers became warm
    }
    return samples
  } finally {
    await Promise.all([durable.stop(), no_op.stop()])
  }
}

async function start({ module }: Options, args: readonly string[]): Promise<Server> {
  const child = startPinned({ core: SERVER_CORE, file: module('server.js'), args })
  const { port } = await nextMessage<{ port: number }>(child)
  const question: Question = 'turns'
  return { port, turns: () => ask<Turns>(child, { question }), stop: () => kill(child) }
}

async function measureShape(server: Server, shape: Shape, no_op_per_s: number) {
  const blocking: number[] = []
  const cpu: number[] = []
  for (let i = 0; i < SUBMISSIONS; i++) {
    const run_id = await createRun(server)
    const body = JSON.stringify({ tasks: tasksOf(shape, TASKS) })
    await server.turns()
    await post(server, `/v1/runs/${run_id}/tasks`, body)
    const { longest_ms, cpu_ms } = await server.turns()
    blocking.push(longest_ms)
    cpu.push(cpu_ms)
    // Nothing of it may be left for the workers of the next.
    if (i < SUBMISSIONS - 1) await post(server, `/v1/runs/${run_id}/cancel`, '{}')
  }
  const per_s = await carryOut(server, TASKS)
  return {
    [`${shape}_blocking_p50_ms`]: median(blocking),
    [`${shape}_blocking_max_ms`]: Math.max(...blocking),
    [`${shape}_cpu_ms`]: median(cpu),
    [`${shape}_tasks_per_s`]: per_s,
    [`${shape}_run`]: per_s / no_op_per_s,
  }
}

async function createRun(server: Server): Promise<string> {
  const body = JSON.stringify({ ...createBodies[0], completion: 'auto' })
  return (JSON.parse(await post(server, '/v1/runs', body)) as Run).run_id
}

async function post({ port }: Server, path: string, body: string): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body })
  const text = await response.text()
  if (!response.ok) throw new Error(`${path} was answered with ${response.status}: ${text.slice(0, 500)}`)
  return text
}

/** So many tasks per second, by workers that complete what they hold and claim the next in one request. */
async function carryOut({ port }: Server, tasks: number): Promise<number> {
  const done = Promise.withResolvers<void>()
  let left = tasks
  const completed = (): boolean => {
    left--
    if (left === 0) done.resolve()
    return left > 0
  }
  const wires = await Promise.all(
    Array.from({ length: WORKERS }, (_, worker) => employ(port, worker, completed, done.reject)),
  )
  const begun = performance.now()
  for (const { claim } of wires) claim()
  await done.promise
  const ms = performance.now() - begun
  await Promise.all(wires.map(({ wire }) => wire.close()))
  return (tasks / ms) * 1_000
}

/** `completed` counts, and says whether to go on. */
async function employ(
  port: number,
  worker: number,
  completed: () => boolean,
  fail: (error: Error) => void,
): Promise<{ wire: Wire; claim: () => void }> {
  const claiming = `POST /v1/execution-requests/claim?wait_seconds=${WAIT_SECONDS} HTTP/1.1\r\n${HOST}\r\n${endWith(claimBody(worker))}`
  let sent: 'claim' | 'complete and claim' = 'claim'
  const claim = (): void => {
    sent = 'claim'
    wire.send(claiming)
  }
  const reply = ({ status, body }: Reply): void => {
    if (status >= 300) return fail(new Error(`${sent} was answered with ${status}: ${body}`))
    if (sent === 'complete and claim' && !completed()) return
    const held = status === 204 ? null : heldIn(body, sent)
    if (held === null) return claim()
    sent = 'complete and claim'
    const path = `/v1/execution-requests/${held.request_id}/complete?claim_next=true`
    wire.send(`POST ${path} HTTP/1.1\r\n${HOST}\r\n${endWith(completionBody(held.lease_token))}`)
  }
  const wire = await openWire(port, { reply, error: fail }, { reads_bodies: true })
  return { wire, claim }
}

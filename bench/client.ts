// The load generator: a process of its own, on a core of its own. It is our own because one that costs as much
// as the server measures itself: autocannon spends several times as much on each request.
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { type Journey, type Scenario, type Sent, pathJourney, runJourney, stepsOf } from './journeys.ts'
import { answer, cpuMs, machineBusyMs, rssMb } from './processes.ts'
import { type Tallies, type Tally, createTallies } from './tally.ts'
import { type Reply, type Wire, openWire } from './wire.ts'
import { type WorkScenario, workJourney } from './work.ts'

export interface LoadRequest {
  port: number
  server_pid: number
  connections: number
  scenario: Scenario
  /** Whether every write brings an Idempotency-Key: a ULID, as clients are advised to send. */
  keyed: boolean
  /** What the scenario `paths` reads: a JSON list. */
  paths_file: string | null
  warm_ms: number
  /** Null is until every connection pauses by itself. */
  measure_ms: number | null
}

export interface LoadResult {
  /** How long the measured part took. */
  ms: number
  requests: number
  /** Of the writes, or of the reads where there are no writes. */
  p50_ms: number
  p99_ms: number
  server_cpu_ms: number
  client_cpu_ms: number
  /** What everybody else did on this machine meanwhile. */
  foreign_cpu_ms: number
  server_rss_mb: number
  /** Acknowledged in the whole load, before and after the measured part too: what the ledger must hold. */
  writes: number
  /** Of everything that this server was ever asked. */
  tallies: Tally[]
}

const RSS_SAMPLE_MS = 250
/** A server that does not answer must not hold up the bench for ever. */
const SILENCE_MS = 30_000

/** What a server has been asked so far: its next load goes on from there. */
const asked = new Map<string, { journeys: Journey[]; tallies: Tallies }>()

answer(async (request: LoadRequest): Promise<LoadResult> => {
  const { journeys, tallies } = askedOf(request)
  const load = createLoad(tallies)
  const failed = Promise.withResolvers<never>()
  const travellers = await Promise.all(
    journeys.map((journey) => travel(request, journey, load, failed.reject)),
  )
  const { warm_ms, measure_ms } = request
  const silence = setTimeout(
    () => failed.reject(new Error('the server does not answer')),
    warm_ms + (measure_ms ?? 0) + SILENCE_MS,
  )
  const done = Promise.all(travellers.map((traveller) => traveller.done))
  const measuring = warm_ms === 0 ? measure(request, load, done) : null
  for (const traveller of travellers) traveller.go()
  await wait(warm_ms)
  const measured = await Promise.race([measuring ?? measure(request, load, done), failed.promise])
  load.stop()
  await Promise.race([done, failed.promise])
  clearTimeout(silence)
  return { ...measured, writes: load.writes(), tallies: tallies.all() }
})

/** Journeys outlast their rounds: begun anew in each, a slow server would be asked for little but beginnings. */
function askedOf(request: LoadRequest) {
  const server = `${request.server_pid} ${request.port}`
  const known = asked.get(server) ?? { journeys: journeysFor(request), tallies: createTallies() }
  asked.set(server, known)
  return known
}

function journeysFor({ scenario, connections, keyed, paths_file }: LoadRequest): Journey[] {
  const places = Array.from({ length: connections }, (_, i) => i)
  if (isWork(scenario)) return places.map((place) => workJourney(scenario, place))
  if (scenario !== 'paths') return places.map(() => runJourney(stepsOf(scenario), keyed))
  const paths = JSON.parse(readFileSync(paths_file ?? '', 'utf8')) as string[]
  // Far apart: no two connections shall warm the pages for each other.
  const stride = Math.ceil(paths.length / connections)
  const first = Math.floor(Math.random() * paths.length)
  return places.map((place) => pathJourney(paths, first + place * stride))
}

const isWork = (scenario: Scenario): scenario is WorkScenario =>
  scenario === 'pairs' || scenario === 'pairs apart' || scenario === 'claims'

type Load = ReturnType<typeof createLoad>

/** What all connections have in common. */
function createLoad(tallies: Tallies) {
  let latencies: number[] = []
  let requests = 0
  let writes = 0
  let stopping = false
  return {
    isStopping: () => stopping,
    stop: () => void (stopping = true),
    writes: () => writes,
    seen(sent: Sent, reply: Reply, ms: number) {
      requests++
      if (sent.writes && reply.status < 300) writes++
      if (sent.timed) latencies.push(ms)
      tallies.count(sent.step, reply)
    },
    /** Begins to measure; what it returns ends it. */
    mark() {
      const before = requests
      latencies = []
      return () => ({ requests: requests - before, latencies })
    },
  }
}

/** Leads one journey over one connection until the load stops. */
async function travel(
  { port, scenario }: LoadRequest,
  journey: Journey,
  load: Load,
  fail: (error: Error) => void,
) {
  const ended = Promise.withResolvers<void>()
  let sent: Sent | null = null
  let sentAt = 0
  const go = (): void => {
    sent = load.isStopping() ? null : journey.next()
    if (sent === null) return ended.resolve(wire.close())
    sentAt = performance.now()
    wire.send(sent.text)
  }
  const on = {
    error: fail,
    reply(reply: Reply) {
      load.seen(sent!, reply, performance.now() - sentAt)
      journey.learn(reply)
      go()
    },
  }
  const wire: Wire = await openWire(port, on, { reads_bodies: isWork(scenario) })
  return { go, done: ended.promise }
}

async function measure({ server_pid, measure_ms }: LoadRequest, load: Load, done: Promise<unknown>) {
  const usage = () => ({
    at: performance.now(),
    machine: machineBusyMs(),
    server: cpuMs(server_pid),
    client: cpuMs(process.pid),
  })
  let rss = 0
  const sampler = setInterval(() => (rss = Math.max(rss, rssMb(server_pid))), RSS_SAMPLE_MS)
  const before = usage()
  const marked = load.mark()
  await (measure_ms === null ? done : wait(measure_ms))
  const { requests, latencies } = marked()
  const after = usage()
  clearInterval(sampler)
  const server_cpu_ms = after.server - before.server
  const client_cpu_ms = after.client - before.client
  return {
    ms: after.at - before.at,
    requests,
    ...percentiles(latencies),
    server_cpu_ms,
    client_cpu_ms,
    foreign_cpu_ms: after.machine - before.machine - server_cpu_ms - client_cpu_ms,
    server_rss_mb: rss,
  }
}

function percentiles(latencies: readonly number[]) {
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? NaN
  return { p50_ms: at(0.5), p99_ms: at(0.99) }
}

// The load generator: a process of its own, on a core of its own. It is our own because one that costs as much
// as the server measures itself: autocannon spends several times as much on each request.
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { type Journey, type Scenario, type Sent, pathJourney, runJourney, stepsOf } from './journeys.ts'
import { answer, cpuMs, machineBusyMs, rssMb } from './processes.ts'
import { type Tallies, type Tally, createTallies } from './tally.ts'
import { type Reply, type Wire, openWire } from './wire.ts'

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
  measure_ms: number
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
    journeys.map((journey) => travel(request.port, journey, load, failed.reject)),
  )
  const { warm_ms, measure_ms } = request
  const silence = setTimeout(
    () => failed.reject(new Error('the server does not answer')),
    warm_ms + measure_ms + SILENCE_MS,
  )
  for (const traveller of travellers) traveller.go()
  await wait(warm_ms)
  const measured = await Promise.race([measure(request, load), failed.promise])
  load.stop()
  await Promise.race([Promise.all(travellers.map(({ done }) => done)), failed.promise])
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
  if (scenario !== 'paths') return places.map(() => runJourney(stepsOf(scenario), keyed))
  const paths = JSON.parse(readFileSync(paths_file ?? '', 'utf8')) as string[]
  // Far apart: no two connections shall warm the pages for each other.
  const stride = Math.ceil(paths.length / connections)
  const first = Math.floor(Math.random() * paths.length)
  return places.map((place) => pathJourney(paths, first + place * stride))
}

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
async function travel(port: number, journey: Journey, load: Load, fail: (error: Error) => void) {
  const ended = Promise.withResolvers<void>()
  let sent = journey.next()
  let sentAt = 0
  const send = (): void => {
    sentAt = performance.now()
    wire.send(sent.text)
  }
  const wire: Wire = await openWire(port, {
    error: fail,
    reply(reply) {
      load.seen(sent, reply, performance.now() - sentAt)
      journey.learn(reply)
      if (load.isStopping()) return ended.resolve(wire.close())
      sent = journey.next()
      send()
    },
  })
  return { go: send, done: ended.promise }
}

async function measure({ server_pid, measure_ms }: LoadRequest, load: Load) {
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
  await wait(measure_ms)
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

import { setImmediate as nextTurn } from 'node:timers/promises'
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from '@prometheus-io/client'
import { CircuitState } from '../contract/circuit.ts'
import { LIMITS } from '../contract/limits.ts'
import { LEASE_LOSSES } from '../domain/decision.ts'
import type { DispatchFigures } from '../orchestrator/figures.ts'
import type { LeaseNews } from '../orchestrator/lease-news.ts'
import type { CommittedGroup, StoreFigures } from '../store/store.ts'
import { type Durations, type Observe, createDurations } from './durations.ts'

/** What the server tells of itself in numbers. Some are counted as things happen, the others are looked up when asked for. */
export interface Metrics {
  /** What a route is told of each of its answers: those that did not wait for anything, and those that did. */
  answered(method: string, route: string): Observe
  waited(method: string, route: string): Observe
  committed(group: CommittedGroup): void
  leased(news: LeaseNews): void
  streamOpened(): void
  streamClosed(): void
  /** Its reader was too slow. */
  streamDropped(): void
  /** `dispatch` is null if the store did not tell. */
  text(store: StoreFigures, dispatch: DispatchFigures | null): Promise<string>
}

/** Of the text. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

const CIRCUIT_STATES = CircuitState.enum as readonly CircuitState[]

/** The name of all tools together that have none of their own. */
const OTHERS = 'other'

export interface MetricsOptions {
  version: string
  max_streams: number
  write_queue_max: number
  /** Whether to measure the process too; once in each. */
  process?: boolean
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  const [answers, waits] = httpDurations()
  const toolOf = toolNames()
  setOnce(registry, options)
  if (options.process === true) collectDefaultMetrics({ register: registry })
  const { setStore, ...store } = storeMetrics(registry)
  const { setDispatch, ...dispatch } = dispatchMetrics(registry, toolOf)
  return {
    answered: answers.of,
    waited: waits.of,
    ...store,
    ...dispatch,
    ...streamMetrics(registry),
    async text(figures, dispatch_figures) {
      setStore(figures, dispatch_figures !== null)
      setDispatch(dispatch_figures)
      const rest = await registry.metrics()
      await nextTurn() // either part may be some milliseconds of work
      return [answers.text(), waits.text(), rest].join('\n')
    },
  }
}

const httpDurations = (): [answers: Durations, waits: Durations] => [
  createDurations({
    name: 'signalbox_http_request_duration_seconds',
    help: 'Seconds from the headers of a request to its answer, or the begin of a stream. HEAD counts as GET; what no route takes has the route "unmatched". Without requests that were willing to wait.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  }),
  createDurations({
    name: 'signalbox_http_long_poll_duration_seconds',
    help: 'The same of requests that were willing to wait, for work or for the end of a run (Prefer: wait, wait_seconds).',
    buckets: [0.05, 0.25, 1, 5, 15, 30, 60],
  }),
]

/** What does not change while the process runs. */
function setOnce(registry: Registry, { version, max_streams, write_queue_max }: MetricsOptions): void {
  const registers = [registry]
  const build = new Gauge({
    name: 'signalbox_build_info',
    help: 'Always 1; the version of Signalbox is in the label.',
    labelNames: ['version'],
    registers,
  })
  build.set({ version }, 1)
  const streams = new Gauge({
    name: 'signalbox_stream_readers_limit',
    help: 'How many event streams may be open at once (the setting max_streams).',
    registers,
  })
  streams.set(max_streams)
  const queue = new Gauge({
    name: 'signalbox_write_queue_limit',
    help: 'How many writes may wait for a commit (the setting write_queue_max); more are answered 503.',
    registers,
  })
  queue.set(write_queue_max)
}

function storeMetrics(registry: Registry) {
  const registers = [registry]
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers })
  const size = new Histogram({
    name: 'signalbox_write_group_size',
    help: 'How many writes one commit carried. Refused ones are not counted.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
    registers,
  })
  const seconds = new Histogram({
    name: 'signalbox_commit_duration_seconds',
    help: 'Seconds that a commit took to be durable, which is mostly the time of the disk. The server does nothing else meanwhile.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers,
  })
  const waiting = gauge('signalbox_write_queue_length', 'Writes that wait for a commit at this moment.')
  const up = gauge(
    'signalbox_store_up',
    'Whether the store could be read for this answer: 1, or 0, and then all series of queues and tools are missing.',
  )
  const database = gauge('signalbox_database_size_bytes', 'Size of the database file, without its WAL.')
  const wal = gauge(
    'signalbox_wal_size_bytes',
    'Size of the write-ahead log. It is used again after each checkpoint, so it usually stays near 4 MiB.',
  )
  return {
    committed({ operations, commit_ms }: CommittedGroup) {
      size.observe(operations)
      seconds.observe(commit_ms / 1_000)
    },
    setStore({ writes_waiting, database_bytes, wal_bytes }: StoreFigures, isUp: boolean) {
      waiting.set(writes_waiting)
      up.set(isUp ? 1 : 0)
      database.set(database_bytes)
      wal.set(wal_bytes)
    },
  }
}

function streamMetrics(registry: Registry) {
  const registers = [registry]
  const readers = new Gauge({
    name: 'signalbox_stream_readers',
    help: 'Event streams that are open at this moment.',
    registers,
  })
  const drops = new Counter({
    name: 'signalbox_stream_drops_total',
    help: 'Streams that were cut off because their reader did not keep up. Such a reader loses nothing if it comes again.',
    registers,
  })
  return {
    streamOpened: () => readers.inc(),
    streamClosed: () => readers.dec(),
    streamDropped: () => drops.inc(),
  }
}

function dispatchMetrics(registry: Registry, toolOf: (tool_id: string) => string) {
  const registers = [registry]
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['tool'], registers })
  const claims = new Counter({
    name: 'signalbox_claims_total',
    help: 'Execution requests that were handed to workers, each try counted.',
    labelNames: ['tool'],
    registers,
  })
  const losses = new Counter({
    name: 'signalbox_leases_lost_total',
    help: 'Claims that ended without their worker: it sent no heartbeat (lease_expired), the attempt took longer than it may (attempt_timeout), or the request was ended by others, for example with its run (request_ended).',
    labelNames: ['tool', 'reason'],
    registers,
  })
  const depth = gauge(
    'signalbox_queue_depth',
    'Execution requests that are queued for a tool, those included that wait until they may be tried again. While more than 5000 are queued, it is counted over several moments.',
  )
  const age = gauge(
    'signalbox_queue_age_seconds',
    'For how long a worker could have claimed something for this tool: the longest wait among the first ten of each priority. 0 if nothing can be claimed.',
  )
  const running = gauge('signalbox_tool_attempts_running', 'Step attempts with a tool that are running.')
  const parallel = gauge(
    'signalbox_tool_attempts_limit',
    'How many attempts with a tool workers may run at once (max_parallel in the active configuration).',
  )
  const paused = gauge('signalbox_tool_paused', 'Whether a tool is paused: 1 or 0.')
  const circuit = new Gauge({
    name: 'signalbox_circuit_state',
    help: 'Whether the circuit of a tool is in this state: 1 or 0. While it is open, the tool gets no work.',
    labelNames: ['tool', 'state'],
    registers,
  })
  const perScrape = [depth, age, running, parallel, paused, circuit]

  // Several tools may share a name: their figures are added up, but for the age.
  const setTool = ({ tool_id, ...known }: DispatchFigures['tools'][number]): void => {
    const tool = toolOf(tool_id)
    running.inc({ tool }, known.running)
    parallel.inc({ tool }, known.limits.max_parallel)
    paused.inc({ tool }, known.pause === null ? 0 : 1)
    for (const state of CIRCUIT_STATES) circuit.inc({ tool, state }, known.circuit.state === state ? 1 : 0)
    depth.inc({ tool }, 0)
    age.inc({ tool }, 0)
    // A counter that is not there before its first step hides that step from rate().
    claims.inc({ tool }, 0)
    for (const reason of LEASE_LOSSES) losses.inc({ tool, reason }, 0)
  }
  return {
    leased({ tool_id, what }: LeaseNews) {
      const tool = toolOf(tool_id)
      if (what === 'claimed') claims.inc({ tool })
      else losses.inc({ tool, reason: what })
    },
    setDispatch(figures: DispatchFigures | null) {
      for (const metric of perScrape) metric.reset()
      if (figures === null) return
      figures.tools.forEach(setTool)
      const ages = new Map<string, number>()
      for (const { tool_id, queued, waiting_ms } of figures.queues) {
        const tool = toolOf(tool_id)
        depth.inc({ tool }, queued)
        ages.set(tool, Math.max(ages.get(tool) ?? 0, waiting_ms / 1_000))
      }
      for (const [tool, seconds] of ages) age.set({ tool }, seconds)
    },
  }
}

/** Configurations come and go, and a series once begun is never forgotten: so only so many tools have one. */
function toolNames(): (tool_id: string) => string {
  const named = new Set<string>()
  return (tool_id) => {
    if (named.has(tool_id)) return tool_id
    if (named.size >= LIMITS.metric_tools) return OTHERS
    named.add(tool_id)
    return tool_id
  }
}

// A server to measure: a process of its own, on a core of its own. It is put together as src/main.ts does it,
// but for what a figure is about.
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { createClock } from '../src/clock.ts'
import { SETTINGS } from '../src/config/settings.ts'
import { createEntropy, requestIds } from '../src/entropy.ts'
import { buildApp } from '../src/http/app.ts'
import { createMetrics } from '../src/metrics/metrics.ts'
import { type Orchestrator, createOrchestrator } from '../src/orchestrator/orchestrator.ts'
import { startAlarm } from '../src/orchestrator/alarm.ts'
import { startSweeper } from '../src/orchestrator/sweeper.ts'
import type { Store } from '../src/store/store.ts'
import type { Audit } from './audit.ts'
import { bareApp } from './bare.ts'
import { type Records, noOpLedger } from './no-op.ts'
import { answer } from './processes.ts'
import { enqueue } from './queue.ts'
import { decidePurely, prepareRouter } from './router.ts'

/** `single` commits every write by itself; `bare` is Fastify without the product. */
export type Kind = 'durable' | 'single' | 'no-op' | 'bare'

export type Question = 'commits' | 'audit' | 'decide' | 'statements' | 'turns' | { queue: number }

/** Since the question was asked last: how long its event loop stood still at once, and what it used. */
export interface Turns {
  longest_ms: number
  cpu_ms: number
}

/** How long it decides when it is asked to. */
const DECIDE_MS = 500

interface Ledger {
  orchestrator: Orchestrator
  store: Store
  commits: () => number
  audit: () => Promise<Audit>
  queued?: () => number
  statements?: () => number
}

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'durable' },
    dir: { type: 'string', default: '' },
    records: { type: 'string', default: '' },
    level: { type: 'string', default: 'silent' },
    routes: { type: 'boolean', default: false },
    counted: { type: 'boolean', default: false },
  },
})
const ANSWERS: Record<Exclude<Question, object>, () => unknown> = {
  commits: () => ({ commits: ledger?.commits() ?? 0 }),
  audit: () => ledger?.audit(),
  decide: () => ({ per_s: decidePurely(DECIDE_MS) }),
  statements: () => ({ statements: ledger?.statements?.() ?? NaN }),
  turns: turnsSince(),
}
const clock = createClock(null)
const entropy = createEntropy()

const limits = {
  max_streams: SETTINGS.max_streams.default,
  write_queue_max: SETTINGS.write_queue_max.default,
}
const metrics = createMetrics({ version: '0.0.0', ...limits, process: true })

const kind = values.kind as Kind
const ledger = kind === 'bare' ? null : await ledgerOf(kind)
const app = ledger === null ? bareApp(records()) : await productApp(ledger)
await app.listen({ host: '127.0.0.1', port: 0 })
answer(({ question }: { question: Question }) =>
  typeof question === 'object' ? fillQueue(question.queue) : ANSWERS[question](),
)
process.send?.({ port: (app.server.address() as AddressInfo).port })

/** It watches from the first question on: a timer every millisecond would cost the others something. */
function turnsSince(): () => Turns {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  let before = process.cpuUsage()
  return () => {
    delays.enable()
    const { user, system } = process.cpuUsage(before)
    const turns = { longest_ms: delays.max / 1e6, cpu_ms: (user + system) / 1_000 }
    before = process.cpuUsage()
    delays.reset()
    return turns
  }
}

/** Up to that depth: what a load has worked off. A server that keeps none has nothing to fill. */
async function fillQueue(depth: number): Promise<void> {
  if (ledger?.queued !== undefined) await enqueue(ledger.orchestrator, depth - ledger.queued())
}

function records(): Records {
  return JSON.parse(readFileSync(values.records, 'utf8')) as Records
}

async function ledgerOf(ledgerKind: 'durable' | 'single' | 'no-op'): Promise<Ledger> {
  if (ledgerKind === 'no-op') {
    const refuse = () => Promise.reject(new Error('a no-op keeps nothing that could be audited'))
    return { ...noOpLedger(records(), { clock, entropy }), commits: () => 0, audit: refuse }
  }
  // Only here, so that the memory of the others does not hold the driver of SQLite.
  const { durableStore } = await import('./durable.ts')
  const opened = durableStore(values.dir, {
    now: clock().text,
    write_queue_max: limits.write_queue_max,
    onGroup: metrics.committed,
    ...(ledgerKind === 'single' && { group_max: 1 }),
    counted: values.counted,
  })
  const orchestrator = createOrchestrator({ store: opened.store, clock, entropy })
  if (!values.routes) return { ...opened, orchestrator }
  await prepareRouter(orchestrator)
  const before = await opened.audit() // what is there already was not asked for by the load
  const audit = async (): Promise<Audit> => {
    const now = await opened.audit()
    return { ...now, events: now.events - before.events, decisions: now.decisions - before.decisions }
  }
  return { ...opened, orchestrator, audit }
}

async function productApp({ orchestrator, store }: Ledger) {
  const onError = (error: unknown) => process.send?.({ failed: String(error) })
  startSweeper({
    store,
    clock,
    idempotency_ttl_hours: SETTINGS.idempotency_ttl_hours.default,
    onError,
  })
  const alarm = startAlarm({ clock, sweep: () => orchestrator.sweep(), onError })
  orchestrator.onDue(alarm.at)
  orchestrator.onLease(metrics.leased)
  const product = await buildApp({
    orchestrator,
    reads: store,
    logger: pino({ level: values.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }),
    newRequestId: requestIds(entropy.hex(8)),
    version: '0.0.0',
    metrics,
    max_streams: limits.max_streams,
    api_keys: [],
    is_loopback: true,
    allowed_hosts: [],
    allowed_origins: [],
    isDraining: () => false,
  })
  product.server.maxConnections = SETTINGS.max_connections.default
  return product
}

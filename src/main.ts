import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import closeWithGrace from 'close-with-grace'
import { type Logger, pino } from 'pino'
import { createClock } from './clock.ts'
import { type Config, isLoopback } from './config.ts'
import { createEntropy, requestIds } from './entropy.ts'
import { LedgerError } from './domain/error.ts'
import { EXIT, ExitError } from './exit.ts'
import { buildApp } from './http/app.ts'
import { type Orchestrator, createOrchestrator } from './orchestrator/orchestrator.ts'
import { type Metrics, createMetrics } from './metrics/metrics.ts'
import { startAlarm } from './orchestrator/alarm.ts'
import { startSweeper } from './orchestrator/sweeper.ts'
import { readRouterFile } from './router-file.ts'
import { readMigrations } from './store/sqlite/migrate.ts'
import { databaseFile, openStore } from './store/sqlite/open.ts'
import { StoreRefused } from './store/sqlite/refused.ts'
import type { Store } from './store/store.ts'

/** Relative to src/ in a checkout and to dist/ in a package alike. */
const packageFile = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))

export const VERSION = (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string })
  .version

/** How long open connections can see that the server is stopping before they are closed. */
const DRAIN_MS = 500
/** After this, requests that are still under way are cut off. */
const CLOSE_MS = 3_000
/** After this, the process ends whatever hangs. */
const EXIT_MS = 10_000

export interface RunningServer {
  url: string
  /** Answers what is under way, checkpoints, and lets the data directory go. */
  stop(): Promise<void>
}

/** Serves until SIGTERM or SIGINT; then exits with 0, or with 1 after an error that nothing caught. */
export async function serve(config: Config): Promise<void> {
  const logger = await createLogger(config)
  const server = await startServer(config, logger)
  closeWithGrace({ delay: EXIT_MS }, async ({ err, signal }) => {
    if (err !== undefined) logger.fatal({ err }, 'the server stops after an error')
    else logger.info({ signal }, 'the server stops')
    await server.stop()
  })
  if (process.stdout.isTTY) process.stdout.write(banner(config, server.url))
  else logger.info({ url: server.url, docs: `${server.url}/docs`, data_dir: config.data_dir }, 'serving')
}

/** @throws ExitError with a line for the operator if it cannot serve */
export async function startServer(config: Config, logger: Logger): Promise<RunningServer> {
  const entropy = createEntropy()
  const metrics = createMetrics({ ...config, version: VERSION, process: true })
  const { store, lost, migrated } = await opened(config, metrics)
  if (migrated.from !== migrated.to) logger.info(migrated, 'migrated the store')
  const clock = createClock(await store.lastInstant())
  const orchestrator = createOrchestrator({ store, clock, entropy })
  if (lost !== null) {
    await orchestrator.recordLoss(lost)
    logger.warn({ anchor: lost }, 'went on with a store that is shorter than its anchor')
  }
  if (config.router_config !== '') await installRouter(config.router_config, { orchestrator, store, logger })
  const sweeper = startSweeper({
    store,
    clock,
    idempotency_ttl_hours: config.idempotency_ttl_hours,
    onError: (err) => logger.error({ err }, 'could not forget idempotency keys'),
  })
  const alarm = startAlarm({
    clock,
    sweep: () => orchestrator.sweep(),
    onError: (err) => logger.error({ err }, 'could not end what time has ended'),
  })
  orchestrator.onDue(alarm.at)
  orchestrator.onLease(metrics.leased)
  let draining = false
  const app = await buildApp({
    orchestrator,
    reads: store,
    logger,
    newRequestId: requestIds(entropy.hex(8)),
    version: VERSION,
    metrics,
    max_streams: config.max_streams,
    api_keys: config.api_keys,
    is_loopback: isLoopback(config.host),
    allowed_hosts: config.allowed_hosts,
    allowed_origins: config.allowed_origins,
    isDraining: () => draining,
  })
  app.server.maxConnections = config.max_connections
  try {
    await app.listen({ host: config.host, port: config.port })
  } catch (error) {
    sweeper.stop()
    alarm.stop()
    await store.close()
    throw cannotListen(error, config)
  }
  return {
    url: urlOf(app.server.address(), config.host),
    async stop() {
      draining = true
      sweeper.stop()
      alarm.stop()
      orchestrator.endWaiting()
      await drained(app.server)
      const cut = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS).unref()
      await app.close()
      clearTimeout(cut)
      await store.close()
    },
  }
}

/** Activates the configuration of a file; one that is active already stays as it is. */
async function installRouter(
  file: string,
  { orchestrator, store, logger }: { orchestrator: Orchestrator; store: Store; logger: Logger },
): Promise<void> {
  try {
    const { document, faults_of_form } = readRouterFile(file)
    const installed = await orchestrator.installRouterConfig(document, faults_of_form)
    logger.info({ file, ...installed }, 'loaded the router configuration')
  } catch (error) {
    await store.close()
    throw error instanceof LedgerError ? refusedFile(file, error) : error
  }
}

function refusedFile(file: string, { message, context }: LedgerError): ExitError {
  const places = (context.errors ?? []).map(({ pointer, detail }) => `\n  ${pointer} ${detail}`)
  return new ExitError(EXIT.config, `${file} is no router configuration. ${message}${places.join('')}`)
}

/** Brings the store to the migrations of this program, and serves nothing. */
export async function migrateOnly(config: Config): Promise<{ from: number; to: number }> {
  const { store, migrated } = await opened(config)
  await store.close()
  return migrated
}

async function opened(
  { data_dir, accept_loss, write_queue_max }: Config,
  metrics?: Pick<Metrics, 'committed'>,
) {
  try {
    return await openStore({
      data_dir,
      accept_loss,
      write_queue_max,
      ...(metrics && { onGroup: metrics.committed }),
      migrations: readMigrations(packageFile('migrations/sqlite')),
      now: createClock(null)().text,
    })
  } catch (error) {
    if (!(error instanceof StoreRefused)) throw error
    throw new ExitError(error.reason === 'locked' ? EXIT.busy : EXIT.config, error.message)
  }
}

function cannotListen(error: unknown, { host, port }: Config): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') return error
  const why = { EADDRINUSE: 'is in use', EACCES: 'is not allowed', EADDRNOTAVAIL: 'is not of this machine' }[
    code
  ]
  return new ExitError(
    EXIT.failure,
    `${host}:${port} ${why}. Choose another with --host and --port; 0 is any port.`,
  )
}

type Listening = { getConnections: (done: (error: Error | null, count: number) => void) => void }

/** Gives whoever is connected the time to learn from /readyz; nobody waits if nobody is. */
async function drained(server: Listening): Promise<void> {
  const count = await new Promise<number>((resolve) => server.getConnections((_error, n) => resolve(n)))
  if (count > 0) await new Promise((resolve) => setTimeout(resolve, DRAIN_MS))
}

function urlOf(address: { port: number } | string | null, host: string): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** JSON lines for machines; for a person at a terminal the same in colours, where pino-pretty is installed. */
async function createLogger({ log_level }: Config): Promise<Logger> {
  const options = { level: log_level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  if (!process.stdout.isTTY) return pino(options)
  try {
    const { default: pretty } = await import('pino-pretty')
    return pino(options, pretty({ colorize: true, translateTime: 'HH:MM:ss', singleLine: true, sync: true }))
  } catch {
    return pino(options)
  }
}

function banner(config: Config, url: string): string {
  const keys = config.api_keys.length
  const access = keys > 0 ? `${keys} API key${keys === 1 ? '' : 's'}` : 'open to everybody who can reach it'
  const bearer = keys > 0 ? " \\\n    -H 'Authorization: Bearer sbx_…'" : ''
  return `
  Signalbox ${VERSION}

  API    ${url}/v1
  Docs   ${url}/docs
  Data   ${databaseFile(config.data_dir)}
  Access ${access}

  Try    curl -X POST ${url}/v1/runs${bearer} \\
    -H 'Content-Type: application/json' -d '{"project_id":"demo","phase_id":"build"}'

`
}

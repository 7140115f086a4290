import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { CreatedRouterConfig } from '../src/contract/router-config.ts'
import { type Api, connect } from './api.ts'
import { type Child, startChild } from './processes.ts'
import type { DemoFailed } from './stopping.ts'

/** Where the demo takes place: a directory, and the processes that were started in it. */
export interface Stage {
  directory: string
  /** Where its programs leave what they make. */
  shared: string
  /** Ends the demo where a process dies. */
  onDeath: (failure: DemoFailed) => void
  signal: AbortSignal
  server: Child | null
  worker: Child | null
  /** The server's API, and the run of the demo in it, as soon as there is one. */
  api: Api | null
  run_id: string | null
}

export function createStage(signal: AbortSignal, onDeath: Stage['onDeath']): Stage {
  const directory = mkdtempSync(join(tmpdir(), 'signalbox-demo-'))
  const shared = join(directory, 'shared')
  mkdirSync(shared)
  return { directory, shared, onDeath, signal, server: null, worker: null, api: null, run_id: null }
}

/** A server with nothing in its ledger, and the router configuration of the demo in force. */
export async function openServer(stage: Stage): Promise<Api> {
  const { directory, onDeath, signal } = stage
  const args = ['serve', '--port', '0', '--data-dir', join(directory, 'data')]
  const server = { name: 'server', args, cwd: directory, says: 'serving', onDeath }
  stage.server = await startChild(server, signal)
  const api = connect(String(stage.server.said['url']), signal)
  stage.api = api
  const { config_version } = await api.send<CreatedRouterConfig>('/v1/routing/configs', {
    method: 'POST',
    headers: { 'content-type': 'application/yaml' },
    body: readFileSync(new URL('router_config.yaml', import.meta.url)),
  })
  await api.send(`/v1/routing/configs/${config_version}/activate`, {
    method: 'POST',
    headers: { 'if-match': '"0"' }, // while none is active
  })
  return api
}

export async function openWorker(
  stage: Stage,
  { url, tools, concurrency }: { url: string; tools: string; concurrency: number },
): Promise<void> {
  const { directory, shared, onDeath, signal } = stage
  const args = [
    ...['worker', '--server', url, '--name', `demo@${hostname()}`.slice(0, 200)],
    ...['--tools', resolve(tools), '--concurrency', `${concurrency}`],
    ...['--data-dir', join(directory, 'worker-data')],
  ]
  const env = { SIGNALBOX_DEMO_DIR: shared, SIGNALBOX_DEMO_URL: url }
  const worker = { name: 'worker', args, cwd: directory, env, says: 'working', onDeath }
  stage.worker = await startChild(worker, signal)
}

const WELL_ENDED = 'exit code 0'

/**
 * Stops the worker, then the server, and leaves nothing behind.
 * @param isHurried whether programs that still run are ended; otherwise the worker waits for them
 * @returns what was not as it has to be, a sentence each
 */
export async function clear(stage: Stage, isHurried: boolean): Promise<string[]> {
  const ends = [
    ['worker', await stage.worker?.stop('SIGTERM', ...(isHurried ? ['SIGINT' as const] : []))],
    ['server', await stage.server?.stop('SIGTERM')],
  ] as const
  rmSync(stage.directory, { recursive: true, force: true })
  return ends.flatMap(([name, end]) =>
    end === undefined || end === WELL_ENDED ? [] : [`The ${name} was stopped, and ended with ${end}.`],
  )
}

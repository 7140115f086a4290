import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DOCUMENT = join(ROOT, 'openapi/openapi.json')

let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'signalbox-clients-'))
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
})

afterAll(() => rmSync(directory, { recursive: true }))

/** A program of a package, as npx would run it. */
async function run(program: string, ...args: string[]): Promise<string> {
  const script = join(ROOT, 'node_modules', program)
  const ran = promisify(execFile)(process.execPath, [script, ...args], { cwd: directory })
  const { stdout } = await ran.catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`${program} failed:\n${error.stdout}\n${error.stderr}`)
  })
  return stdout
}

/** @throws Error with what the compiler says, if it says something */
async function typeCheck(...files: string[]): Promise<void> {
  const compilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    noEmit: true,
    target: 'es2022',
    lib: ['es2022', 'dom', 'dom.iterable'],
    module: 'esnext',
    moduleResolution: 'bundler',
    types: [],
  }
  const config = join(directory, `tsconfig.${files[0]}.json`)
  writeFileSync(config, JSON.stringify({ compilerOptions, files }))
  expect(await run('typescript/bin/tsc', '--project', config)).toBe('')
}

// Compilers take their time on a busy machine.
const TIMEOUT_MS = 60_000

describe('a client that is generated from the committed document', { timeout: TIMEOUT_MS }, () => {
  it('by openapi-typescript type-checks, and tells wrong requests from right ones', async () => {
    await run('openapi-typescript/bin/cli.js', DOCUMENT, '--output', join(directory, 'schema.ts'))
    writeFileSync(join(directory, 'use-openapi-fetch.ts'), WITH_OPENAPI_FETCH)
    await typeCheck('use-openapi-fetch.ts', 'schema.ts')
  })

  it('by @hey-api/openapi-ts type-checks, and tells wrong requests from right ones', async () => {
    const output = join(directory, 'hey-api')
    await run(
      '@hey-api/openapi-ts/bin/run.js',
      '--input',
      DOCUMENT,
      '--output',
      output,
      '--client',
      '@hey-api/client-fetch',
    )
    writeFileSync(join(directory, 'use-hey-api.ts'), WITH_HEY_API)
    await typeCheck('use-hey-api.ts')
  })
})

// A «@ts-expect-error» above a line that is right fails just like a line that is wrong.
const WITH_OPENAPI_FETCH = `
import createClient from 'openapi-fetch'
import type { components, paths } from './schema'

type Run = components['schemas']['Run']
const client = createClient<paths>({ baseUrl: 'http://localhost:8710' })

export async function tour(): Promise<Run | undefined> {
  const created = await client.POST('/v1/runs', {
    body: { project_id: 'shop', phase_id: 'build', origin: { trigger_type: 'ci' }, labels: { team: 'core' } },
    params: { header: { 'Idempotency-Key': '01JD8Z6V3QK0T2M4N6P8R0S2T4' } },
  })
  const code: string | undefined = created.error?.code
  const run_id = created.data?.run_id ?? code ?? ''
  await client.POST('/v1/runs/{run_id}/start', { params: { path: { run_id } } })
  await client.POST('/v1/runs/{run_id}/complete', { params: { path: { run_id } }, body: { status: 'failed' } })
  await client.GET('/v1/runs', { params: { query: { state: ['running', 'failed'], limit: 5, order: 'asc' } } })
  const { data } = await client.GET('/v1/runs/{run_id}/events', { params: { path: { run_id } } })
  const actor: 'key' | 'worker' | 'system' | 'anonymous' | undefined = data?.items[0]?.actor.type
  const next: string | null | undefined = data?.next_cursor

  // @ts-expect-error a run needs a phase
  await client.POST('/v1/runs', { body: { project_id: 'shop' } })
  // @ts-expect-error there is no such state
  await client.GET('/v1/runs', { params: { query: { state: ['walking'] } } })
  // @ts-expect-error running is no outcome
  await client.POST('/v1/runs/{run_id}/complete', { params: { path: { run_id } }, body: { status: 'running' } })
  return actor === undefined && next === null ? undefined : created.data
}
`

const WITH_HEY_API = `
import { completeRun, createRun, listRuns, startRun } from './hey-api'
import type { Run, RunState } from './hey-api'

export async function tour(): Promise<Run | undefined> {
  const created = await createRun({ body: { project_id: 'shop', phase_id: 'build', labels: { team: 'core' } } })
  const state: RunState | undefined = created.data?.state
  const run_id = created.data?.run_id ?? created.error?.code ?? state ?? ''
  await startRun({ path: { run_id } })
  await completeRun({ path: { run_id }, body: { status: 'succeeded' }, headers: { 'If-Match': '"2"' } })
  const listed = await listRuns({ query: { state: ['running'], limit: 5 } })
  const next: string | null | undefined = listed.data?.next_cursor

  // @ts-expect-error a run needs a phase
  await createRun({ body: { project_id: 'shop' } })
  // @ts-expect-error running is no outcome
  await completeRun({ path: { run_id }, body: { status: 'running' } })
  return next === null ? undefined : created.data
}
`

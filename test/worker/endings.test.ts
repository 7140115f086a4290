import { readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { FILE_BYTES } from '../../src/worker/output.ts'
import { LIMITS } from '../../src/contract/limits.ts'
import { type ServerProcess, cleanUp, temporaryDirectory } from '../support/process.ts'
import {
  type ToolEntries,
  type WorkerProcess,
  endWorkers,
  isGone,
  js,
  lineIn,
  outcome,
  startToolServer,
  startWorker,
} from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const NOTES = temporaryDirectory()
/** Is there when the worker begins. */
const VANISHING = temporaryDirectory()
const note = (name: string) => join(NOTES, name)
/** Writes the number of its process, as a line, into a file. */
const saysPid = (name: string) =>
  `require('fs').writeFileSync(${JSON.stringify(note(name))}, process.pid + '\\n');`
const FOREVER = 'setInterval(() => {}, 1e6);'
const DEAF = `process.on('SIGTERM', () => {});`
/** Starts another program in the same group, which writes its number and ends on SIGKILL only. */
const leaves = (name: string, then: string) =>
  `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(DEAF + saysPid(name) + FOREVER)}], { stdio: 'inherit' });
   const seen = setInterval(() => require('fs').existsSync(${JSON.stringify(note(name))}) && (clearInterval(seen), ${then}), 10);`

const TOOLS: ToolEntries = {
  says: {
    argv: [
      ...js(
        `const [prompt, file, dir, request] = process.argv.slice(1)
         console.log(JSON.stringify({ prompt, file: fs.readFileSync(file, 'utf8'), dir, cwd: process.cwd(),
           request: JSON.parse(fs.readFileSync(request, 'utf8')), env: process.env }))
         console.error('and this aside')`,
      ),
      '--',
      'the {prompt}',
      '{prompt_file}',
      '{working_directory}',
      '{request_file}',
    ],
    env: ['PASSED', 'NOT_SET'],
    working_directory: NOTES,
  },
  exits: { argv: js('process.exit(3)') },
  dies: { argv: js(`process.kill(process.pid, 'SIGSEGV');${FOREVER}`) },
  missing: { argv: ['signalbox-test-no-such-program'] },
  no_program: { argv: [join(NOTES)] },
  slow: { argv: js(saysPid('slow') + FOREVER), timeout_seconds: 1 },
  deaf: { argv: js(DEAF + saysPid('deaf') + FOREVER), timeout_seconds: 1 },
  leaver: { argv: js(leaves('left', 'process.exit(0)')) },
  parent: { argv: js(leaves('child', '0') + FOREVER), timeout_seconds: 1 },
  loud: { argv: ['head', '-c', '1073741824', '/dev/zero'] },
  broken: { argv: js(`process.stdout.write(Buffer.from([0x61, 0xff, 0x00, 0xc3, 0xa9, 0xe2, 0x82]))`) },
  rubbish: { argv: js(`process.stdout.write(Buffer.alloc(200000, 0xff))`) },
  closes: { argv: js(`fs.closeSync(1); fs.closeSync(2); setTimeout(() => process.exit(0), 50)`) },
  vanished: { argv: ['true'], working_directory: VANISHING },
  option: { argv: ['echo', '{prompt}'] },
  echo: { argv: ['echo', '--', '{prompt}'] },
}

let server: ServerProcess
let worker: WorkerProcess

beforeAll(async () => {
  server = await startToolServer([...Object.keys(TOOLS)])
  worker = await startWorker(server, {
    tools: TOOLS,
    flags: ['--concurrency', '4', '--lease-seconds', '5'],
    env: { PASSED: 'yes', SECRET: 'no' },
  })
})
afterAll(async () => {
  await endWorkers()
  await cleanUp()
})

describe('a program that succeeds', () => {
  it('is given the prompt, files, directory and environment that the tools file names, and no more', async () => {
    const { request, attempt } = await outcome(server, worker, 'says', {
      prompt: '$(id) `id` {request_file} é',
    })
    expect(request).toMatchObject({ state: 'succeeded', attempts: 1, worker_id: 'tester' })
    expect(attempt).toMatchObject({ state: 'succeeded', exit_code: 0, signal: null, error_class: null })
    const said = JSON.parse(attempt.stdout_tail!)
    expect(said).toMatchObject({
      prompt: 'the $(id) `id` {request_file} é',
      file: '$(id) `id` {request_file} é',
      dir: NOTES,
      cwd: NOTES,
      request: { request_id: request.request_id, task_kind: 'says' },
    })
    expect(Object.keys(said.env).sort()).toEqual(['HOME', 'PASSED', 'PATH'])
    expect(JSON.stringify(said)).not.toContain('lease')
    expect(attempt.stderr_tail).toBe('and this aside\n')
    expect(attempt.usage.duration_ms).toBeGreaterThan(0)
    expect(attempt.outputs.logs_path).toBe(join(worker.data_dir, 'attempts', attempt.step_attempt_id))
    expect(readFileSync(join(attempt.outputs.logs_path!, 'stdout.log'), 'utf8')).toBe(attempt.stdout_tail)
  })

  it('may have closed its streams long before', async () => {
    const { attempt } = await outcome(server, worker, 'closes')
    expect(attempt).toMatchObject({ state: 'succeeded', exit_code: 0, stdout_tail: '', stderr_tail: '' })
  })

  it('leaves no child behind, whatever that child holds and ignores', async () => {
    const { attempt } = await outcome(server, worker, 'leaver')
    expect(attempt).toMatchObject({ state: 'succeeded', exit_code: 0 })
    expect(isGone(Number(await lineIn(note('left'))))).toBe(true)
  })

  it('is no shell: what the prompt holds is text', async () => {
    const { attempt } = await outcome(server, worker, 'echo', { prompt: '-n; touch x' })
    expect(attempt.stdout_tail).toBe('-- -n; touch x\n') // echo prints its --
  })
})

describe('a program that fails', () => {
  it.each([
    ['exits', { error_class: 'tool_error', exit_code: 3, signal: null }],
    ['dies', { error_class: 'killed', error_code: 'SIGSEGV', exit_code: null, signal: 'SIGSEGV' }],
    ['missing', { error_class: 'tool_missing', error_code: 'ENOENT', exit_code: null }],
    ['no_program', { error_class: 'tool_missing', error_code: 'EACCES', exit_code: null }],
    ['slow', { error_class: 'timeout', signal: 'SIGTERM', exit_code: null }],
    ['deaf', { error_class: 'timeout', signal: 'SIGKILL', exit_code: null }],
  ])('%s is reported as what it is', async (tool_id, facts) => {
    const { request, attempt } = await outcome(server, worker, tool_id)
    expect(request).toMatchObject({ state: 'failed', attempts: 1 })
    expect(attempt).toMatchObject({ state: 'failed', ...facts })
    expect(attempt.error_log).not.toBe('')
  })

  it('is not tried again where it is missing, and is where it exits', async () => {
    const limits = { max_attempts: 2 }
    const missing = await outcome(server, worker, 'missing', { limits })
    expect(missing.request).toMatchObject({ state: 'failed', stop_reason: 'not_retryable', attempts: 1 })
    const exits = await outcome(server, worker, 'exits', { limits })
    expect(exits.request.stop_reason).not.toBe('not_retryable')
  })

  it('is not started where the prompt would be an option', async () => {
    const { request, attempt } = await outcome(server, worker, 'option', { prompt: '--exec=evil' })
    expect(request).toMatchObject({ state: 'failed', stop_reason: 'not_retryable' })
    expect(attempt).toMatchObject({
      error_class: 'invalid_request',
      error_code: 'prompt_is_option',
      stdout_tail: null,
    })
  })

  it('is not started where the prompt is too long for an argument', async () => {
    const { attempt } = await outcome(server, worker, 'echo', { prompt: 'x'.repeat(200_000) })
    expect(attempt).toMatchObject({ error_class: 'not_started', error_code: 'E2BIG' })
  })

  it('is not started where its directory leads in a circle, and nothing else ends with that', async () => {
    rmSync(VANISHING, { recursive: true })
    symlinkSync(VANISHING, VANISHING)
    const { attempt } = await outcome(server, worker, 'vanished')
    expect(attempt).toMatchObject({ error_class: 'not_started', error_code: 'ELOOP' })
    const { request } = await outcome(server, worker, 'echo')
    expect(request.state).toBe('succeeded')
  })

  it.each(['slow', 'deaf'])('%s is gone when it is reported', async (name) => {
    expect(isGone(Number(await lineIn(note(name))))).toBe(true)
  })

  it('takes with it the children that it started, also one that ignores SIGTERM', async () => {
    const { attempt } = await outcome(server, worker, 'parent')
    expect(attempt).toMatchObject({ error_class: 'timeout', signal: 'SIGTERM' })
    expect(isGone(Number(await lineIn(note('child'))))).toBe(true)
  })
})

describe('what a program prints', () => {
  it('is bounded on disk and in memory, and all of it is counted', async () => {
    const { attempt, line } = await outcome(server, worker, 'loud')
    expect(attempt).toMatchObject({
      state: 'succeeded',
      stdout_tail: '\uFFFD'.repeat(Math.floor(LIMITS.tail_bytes / 3)),
    })
    expect(statSync(join(attempt.outputs.logs_path!, 'stdout.log')).size).toBe(FILE_BYTES)
    const ended = await worker.said('ended', { execution_request_id: line['execution_request_id'] })
    expect(ended['stdout']).toEqual({ bytes: 2 ** 30, dropped: 2 ** 30 - FILE_BYTES })
    console.log(
      `1 GiB in ${Number(ended['duration_ms'])} ms; peak ${Math.round(worker.peakBytes() / 2 ** 20)} MiB`,
    )
    expect(worker.peakBytes()).toBeLessThan(400 * 2 ** 20)
  })

  it('becomes text that the ledger takes, whatever the bytes', async () => {
    const { attempt } = await outcome(server, worker, 'broken')
    expect(attempt.stdout_tail).toBe('a\uFFFD\uFFFDé\uFFFD')
    const logs = readFileSync(join(attempt.outputs.logs_path!, 'stdout.log'))
    expect(logs).toEqual(Buffer.from([0x61, 0xff, 0x00, 0xc3, 0xa9, 0xe2, 0x82])) // the file has the bytes
  })

  it('is bounded also where the text is longer than the bytes were', async () => {
    const { attempt } = await outcome(server, worker, 'rubbish')
    expect(attempt.state).toBe('succeeded')
    expect(Buffer.byteLength(attempt.stdout_tail!)).toBeLessThanOrEqual(LIMITS.tail_bytes)
    expect(attempt.stdout_tail).toMatch(/^\uFFFD+$/)
  })
})

import { execFile } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { ROOT, cleanUp, temporaryDirectory } from '../support/process.ts'
import { endProxies, through } from './proxy.ts'
import { attemptsOf, read, startToolServer, submit } from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000 })
afterEach(() => {
  endProxies()
  return cleanUp()
})

const run = promisify(execFile)

const bin = (program: string) => join(ROOT, 'node_modules/.bin', program)
/** A checkout with no more than worker.ts needs: what it imports is generated, and no part of the repository. */
let checkout: string

beforeAll(async () => {
  checkout = mkdtempSync(join(tmpdir(), 'signalbox-example-'))
  for (const name of ['openapi', 'node_modules']) symlinkSync(join(ROOT, name), join(checkout, name))
  for (const name of ['package.json', 'tsconfig.json']) copyFileSync(join(ROOT, name), join(checkout, name))
  mkdirSync(join(checkout, 'examples'))
  for (const name of ['worker.ts', 'worker.py', 'worker.sh', 'client.config.mjs']) {
    copyFileSync(join(ROOT, 'examples', name), join(checkout, 'examples', name))
  }
  // As the file says that it is done.
  const source = readFileSync(join(checkout, 'examples/worker.ts'), 'utf8')
  const [, program = '', args = ''] = /^\/\/ +npx (\S+) (.*)$/m.exec(source) ?? []
  await run(bin(program), args.split(' '), { cwd: checkout })
}, 60_000)
afterAll(() => rmSync(checkout, { recursive: true, force: true }))

it('examples/worker.ts type-checks with the client that is generated for it', async () => {
  // The rules of the repository; what is generated follows its own in the two that are relaxed.
  const config = {
    extends: './tsconfig.json',
    compilerOptions: { exactOptionalPropertyTypes: false, lib: ['es2024', 'dom', 'dom.iterable'] },
    include: ['examples'],
  }
  writeFileSync(join(checkout, 'tsconfig.example.json'), JSON.stringify(config))
  const checked = run(bin('tsc'), ['--project', 'tsconfig.example.json'], { cwd: checkout })
  const { stdout } = await checked.catch((error: { stdout: string }) => error)
  expect(stdout).toBe('')
})

const EXAMPLES = [
  ['python3', 'worker.py'],
  ['bash', 'worker.sh'],
  ['node', 'worker.ts'],
] as const

/** Where a program is, behind whatever stands for it on the PATH. */
async function pathOf(program: string): Promise<string> {
  if (program !== 'python3') return (await run('which', [program])).stdout.trim()
  return (await run('python3', ['-c', 'import sys; print(sys.executable)'])).stdout.trim()
}

/** One of them, to its end. */
function carryOut(
  [program, file]: readonly [program: string, file: string],
  url: string,
  env: Record<string, string> = {},
) {
  // This very Node: the one on the PATH may be too old to run TypeScript.
  return run(program === 'node' ? process.execPath : program, [join(checkout, 'examples', file), url], {
    cwd: tmpdir(), // where there is no repository, so that git has something to complain about
    env: { PATH: process.env['PATH'], WAIT: '0', ...env },
    timeout: 30_000,
  })
}

it.each(EXAMPLES)('%s examples/%s does all there is, and ends', async (program, file) => {
  const server = await startToolServer(['echo', 'git'])
  const prompts = ['$(id) `id` é', 'a "second"', '-n']
  const requests = await Promise.all(prompts.map((prompt) => submit(server, 'echo', { prompt })))
  const fails = await submit(server, 'git')
  await carryOut([program, file], server.url)
  for (const [index, request] of requests.entries()) {
    expect(await read(server, request)).toMatchObject({ state: 'succeeded', attempts: 1, worker_id: file })
    const [attempt] = await attemptsOf(server, request)
    expect(attempt!.stdout_tail!.trimEnd()).toBe(prompts[index])
  }
  expect(await read(server, fails)).toMatchObject({ state: 'failed' })
  const [attempt] = await attemptsOf(server, fails)
  expect(attempt).toMatchObject({ error_class: 'tool_error', exit_code: 129 })
})

it.each(EXAMPLES)('%s examples/%s goes on where a heartbeat is lost', async (program, file) => {
  const server = await startToolServer(['git'])
  const request = await submit(server, 'git')
  const directory = temporaryDirectory()
  const pipe = join(directory, 'pipe')
  await run('mkfifo', [pipe])
  writeFileSync(join(directory, 'git'), `#!/bin/sh\nexec timeout 10 cat '${pipe}'\n`, { mode: 0o755 })
  let beats = 0
  const lossy = await through(server, async (path, body) => {
    if (!path.endsWith('/heartbeat')) return body
    beats += 1
    if (beats === 2) await writeFile(pipe, 'done') // the program ends with what comes after the loss
    return beats === 1 ? null : body
  })
  await carryOut([program, file], lossy.url, {
    PATH: `${directory}:${process.env['PATH']}`,
    HEARTBEAT: '0.2',
  })
  expect(beats).toBeGreaterThan(1)
  expect(await read(server, request)).toMatchObject({ state: 'succeeded', attempts: 1 })
  expect(await attemptsOf(server, request)).toMatchObject([{ stdout_tail: 'done' }])
})

it.each(EXAMPLES)('%s examples/%s fails where there is no server, and says so', async (...example) => {
  const { url, stop } = await startToolServer(['git'])
  await stop()
  const ended = carryOut(example, url).catch((error: { code: number; stderr: string }) => error)
  expect(await ended).toMatchObject({
    code: expect.toSatisfy((code) => code > 0),
    stderr: expect.stringMatching(/./),
  })
})

it.each([
  ['python3', 'worker.py'],
  ['node', 'worker.ts'],
] as const)('%s examples/%s reports what cannot be started, and goes on', async (...example) => {
  const server = await startToolServer(['echo', 'git'])
  const tooLong = await submit(server, 'echo', { prompt: 'x'.repeat(200_000) })
  const missing = await submit(server, 'git')
  const last = await submit(server, 'echo', { prompt: 'done' })
  const programs = temporaryDirectory()
  // Without git.
  for (const name of ['python3', 'printf']) symlinkSync(await pathOf(name), join(programs, name))
  await carryOut(example, server.url, { PATH: programs })
  for (const [request, code] of [
    [tooLong, 'E2BIG|too long'],
    [missing, 'ENOENT|No such file'],
  ] as const) {
    expect(await read(server, request)).toMatchObject({ state: 'failed' })
    expect(await attemptsOf(server, request)).toMatchObject([
      { error_class: 'not_started', error_log: expect.stringMatching(code) },
    ])
  }
  expect(await read(server, last)).toMatchObject({ state: 'succeeded' })
})

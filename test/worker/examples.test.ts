import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, it, vi } from 'vitest'
import { ROOT, cleanUp } from '../support/process.ts'
import { attemptsOf, read, startToolServer, submit } from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000 })
afterEach(cleanUp)

const run = promisify(execFile)

it.each([
  ['python3', 'worker.py'],
  ['bash', 'worker.sh'],
])('%s examples/%s does all there is, and ends', async (program, file) => {
  const server = await startToolServer(['echo', 'git'])
  const prompts = ['$(id) `id` é', 'a "second"', '-n']
  const requests = await Promise.all(prompts.map((prompt) => submit(server, 'echo', { prompt })))
  const fails = await submit(server, 'git')
  const env = { PATH: process.env['PATH'], WAIT: '0' }
  // Where there is no repository, so that git has something to complain about.
  await run(program, [join(ROOT, 'examples', file), server.url], {
    cwd: server.data_dir,
    env,
    timeout: 30_000,
  })
  for (const [index, request] of requests.entries()) {
    expect(await read(server, request)).toMatchObject({ state: 'succeeded', attempts: 1, worker_id: file })
    const [attempt] = await attemptsOf(server, request)
    expect(attempt!.stdout_tail!.trimEnd()).toBe(prompts[index])
  }
  expect(await read(server, fails)).toMatchObject({ state: 'failed' })
  const [attempt] = await attemptsOf(server, fails)
  expect(attempt).toMatchObject({ error_class: 'tool_error', exit_code: 129 })
})

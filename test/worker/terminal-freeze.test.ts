import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import { ROOT, type ServerProcess, cleanUp, temporaryDirectory, within } from '../support/process.ts'
import { attemptsOf, js, lineIn, read, startToolServer, submit } from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const CTRL_S = '\x13'
const CTRL_Q = '\x11'
/** Runs a command in a terminal of its own, between its own input and output; ends as the command does. */
const IN_TERMINAL = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

let directory: string
let server: ServerProcess
let terminal: ChildProcess
let shown: string

/** Longer than the lease: who sends no heartbeats loses it first. */
const TIMEOUT_SECONDS = 7

beforeEach(async () => {
  directory = temporaryDirectory()
  server = await startToolServer(['hangs'])
  const note = JSON.stringify(join(directory, 'pid'))
  // What a tool calls its parent is the worker.
  const hangs = js(`fs.writeFileSync(${note}, process.ppid + '\\n'); setTimeout(() => {}, 60_000)`)
  const tools = { hangs: { argv: hangs, timeout_seconds: TIMEOUT_SECONDS } }
  writeFileSync(join(directory, 'tools.yaml'), stringify({ tools }))
  terminal = startInTerminal(
    'worker',
    '--server',
    server.url,
    '--tools',
    'tools.yaml',
    '--lease-seconds',
    '5',
  )
  shown = ''
  terminal.stdout!.setEncoding('utf8').on('data', (text: string) => (shown += text))
})
afterEach(async () => {
  terminal.kill('SIGKILL') // whose terminal goes away gets SIGHUP
  await cleanUp()
})

function startInTerminal(...args: string[]): ChildProcess {
  const command = [process.execPath, join(ROOT, 'src/cli.ts'), ...args]
  return spawn('python3', ['-c', IN_TERMINAL, ...command], {
    cwd: directory,
    env: { PATH: process.env['PATH'], HOME: directory },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

const shows = (text: string) => vi.waitUntil(() => shown.includes(text), { timeout: 15_000 })

it('a terminal that stands still stops neither heartbeats nor timeouts, and shows what it missed', async () => {
  await shows('· idle')
  terminal.stdin!.write(CTRL_S)
  const request = await submit(server, 'hangs')
  await vi.waitUntil(async () => (await read(server, request)).state === 'failed', {
    timeout: 20_000,
    interval: 100,
  })
  expect(await attemptsOf(server, request)).toMatchObject([{ attempt: 1, error_class: 'timeout' }])
  expect(shown).not.toContain('ended')
  terminal.stdin!.write(CTRL_Q)
  await shows('reported')
  expect(shown).toMatch(/ started .*\r\n.* ended .*\r\n.* reported /s)
})

it('a terminal that stands still does not keep the worker from ending', async () => {
  await shows('· idle')
  terminal.stdin!.write(CTRL_S)
  await submit(server, 'hangs')
  const worker = Number(await lineIn(join(directory, 'pid')))
  const exited = once(terminal, 'exit')
  process.kill(worker, 'SIGTERM')
  process.kill(worker, 'SIGINT') // the second ends its program at once
  expect(await within('the worker did not end', exited)).toEqual([0, null])
})

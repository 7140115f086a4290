import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { TASKS } from '../../demo/tasks.ts'
import { ROOT, cleanUp, temporaryDirectory } from '../support/process.ts'
import { isGone, js, lineIn } from '../worker/worker-process.ts'

// It gives up by itself after five minutes, and takes half of one on a machine that has nothing else to do.
const PATIENCE_MS = 330_000

const started = new Set<ChildProcess>()

afterEach(async () => {
  for (const child of started) {
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
  }
  await cleanUp()
})

/** With all that stands in the environment here: what a test runner sets must not reach the one that the demo runs. */
function startDemo(...args: string[]) {
  const child = spawn(process.execPath, [join(ROOT, 'demo/run.ts'), ...args], {
    env: process.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.add(child)
  child.once('exit', () => started.delete(child))
  const printed = text(child.stdout)
  return {
    stop: () => void child.kill('SIGTERM'),
    ended: once(child, 'exit').then(async ([code]) => ({ code: code as number, printed: await printed })),
  }
}

/** A file with these tools, and for all others a program that succeeds at once. */
function toolsFile(tools: Record<string, { argv: string[] }>): string {
  const ids = ['git-log', 'git-stat', 'lines', 'node-check', 'tsc', 'eslint', 'vitest', 'find-word']
  const others = ids.map((id) => [id, { argv: js('') }])
  const file = join(temporaryDirectory(), 'tools.yaml')
  writeFileSync(file, stringify({ tools: { ...Object.fromEntries(others), ...tools } }))
  return file
}

const directoryIn = (printed: string): string => /with its data in (.+)\.$/m.exec(printed)![1]!

/** What the report has of a task. */
const partOf = (printed: string, task_id: string): string =>
  new RegExp(`^${task_id}: .*\n(?:  .*\n)+`, 'm').exec(printed)![0]

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** The lines of a report that are the same each time: the tasks, who did them, and why. */
const reasonsIn = (report: string): string[] =>
  report.split('<!--')[0]!.match(/^(?:\w+: [A-Z].*|  (?:tool|why|why not) .*)$/gm) ?? []

it(
  'does real work, tries again what failed once, and says who did it and why',
  { timeout: PATIENCE_MS },
  async () => {
    const { code, printed } = await startDemo().ended
    expect(printed.slice(-1_000), 'the end of what it printed').toContain('Everything ended as it should')
    expect(code).toBe(0)

    const tools = TASKS.map(({ task_id }) => [
      task_id,
      /tool +(\S+): succeeded/.exec(partOf(printed, task_id))![1],
    ])
    expect(Object.fromEntries(tools)).toEqual({
      types: 'tsc',
      lint: 'eslint',
      tests: 'vitest',
      search: 'find-word',
      syntax: 'node-check',
      inventory: 'git-stat',
      lines: 'lines',
      history: 'git-log',
    })
    const tries = TASKS.map(({ task_id }) => [task_id, partOf(printed, task_id).match(/ exit code \d+/g)])
    expect(Object.fromEntries(tries)).toEqual({
      ...Object.fromEntries(TASKS.map(({ task_id }) => [task_id, [' exit code 0']])),
      search: [' exit code 75', ' exit code 0'],
    })
    expect(partOf(printed, 'search')).toContain('There was no index of the words yet.')
    expect(partOf(printed, 'tests')).toMatch(/Tests +\d+ passed/)
    expect(partOf(printed, 'inventory')).toContain('lines was not eligible: its safety tier is too low.')
    expect(partOf(printed, 'syntax')).toContain('tsc was eligible, and not chosen: another scores higher.')
    expect(printed).toMatch(/^run +\w{26} succeeded by itself/m)
    expect(printed).toMatch(/^events +[1-9]\d+, chain verified, last hash [0-9a-f]{64}$/m)
    expect(reasonsIn(README.split('<!-- demo -->')[1]!)).toEqual(reasonsIn(printed))
    expect(printed).not.toContain('\x1b') // this is no terminal
    expect(existsSync(directoryIn(printed))).toBe(false)
  },
)

it('says what was wrong, and fails', { timeout: 60_000 }, async () => {
  const { code, printed } = await startDemo('--tools', toolsFile({ tsc: { argv: ['no-such-program'] } }))
    .ended
  expect(code).toBe(1)
  const [, faults = ''] = printed.split('Not everything ended as it should:')
  expect(faults).toContain('types failed (not_retryable). This worker cannot start no-such-program')
  expect(faults).toContain('search took 1 attempt, and has to take 2.')
  expect(faults).toContain('The run is failed:')
  expect(existsSync(directoryIn(printed))).toBe(false)
})

it('says what is open when it has waited long enough', { timeout: 60_000 }, async () => {
  const endless = { argv: js('setInterval(() => {}, 1000)') }
  const { code, printed } = await startDemo('--timeout-seconds', '6', '--tools', toolsFile({ tsc: endless }))
    .ended
  expect(code).toBe(1)
  expect(printed).toContain('It was not over after 6 s.')
  // On a slow machine it may not have come as far as that.
  if (/types +tsc +running/.test(printed)) expect(printed).toMatch(/- types is claimed: .+ holds it/)
  expect(existsSync(directoryIn(printed))).toBe(false)
})

it('leaves nothing behind when it is told to stop', { timeout: 60_000 }, async () => {
  const file = join(temporaryDirectory(), 'pid')
  const code = `fs.writeFileSync(process.argv[1], process.pid + '\\n'); setInterval(() => {}, 1000)`
  const demo = startDemo('--tools', toolsFile({ tsc: { argv: [...js(code), file] } }))
  const pid = Number(await lineIn(file))
  demo.stop()
  const { code: exit_code, printed } = await demo.ended
  expect(exit_code).toBe(128 + 15)
  expect(isGone(pid)).toBe(true)
  expect(existsSync(directoryIn(printed))).toBe(false)
  const url = /A server is at (\S+),/.exec(printed)![1]!
  await expect(fetch(url)).rejects.toThrow()
})

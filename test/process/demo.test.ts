import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterEach, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { ROOT, cleanUp, startCommand, temporaryDirectory } from '../support/process.ts'
import { isGone, js, lineIn } from '../worker/worker-process.ts'

// It gives up by itself after five minutes, and takes a third of one on a machine that has nothing else to do.
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
    /** What it says to type in another terminal: the arguments of signalbox. */
    watching: new Promise<string[]>((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        if (line.startsWith('  npm run signalbox -- tail ')) resolve(line.trim().split(' ').slice(4))
      })
    }),
    stop: () => void child.kill('SIGTERM'),
    ended: once(child, 'exit').then(async ([code]) => ({ code: code as number, printed: await printed })),
  }
}

const TOOLS = [
  'node-check',
  'tsc',
  'eslint',
  'vitest',
  'git-fsck',
  'git-stat',
  'git-notes',
  'git-log',
  'find-word',
  'lines',
  'write-report',
  'check-report',
]

/** A file with these tools, and for all others a program that succeeds at once. */
function toolsFile(tools: Record<string, { argv: string[] }>): string {
  const others = TOOLS.map((id) => [id, { argv: js('') }])
  const file = join(temporaryDirectory(), 'tools.yaml')
  writeFileSync(file, stringify({ tools: { ...Object.fromEntries(others), ...tools } }))
  return file
}

const directoryIn = (printed: string): string => /with its data in (.+)\.$/m.exec(printed)![1]!

/** What the report has of a task. */
const partOf = (printed: string, task_id: string): string =>
  new RegExp(`^${task_id}: .*\n(?:  .*\n)+`, 'm').exec(printed)![0]

/** By whom it was tried, or checked, and how that ended. */
const triesIn = (printed: string, task_id: string): string[] =>
  [...partOf(printed, task_id).matchAll(/^  (?:try \d|check) +(\S+: exit code \d+) after/gm)].map(
    ([, end = '']) => end,
  )

/** With N for what differs from run to run; what stands in columns is as wide as before. */
const normalised = (text: string): string =>
  text
    .replaceAll(/ {2,}\d+\.\d s/g, (found) => 'N s'.padStart(found.length))
    .replaceAll(/\b(?:[0-9A-Z]{26}|[0-9a-f]{40}|[0-9a-f]{64}|\d+(?:\.\d+)?)\b/g, 'N')
    .replaceAll(/^Critical path: .*$/gm, 'Critical path: N')

const PLAN = `
  syntax         N s ─┬─▶ types          N s ─┬─▶ report         N s
                      ├─▶ lint           N s ─┤
                      └─▶ tests          N s ─┤
  objects        N s ─┬─▶ inventory      N s ─┤
                      └─▶ news           N s ─┤
  search         N s ─────────────────────────┤
  lines          N s ─────────────────────────┘
`

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** What README shows of a report, or of its events: it leaves out some, and where it does so, it has `…`. */
const shownLines = (place: 'demo' | 'tail'): string[] => {
  const shown = new RegExp(`<!-- ${place} -->\\s*\`\`\`text\\n(.*?)\`\`\``, 's').exec(README)![1]!
  return shown.split('\n').filter((line) => line !== '' && line !== '…' && !isPrinted(line))
}

/** What a program printed is another thing with each commit. */
const isPrinted = (line: string): boolean => line.startsWith('           | ')

it(
  'does real work, tries again what failed or was rejected, falls back, and says who did what and why',
  { timeout: PATIENCE_MS },
  async () => {
    const demo = startDemo()
    const watched = startCommand(await demo.watching)
    const { code, printed } = await demo.ended
    expect(printed.slice(-1_000), 'the end of what it printed').toContain('Everything ended as it should')
    expect(code).toBe(0)

    const ids = [...printed.matchAll(/^(\w+): [A-Z].*\n  why /gm)].map(([, task_id = '']) => task_id)
    expect(Object.fromEntries(ids.map((task_id) => [task_id, triesIn(printed, task_id)]))).toEqual({
      syntax: ['node-check: exit code 0'],
      types: ['tsc: exit code 0'],
      lint: ['eslint: exit code 0'],
      tests: ['vitest: exit code 0'],
      objects: ['git-fsck: exit code 0'],
      inventory: ['git-stat: exit code 0'],
      news: ['git-notes: exit code 1', 'git-notes: exit code 1', 'git-log: exit code 0'],
      search: ['find-word: exit code 75', 'find-word: exit code 0'],
      lines: ['lines: exit code 0'],
      report: [
        'write-report: exit code 0',
        'check-report: exit code 1',
        'write-report: exit code 0',
        'check-report: exit code 0',
      ],
    })
    expect(partOf(printed, 'syntax')).toContain('tsc was eligible, and not chosen: another scores higher.')
    expect(partOf(printed, 'tests')).toMatch(/Tests +\d+ passed/)
    expect(partOf(printed, 'inventory')).toContain('lines was not eligible: its safety tier is too low.')
    expect(partOf(printed, 'news')).toContain('error: no note found for object')
    expect(partOf(printed, 'news')).toContain(
      'git-notes has failed 2 times: rule news falls back to git-log.',
    )
    expect(partOf(printed, 'search')).toContain('There was no index of the words yet.')
    expect(partOf(printed, 'report')).toContain('Rule report validates the work with check-report.')
    expect(partOf(printed, 'report')).toContain('The contents do not name types, lint, tests,')
    expect(partOf(printed, 'report')).toContain('The contents and the sections name all 7 tasks.')

    expect(normalised(printed)).toContain(PLAN)
    expect(printed).toMatch(/^run +\w{26} succeeded by itself/m)
    expect(printed).toMatch(/^attempts +16 for 10 tasks, up to [2-4] at once$/m)
    expect(printed).toMatch(/^failures +4; tried again 4 times, 1 of them by another tool$/m)
    expect(printed).toMatch(/^decisions +13, of which 13 came out the same/m)
    expect(printed).toMatch(/^events +[1-9]\d+, chain verified, last hash [0-9a-f]{64}$/m)
    const lines = printed.split('\n').map(normalised)
    expect(lines).toEqual(expect.arrayContaining(shownLines('demo').map(normalised)))
    // Who watched has seen it to its end, as README shows it.
    expect(await watched.end()).toEqual({ code: 0, signal: null })
    const events = watched.printed.map(normalised)
    expect(events).toEqual(expect.arrayContaining(shownLines('tail').map(normalised)))
    expect(events.at(-1)).toContain('run_completed      running → succeeded')
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
  expect(faults).toContain('report canceled (dependency_failed).')
  expect(faults).toContain(
    'search had the attempts find-word: succeeded, and has to have find-word: failed, find-word: succeeded.',
  )
  expect(faults).toContain('The run is failed:')
  expect(existsSync(directoryIn(printed))).toBe(false)
})

it('is not content with a report that has nothing of what it waited for', { timeout: 60_000 }, async () => {
  const { code, printed } = await startDemo('--tools', toolsFile({})).ended
  expect(code).toBe(1)
  expect(printed).toMatch(/^run +\w{26} succeeded by itself/m)
  expect(printed).toContain('The report has nothing of types.')
  expect(printed).toContain('The report has nothing of inventory.')
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

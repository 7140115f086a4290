// `npm run bench`: measures the server against itself without a store, so that the figures mean something on
// any machine. See --help.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureBacktests } from './backtests.ts'
import { type Build, CACHE, build } from './build.ts'
import { type Measured, type Workshop, measureLoad } from './loads.ts'
import { FIGURES, type Figure, LOADS, type LoadName, NO_OP_FLOOR, type SideName } from './plan.ts'
import { CLIENT_CORE, isAlive, kill, pinSelf, startPinned } from './processes.ts'
import { recordAnswers } from './records.ts'
import { conclude } from './results.ts'
import { measurePlans } from './plans.ts'
import { measureStarts } from './start.ts'
import { storedQueue } from './stored-queue.ts'
import { storedReads } from './stored-reads.ts'
import { storedRuns } from './stored-runs.ts'
import { measureStreams } from './streams.ts'
import { measureWaiting } from './waiting.ts'

const HELP = `Usage: npm run bench -- [--quick] [--only NAME,…]

  --quick  one round of one second: shows that it works, measures nothing
  --only   only the figures whose names begin so:
           ${FIGURES.map(({ name }) => name).join('\n           ')}

The whole takes about thirteen minutes on two quiet cores, and two or three more the first time, when it loads a
million runs and fills a queue. Leave the machine alone meanwhile.
`

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, only: { type: 'string' }, help: { type: 'boolean' } },
})
let lastProgress = ''
const STARTED_RUNS = 10_000
const isWhole = options.quick !== true && options.only === undefined

function figuresFor(only: string | undefined): readonly Figure[] {
  if (only === undefined) return FIGURES
  const names = only.split(',')
  const chosen = FIGURES.filter(({ name }) => names.some((start) => name.startsWith(start)))
  if (chosen.length > 0) return chosen
  process.stderr.write(`No figure has a name that begins with ${only}; --help lists them.\n`)
  process.exit(1)
}

/** @returns the exit code: figures may fall short, but they must be what they say */
async function bench(figures: readonly Figure[]): Promise<number> {
  pinSelf()
  mkdirSync(CACHE, { recursive: true })
  const scratch = makeScratch()
  progress('compiling')
  const built = build()
  const workshop = await openWorkshop(built, scratch)
  const measured = new Map<LoadName, Measured>()
  for (const [name, sides] of loadsOf(figures)) {
    measured.set(name, await measureLoad(workshop, { name, load: LOADS[name], sides }))
  }
  const streams = figures.some(({ load }) => load === 'streams') ? await measureStreams(workshop) : null
  await kill(workshop.client)
  const backtests = figures.some(({ load }) => load === 'backtest') ? await measureBacktests(workshop) : null
  const waiting = figures.some(({ load }) => load === 'waiting') ? await measureWaiting(workshop) : null
  const plans = figures.some(({ load }) => load === 'plans') ? await measurePlans(workshop) : null
  const starts = figures.some(({ load }) => load === 'start') ? await startsOf(workshop, built) : null
  progress('')
  const { rounds, round_ms } = workshop
  return conclude(figures, {
    measured,
    starts,
    backtests,
    plans,
    waiting,
    streams,
    rounds,
    round_ms,
    isWhole,
  })
}

/** A folder of this process, gone with it; and what others left behind that were killed. */
function makeScratch(): string {
  for (const name of readdirSync(CACHE)) {
    const pid = /^scratch-(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(CACHE, name), { recursive: true, force: true })
  }
  const scratch = join(CACHE, `scratch-${process.pid}`)
  mkdirSync(scratch)
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
  return scratch
}

async function openWorkshop(built: Build, scratch: string): Promise<Workshop> {
  const records_file = join(scratch, 'records.json')
  writeFileSync(records_file, JSON.stringify(await recordAnswers()))
  return {
    rounds: options.quick === true ? 1 : 5,
    round_ms: options.quick === true ? 1_000 : 4_000,
    client: startPinned({ core: CLIENT_CORE, file: built.bench('client.js') }),
    module: built.bench,
    scratch,
    records_file,
    stored: (runs, paths) =>
      storedReads({ cache: CACHE, scratch, runs, paths, onProgress: loading(runs, 'runs') }),
    queue: (queued, dir) =>
      storedQueue({ cache: CACHE, queued, dir, onProgress: loading(queued, 'queued requests') }),
    progress,
  }
}

/** Each load once, with all the sides that a figure needs, or that show that the no-op is fast itself. */
function loadsOf(figures: readonly Figure[]): Map<LoadName, SideName[]> {
  const loads = new Map<LoadName, SideName[]>()
  for (const { load, over, under } of figures) {
    if (
      load === 'start' ||
      load === 'backtest' ||
      load === 'plans' ||
      load === 'waiting' ||
      load === 'streams'
    )
      continue
    const floor = load === NO_OP_FLOOR.load ? ([NO_OP_FLOOR.over, NO_OP_FLOOR.under] as const) : []
    const sides = [...(loads.get(load) ?? []), over, ...(under === null ? [] : [under]), ...floor]
    loads.set(load, [...new Set(sides)])
  }
  return loads
}

async function startsOf({ rounds }: Workshop, { cli }: Build) {
  // Of a store with something in it: the check of its file is part of every start.
  const { dir } = await storedRuns(CACHE, STARTED_RUNS, loading(STARTED_RUNS, 'runs'))
  return measureStarts({ cli, data_dir: dir, rounds, progress })
}

const loading = (count: number, what: string) => (loaded: number) =>
  progress(`loading ${count} ${what}, once: ${Math.floor((loaded / count) * 100)} %`)

/** One line that is written over on a terminal; elsewhere a line for each new text. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (text !== '' && text !== lastProgress) process.stderr.write(`${text}\n`)
  lastProgress = text
}

if (options.help === true) process.stdout.write(HELP)
else process.exitCode = await bench(figuresFor(options.only))

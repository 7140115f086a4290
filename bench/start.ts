import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import type { Build } from './build.ts'
import type { StartSample } from './plan.ts'
import { SERVER_CORE, kill, rssMb, startPinned } from './processes.ts'

export type Starts = Record<'durable' | 'no-op', StartSample[]>

/** By then a server that nobody calls has nothing left to do. */
const SETTLE_MS = 1_000

export async function measureStarts(options: {
  cli: Build['cli']
  data_dir: string
  rounds: number
  progress: (text: string) => void
}): Promise<Starts> {
  const { cli, data_dir, rounds, progress } = options
  const starts: Starts = { durable: [], 'no-op': [] }
  for (let round = 0; round <= rounds; round++) {
    for (const side of ['durable', 'no-op'] as const) {
      progress(`start: round ${round} of ${rounds}, ${side}`)
      const sample = await measureStart(cli[side], data_dir)
      if (round > 0) starts[side].push(sample) // round 0 brought the files from the disk into memory
    }
  }
  return starts
}

/** Starts the product's program, and measures until it says that it listens; then what it holds while idle. */
async function measureStart(cli: string, data_dir: string): Promise<StartSample> {
  const before = performance.now()
  const child = startPinned({
    core: SERVER_CORE,
    file: cli,
    args: ['serve', '--port', '0', '--log-level', 'info', '--data-dir', data_dir],
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    let serves = false
    for await (const line of createInterface({ input: child.stdout! })) {
      serves = line.includes('"serving"')
      if (serves) break
    }
    const start_ms = performance.now() - before
    if (!serves) throw new Error(`${cli} ended instead of serving`)
    await wait(SETTLE_MS)
    return { start_ms, idle_rss_mb: rssMb(child.pid!) }
  } finally {
    await kill(child)
  }
}

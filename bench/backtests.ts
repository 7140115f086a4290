import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BacktestResult } from '../src/contract/backtest.ts'
import { createClock } from '../src/clock.ts'
import { createEntropy } from '../src/entropy.ts'
import { createOrchestrator } from '../src/orchestrator/orchestrator.ts'
import { type Connection, openWriter } from '../src/store/sqlite/connection.ts'
import { applyMigrations, readMigrations } from '../src/store/sqlite/migrate.ts'
import { databaseFile } from '../src/store/sqlite/open.ts'
import { sqliteStore } from '../src/store/sqlite/store.ts'
import { MIGRATIONS } from './paths.ts'
import type { BacktestSample } from './plan.ts'
import { SERVER_CORE, kill, nextMessage, startPinned } from './processes.ts'
import { plainCall, recordOf } from './calls.ts'
import { prepareRouter } from './router.ts'
import { createBodies, taskBodies } from './scenario.ts'

const DECISIONS = 100_000
/** Made by the product's own code, each with its attempt; the others are their copies. */
const ORIGINALS = 1_000

/** Seconds for a backtest over HTTP, its thread on the same core as its server. */
export async function measureBacktests(options: {
  module: (name: string) => string
  scratch: string
  rounds: number
  progress: (text: string) => void
}): Promise<BacktestSample[]> {
  const { module, rounds, progress } = options
  const dir = join(options.scratch, 'backtests')
  progress(`backtest: writing ${DECISIONS} decisions`)
  await writeDecisions(dir)
  const child = startPinned({ core: SERVER_CORE, file: module('server.js'), args: ['--dir', dir] })
  try {
    const { port } = await nextMessage<{ port: number }>(child)
    const samples: BacktestSample[] = []
    for (let round = 0; round <= rounds; round++) {
      progress(`backtest: round ${round} of ${rounds}`)
      const sample = await measureBacktest(port)
      if (round > 0) samples.push(sample) // round 0 brought the file into memory
    }
    return samples
  } finally {
    await kill(child)
    rmSync(dir, { recursive: true, force: true })
  }
}

async function measureBacktest(port: number): Promise<BacktestSample> {
  const begun = performance.now()
  const response = await fetch(`http://127.0.0.1:${port}/v1/routing/configs/1/backtest`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ created_after: '2026-01-01T00:00:00Z', created_before: '9999-01-01T00:00:00Z' }),
  })
  const text = await response.text()
  const seconds = (performance.now() - begun) / 1_000
  const { decisions, truncated, recorded } = JSON.parse(text) as BacktestResult
  if (decisions !== DECISIONS || truncated || recorded.success.unknown > 0)
    throw new Error(`the backtest does not answer as it should: ${text.slice(0, 500)}`)
  return { seconds }
}

async function writeDecisions(dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true })
  const clock = createClock(null)
  const db = openWriter(databaseFile(dir))
  db.pragma('synchronous = OFF')
  applyMigrations(db, readMigrations(MIGRATIONS), clock().text)
  const store = sqliteStore(db, { write_queue_max: 1 })
  const ledger = createOrchestrator({ store, clock, entropy: createEntropy() })
  await prepareRouter(ledger)
  const { run_id } = recordOf(await ledger.createRun(plainCall, createBodies[0]!, null))
  await ledger.startRun(plainCall, run_id)
  const carries = db.prepare<[string, string]>(
    'UPDATE step_attempts SET route_decision_id = ? WHERE step_attempt_id = ?',
  )
  for (let i = 0; i < ORIGINALS; i++) {
    const task = taskBodies[i % taskBodies.length]!
    const { route_decision_id, tool_id } = recordOf(await ledger.createRouteDecision(plainCall, task))
    if (tool_id === null) throw new Error('a task of the bench is unroutable')
    const { step_attempt_id } = recordOf(await ledger.createStepAttempt(plainCall, run_id, { tool_id }))
    carries.run(route_decision_id, step_attempt_id)
    const usage = { cost_usd_micros: 1_000 + i }
    const status = i % 5 === 0 ? 'failed' : 'succeeded'
    await ledger.completeStepAttempt(plainCall, step_attempt_id, { status, usage })
  }
  copyAll(db, run_id)
  await store.close()
}

/** Ids of copies keep their instant and take the place of random characters: all differ. */
function copyAll(db: Connection, run_id: string): void {
  const columns = (table: string): string[] =>
    db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck().all(table)
  const id = (column: string) => `substr(${column}, 1, 10) || format('%07d', number) || substr(${column}, 18)`
  const copied: Record<string, string> = {
    route_decision_id: id('route_decision_id'),
    step_attempt_id: id('step_attempt_id'),
    sequence: `sequence + ${ORIGINALS} * number`,
  }
  const copy = (table: string, where: string): void => {
    const names = columns(table)
    db.exec(`WITH RECURSIVE copies(number) AS (VALUES (1) UNION ALL SELECT number + 1 FROM copies
        WHERE number < ${DECISIONS / ORIGINALS - 1})
      INSERT INTO ${table} (${names.join(', ')})
      SELECT ${names.map((name) => copied[name] ?? name).join(', ')} FROM copies, ${table} WHERE ${where}
      ORDER BY 1`) // as rows lie that came in time: in the order of their ids
  }
  copy('route_decisions', 'true')
  copy('step_attempts', `run_id = '${run_id}'`)
}

import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { OWN_CALL } from '../../src/orchestrator/call.ts'
import { createClosings } from '../../src/orchestrator/closings.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import { applyMigrations } from '../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../src/store/sqlite/store.ts'
import { ANYBODY, NOW, countingEntropy, handClock } from '../support/given.ts'
import { MIGRATIONS } from '../support/store.ts'

const call = { ...OWN_CALL, caller: ANYBODY, claim: null, present: () => ({}) as never }

/** The use cases over a store that tells what it runs. */
async function opened() {
  let ran = 0
  const db = new Database(':memory:', { verbose: () => void ran++ })
  applyMigrations(db, MIGRATIONS, NOW)
  const store = sqliteStore(db, { write_queue_max: 10_000 })
  const orchestrator = createOrchestrator({ store, clock: handClock().clock, entropy: countingEntropy() })
  const gone = new AbortController()
  onTestFinished(async () => {
    orchestrator.endWaiting()
    await store.close()
  })
  const created = await orchestrator.createRun(call, { project_id: 'shop', phase_id: 'build' }, null)
  const { run_id } = (created as { record: Run }).record
  const wait = () => orchestrator.awaitRun(ANYBODY, run_id, { wait_ms: 60_000, signal: gone.signal })
  const cancel = () => orchestrator.cancelRun(call, run_id, {})
  const costOf = async (act: () => Promise<unknown>): Promise<number> => {
    const before = ran
    await act()
    return ran - before
  }
  return { orchestrator, run_id, gone, wait, cancel, costOf }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('500 who wait for the end of a run', () => {
  it('run one statement each, and then none until the run is closed', async () => {
    const { wait, cancel, costOf } = await opened()
    const answers: Promise<Run | null>[] = []
    const looking = await costOf(async () => {
      for (let i = 0; i < 500; i++) answers.push(wait())
      await turns()
    })
    expect(looking).toBe(500)
    expect(await costOf(turns)).toBe(0)
    await cancel()
    const runs = await Promise.all(answers)
    expect(new Set(runs.map((run) => run?.state))).toEqual(new Set(['canceled']))
  })

  it('and have gone away leave nothing: the end of the run costs what it costs alone', async () => {
    const alone = await opened()
    const expected = await alone.costOf(alone.cancel)
    const { wait, cancel, gone, costOf } = await opened()
    const answers = Array.from({ length: 500 }, wait)
    await turns()
    gone.abort()
    expect(await costOf(() => Promise.all(answers))).toBe(0)
    expect(await costOf(cancel)).toBe(expected)
  })
})

it('an end that comes after the first look and before the waiting is heard', async () => {
  const closings = createClosings()
  const closing = closings.join('a run')
  closings.closed('a run')
  await closing.wait({ wait_ms: 60_000, signal: new AbortController().signal })
})

it('who comes after all waiting has ended does not wait', async () => {
  const closings = createClosings()
  closings.close()
  await closings.join('a run').wait({ wait_ms: 60_000, signal: new AbortController().signal })
})

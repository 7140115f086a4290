import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CLOSED } from '../../src/domain/circuit.ts'
import type { ToolBook } from '../../src/domain/decision.ts'
import { unknownTool } from '../../src/domain/tool.ts'
import type { WriteOnce } from '../../src/orchestrator/call.ts'
import { type Hub, createHub } from '../../src/orchestrator/hub.ts'
import { createReassignment } from '../../src/orchestrator/reassignment.ts'
import { applyMigrations } from '../../src/store/sqlite/migrate.ts'
import { sqliteStore } from '../../src/store/sqlite/store.ts'
import { openDesk } from '../support/dispatch.ts'
import { fallbackConfig } from '../support/fallbacks.ts'
import { NOW, after } from '../support/given.ts'
import { anApp } from '../support/routing.ts'
import { MIGRATIONS } from '../support/store.ts'

const HOUR = 3_600_000
const config = fallbackConfig()
const withPytest = { ...config, apps: { ...config.apps, pytest: anApp({ kinds: ['test'] }) } }

/** Aider is broken, codex and gemini are paused, and a request waits for aider; the store tells what it runs. */
async function opened() {
  let ran: string[] = []
  const db = new Database(':memory:', { verbose: (sql) => void ran.push(String(sql)) })
  applyMigrations(db, MIGRATIONS, NOW)
  const store = sqliteStore(db, { write_queue_max: 10_000 })
  onTestFinished(() => store.close())
  const desk = await openDesk(store, config)
  const waits = await desk.request()
  await desk.request({ classification: { priority: 'critical' } })
  for (const tool_id of ['codex', 'gemini']) await desk.pause(tool_id)
  await desk.fail(await desk.claimOne(), 'rate_limited', { retry_after_ms: HOUR })
  const hub = createHub()
  const write: WriteOnce = async (_call, scope, decide) => ({
    record: await desk.write(scope, decide),
    answer: null,
  })
  const reassignment = createReassignment({ store, hub, write })
  const step = () => reassignment.step(desk.now)
  const runs = async (act: () => Promise<unknown>): Promise<string[]> => {
    ran = []
    await act()
    return ran
  }
  return { desk, hub, waits, step, runs, beginAll: reassignment.beginAll }
}

function opensUntil(hub: Hub, open_until: string): void {
  const before = unknownTool('aider')
  const after: ToolBook = { ...before, circuit: { ...CLOSED, state: 'open', open_until } }
  hub.published([{ record: 'tool', before, after }], NOW)
}

describe('what waits for a tool whose circuit is open', () => {
  it('costs nothing while no tool returns', async () => {
    const { step, runs } = await opened()
    expect((await runs(step)).length).toBeGreaterThan(0)
    expect(await runs(step)).toEqual([])
  })

  it('is not read where no other tool is in service, and not written where none of its order is', async () => {
    const { desk, step, runs, waits, beginAll } = await opened()
    const ran = await runs(step)
    expect(ran.filter((sql) => sql.includes('FROM execution_requests'))).toEqual([])
    await desk.install(withPytest)
    beginAll()
    const again = await runs(step)
    expect(again.filter((sql) => sql.includes('FROM execution_requests'))).toHaveLength(1)
    expect(again.filter((sql) => sql.startsWith('BEGIN'))).toEqual([])
    expect((await desk.requestNow(waits)).version).toBe(1)
  })

  it('is looked at once for each return, from wherever the walk was', async () => {
    const { desk, step, runs, waits, beginAll } = await opened()
    await step()
    await desk.resume('gemini')
    const stepping = step()
    beginAll()
    await stepping
    await step()
    expect((await desk.requestNow(waits)).assignment!.tool_id).toBe('gemini')
    expect(await runs(step)).toEqual([])
  })

  it('is looked at again if the circuit opens once more while the first of it are looked at', async () => {
    const { hub, step } = await opened()
    await step()
    opensUntil(hub, after(NOW, HOUR + 1))
    const stepping = step()
    opensUntil(hub, after(NOW, HOUR + 2))
    expect(await stepping).toBe(true)
    expect(await step()).toBe(false)
  })
})

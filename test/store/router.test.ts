import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import { activateRouterConfig, createRouterConfig, soundConfig } from '../../src/domain/configuration.ts'
import { createRouteDecision, replayRouteDecision } from '../../src/domain/route-decision.ts'
import { type EndedAttempt, attemptEnded, newToolRecord } from '../../src/domain/tool-record.ts'
import { startServer } from '../../src/main.ts'
import { openWriter } from '../../src/store/sqlite/connection.ts'
import { sqliteStore } from '../../src/store/sqlite/store.ts'
import type { Store } from '../../src/store/store.ts'
import { randomFrom } from '../support/client.ts'
import { ANYBODY, givens } from '../support/given.ts'
import { CONFIG, configWith } from '../support/router.ts'
import { type Ledger, ledgerOf, openFileStore, openMemoryStore, stepsOf, tempDir } from '../support/store.ts'

const next = givens({ step_ms: 1 })

async function activateIn(store: Store, document: RouterConfig): Promise<number> {
  const sound = soundConfig(document, [])
  const { content_hash } = sound
  const scope = { config: { content_hash }, activation: true, system: true }
  const { config_version } = await store.change(scope, (before) => createRouterConfig(before, next(), sound))
  const { activations } = await store.getActiveRouterConfig()
  const given = next({ if_match: [String(activations)] })
  await store.change({ ...scope, config: config_version }, (before) => activateRouterConfig(before, given))
  return config_version
}

/** The store over a file that has one already, as after a restart. */
function reopened(file: string): Store {
  const store = sqliteStore(openWriter(file), { write_queue_max: 4_096 })
  onTestFinished(() => store.close())
  return store
}

const route = (store: Store, task_kind: string) =>
  store.change({ routing: 'active' }, (before) => createRouteDecision(before, next(), { task_kind }))

/** Attempts of three tools that end in every way, at instants that a seed chooses. */
async function workOn(ledger: Ledger, steps: number, random: () => number): Promise<string> {
  const { run_id } = await ledger.createRun()
  await ledger.startRun(run_id)
  const running: string[] = []
  for (let i = 0; i < steps; i++) {
    const tool_id = ['aider', 'codex', 'pytest'][Math.floor(random() * 3)]!
    running.push((await ledger.createStep(run_id, { tool_id })).step_attempt_id)
    if (random() < 0.3) continue
    const [step] = running.splice(Math.floor(random() * running.length), 1)
    const way = random()
    const error_class = way > 0.8 ? 'invalid_request' : 'tool_error'
    const status = way < 0.5 ? 'succeeded' : way < 0.9 ? 'failed' : 'canceled'
    await ledger.completeStep(step!, { status, ...(status === 'failed' ? { error_class } : {}) })
  }
  return run_id
}

/** What the attempts add up to, in the order in which they ended. */
function recomputed(tool_id: string, attempts: readonly StepAttempt[]) {
  const own = attempts.filter((step) => step.tool_id === tool_id)
  const ended = own.filter((step) => step.ended_at !== null)
  ended.sort((a, b) => (a.ended_at! < b.ended_at! ? -1 : 1))
  const record = ended.reduce(
    (known, step) => attemptEnded({ ...known, running: 1 }, step as EndedAttempt),
    newToolRecord(tool_id),
  )
  const last_used_at =
    own
      .map(({ started_at }) => started_at)
      .sort()
      .at(-1) ?? null
  return { ...record, running: own.length - ended.length, last_used_at }
}

describe('the record of a tool', () => {
  it.each([1, 2, 3])('is what its attempts add up to, seed %i', async (seed) => {
    const { store } = openMemoryStore()
    await activateIn(store, CONFIG)
    const ledger = ledgerOf(store, { step_ms: 90_000 })
    const run_id = await workOn(ledger, 200, randomFrom(seed))
    const compare = async () => {
      const attempts = await stepsOf(store, run_id)
      const { routing } = await store.view({ routing: 'active' }, (before) => before)
      for (const tool_id of ['aider', 'codex', 'pytest']) {
        expect(routing!.tools.get(tool_id)!.record).toEqual(recomputed(tool_id, attempts))
      }
    }
    await compare()
    await ledger.failRun(run_id) // ends what is still running, which does not count
    await compare()
  })
})

describe('replay', () => {
  it('gives the bytes of 1 000 stored decisions again, also after a restart', async () => {
    const { file, store } = openFileStore()
    const ledger = ledgerOf(store, { step_ms: 60_000 })
    const ids: string[] = []
    for (const strategy of ['fixed', 'round_robin', 'auto', 'round_robin', 'auto'] as const) {
      await activateIn(store, { ...configWith(strategy), version: `1.0.${ids.length}` })
      await workOn(ledger, 20, randomFrom(ids.length))
      const kinds = Array.from({ length: 200 }, (_, i) =>
        i % 10 === 0 ? 'poetry' : i % 3 === 0 ? 'test_run' : 'code_edit',
      )
      const made = await Promise.all(kinds.map((kind) => route(store, kind)))
      ids.push(...made.map(({ route_decision_id }) => route_decision_id))
    }
    const replayed = (from: Store) =>
      Promise.all(
        ids.map((route_decision_id) =>
          from.view({ route_decision_id, routing: 'recorded' }, (before) =>
            replayRouteDecision(before, { caller: ANYBODY }),
          ),
        ),
      )
    const here = await replayed(store)
    expect(here.filter(({ identical }) => identical)).toHaveLength(1_000)
    await store.close()
    const again = await replayed(reopened(file))
    expect(JSON.stringify(again)).toBe(JSON.stringify(here))
  })
})

describe('rotation', () => {
  it('goes on after a restart', async () => {
    const { file, store } = openFileStore()
    await activateIn(store, CONFIG)
    expect((await route(store, 'code_edit')).tool_id).toBe('aider')
    await store.close()
    expect((await route(reopened(file), 'code_edit')).tool_id).toBe('codex')
  })

  it('is not advanced by a decision whose transaction fails', async () => {
    const { db, store } = openMemoryStore()
    await activateIn(store, CONFIG)
    db.exec("CREATE TEMP TRIGGER fail BEFORE INSERT ON route_decisions BEGIN SELECT RAISE(ABORT, 'no'); END")
    await expect(route(store, 'code_edit')).rejects.toThrow('no')
    db.exec('DROP TRIGGER fail')
    expect((await route(store, 'code_edit')).tool_id).toBe('aider')
  })
})

describe('the guards of the rows', () => {
  it.each([
    ['tools', 'UPDATE tools SET version = version + 1'],
    ['rotations', 'UPDATE rotations SET version = version + 1'],
    ['activation', 'UPDATE router_activation SET activations = activations + 1'],
  ])('refuse a write over another one: %s', async (what, meanwhile) => {
    const { db, store } = openMemoryStore()
    await activateIn(store, CONFIG)
    const ledger = ledgerOf(store)
    await workOn(ledger, 20, randomFrom(1))
    await route(store, 'code_edit')
    const scope = { routing: 'active', activation: true, config: 1, system: true } as const
    await expect(
      store.change(scope, (before) => {
        const { routing, activation } = before
        const decision = createRouteDecision(before, next(), { task_kind: 'code_edit' })
        const book = routing!.tools.get('aider')!
        const changes = {
          tools: { record: 'tool', before: book, after: { ...book, version: book.version + 1 } },
          rotations: decision.changes.find(({ record }) => record === 'rotation')!,
          activation: {
            record: 'activation',
            before: activation!,
            after: { activations: 2, config_version: 1 },
          },
        } as const
        db.exec(meanwhile)
        return { changes: [changes[what as 'tools']], events: [], result: () => null }
      }),
    ).rejects.toThrow('stale write')
  })

  it.each([
    'DELETE FROM router_configs',
    "UPDATE router_configs SET document = '{}'",
    'DELETE FROM route_decisions',
    "UPDATE route_decisions SET record = '{}'",
    'INSERT INTO router_activation VALUES (2, 0, NULL)',
  ])('refuse %s', async (sql) => {
    const { db, store } = openMemoryStore()
    await activateIn(store, CONFIG)
    await route(store, 'code_edit')
    expect(() => db.exec(sql)).toThrow()
  })
})

describe('compiled configurations', () => {
  it('are not kept of a version that was taken back', async () => {
    const { db, store } = openMemoryStore()
    db.exec("CREATE TEMP TRIGGER fail BEFORE INSERT ON route_decisions BEGIN SELECT RAISE(ABORT, 'no'); END")
    const both = await Promise.allSettled([activateIn(store, configWith('fixed')), route(store, 'code_edit')])
    expect(both.map(({ status }) => status)).toContain('rejected')
    db.exec('DROP TRIGGER fail')
    await activateIn(store, CONFIG)
    expect((await route(store, 'code_edit')).strategy).toBe('round_robin')
  })
})

describe('--router-config', () => {
  const logger = pino({ level: 'silent' })
  const serve = async (data_dir: string, router_config: string) => {
    const config = loadConfig({ flags: { data_dir, router_config, port: '0' }, env: {}, cwd: data_dir })
    const server = await startServer(config, logger)
    let isUp = true
    const stop = async () => {
      if (isUp) await server.stop()
      isUp = false
    }
    onTestFinished(stop)
    return { url: server.url, stop }
  }
  const active = async ({ url }: { url: string }) => {
    const answer = await fetch(`${url}/v1/routing/configs/active`)
    return { etag: answer.headers.get('etag'), body: (await answer.json()) as { document: unknown } }
  }

  it('creates and activates what the file says, once', async () => {
    const dir = tempDir()
    writeFileSync(join(dir, 'router.json'), JSON.stringify(CONFIG))
    const first = await serve(dir, 'router.json')
    expect(await active(first)).toMatchObject({ etag: '"1"', body: { document: CONFIG } })
    await first.stop()
    const second = await serve(dir, 'router.json')
    expect((await active(second)).etag).toBe('"1"')
    await second.stop()
    writeFileSync(join(dir, 'router.yaml'), JSON.stringify(configWith('auto')))
    expect((await active(await serve(dir, 'router.yaml'))).etag).toBe('"2"')
  })

  it.each([
    ['none.json', null, 'Cannot read'],
    ['a.json', '{', 'is not JSON'],
    ['a.yaml', 'a: !x 1', 'is no router configuration'],
    ['b.json', '{"apps": []}', '#/apps must be object'],
  ])('refuses %s with one clear message and 78', async (name, text, says) => {
    const dir = tempDir()
    if (text !== null) writeFileSync(join(dir, name), text)
    await expect(serve(dir, name)).rejects.toMatchObject({
      exit_code: 78,
      message: expect.stringContaining(says),
    })
    await serve(dir, '') // and let the directory go
  })
})

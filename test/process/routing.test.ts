import canonicalize from 'canonicalize'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { ReplayResult } from '../../src/contract/route-explain.ts'
import type { RouteDecision } from '../../src/contract/routing.ts'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { type Connection, bodyOf, inLanes, onConnections } from '../support/client.ts'
import { type ServerProcess, cleanUp, startProgram, temporaryDirectory, within } from '../support/process.ts'
import { TURNS, expectStrictTurns, readDecisions, startRouter } from './routing.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 120_000 })

afterEach(cleanUp)

/** Another process, as soon as all its connections are open. */
async function startClient({ url }: ServerProcess, count: number) {
  const program = startProgram('test/process/route-client.ts', url, String(count))
  const lines = program.lines[Symbol.asyncIterator]()
  const line = async (): Promise<string> => {
    const { value, done } = await within('the client said nothing', lines.next())
    if (done === true) throw new Error('the client ended before it was done')
    return value
  }
  expect(await line()).toBe('ready')
  return {
    go: () => program.tell('go'),
    ids: async () => JSON.parse(await line()) as string[],
  }
}

describe('turns', () => {
  it('are strict when two processes ask for 200 decisions at once', async () => {
    const server = await startRouter(temporaryDirectory())
    const clients = await Promise.all([startClient(server, 100), startClient(server, 100)])
    for (const client of clients) client.go()
    const ids = await Promise.all(clients.map((client) => client.ids()))

    const decisions = await onConnections(server, 1, ([lane]) => readDecisions(lane!))
    expect(decisions.map(({ route_decision_id }) => route_decision_id)).toEqual(ids.flat().sort())
    expect(decisions).toHaveLength(200)
    expectStrictTurns(decisions)
  })
})

const DECISIONS = 1_000
const ROUNDS = 10
const KINDS = ['code_edit', 'code_review', 'code_review', 'test_run', 'poetry']

/** Decisions of all kinds, while attempts with the tools begin and end, one tool pauses, and the configuration changes. */
async function makeDecisions(server: ServerProcess): Promise<RouteDecision[]> {
  return onConnections(server, 8, async (lanes) => {
    const lane = lanes[0]!
    const run = bodyOf<Run>(await lane.post('/v1/runs', { project_id: 'shop', phase_id: 'build' }))
    bodyOf(await lane.post(`/v1/runs/${run.run_id}/start`))
    for (let round = 0; round < ROUNDS; round++) {
      await work(lane, run, round)
      if (round === 3) bodyOf(await lane.post('/v1/tools/codex/pause', { reason: 'quota' }))
      if (round === 5) await activateAnother(lane)
      const kinds = Array.from({ length: DECISIONS / ROUNDS }, (_, i) => KINDS[i % KINDS.length])
      await inLanes(lanes, kinds, async (own, task_kind) => {
        bodyOf(await own.post('/v1/routing/decisions', { task_kind }))
      })
    }
    return readDecisions(lane)
  })
}

/** Of three attempts one succeeds, one fails, and one goes on. */
async function work(lane: Connection, { run_id }: Run, round: number): Promise<void> {
  for (const [i, status] of ['succeeded', 'failed', null].entries()) {
    const tool_id = ['aider', 'codex', 'claude'][(round + i) % 3]
    const step = bodyOf<StepAttempt>(await lane.post(`/v1/runs/${run_id}/steps`, { tool_id }))
    if (status !== null) bodyOf(await lane.post(`/v1/steps/${step.step_attempt_id}/complete`, { status }))
  }
}

async function activateAnother(lane: Connection): Promise<void> {
  const config = { ...TURNS, version: '2.0.0', defaults: { auto: { exploration: 0.5 } } }
  bodyOf(await lane.post('/v1/routing/configs', config))
  bodyOf(await lane.post('/v1/routing/configs/2/activate', {}, { 'if-match': '"1"' }))
}

/** RFC 8785 without what names the record: written down here once more, and not taken from the server's code. */
function textOf(decision: RouteDecision): string {
  const { route_decision_id: _id, created_at: _at, ...said } = decision
  return canonicalize(said)!
}

async function replayAll(server: ServerProcess, ids: readonly string[]): Promise<ReplayResult[]> {
  const results = new Map<string, ReplayResult>()
  await onConnections(server, 8, (lanes) =>
    inLanes(lanes, ids, async (lane, id) => {
      results.set(id, bodyOf<ReplayResult>(await lane.post(`/v1/routing/decisions/${id}/replay`)))
    }),
  )
  return ids.map((id) => results.get(id)!)
}

describe('replay', () => {
  it(`gives the bytes of ${DECISIONS} stored decisions again, also after a restart`, async () => {
    const server = await startRouter(temporaryDirectory())
    const made = await makeDecisions(server)
    expect(made).toHaveLength(DECISIONS)
    expect(new Set(made.map(({ outcome }) => outcome))).toEqual(new Set(['routed', 'unroutable']))
    expect(new Set(made.map(({ config_version }) => config_version))).toEqual(new Set([1, 2]))
    expect(new Set(made.map(({ strategy }) => strategy))).toEqual(new Set(['fixed', 'round_robin', 'auto']))
    const ids = made.map(({ route_decision_id }) => route_decision_id)
    const texts = made.map(textOf)

    const here = await replayAll(server, ids)
    expect(here.map(({ decision }) => textOf(decision))).toEqual(texts)
    expect(here.every(({ identical }) => identical)).toBe(true)

    expect(await server.stop()).toEqual({ code: 0, signal: null })
    const again = await server.restart()
    expect(await replayAll(again, ids)).toEqual(here)
    const kept = await onConnections(again, 1, ([lane]) => readDecisions(lane!))
    expect(kept.map(textOf)).toEqual(texts)
  })
})

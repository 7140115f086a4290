import { describe, expect, it, onTestFinished } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import type { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import type { Run } from '../../src/contract/run.ts'
import type { Statistics } from '../../src/contract/statistics.ts'
import { randomFrom } from '../support/client.ts'
import { type Json, type TestApp, openTestApp } from '../support/http.ts'
import { activate } from '../support/router.ts'
import { aConfig } from '../support/routing.ts'
import { type Asked, type Rows, expected, iso, ms } from '../support/statistics.ts'
import { type Client, clientOf } from './client.ts'

const PROJECTS = ['bank', 'post', 'shop']
const TOOLS = ['aider', 'codex', 'pytest']
const SEEDS = [4, 5]

const CONFIG = aConfig({
  apps: {
    aider: { max: 1_000, circuit: { failures_in_row: 1_000, failure_rate: 1, min_attempts: 1_000 } },
    codex: { max: 1_000 },
    pytest: { kind: 'validator', kinds: ['test'], max: 1_000 },
  },
  rules: [
    { id: 'seen', match: { domain: ['seen'] }, select_from: ['codex'], validate_with: ['pytest'] },
    { id: 'edits', select_from: ['aider'], fallback_to: ['codex'] },
  ],
  defaults: { max_attempts: 2 },
})

type Random = ReturnType<typeof drawing>

function drawing(seed: number) {
  const random = randomFrom(seed)
  return {
    below: (bound: number): number => Math.floor(random() * bound),
    one: <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!,
    some: <T>(values: readonly T[]): T[] => values.filter(() => random() < 0.5),
  }
}

/** Work of every kind that ends in every way, at instants that a seed chooses. */
async function live(app: TestApp, draw: Random, moves: number): Promise<void> {
  await activate(app, CONFIG)
  const runs: string[] = []
  const steps: string[] = []
  const held: [id: string, lease_token: string][] = []
  const post = async (path: string, body: object = {}) => {
    const answer = await app.request('POST', path, { body })
    expect(answer.status, answer.text).toBeLessThan(500)
    return answer
  }
  const usage = () => ({
    ...(draw.below(2) === 0 ? {} : { tokens_input: draw.below(1_000), tokens_output: draw.below(100) }),
    ...(draw.below(3) === 0 ? {} : { cost_usd_micros: draw.below(50_000) }),
  })
  const where = () => ({ project_id: draw.one(PROJECTS), phase_id: 'build' })
  const makes: Record<string, () => Promise<unknown>> = {
    async run() {
      const { run_id } = (await post('/v1/runs', where())).body
      runs.push(run_id)
      if (draw.below(5) > 0) await post(`/v1/runs/${run_id}/start`)
    },
    async step() {
      if (runs.length === 0) return
      const { status, body } = await post(`/v1/runs/${draw.one(runs)}/steps`, { tool_id: draw.one(TOOLS) })
      if (status === 201) steps.push(body.step_attempt_id)
    },
    async endStep() {
      if (steps.length === 0) return
      const status = draw.one(['succeeded', 'succeeded', 'failed', 'canceled'])
      await post(`/v1/steps/${draw.one(steps)}/complete`, { status, usage: usage() })
    },
    async endRun() {
      if (runs.length === 0) return
      const path = `/v1/runs/${draw.one(runs)}`
      const [command, body] = draw.one([
        ['complete', { status: 'succeeded' }],
        ['complete', { status: 'failed' }],
        ['quarantine', { reason: 'wrong' }],
        ['cancel', {}],
      ] as const)
      await post(`${path}/${command}`, body)
    },
    request: () =>
      post('/v1/execution-requests', {
        ...{ task_kind: 'edit', ...where() },
        ...(draw.below(3) === 0 ? { classification: { domain: 'seen' } } : {}),
      }),
    async claim() {
      const claim = { worker_id: 'w1', tools: draw.some(TOOLS), max: 2, lease_seconds: 3_600 }
      if (claim.tools.length === 0) return
      const { status, body } = await post('/v1/execution-requests/claim', claim)
      if (status !== 200) return
      for (const item of body.items) held.push([item.execution_request.request_id, item.lease_token])
    },
    async endRequest() {
      const [work] = held.splice(draw.below(held.length), 1)
      if (work === undefined) return
      const [id, lease_token] = work
      const [command, body] = draw.one([
        ['complete', { usage: usage() }],
        ['complete', { usage: usage() }],
        ['fail', { error: { class: 'tool_error' }, retry_after_ms: 1, usage: usage() }],
        ['fail', { error: { class: 'invalid_request' } }],
        ['reject', { reason: 'no disk' }],
      ] as const)
      await post(`/v1/execution-requests/${id}/${command}`, { lease_token, ...body })
    },
    async cancelRequest() {
      const { items } = (await app.request('GET', '/v1/execution-requests?state=queued')).body
      if (items.length > 3) await post(`/v1/execution-requests/${draw.one<Json>(items).request_id}/cancel`)
    },
  }
  const ways = Object.values(makes)
  for (let i = 0; i < moves; i++) {
    await draw.one(ways)()
    app.pass(draw.one([0, 1, 999, 20_000, draw.below(300_000)]))
  }
}

async function rowsOf(client: Client): Promise<Rows> {
  const list = async (path: string) => {
    const items: Json[] = []
    for (let next = `${path}limit=500`; ;) {
      const { body } = await client.get(next)
      items.push(...body.items)
      if (body.next_cursor === null) return items
      next = `${path}limit=500&cursor=${body.next_cursor}`
    }
  }
  const runs: Run[] = await list('/v1/runs?')
  const attempts: Rows['attempts'] = []
  for (const { run_id, project_id } of runs)
    for (const step of await list(`/v1/runs/${run_id}/steps?`)) attempts.push({ ...step, project_id })
  const requests: ExecutionRequestStory[] = []
  for (const { request_id } of await list('/v1/execution-requests?'))
    requests.push((await client.get(`/v1/execution-requests/${request_id}`)).body)
  return { runs, requests: requests.filter(({ validates }) => validates === null), attempts }
}

function someQuery(draw: Random, rows: Rows): Asked {
  const instants = [...rows.runs, ...rows.requests].map(({ created_at }) => ms(created_at))
  const edge = () => draw.one(instants) + draw.one([0, 0, 1, -1, draw.below(3_600_000)])
  const [from, to] = [edge(), edge()].sort((a, b) => a - b) as [number, number]
  const by = draw.one([null, 'tool', 'project'] as const)
  const least =
    (to - from) / 1_000 / (by === null ? LIMITS.statistics_buckets : LIMITS.statistics_group_buckets)
  const sizes = [7, 60, 600, 3_600, 86_400].filter((seconds) => seconds > least * 1.1)
  return {
    ...{ from, to, by, bucket_seconds: draw.one([null, ...sizes]) },
    project_id: draw.below(2) === 0 ? [] : draw.some(PROJECTS),
    tool_id: draw.below(3) > 0 ? [] : draw.some(TOOLS),
  }
}

const pathOf = ({ from, to, bucket_seconds, by, project_id, tool_id }: Asked): string => {
  const query = new URLSearchParams({ from: iso(from), to: iso(to) })
  if (bucket_seconds !== null) query.set('bucket_seconds', String(bucket_seconds))
  if (by !== null) query.set('by', by)
  for (const name of project_id) query.append('project_id', name)
  for (const name of tool_id) query.append('tool_id', name)
  return `/v1/stats?${query.toString()}`
}

describe('the statistics of a ledger', () => {
  it.each(SEEDS)('are what is counted row by row; seed %i', async (seed) => {
    const app = await openTestApp()
    onTestFinished(() => app.close())
    const client = clientOf(app)
    const draw = drawing(seed)
    await live(app, draw, 400)
    const rows = await rowsOf(client)
    for (let i = 0; i < 40; i++) {
      const asked = someQuery(draw, rows)
      const { body } = await client.get(pathOf(asked))
      expect(body, pathOf(asked)).toEqual(expected(rows, asked))
    }
    const whole = { from: ms('2026-01-05T00:00:00Z'), to: ms('2026-02-05T00:00:00Z') }
    const everything: Asked = { ...whole, bucket_seconds: 86_400, by: 'tool', project_id: [], tool_id: [] }
    const body: Statistics = (await client.get(pathOf(everything))).body
    expect(body).toEqual(expected(rows, everything))
    for (const part of Object.values(body.total))
      for (const figure of Object.values(part!)) expect(figure).not.toBe(0)
  })
})

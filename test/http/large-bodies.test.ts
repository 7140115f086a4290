import { beforeAll, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'

// Much that is wrong: each of these once kept the server busy for minutes, and nobody else was answered.

let app: TestApp
let client: Client
beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
  return () => app.close()
})

const EMPTY = Array.from({ length: 80_000 }, () => ({}))

it('refuses a plan of 80 000 empty tasks, with its first faults', async () => {
  const { run_id } = await client.aRun()
  const { status, body } = await client.post(`/v1/runs/${run_id}/tasks`, { tasks: EMPTY })
  expect(status).toBe(400)
  expect(body.errors).toHaveLength(LIMITS.listed_faults)
  expect(body.errors[0]).toEqual({ pointer: '#/tasks', detail: 'must NOT have more than 1000 items' })
})

it('checks a document of as many empty rules, and says that there are more faults than it names', async () => {
  const { status, body } = await client.post('/v1/schemas/router_config.v1/validate', rulesOf(EMPTY))
  expect(status).toBe(200)
  expect(body).toMatchObject({ valid: false, complete: false })
})

it('refuses a configuration of as many empty rules', async () => {
  const { status, body } = await client.post('/v1/routing/configs', rulesOf(EMPTY))
  expect(status).toBe(400)
  expect(body.errors).toHaveLength(LIMITS.document_faults)
})

it('refuses 8 000 sound rules for their number alone, and does not compare them', async () => {
  const app = { kind: 'tool', command: 'x', capabilities: { task_kinds: ['x'] } }
  const rule = { match: {}, select_from: ['a'], fallback_to: ['b'] }
  const rules = Array.from({ length: 8_000 }, (_, i) => ({ id: `r${i}`, ...rule }))
  const { status, body } = await client.post('/v1/routing/configs', rulesOf(rules, { a: app, b: app }))
  expect(status).toBe(422)
  expect(body.errors).toEqual([{ pointer: '#/routing/rules', detail: 'may hold at most 500 rules' }])
})

const rulesOf = (rules: object[], apps: object = {}) => ({ version: '1.0.0', apps, routing: { rules } })

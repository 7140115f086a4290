import { beforeEach, describe, expect, it } from 'vitest'
import type { Task } from '../../src/contract/task.ts'
import { FRAMEWORK_CONFIG, FRAMEWORK_WARNINGS } from '../support/framework-config.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { activate } from '../support/router.ts'

let app: TestApp
beforeEach(async () => {
  app = await openTestApp()
  return () => app.close()
})

const CONFIGS = '/v1/routing/configs'
const post = (path: string, body: unknown) => app.request('POST', path, { body })
const pointersOf = ({ body }: { body: { errors: { pointer: string }[] } }) =>
  body.errors.map(({ pointer }) => pointer)

describe('a configuration of the original framework', () => {
  it('loads unchanged, with a warning for each thing that its authors should know', async () => {
    const { status, body } = await post(CONFIGS, FRAMEWORK_CONFIG)
    expect(status).toBe(201)
    expect(body.document).toEqual(FRAMEWORK_CONFIG)
    const warnings = body.warnings as { code: string; pointer: string }[]
    expect(warnings.map(({ code, pointer }) => `${code} ${pointer}`)).toEqual(FRAMEWORK_WARNINGS)
  })

  const cases: [
    what: string,
    task_kind: string,
    classification: NonNullable<Task['classification']>,
    ...tools: (string | null)[],
  ][] = [
    ['edits of high risk go to codex', 'code_edit', { risk_tier: 'high' }, 'codex', 'codex'],
    ['edits of low risk take turns', 'code_edit', { risk_tier: 'low' }, 'aider', 'codex', 'aider'],
    ['refactoring goes to aider, who can do it', 'refactor', { risk_tier: 'medium' }, 'aider', 'aider'],
    ['refactoring of high risk goes nowhere', 'refactor', { risk_tier: 'high' }, null],
    ['complex analysis goes to codex', 'analysis', { complexity: 'complex' }, 'codex'],
    ['tests go to pytest, whatever their risk', 'test_run', { risk_tier: 'high' }, 'pytest'],
    ['what nobody can do goes nowhere', 'deploy', {}, null],
  ]
  it.each(cases)('%s', async (_, task_kind, classification, ...tools) => {
    await activate(app, FRAMEWORK_CONFIG)
    const task = { task_kind, classification }
    const explained = await post('/v1/routing/explain', task)
    expect(explained.body.tool_id).toBe(tools[0])
    for (const tool_id of tools) {
      const { body } = await post('/v1/routing/decisions', task)
      expect([body.tool_id, body.outcome]).toEqual([tool_id, tool_id === null ? 'unroutable' : 'routed'])
    }
  })

  it.each([
    ['the bounds of the tool', 'code_edit', { risk_tier: 'low' }, 'aider', 900],
    ['the bounds of the configuration where the tool has none', 'test_run', {}, 'pytest', 300],
  ] as const)('a request gets %s', async (_, task_kind, classification, command, timeout_seconds) => {
    await activate(app, FRAMEWORK_CONFIG)
    const task = { task_kind, classification, project_id: 'shop', phase_id: 'build' }
    const { status, body } = await post('/v1/execution-requests', task)
    expect(status).toBe(201)
    expect(body).toMatchObject({ assignment: { command }, routing: { max_attempts: 2, timeout_seconds } })
  })

  it('shows its tools with their limits and tiers', async () => {
    await activate(app, FRAMEWORK_CONFIG)
    const { body } = await app.request('GET', '/v1/tools')
    const tools = body.items as { tool_id: string; safety_tier: string; limits: object }[]
    expect(tools.map(({ tool_id, safety_tier, limits }) => [tool_id, safety_tier, limits])).toEqual([
      ['aider', 'medium', { max_parallel: 2, timeout_seconds: 900 }],
      ['codex', 'high', { max_parallel: 1, timeout_seconds: 1200 }],
      ['pytest', 'low', { max_parallel: 4, timeout_seconds: 300 }],
    ])
  })
})

describe('a configuration that is not one', () => {
  const { apps, routing } = FRAMEWORK_CONFIG
  const [rule] = routing.rules
  const withRule = (facts: object) => ({ ...FRAMEWORK_CONFIG, routing: { rules: [{ ...rule, ...facts }] } })

  const cases: [what: string, document: unknown, pointers: string[]][] = [
    ['a list where the apps belong', { ...FRAMEWORK_CONFIG, apps: [], routing: { rules: [] } }, ['#/apps']],
    ['a map where the rules belong', { ...FRAMEWORK_CONFIG, routing: { rules: {} } }, ['#/routing/rules']],
    ['a list where a match belongs', withRule({ match: [] }), ['#/routing/rules/0/match']],
    ['null for an app', { ...FRAMEWORK_CONFIG, apps: { ...apps, aider: null } }, ['#/apps/aider']],
    ['null for the routing', { ...FRAMEWORK_CONFIG, routing: null }, ['#/routing']],
    [
      'a string for the tools of a rule',
      withRule({ select_from: 'codex' }),
      ['#/routing/rules/0/select_from'],
    ],
    [
      'a string for the kinds of a match',
      withRule({ match: { task_kind: 'code_edit' } }),
      ['#/routing/rules/0/match/task_kind'],
    ],
    [
      'all of it at once',
      {
        version: 7,
        apps: { ...apps, aider: null, pytest: [] },
        routing: { rules: [{ ...rule, match: null, select_from: 'codex' }, 'edits'] },
        defaults: [],
      },
      [
        '#/apps/aider',
        '#/apps/pytest',
        '#/defaults',
        '#/routing/rules/0/match',
        '#/routing/rules/0/select_from',
        '#/routing/rules/1',
        '#/version',
      ],
    ],
  ]
  it.each(cases)('%s is 400, with every place', async (_, document, pointers) => {
    const answer = await post(CONFIGS, document)
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed'])
    expect(pointersOf(answer).sort()).toEqual(pointers)
    expect((await app.request('GET', CONFIGS)).body.items).toEqual([])
  })
})

describe('a task with a field that nobody knows', () => {
  const task = { task_kind: 'code_edit', project_id: 'shop', phase_id: 'build' }

  it.each(['/v1/routing/decisions', '/v1/routing/explain', '/v1/execution-requests'])(
    'is 400 at %s, with its place',
    async (path) => {
      await activate(app, FRAMEWORK_CONFIG)
      const writes = app.writes()
      const outside = await post(path, { ...task, urgency: 'high' })
      const inside = await post(path, { ...task, classification: { risk: 'low' } })
      expect([outside.status, ...pointersOf(outside)]).toEqual([400, '#/urgency'])
      expect([inside.status, ...pointersOf(inside)]).toEqual([400, '#/classification/risk'])
      expect(app.writes()).toBe(writes)
    },
  )
})

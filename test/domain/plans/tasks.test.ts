import { describe, expect, it } from 'vitest'
import { TaskSpec } from '../../../src/contract/documents/task-spec.ts'
import { LIMITS } from '../../../src/contract/limits.ts'
import { PlanTask } from '../../../src/contract/plan.ts'
import { faultOfLength, faultsOfTasks, taskOf, warningsOf } from '../../../src/domain/plan-tasks.ts'
import { aRun } from '../../support/builders.ts'
import { aTask } from '../../support/plans.ts'

const { run } = aRun()

it('a task of a plan has the fields of task_spec.v1', () => {
  expect(Object.keys(PlanTask.properties)).toEqual(Object.keys(TaskSpec.properties))
  expect(PlanTask.required).toEqual(TaskSpec.required)
})

describe('what a task asks for', () => {
  const defaults = {
    classification: { complexity: 'simple', priority: 'low' },
    labels: { team: 'core', env: 'ci' },
    excluded_tools: ['codex'],
    resource_scope: { read: ['src/**'], write: ['src/a.ts'], forbidden: ['**/*.pem'] },
    constraints: { patch_only: true, max_lines_changed: 200 },
    input: { prompt: 'by default', files: ['a'] },
    limits: { max_attempts: 5, total_timeout_seconds: 900 },
  } as const
  const copy = structuredClone(defaults) as never

  it('is the defaults, over them its template, over that what it says itself', () => {
    const task = aTask('a', [], {
      classification: { priority: 'high' },
      resource_scope_delta: { write: ['src/b.ts'] },
      constraints_delta: { max_lines_changed: 10 },
      execution: { max_attempts: 2, timeout_seconds: 30 },
      execution_request_template: {
        labels: { env: 'local' },
        classification: { priority: 'critical', domain: 'backend' },
        excluded_tools: [],
        input: { prompt: 'Reject an empty basket' },
      },
    })
    expect(taskOf(task, copy, run)).toEqual({
      task_kind: 'edit',
      task_id: 'a',
      project_id: 'shop',
      phase_id: 'build',
      workstream_id: null,
      run_id: run.run_id,
      classification: { complexity: 'simple', priority: 'high', domain: 'backend' },
      labels: { team: 'core', env: 'local' },
      allowed_tools: null,
      excluded_tools: [],
      resource_scope: { read: ['src/**'], write: ['src/b.ts'], forbidden: ['**/*.pem'] },
      constraints: { patch_only: true, max_lines_changed: 10 },
      input: { prompt: 'Reject an empty basket', files: ['a'] },
      limits: { max_attempts: 2, timeout_seconds: 30, total_timeout_seconds: 900 },
    })
  })

  it('is the defaults less what it takes away with null', () => {
    const task = aTask('a', [], {
      resource_scope_delta: { write: null },
      constraints_delta: { patch_only: null },
    })
    const { resource_scope, constraints } = taskOf(task, copy, run)
    expect([resource_scope!.write, constraints!.patch_only]).toEqual([null, null])
  })
})

describe('a field without effect', () => {
  it.each([
    ['allow_parallel', false],
    ['prompt_template_ref', 'code-edit'],
    ['prompt_overrides', { system: 'x' }],
    ['error_handling', { on_failure: 'continue' }],
    ['acceptance', { checks: [] }],
    ['execution', { retry_strategy: 'linear' }, 'retry_strategy'],
    ['execution', { background: true }, 'background'],
    ['classification', { size: 'small' }, 'size'],
    ['resource_scope_delta', { network: [] }, 'network'],
    ['constraints_delta', { style: 'x' }, 'style'],
    ['execution_request_template', { routing: {} }, 'routing'],
  ])('is warned of: %s %j', (field, value, inner?: string) => {
    const tasks = [aTask('a'), aTask('b', [], { [field]: value })]
    const [warning, ...others] = warningsOf({ tasks })
    expect(others).toEqual([])
    expect(warning!.pointer).toBe(`#/tasks/1/${field}${inner === undefined ? '' : `/${inner}`}`)
    expect(warning!.detail).toMatch(/^has no effect/)
  })

  it('is none of the others', () => {
    const task = aTask('a', [], {
      classification: { complexity: 'simple', risk_tier: 'low', domain: 'backend', priority: 'high' },
      resource_scope_delta: { read: [], write: [], create: [], forbidden: [] },
      constraints_delta: { patch_only: true, tests_must_pass: true, max_lines_changed: 1 },
      execution: { max_attempts: 1, timeout_seconds: 1 },
      execution_request_template: {
        input: {},
        labels: {},
        limits: {},
        allowed_tools: [],
        excluded_tools: [],
      },
    })
    expect(warningsOf({ tasks: [task] })).toEqual([])
  })
})

describe('what cannot be kept to', () => {
  it('is told where it was said: in the defaults, a template, a task', () => {
    const tasks = [
      aTask('a', [], { execution_request_template: { resource_scope: { read: ['/etc'] } } }),
      aTask('b', [], { resource_scope_delta: { write: ['ok', '../x'] } }),
    ]
    const body = { tasks, defaults: { resource_scope: { forbidden: ['{'] } } }
    expect(faultsOfTasks(body).map(({ pointer }) => pointer)).toEqual([
      '#/defaults/resource_scope/forbidden/0',
      '#/tasks/0/execution_request_template/resource_scope/read/0',
      '#/tasks/1/resource_scope_delta/write/1',
    ])
  })

  it('is more labels than there may be, with those of the defaults', () => {
    const some = (name: string) =>
      Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${name}${i}`, 'x']))
    const tasks = [aTask('a', [], { execution_request_template: { labels: some('own') } })]
    expect(faultsOfTasks({ tasks, defaults: { labels: some('all') } })).toEqual([
      { pointer: '#/tasks/0', detail: `has with the defaults more than ${LIMITS.labels} labels` },
    ])
  })

  it('is a long default of many tasks, which would be kept with each of them', () => {
    const tasks = Array.from({ length: 1_000 }, (_, i) => aTask(`t${i}`))
    const defaults = { input: { prompt: 'x'.repeat(5_000) } }
    expect(faultOfLength({ tasks, defaults })).toMatchObject([{ pointer: '#/defaults' }])
    expect(faultOfLength({ tasks: tasks.slice(0, 100), defaults })).toEqual([])
  })
})

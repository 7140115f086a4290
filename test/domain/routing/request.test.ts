import { describe, expect, it } from 'vitest'
import type { CreateExecutionRequest } from '../../../src/contract/execution-request.ts'
import { documents } from '../../../src/contract/documents/index.ts'
import { requestMachine } from '../../../src/domain/request-machine.ts'
import { buildRequest } from '../../../src/domain/request.ts'
import { contentHash } from '../../../src/domain/router-config.ts'
import { buildChecks } from '../../../src/http/validation.ts'
import { aRouter, route } from '../../support/routing.ts'

const router = aRouter({
  apps: { aider: { timeout: 900 }, codex: {} },
  rules: [{ id: 'edits', select_from: ['aider', 'codex'] }],
  defaults: { max_attempts: 2, timeout_seconds: 300 },
})
const given = {
  execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
  created_by: 'ci',
  created_at: '2026-01-05T09:30:00.500Z',
}
const build = (task: Partial<CreateExecutionRequest> = {}, under = router) => {
  const whole = { task_kind: 'edit', project_id: 'shop', phase_id: 'build', ...task }
  return buildRequest(whole, route(under, whole).decision, under, given)
}

describe('an execution request', () => {
  it('says all that is known, and leaves out what is not', () => {
    const { document, assignment } = build()
    expect(document).toEqual({
      request_id: given.execution_request_id,
      project_id: 'shop',
      phase_id: 'build',
      workstream_id: null,
      task_kind: 'edit',
      task_id: null,
      origin: { created_by: 'ci', created_at: given.created_at },
      classification: { priority: 'normal' },
      labels: {},
      resource_scope: { read: [], write: [], create: [], forbidden: [] },
      constraints: {},
      routing: {
        strategy: 'fixed',
        excluded_tools: [],
        max_attempts: 2,
        timeout_seconds: 900,
        queue_timeout_seconds: null,
        total_timeout_seconds: null,
      },
      input: null,
    })
    expect(assignment).toEqual({
      route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5W',
      tool_id: 'aider',
      command: 'program',
      args: ['--do', '{prompt}'],
      validators: [],
    })
  })

  it('carries what the task says', () => {
    const { document } = build({
      task_id: 'basket',
      workstream_id: 'checkout',
      classification: { complexity: 'simple', risk_tier: null, priority: 'high' },
      labels: { team: 'core' },
      allowed_tools: ['aider'],
      excluded_tools: ['codex'],
      resource_scope: { read: ['src/**'], write: null },
      constraints: { patch_only: false, tests_must_pass: null },
      input: { prompt: 'Reject an empty basket' },
    })
    expect(document).toMatchObject({
      task_id: 'basket',
      workstream_id: 'checkout',
      labels: { team: 'core' },
      resource_scope: { read: ['src/**'], write: [], create: [], forbidden: [] },
      routing: { allowed_tools: ['aider'], excluded_tools: ['codex'] },
      input: { prompt: 'Reject an empty basket', files: null, data: null },
    })
    expect(document.classification).toEqual({ complexity: 'simple', priority: 'high' })
    expect(document.constraints).toEqual({ patch_only: false })
  })

  it("resolves its bounds: the task's, else the tool's, else the configuration's, else the usual ones", () => {
    const boundsOf = ({ document: { routing } }: ReturnType<typeof build>) => [
      routing.timeout_seconds,
      routing.max_attempts,
    ]
    expect(boundsOf(build({ limits: { timeout_seconds: 7, max_attempts: 9 } }))).toEqual([7, 9])
    expect(boundsOf(build({ limits: { max_attempts: null } }))).toEqual([900, 2])
    expect(boundsOf(build({ allowed_tools: ['codex'] }))).toEqual([300, 2])
    expect(boundsOf(build({}, aRouter({ apps: { codex: {} } })))).toEqual([600, 3])
  })

  it('is hashed with its input, and without who is to do it', () => {
    const hashOf = (...asked: Parameters<typeof build>) => contentHash(build(...asked).document)
    expect(hashOf({ input: { prompt: 'x' } })).not.toBe(hashOf())
    const elsewhere = aRouter({ apps: { aider: { timeout: 900 }, zed: {} }, defaults: { max_attempts: 2 } })
    expect(hashOf({}, elsewhere)).toBe(hashOf())
  })

  it('needs a decision for a tool', () => {
    expect(() => build({ task_kind: 'juggle' })).toThrow('needs a decision')
  })

  it('is valid against execution_request.v1 in the fields that the framework knows', () => {
    const validate = buildChecks()(documents.get('execution_request.v1')!)
    const {
      task_id: _1,
      labels: _2,
      input: _3,
      ...document
    } = build({
      classification: { domain: 'docs' },
      allowed_tools: ['aider'],
    }).document
    expect(validate(document)).toEqual([])
  })
})

describe('the life of an execution request, as far as it goes', () => {
  it('begins blocked or queued', () => {
    const starts = requestMachine.edges.filter(({ from }) => from === null)
    expect(starts.map(({ command, to, event }) => [command, to, event])).toEqual([
      ['create', 'blocked', 'request_created'],
      ['create', 'queued', 'request_created'],
    ])
  })

  it.each(['blocked', 'queued'] as const)('%s takes cancel', (state) => {
    expect(requestMachine.edge(state, 'cancel')).toMatchObject({ to: 'canceled', event: 'request_completed' })
  })

  it.each(['succeeded', 'failed', 'canceled'] as const)('%s refuses cancel', (state) => {
    expect(() => requestMachine.edge(state, 'cancel')).toThrow('does not take cancel')
  })
})

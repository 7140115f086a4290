import { describe, expect, it } from 'vitest'
import { documents } from '../../../src/contract/documents/index.ts'
import type { RouterConfig } from '../../../src/contract/documents/router-config.ts'
import type { Task } from '../../../src/contract/task.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { buildRequest } from '../../../src/domain/request.ts'
import { buildChecks, faultsOf } from '../../../src/http/validation.ts'
import { FRAMEWORK_CONFIG, FRAMEWORK_WARNINGS } from '../../support/framework-config.ts'
import { knowing, route } from '../../support/routing.ts'
import { checkRouterConfig } from '../../support/router-check.ts'

const validate = buildChecks()(documents.get('router_config.v1')!)
const checked = checkRouterConfig(structuredClone(FRAMEWORK_CONFIG), (value) =>
  faultsOf(validate(value), 'body'),
)
const router = compileRouterConfig(checked.config as RouterConfig, 1)

describe('a configuration of the original framework', () => {
  it('loads unchanged', () => {
    expect(checked.faults_of_form).toEqual([])
    expect(checked.faults_of_meaning).toEqual([])
    expect(checked.config).toEqual(FRAMEWORK_CONFIG)
  })

  it('with a warning for each thing that its authors should know', () => {
    expect(checked.warnings.map(({ code, pointer }) => `${code} ${pointer}`)).toEqual(FRAMEWORK_WARNINGS)
  })

  const cases: [
    task: string,
    task_kind: string,
    classification: NonNullable<Task['classification']>,
    tool: string | null,
    rule: string | null,
  ][] = [
    ['an edit of high risk goes to codex', 'code_edit', { risk_tier: 'high' }, 'codex', 'high-risk-edits'],
    [
      'a refactoring of high risk goes nowhere: codex cannot do it',
      'refactor',
      { risk_tier: 'high' },
      null,
      'high-risk-edits',
    ],
    ['an edit of low risk goes to aider first', 'code_edit', { risk_tier: 'low' }, 'aider', 'edits'],
    ['a refactoring goes to aider, who can do it', 'refactor', { risk_tier: 'medium' }, 'aider', 'edits'],
    [
      'an edit in another domain goes to nobody',
      'code_edit',
      { risk_tier: 'low', domain: 'operations' },
      null,
      null,
    ],
    [
      'an edit without a risk matches neither rule, and goes to the first that can do it',
      'code_edit',
      {},
      'aider',
      null,
    ],
    ['a complex analysis goes to codex', 'analysis', { complexity: 'complex' }, 'codex', 'analysis'],
    ['a simple one too, but because it alone can do it', 'analysis', { complexity: 'simple' }, 'codex', null],
    ['a review has no rule, and codex can do it', 'code_review', { risk_tier: 'high' }, 'codex', null],
    ['tests go to pytest, whatever their risk', 'test_run', { risk_tier: 'high' }, 'pytest', 'tests'],
    ['what nobody can do goes nowhere', 'deploy', {}, null, null],
  ]
  it.each(cases)('%s', (_, task_kind, classification, tool_id, rule_id) => {
    const { decision } = route(router, { task_kind, classification })
    expect([decision.tool_id, decision.rule_id]).toEqual([tool_id, rule_id])
  })

  it('edits of low risk take turns, and name their validator', () => {
    const task = { task_kind: 'code_edit', classification: { risk_tier: 'low' } } as const
    const first = route(router, task)
    const second = route(router, task, knowing({}, [first.rotation!]))
    expect([first, second].map(({ decision }) => decision.tool_id)).toEqual(['aider', 'codex'])
    expect(second.decision.validate_with).toEqual(['pytest'])
  })

  it("a request takes the tool's bounds, else the configuration's", () => {
    const given = {
      execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
      created_by: 'ci',
      created_at: '2026-01-05T09:30:00.000Z',
    }
    const boundsFor = (task_kind: string) => {
      const task = { task_kind, project_id: 'shop', phase_id: 'build' }
      const { routing } = buildRequest(task, route(router, task).decision, router, given).document
      return [routing.timeout_seconds, routing.max_attempts]
    }
    expect(boundsFor('code_edit')).toEqual([900, 2])
    expect(boundsFor('test_run')).toEqual([300, 2])
  })
})

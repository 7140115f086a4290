import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { documents } from '../../../src/contract/documents/index.ts'
import type { RouterConfig } from '../../../src/contract/documents/router-config.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { buildChecks, faultsOf } from '../../../src/http/validation.ts'
import { route } from '../../support/routing.ts'
import { checkRouterConfig } from '../../support/router-check.ts'

const file = new URL('../../../examples/router_config.json', import.meta.url)
const document = JSON.parse(readFileSync(file, 'utf8')) as RouterConfig

describe('examples/router_config.json', () => {
  it('is a configuration, and nothing about it needs a warning', () => {
    const validate = buildChecks()(documents.get('router_config.v1')!)
    expect(checkRouterConfig(document, (value) => faultsOf(validate(value), 'body'))).toEqual({
      faults_of_form: [],
      faults_of_meaning: [],
      warnings: [],
      config: document,
    })
  })

  it('has the tools that it promises, none of which waits for a person', () => {
    const commands = Object.entries(document.apps).map(([tool_id, { command, args }]) => [
      tool_id,
      [command, ...(args ?? [])].slice(0, 4).join(' '),
    ])
    expect(Object.fromEntries(commands)).toMatchObject({
      aider: 'aider --message-file {prompt_file} --yes-always',
      codex: 'codex exec --sandbox workspace-write',
      claude: 'claude -p {prompt} --output-format',
      gemini: 'gemini -p {prompt} --approval-mode',
      pytest: 'pytest -q',
      vitest: 'npx --no -- vitest',
      eslint: 'npx --no -- eslint',
      tsc: 'npx --no -- tsc',
      git: 'git --no-pager diff --stat',
    })
  })

  const router = compileRouterConfig(document, 1)
  it.each([
    ['code_edit', { risk_tier: 'high' }, {}, 'claude', 'risky-changes'],
    ['code_edit', { risk_tier: 'low' }, {}, 'aider', 'changes'],
    ['bug_fix', { complexity: 'expert' }, {}, 'claude', 'hard-changes'],
    ['docs_edit', {}, {}, 'gemini', 'documents'],
    ['code_review', {}, {}, 'claude', 'reviews'],
    ['test_run', {}, { language: 'python' }, 'pytest', 'python-tests'],
    ['test_run', {}, {}, 'vitest', 'tests'],
    ['lint', {}, {}, 'eslint', 'lint'],
    ['type_check', {}, {}, 'tsc', 'types'],
    ['static_analysis', {}, {}, 'eslint', 'analysis'],
    ['change_summary', {}, {}, 'git', 'summaries'],
    ['test_write', { complexity: 'simple' }, {}, 'claude', null],
  ] as const)('%s %j %j goes to %s %s', (task_kind, classification, labels, tool_id, rule_id) => {
    const { decision } = route(router, { task_kind, classification, labels })
    expect([decision.tool_id, decision.rule_id]).toEqual([tool_id, rule_id])
  })
})

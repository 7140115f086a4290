/**
 * Written as for the framework that the documents come from: no field of ours, and one of theirs that the document
 * does not have.
 */
export const FRAMEWORK_CONFIG = {
  version: '1.0.0',
  apps: {
    aider: {
      kind: 'tool',
      command: 'aider',
      capabilities: { task_kinds: ['code_edit', 'refactor'], domains: ['software-dev'] },
      limits: { max_parallel: 2, timeout_seconds: 900 },
      safety_tier: 'medium',
    },
    codex: {
      kind: 'tool',
      command: 'codex',
      capabilities: { task_kinds: ['code_edit', 'code_review', 'analysis'], domains: ['software-dev'] },
      limits: { max_parallel: 1, timeout_seconds: 1200 },
      safety_tier: 'high',
    },
    pytest: {
      kind: 'validator',
      command: 'pytest',
      capabilities: { task_kinds: ['test_run'] },
      limits: { max_parallel: 4 },
      safety_tier: 'low',
    },
  },
  routing: {
    rules: [
      {
        id: 'high-risk-edits',
        match: { task_kind: ['code_edit', 'refactor'], risk_tier: ['high'] },
        select_from: ['codex'],
        strategy: 'fixed',
        required: true,
      },
      {
        id: 'edits',
        match: { task_kind: ['code_edit', 'refactor'], risk_tier: ['low', 'medium'] },
        select_from: ['aider', 'codex'],
        strategy: 'round_robin',
        validate_with: ['pytest'],
      },
      { id: 'analysis', match: { task_kind: ['analysis'], complexity: 'complex' }, select_from: ['codex'] },
      { id: 'tests', match: { task_kind: ['test_run'] }, select_from: ['pytest'], strategy: 'auto' },
    ],
  },
  defaults: { max_attempts: 2, max_retries: 3, timeout_seconds: 300, strategy: 'fixed' },
}

/** What its authors are told of it. */
export const FRAMEWORK_WARNINGS = [
  'unknown_field #/defaults/max_retries',
  'app_partly_capable #/routing/rules/0/select_from/0',
  'app_partly_capable #/routing/rules/1/select_from/1',
  'string_for_list #/routing/rules/2/match/complexity',
]

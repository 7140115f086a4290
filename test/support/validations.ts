import { expect } from 'vitest'
import type { RouterConfig, RoutingRule } from '../../src/contract/documents/router-config.ts'
import type { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import type { Connection } from '../../src/store/sqlite/connection.ts'
import { aConfig } from './routing.ts'

/**
 * Aider edits, and codex would take over; each may try twice. Pytest and eslint have to agree, and metrics counts lines.
 * None of these three can edit.
 */
export const validatedConfig = (
  rule: Partial<RoutingRule> = {},
  defaults: RouterConfig['defaults'] = {},
): RouterConfig =>
  aConfig({
    apps: {
      aider: { max: 1_000 },
      codex: { max: 1_000 },
      eslint: { kind: 'validator', kinds: ['lint'], max: 1_000, timeout: 60 },
      metrics: { kind: 'analyzer', kinds: ['count'], max: 1_000 },
      pytest: { kind: 'validator', kinds: ['test'], max: 1_000 },
    },
    rules: [{ id: 'edits', select_from: ['aider'], validate_with: ['pytest', 'eslint'], ...rule }],
    defaults: { max_attempts: 2, ...defaults },
  })

/** Who looked at the work, as the story tells it: `pytest succeeded`. */
export const verdictsIn = ({ validations }: ExecutionRequestStory) =>
  validations.map(({ tool_id, state }) => `${tool_id} ${state}`)

const UNDER_VALIDATION = `SELECT execution_request_id AS id, step_attempt_id FROM execution_requests
  WHERE state = 'blocked' AND tool_id IS NOT NULL ORDER BY id`
const AWAITED = `SELECT DISTINCT validates_execution_request_id AS id, validates_step_attempt_id AS step_attempt_id
  FROM execution_requests
  WHERE validates_required = 1 AND state IN ('blocked', 'queued', 'claimed') ORDER BY id`
const ORPHANS = `SELECT v.execution_request_id FROM execution_requests v
  JOIN execution_requests w ON w.execution_request_id = v.validates_execution_request_id
  WHERE v.state IN ('blocked', 'queued', 'claimed')
    AND (v.validates_step_attempt_id <> w.step_attempt_id OR v.run_id <> w.run_id
      OR w.state NOT IN ('blocked', 'succeeded'))`
const UNSEEN = `SELECT w.execution_request_id FROM execution_requests w
  WHERE w.state = 'succeeded' AND EXISTS (
    SELECT 1 FROM execution_requests v WHERE v.validates_step_attempt_id = w.step_attempt_id
      AND v.validates_required = 1 AND v.state <> 'succeeded')`

/** Work waits exactly as long as somebody looks at it who has to agree, and none succeeds without that. */
export function expectValidationsSound(db: Connection): void {
  expect(db.prepare(UNDER_VALIDATION).all()).toEqual(db.prepare(AWAITED).all())
  expect(db.prepare(ORPHANS).all()).toEqual([])
  expect(db.prepare(UNSEEN).all()).toEqual([])
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type { RouteDecision } from '../../src/contract/routing.ts'
import { type Connection, readAll } from '../support/client.ts'
import { type ServerProcess, startServer } from '../support/process.ts'

const tool = (...task_kinds: string[]) =>
  ({
    kind: 'tool',
    command: 'true',
    capabilities: { task_kinds },
    limits: { max_parallel: 1_000 },
  }) as const

/** Who edits, in the order of the turns. */
const IN_TURN = ['aider', 'codex', 'claude']

/** Three tools that edit in turn, and review by what they have done; one tests, and nobody does anything else. */
export const TURNS: RouterConfig = {
  version: '1.0.0',
  apps: {
    ...Object.fromEntries(IN_TURN.map((tool_id) => [tool_id, tool('code_edit', 'code_review')])),
    pytest: tool('test_run'),
  },
  routing: {
    rules: [
      {
        id: 'edits',
        match: { task_kind: ['code_edit'] },
        select_from: IN_TURN,
        strategy: 'round_robin',
      },
      { id: 'reviews', match: { task_kind: ['code_review'] }, select_from: IN_TURN, strategy: 'auto' },
      { id: 'tests', match: { task_kind: ['test_run'] }, select_from: ['pytest'] },
    ],
  },
}

/** A server that routes by this configuration from its first answer on, and after each restart. */
export function startRouter(data_dir: string, config: RouterConfig = TURNS): Promise<ServerProcess> {
  const file = join(data_dir, 'router.json')
  writeFileSync(file, JSON.stringify(config))
  return startServer({ data_dir, flags: ['--router-config', file] })
}

/** All decisions, in the order in which they were made. */
export const readDecisions = (connection: Connection): Promise<RouteDecision[]> =>
  readAll<RouteDecision>(connection, '/v1/routing/decisions?limit=500&order=asc')

/** Nobody was skipped, and nobody had two turns: by the tools, and by the queue that each decision recorded. */
export function expectStrictTurns(decisions: readonly RouteDecision[]): void {
  const edits = decisions.filter(({ rule_id }) => rule_id === 'edits')
  expect(edits.map(({ tool_id }) => tool_id)).toEqual(edits.map((_, i) => IN_TURN[i % IN_TURN.length]))
  const queues = edits.map(({ inputs }) => inputs.rotation?.order)
  expect(queues).toEqual(edits.map((_, i) => IN_TURN.map((_tool, k) => IN_TURN[(i + k) % IN_TURN.length])))
}

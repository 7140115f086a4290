import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type { TestApp } from './http.ts'

/** Three tools: two that edit in turn, and one that tests. */
export const CONFIG: RouterConfig = {
  version: '1.0.0',
  apps: {
    aider: {
      kind: 'tool',
      command: 'aider',
      capabilities: { task_kinds: ['code_edit'] },
      limits: { max_parallel: 500 },
    },
    codex: {
      kind: 'tool',
      command: 'codex',
      capabilities: { task_kinds: ['code_edit'] },
      limits: { max_parallel: 500 },
    },
    pytest: { kind: 'validator', command: 'pytest', capabilities: { task_kinds: ['test_run'] } },
  },
  routing: {
    rules: [
      {
        id: 'edits',
        match: { task_kind: ['code_edit'] },
        select_from: ['aider', 'codex'],
        strategy: 'round_robin',
      },
      { id: 'tests', match: { task_kind: ['test_run'] }, select_from: ['pytest'] },
    ],
  },
}

/** The same with another strategy of its first rule. */
export const configWith = (strategy: 'fixed' | 'round_robin' | 'auto'): RouterConfig => ({
  ...CONFIG,
  routing: { rules: [{ ...CONFIG.routing.rules![0]!, strategy }, CONFIG.routing.rules![1]!] },
})

/** Creates a configuration and activates it. */
export async function activate(app: TestApp, document: unknown = CONFIG, key?: string): Promise<number> {
  const as = key === undefined ? {} : { as: key }
  const { body } = await app.request('POST', '/v1/routing/configs', { body: document, ...as })
  const { config_version } = body as { config_version: number }
  const { headers } = await app.request('GET', '/v1/routing/configs/active', as)
  const path = `/v1/routing/configs/${config_version}/activate`
  await app.request('POST', path, { headers: { 'if-match': headers['etag']! }, ...as })
  return config_version
}

import type { RouterConfig } from '../src/contract/documents/router-config.ts'
import type { CreateExecutionRequest } from '../src/contract/execution-request.ts'
import type { CreateRun } from '../src/contract/run.ts'
import type { CompleteStepAttempt, CreateStepAttempt } from '../src/contract/step.ts'
import type { Task } from '../src/contract/task.ts'

/** What the client asks for, in the terms of the API: the load generator sends it, the bare server has its routes. */
export interface Step {
  name: string
  method: 'GET' | 'POST'
  /** The route as Fastify writes it. */
  route: string
  status: 200 | 201
  bodies: readonly object[]
  /** What its answer is about, and so what the next steps can name. */
  about: 'run' | 'step' | 'decision'
}

/** Runs of many projects: with one, every insert would meet the same end of the index by project. */
const PROJECTS = 20

export const createBodies: CreateRun[] = Array.from({ length: PROJECTS }, (_, i) => ({
  project_id: `project-${10 + i}`,
  phase_id: 'build',
  workstream_id: 'checkout',
  origin: { trigger_type: 'ci', trigger_ref: 'refs/pull/42', requested_by: 'ci@shop' },
  labels: { team: 'core' },
  metadata: { commit: '9fceb02', branch: 'main' },
}))

export const stepBody: CreateStepAttempt = { tool_id: 'pytest', input_prompt: 'run the unit tests' }

export const stepEndBody: CompleteStepAttempt = {
  status: 'succeeded',
  exit_code: 0,
  usage: { duration_ms: 8123 },
}

export const runEndBody = { status: 'succeeded', exit_code: 0 } as const

const run = { status: 200, about: 'run', bodies: [] } as const

/** The six requests of a run's life. Every one but the last is a write, and each write makes one event. */
export const LIFECYCLE = [
  { ...run, name: 'create', method: 'POST', route: '/v1/runs', status: 201, bodies: createBodies },
  { ...run, name: 'start', method: 'POST', route: '/v1/runs/:run_id/start' },
  {
    name: 'create step',
    method: 'POST',
    route: '/v1/runs/:run_id/steps',
    status: 201,
    about: 'step',
    bodies: [stepBody],
  },
  {
    name: 'complete step',
    method: 'POST',
    route: '/v1/steps/:step_attempt_id/complete',
    status: 200,
    about: 'step',
    bodies: [stepEndBody],
  },
  {
    ...run,
    name: 'complete run',
    method: 'POST',
    route: '/v1/runs/:run_id/complete',
    bodies: [runEndBody],
  },
  { ...run, name: 'read', method: 'GET', route: '/v1/runs/:run_id' },
] as const satisfies Step[]

export type StepName = (typeof LIFECYCLE)[number]['name']

export const TOOLS = ['aider', 'claude', 'codex', 'eslint', 'gemini', 'git', 'pytest', 'tsc', 'vitest']
const KINDS = ['code_edit', 'code_review', 'test_run', 'docs_edit', 'refactor', 'triage']

/** Nine tools and twelve rules. */
export const routerConfig: RouterConfig = {
  version: '1.0.0',
  apps: Object.fromEntries(
    TOOLS.map((tool_id, i) => [
      tool_id,
      {
        kind: 'tool' as const,
        command: tool_id,
        capabilities: { task_kinds: [KINDS[i % 6]!, KINDS[(i + 1) % 6]!, KINDS[(i + 2) % 6]!] },
        limits: { max_parallel: 500 },
        safety_tier: (['medium', 'high'] as const)[i % 2]!,
        cost_per_call_usd_micros: 1_000 * (i + 1),
      },
    ]),
  ),
  routing: {
    rules: KINDS.flatMap((kind, i) => [
      {
        id: `risky-${kind}`,
        match: { task_kind: [kind], risk_tier: ['high' as const] },
        min_safety_tier: 'high' as const,
        strategy: 'fixed' as const,
      },
      {
        id: kind,
        match: { task_kind: [kind] },
        strategy: (['auto', 'round_robin', 'fixed'] as const)[i % 3]!,
      },
    ]),
  },
}

export const taskBodies: Task[] = KINDS.flatMap((task_kind, i) =>
  (['low', 'medium', 'high'] as const).map((risk_tier) => ({
    task_kind,
    project_id: `project-${10 + i}`,
    phase_id: 'build',
    classification: { complexity: 'moderate' as const, risk_tier, domain: 'backend' },
    labels: { team: 'core' },
  })),
)

/** A write that makes no event: the decision is its own record. */
export const ROUTE = {
  name: 'route',
  method: 'POST',
  route: '/v1/routing/decisions',
  status: 201,
  about: 'decision',
  bodies: taskBodies,
} as const satisfies Step

/** Of each four, one is urgent and one can wait: the queue has an order to keep. */
const PRIORITIES = ['normal', 'high', 'normal', 'low'] as const

/** Work for each of the tools, as much for one as for another. */
export const requestBodies: CreateExecutionRequest[] = TOOLS.flatMap((tool_id, i) =>
  PRIORITIES.map((priority) => ({
    task_kind: KINDS[i % KINDS.length]!,
    project_id: `project-${10 + i}`,
    phase_id: 'build',
    classification: {
      complexity: 'moderate' as const,
      risk_tier: 'low' as const,
      domain: 'backend',
      priority,
    },
    labels: { team: 'core' },
    allowed_tools: [tool_id],
    resource_scope: { read: ['src/**', 'test/**'], write: ['src/basket.ts'], forbidden: ['**/*.pem'] },
    constraints: { patch_only: true },
    input: {
      prompt:
        'An order of nothing is accepted. Refuse an empty basket with a sentence for the customer, and test it.',
      files: ['src/basket.ts', 'test/basket.test.ts'],
    },
  })),
)

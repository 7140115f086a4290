import { decide } from '../src/domain/routing.ts'
import { compileRouterConfig } from '../src/domain/compiled-router.ts'
import type { Rotation, RouteDecision, ToolInputs } from '../src/contract/routing.ts'
import type { Orchestrator } from '../src/orchestrator/orchestrator.ts'
import { plainCall, recordOf } from './calls.ts'
import { createBodies, routerConfig, taskBodies } from './scenario.ts'

/** Of each tool: enough that there is something to weigh. */
const ATTEMPTS = 4

/** Activates the configuration, and lets each tool have had some attempts. */
export async function prepareRouter(ledger: Orchestrator): Promise<void> {
  await ledger.installRouterConfig(routerConfig, [])
  const { run_id } = recordOf(await ledger.createRun(plainCall, createBodies[0]!, null))
  await ledger.startRun(plainCall, run_id)
  for (const tool_id of Object.keys(routerConfig.apps)) {
    for (let i = 0; i < ATTEMPTS; i++) {
      const step = recordOf(await ledger.createStepAttempt(plainCall, run_id, { tool_id }))
      const status = i === 0 ? 'failed' : 'succeeded'
      await ledger.completeStepAttempt(plainCall, step.step_attempt_id, { status })
    }
  }
}

/** What a real store decides for each task: of all the one whose text has the length that is nearest to the mean. */
export async function recordDecision(ledger: Orchestrator): Promise<RouteDecision> {
  await prepareRouter(ledger)
  const decisions: RouteDecision[] = []
  for (const task of taskBodies) decisions.push(recordOf(await ledger.createRouteDecision(plainCall, task)))
  const length = (decision: RouteDecision): number => JSON.stringify(decision).length
  const mean = decisions.reduce((sum, decision) => sum + length(decision), 0) / decisions.length
  const off = (decision: RouteDecision): number => Math.abs(length(decision) - mean)
  return decisions.reduce((best, decision) => (off(decision) < off(best) ? decision : best))
}

/** Decides without a store, socket or disk for so long; answers decisions per second. */
export function decidePurely(ms: number): number {
  const router = compileRouterConfig(routerConfig, 1)
  const tools = router.apps.map(({ tool_id }, i): ToolInputs => ({
    tool_id,
    ...{ running: i % 3, paused: false, successes: 3 + i / 7, failures: 1 + i / 9 },
    median_duration_ms: 1_000 * (i + 1),
  }))
  const rotations: Rotation[] = []
  const given = { route_decision_id: '01JD8Z6V4M1N3P5Q7R9S1T3V5W', created_at: '2026-01-05T09:30:00.500Z' }
  const begun = performance.now()
  let decisions = 0
  while (performance.now() - begun < ms) {
    for (const task of taskBodies) {
      const seed = Math.imul(++decisions, 0x9e37_79b9) >>> 0
      const { rotation } = decide(task, router, { tools, rotations }, { ...given, run_id: null, seed })
      if (rotation === null) continue
      const place = rotations.findIndex(({ rule_id }) => rule_id === rotation.rule_id)
      rotations[place === -1 ? rotations.length : place] = rotation
    }
  }
  return (decisions / (performance.now() - begun)) * 1_000
}

import type { Rotation, RouteDecision } from '../contract/routing.ts'
import type { Run } from '../contract/run.ts'
import type { Task } from '../contract/task.ts'
import type { CompiledRouter } from './compiled-router.ts'
import type { Change, Given, Snapshot } from './decision.ts'
import { factsAt, requireRouting, seedOf, turn } from './route-decision.ts'
import { decide } from './routing.ts'

/** Several tasks that are routed in one transaction: each one's turn comes after that of the one before it. */
export interface RouteSeries {
  router: CompiledRouter
  /** The decision, and the change that keeps it; whoever does not use it has seen what it would be, and no more. */
  route(task: Task, run: Run): { decision: RouteDecision; change: Change }
  /** Whose turn it is after all of them: one change for each rule that decided in turn. */
  turns(): Change[]
}

/** The scope must load the active configuration with its tools. What is known of them is worked out once. */
export function routeSeries(before: Snapshot, given: Given): RouteSeries {
  const routing = requireRouting(before)
  const { router } = routing
  const facts = factsAt(routing, given.now)
  const rotations: Rotation[] = [...facts.rotations]
  const turned = new Map<string | null, Rotation>()
  return {
    router,
    route(task, { run_id, project_id }) {
      const { decision, rotation } = decide(
        task,
        router,
        { ...facts, rotations },
        {
          route_decision_id: given.newId(),
          created_at: given.now,
          run_id,
          seed: seedOf(given),
        },
      )
      if (rotation !== null) {
        const place = rotations.findIndex(({ rule_id }) => rule_id === rotation.rule_id)
        rotations.splice(place === -1 ? rotations.length : place, 1, rotation)
        turned.set(rotation.rule_id, rotation)
      }
      return { decision, change: { record: 'route_decision', after: { decision, project_id } } }
    },
    turns: () => [...turned.values()].map((rotation) => turn(routing, rotation)),
  }
}

import type { Assignment } from '../contract/assignment.ts'
import type { Rotation } from '../contract/routing.ts'
import type { Run } from '../contract/run.ts'
import type { Task } from '../contract/task.ts'
import type { Change, Given, Snapshot } from './decision.ts'
import type { EventDraft } from './event-chain.ts'
import { assignmentOf } from './request.ts'
import { factsAt, requireRouting, seedOf, taskRouted, turn } from './route-decision.ts'
import { decide } from './routing.ts'

/** Where a request goes; null if no tool is there. The changes keep what was decided, and the drafts tell of it. */
export interface Placed {
  assignment: Assignment | null
  changes: Change[]
  drafts: EventDraft[]
}

/** Several tasks that are routed in one transaction: each one's turn comes after that of the one before it. */
export interface RouteSeries {
  /** Whoever does not use it has seen what it would be, and no more. */
  route(task: Task, run: Run, request_id: string): Placed
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
    route(task, { run_id, project_id }, request_id) {
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
      const execution_request_id = decision.tool_id === null ? null : request_id
      return {
        assignment: decision.tool_id === null ? null : assignmentOf(decision, router),
        changes: [{ record: 'route_decision', after: { decision, project_id, execution_request_id } }],
        drafts: [taskRouted(decision)],
      }
    },
    turns: () => [...turned.values()].map((rotation) => turn(routing, rotation)),
  }
}

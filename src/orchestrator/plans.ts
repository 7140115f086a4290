import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SubmitTasks, SubmittedTasks } from '../contract/plan.ts'
import type { RunPlan } from '../contract/run-plan.ts'
import type { Caller } from '../domain/decision.ts'
import { getPlan } from '../domain/plan.ts'
import { namesOf, submitTasks } from '../domain/plan-submission.ts'
import type { Store } from '../store/store.ts'
import { type GivenFor, OWN_CALL, type Write, type WriteOnce } from './call.ts'

/** The use cases of plans. */
export interface PlanCases {
  submitTasks: Write<SubmitTasks, SubmittedTasks>
  getRunPlan(caller: Caller, run_id: string): Promise<RunPlan>
}

export const planCases = ({
  store,
  givenFor,
  write,
}: {
  store: Store
  givenFor: GivenFor
  write: WriteOnce
}): PlanCases => ({
  submitTasks: (call, run_id, body) =>
    write(call, { run_id, routing: 'active', tasks_named: namesOf(body) }, (before, given) =>
      submitTasks(before, given, body),
    ),
  async getRunPlan(caller, run_id) {
    const { now } = givenFor({ ...OWN_CALL, caller })
    const before = await store.view({ run_id, tasks: true }, (before) => before)
    await nextTurn() // ten thousand tasks take as long to read as to understand
    return getPlan(before, { now, caller })
  },
})

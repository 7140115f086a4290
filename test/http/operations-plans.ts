import type { Prepare } from './operations.ts'
import { BULK, beRoutable } from './operations-routing.ts'

const task = (task_id: string, ...depends_on: string[]) => ({
  task_id,
  name: task_id,
  kind: BULK.kind,
  depends_on,
})

/** How to ask the operations of plans. Each has a run of its own. */
export const PREPARE_PLANS: Record<string, Prepare> = {
  submitTasks: async (client) => {
    await beRoutable(client)
    const path = `/v1/runs/${(await client.aRun()).run_id}`
    return {
      path: `${path}/tasks`,
      version_of: path,
      body: { tasks: [task('edit'), task('test', 'edit')] },
      other_body: { tasks: [task('edit')] },
    }
  },
  getRunPlan: async (client) => {
    await beRoutable(client)
    const { run_id } = await client.aRun()
    await client.post(`/v1/runs/${run_id}/tasks`, { tasks: [task('edit'), task('test', 'edit')] })
    return { path: `/v1/runs/${run_id}/plan` }
  },
}

import { LIMITS } from '../../contract/limits.ts'
import { ref } from '../../contract/named.ts'
import { SubmitTasks, SubmittedTasks } from '../../contract/plan.ts'
import { RunParams } from '../../contract/run.ts'
import { RunPlan } from '../../contract/run-plan.ts'
import { answerWrite, sendJson, submittedTasks } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { reads, writes } from '../operation.ts'

const read = { scope: 'read' } as const
const write = { scope: 'write' } as const
const tag = 'plans'
const params = RunParams

export function planRoutes(app: App, { orchestrator }: RouteDeps): void {
  const submitTasks = writes(
    {
      operationId: 'submitTasks',
      tag,
      summary: 'Submit tasks that need each other',
      description: `Checks up to ${LIMITS.plan_tasks} tasks whole and makes an execution request of each, or of none. A task that needs others is \`blocked\` until all of them have succeeded; then it is routed and queued in the same transaction. If one of them ends otherwise, it is \`canceled\` with \`stop_reason\` \`dependency_failed\`, and so is what needs it. An open run takes several submissions; \`depends_on\` may name earlier tasks. Fields without effect are listed in \`warnings\`. Only what no tool of the active configuration could ever do is refused; a task for which no tool is there when it becomes ready fails with \`stop_reason\` \`unroutable\`.`,
      problems: [
        'run_not_found',
        'run_not_running',
        'no_active_router_config',
        'plan_invalid',
        'no_routable_tool',
        'sequence_taken',
      ],
    },
    { status: 201, schema: ref(SubmittedTasks), versioned: false, located: true, matches: 'the run' },
    { params, body: ref(SubmitTasks) },
  )
  app.post('/v1/runs/:run_id/tasks', { schema: submitTasks, config: write }, (request, reply) => {
    const { run_id } = request.params
    return answerWrite(request, reply, submittedTasks(run_id), (call) =>
      orchestrator.submitTasks(call, run_id, request.body),
    )
  })

  const getRunPlan = reads(
    {
      operationId: 'getRunPlan',
      tag,
      summary: 'Read the plan of a run',
      description:
        'The tasks that were submitted for the run: what needs what, how far they are, which chain of them took longest, and how long the rest may take. A run without submissions has an empty plan.',
      problems: ['run_not_found'],
    },
    ref(RunPlan),
    { params },
  )
  app.get('/v1/runs/:run_id/plan', { schema: getRunPlan, config: read }, async (request, reply) =>
    sendJson(reply, await orchestrator.getRunPlan(request.caller, request.params.run_id)),
  )
}

import { ref } from '../../contract/named.ts'
import { RunParams } from '../../contract/run.ts'
import {
  CompleteStepAttempt,
  CreateStepAttempt,
  RetryStepAttempt,
  StepAttempt,
  StepAttemptPage,
  StepParams,
  StepsQuery,
} from '../../contract/step.ts'
import { LiveStepAttempt } from '../../contract/step-progress.ts'
import { runNotFound, stepNotFound } from '../../domain/guard.ts'
import { answerWrite, changedStep, createdStep, sendLive, sendPage, sendRecord } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { lists, readsOne, writes } from '../operation.ts'

const read = { scope: 'read' } as const
const write = { scope: 'write' } as const
const tag = 'steps'

export function stepRoutes(app: App, deps: RouteDeps): void {
  stepsOfRun(app, deps)
  stepAttempts(app, deps)
}

function stepsOfRun(app: App, { orchestrator, reads }: RouteDeps): void {
  const params = RunParams
  const createStepAttempt = writes(
    {
      operationId: 'createStepAttempt',
      tag,
      summary: 'Record that a tool was invoked',
      description:
        'Adds a running step attempt to a running run. Without `sequence` it gets the place after the highest so far.',
      problems: ['run_not_found', 'run_not_running', 'sequence_taken'],
    },
    { status: 201, schema: ref(StepAttempt), located: true, matches: 'the run' },
    { params, body: ref(CreateStepAttempt) },
  )
  app.post('/v1/runs/:run_id/steps', { schema: createStepAttempt, config: write }, (request, reply) =>
    answerWrite(request, reply, createdStep, (call) =>
      orchestrator.createStepAttempt(call, request.params.run_id, request.body),
    ),
  )

  const listStepAttempts = lists(
    {
      operationId: 'listStepAttempts',
      tag,
      summary: 'List the step attempts of a run',
      description: 'Oldest first, unless `order=desc`; retries included.',
      problems: ['run_not_found'],
    },
    ref(StepAttemptPage),
    { params, querystring: StepsQuery },
  )
  app.get('/v1/runs/:run_id/steps', { schema: listStepAttempts, config: read }, async (request, reply) => {
    const page = await reads.listStepAttempts(request.params.run_id, request.query, request.caller)
    if (page === null) throw runNotFound()
    return sendPage(request, reply, page)
  })
}

function stepAttempts(app: App, { orchestrator }: RouteDeps): void {
  const params = StepParams
  const getStepAttempt = readsOne(
    {
      operationId: 'getStepAttempt',
      tag,
      summary: 'Read a step attempt',
      description:
        'The step attempt as it is now, with its version as `ETag`. While its worker says how far it is (`progress`, `output`), the answer is never 304: that moves without a new version.',
      problems: ['step_attempt_not_found'],
    },
    ref(LiveStepAttempt),
    { params },
  )
  app.get('/v1/steps/:step_attempt_id', { schema: getStepAttempt, config: read }, async (request, reply) => {
    const step = await orchestrator.getStepAttempt(request.caller, request.params.step_attempt_id)
    if (step === null) throw stepNotFound()
    return step.progress === null && step.output === null
      ? sendRecord(request, reply, step)
      : sendLive(reply, step)
  })

  const completeStepAttempt = writes(
    {
      operationId: 'completeStepAttempt',
      tag,
      summary: 'Complete a step attempt',
      description: '`running` → `succeeded`, `failed` or `canceled`, with what it left behind and used up.',
      problems: ['step_attempt_not_found', 'transition_refused', 'attempt_leased', 'exit_code_contradicts'],
    },
    { status: 200, schema: ref(StepAttempt), matches: 'the step attempt' },
    { params, body: ref(CompleteStepAttempt) },
  )
  app.post(
    '/v1/steps/:step_attempt_id/complete',
    { schema: completeStepAttempt, config: write },
    (request, reply) =>
      answerWrite(request, reply, changedStep, (call) =>
        orchestrator.completeStepAttempt(call, request.params.step_attempt_id, request.body),
      ),
  )

  const retryStepAttempt = writes(
    {
      operationId: 'retryStepAttempt',
      tag,
      summary: 'Retry a step attempt',
      description:
        'Makes a new running attempt at the same place of the run. Only the newest attempt of a step can be retried, if it failed or was canceled and the run is running.',
      problems: [
        'step_attempt_not_found',
        'transition_refused',
        'attempt_leased',
        'run_not_running',
        'already_retried',
      ],
    },
    { status: 201, schema: ref(StepAttempt), located: true, matches: 'the step attempt' },
    { params, body: ref(RetryStepAttempt) },
  )
  app.post(
    '/v1/steps/:step_attempt_id/retry',
    { schema: retryStepAttempt, config: write },
    (request, reply) =>
      answerWrite(request, reply, createdStep, (call) =>
        orchestrator.retryStepAttempt(call, request.params.step_attempt_id, request.body),
      ),
  )
}

import { RunTransitions } from '../../contract/machine.ts'
import { ref } from '../../contract/named.ts'
import type { ProblemCode } from '../../contract/problems.ts'
import { RunSummary } from '../../contract/run-summary.ts'
import {
  CancelRun,
  CompleteRun,
  CreateRun,
  StartRun,
  QuarantineRun,
  Run,
  RunPage,
  RunParams,
  RunsQuery,
  UpdateRun,
} from '../../contract/run.ts'
import { runNotFound } from '../../domain/guard.ts'
import { answerWrite, changedRun, createdRun, sendJson, sendPage, sendRecord } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { lists, patches, readsOne, reads as readsOther, writes } from '../operation.ts'
import { APPLIED, longPoll, waitQuery } from '../wait.ts'

const read = { scope: 'read' } as const
const write = { scope: 'write' } as const
const tag = 'runs'
const params = RunParams
const changed = { status: 200, schema: ref(Run), matches: 'the run' } as const

export function runRoutes(app: App, deps: RouteDeps): void {
  runList(app, deps)
  oneRun(app, deps)
  runSummary(app, deps)
  runCommands(app, deps)
}

function runList(app: App, { orchestrator }: RouteDeps): void {
  const createRun = writes(
    {
      operationId: 'createRun',
      tag,
      summary: 'Create a run',
      description:
        'Records a run that is about to begin. It is `pending` until it is started. A `traceparent` header is kept on the run; an invalid one starts a new trace.',
    },
    { status: 201, schema: ref(Run), located: true },
    { body: ref(CreateRun) },
  )
  app.post('/v1/runs', { schema: createRun, config: write }, (request, reply) => {
    const traceparent = (request.headers['traceparent'] as string | undefined) ?? null
    return answerWrite(request, reply, createdRun, (call) =>
      orchestrator.createRun(call, request.body, traceparent),
    )
  })

  const listRuns = lists(
    {
      operationId: 'listRuns',
      tag,
      summary: 'List runs',
      description:
        'Newest first, unless `order=asc`. A filter may be repeated: any of its values passes. Different filters must all pass. What needs your attention: `needs_attention=retrying&needs_attention=stalled&needs_attention=failed_requests&needs_attention=circuit_open`; `stalled_for` belongs to it, and says after how many seconds a run has stalled.',
    },
    ref(RunPage),
    { querystring: RunsQuery },
  )
  app.get('/v1/runs', { schema: listRuns, config: read }, async (request, reply) =>
    sendPage(request, reply, await orchestrator.listRuns(request.caller, request.query)),
  )
}

function oneRun(app: App, { orchestrator, reads }: RouteDeps): void {
  const getRun = readsOne(
    {
      operationId: 'getRun',
      tag,
      summary: 'Read a run',
      description:
        'The run as it is now, with its version as `ETag`. With `Prefer: wait=N` the answer waits until the run is closed: at once if it is, and at the latest after that time, with the run as it is then. `If-None-Match` is about the run that would be answered.',
      problems: ['run_not_found'],
    },
    ref(Run),
    { params, querystring: waitQuery('the end of the run') },
    APPLIED,
  )
  app.get('/v1/runs/:run_id', { schema: getRun, config: read }, async (request, reply) => {
    const { run_id } = request.params
    const { wait_seconds } = request.query
    const mayWait = wait_seconds !== undefined || request.headers['prefer'] !== undefined
    const run = await (mayWait
      ? orchestrator.awaitRun(request.caller, run_id, longPoll(request, reply, wait_seconds))
      : reads.getRun(run_id, request.caller))
    if (run === null) throw runNotFound()
    return sendRecord(request, reply, run)
  })

  const updateRun = patches(
    {
      operationId: 'updateRun',
      tag,
      summary: 'Change labels and metadata',
      description:
        'A JSON merge patch (RFC 7396), also as `application/merge-patch+json`. Allowed in every state. A patch that changes nothing is answered 200 and leaves version and events as they are.',
      problems: ['run_not_found'],
    },
    changed,
    { params, body: ref(UpdateRun) },
  )
  app.patch('/v1/runs/:run_id', { schema: updateRun, config: write }, (request, reply) =>
    answerWrite(request, reply, changedRun, (call) =>
      orchestrator.updateRun(call, request.params.run_id, request.body),
    ),
  )

  const listRunTransitions = readsOther(
    {
      operationId: 'listRunTransitions',
      tag,
      summary: 'List what can be done with a run',
      description: 'Every command, whether it is allowed now, and why not.',
      problems: ['run_not_found'],
    },
    ref(RunTransitions),
    { params },
  )
  app.get(
    '/v1/runs/:run_id/transitions',
    { schema: listRunTransitions, config: read },
    async (request, reply) =>
      sendJson(reply, await orchestrator.listRunTransitions(request.caller, request.params.run_id)),
  )
}

function runSummary(app: App, { orchestrator }: RouteDeps): void {
  const getRunSummary = readsOther(
    {
      operationId: 'getRunSummary',
      tag,
      summary: 'Sum up a run',
      description:
        'How many attempts and execution requests, how they ended, how long it all took, what it cost, and the same by tool. All figures are those of one moment, also of a run that goes on meanwhile. It takes time in proportion to the number of attempts, some seconds for a million, and keeps nobody else waiting.',
      problems: ['run_not_found'],
    },
    ref(RunSummary),
    { params },
  )
  app.get('/v1/runs/:run_id/summary', { schema: getRunSummary, config: read }, async (request, reply) =>
    sendJson(reply, await orchestrator.getRunSummary(request.caller, request.params.run_id)),
  )
}

/** What every command of a run may answer. */
const refusals: ProblemCode[] = ['run_not_found', 'transition_refused']

function runCommands(app: App, { orchestrator }: RouteDeps): void {
  const startRun = writes(
    {
      operationId: 'startRun',
      tag,
      summary: 'Start a run',
      description: '`pending` → `running`. Takes no body, or `{}`.',
      problems: ['run_not_found', 'transition_refused'],
    },
    changed,
    { params, body: ref(StartRun) },
  )
  app.post('/v1/runs/:run_id/start', { schema: startRun, config: write }, (request, reply) =>
    answerWrite(request, reply, changedRun, (call) => orchestrator.startRun(call, request.params.run_id)),
  )

  const completeRun = writes(
    {
      operationId: 'completeRun',
      tag,
      summary: 'Complete a run',
      description:
        '`running` → `succeeded` or `failed`. It cannot succeed while a step attempt is running or an execution request has not ended; failing cancels those.',
      problems: [...refusals, 'steps_running', 'requests_open', 'exit_code_contradicts'],
    },
    changed,
    { params, body: ref(CompleteRun) },
  )
  app.post('/v1/runs/:run_id/complete', { schema: completeRun, config: write }, (request, reply) =>
    answerWrite(request, reply, changedRun, (call) =>
      orchestrator.completeRun(call, request.params.run_id, request.body),
    ),
  )

  const quarantineRun = writes(
    {
      operationId: 'quarantineRun',
      tag,
      summary: 'Quarantine a run',
      description:
        '`running` or `failed` → `quarantined`: nobody should build on it. What a failed run failed with is kept; running step attempts are canceled.',
      problems: ['run_not_found', 'transition_refused'],
    },
    changed,
    { params, body: ref(QuarantineRun) },
  )
  app.post('/v1/runs/:run_id/quarantine', { schema: quarantineRun, config: write }, (request, reply) =>
    answerWrite(request, reply, changedRun, (call) =>
      orchestrator.quarantineRun(call, request.params.run_id, request.body),
    ),
  )

  const cancelRun = writes(
    {
      operationId: 'cancelRun',
      tag,
      summary: 'Cancel a run',
      description: '`pending` or `running` → `canceled`; running step attempts are canceled with it.',
      problems: ['run_not_found', 'transition_refused'],
    },
    changed,
    { params, body: ref(CancelRun) },
  )
  app.post('/v1/runs/:run_id/cancel', { schema: cancelRun, config: write }, (request, reply) =>
    answerWrite(request, reply, changedRun, (call) =>
      orchestrator.cancelRun(call, request.params.run_id, request.body),
    ),
  )
}

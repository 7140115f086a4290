import { ExecutionRequestParams } from '../../contract/execution-request.ts'
import { ref } from '../../contract/named.ts'
import { Diagnosis, Worker, WorkerPage, WorkerParams, WorkersQuery } from '../../contract/worker.ts'
import { LedgerError } from '../../domain/error.ts'
import { sendJson, sendPage } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { lists, reads as readsOther } from '../operation.ts'

const read = { scope: 'read' } as const
const tag = 'dispatch'

export function workerRoutes(app: App, { orchestrator, reads }: RouteDeps): void {
  const listWorkers = lists(
    {
      operationId: 'listWorkers',
      tag,
      summary: 'List workers',
      description: 'Every worker that ever claimed work, by name, with what it holds.',
    },
    ref(WorkerPage),
    { querystring: WorkersQuery },
  )
  app.get('/v1/workers', { schema: listWorkers, config: read }, async (request, reply) =>
    sendPage(request, reply, await reads.listWorkers(request.query, request.caller)),
  )

  const getWorker = readsOther(
    {
      operationId: 'getWorker',
      tag,
      summary: 'Read a worker',
      description: 'When it was last seen, what it holds, and how many attempts it completed and failed.',
      problems: ['worker_not_found'],
    },
    ref(Worker),
    { params: WorkerParams },
  )
  app.get('/v1/workers/:worker_id', { schema: getWorker, config: read }, async (request, reply) => {
    const worker = await reads.getWorker(request.params.worker_id, request.caller)
    if (worker === null) throw workerNotFound()
    return sendJson(reply, worker)
  })

  const diagnoseExecutionRequest = readsOther(
    {
      operationId: 'diagnoseExecutionRequest',
      tag,
      summary: 'Say why nothing is happening',
      description:
        'Why a request is not being carried out: who holds it, what its tool does, what it waits for, and whether anybody asks for its tool.',
      problems: ['execution_request_not_found'],
    },
    ref(Diagnosis),
    { params: ExecutionRequestParams },
  )
  app.get(
    '/v1/execution-requests/:execution_request_id/diagnosis',
    { schema: diagnoseExecutionRequest, config: read },
    async (request, reply) => {
      const { execution_request_id } = request.params
      return sendJson(
        reply,
        await orchestrator.diagnoseExecutionRequest(request.caller, execution_request_id),
      )
    },
  )
}

const workerNotFound = () =>
  new LedgerError('worker_not_found', 'No worker of this name has claimed work. See the list at /v1/workers.')

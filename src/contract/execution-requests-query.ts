import { type Static, Type } from '@sinclair/typebox'
import { Ulid, anyOf, instant, name, page } from './common.ts'
import { ExecutionRequestState } from './execution-request.ts'
import { closed, ref } from './named.ts'

export const ExecutionRequestsQuery = closed(
  {
    project_id: anyOf(name('A project.'), 'Requests of these projects.'),
    run_id: anyOf(ref(Ulid), 'Requests of these runs.'),
    state: anyOf(ref(ExecutionRequestState), 'Requests in these states.'),
    tool_id: anyOf(name('A tool.'), 'Requests that are assigned to these tools.'),
    worker_id: anyOf(name('A worker.'), 'Requests that these workers hold or had last.'),
    created_after: Type.Optional(instant('Created at this instant or later.')),
    created_before: Type.Optional(instant('Created before this instant.')),
    ...page('desc'),
  },
  { description: 'Filters of the list of execution requests. Different filters must all pass.' },
)
export type ExecutionRequestsQuery = Static<typeof ExecutionRequestsQuery>

import { type Static, Type } from '@sinclair/typebox'
import { Timestamp, Ulid, count, name } from './common.ts'
import { ExecutionRequestState } from './execution-request.ts'
import { closed, named, nullable, ref } from './named.ts'

const tasks = (description: string) => Type.Array(name('A task.'), { description })
const milliseconds = (description: string) => Type.Integer({ minimum: 0, description })

export const PlanNode = named(
  'PlanNode',
  closed(
    {
      task_id: name('The task.'),
      execution_request_id: ref(Ulid),
      name: name('What people call it.'),
      state: ref(ExecutionRequestState),
      level: count('0 if it needs nothing; else one more than the highest level of what it needs.'),
      needs: tasks('The tasks that must succeed before.'),
      blocks: tasks('The tasks that need this one.'),
      blocked_by: tasks('Those of `needs` that have not succeeded.'),
      tool_id: nullable(name('The tool.'), { description: 'The tool that it was assigned to, if it was.' }),
      attempts: count('How often it was tried.'),
      started_at: nullable(ref(Timestamp), { description: 'When a worker first claimed it.' }),
      ended_at: nullable(ref(Timestamp)),
      duration_ms: nullable(milliseconds('How long it took.'), {
        description:
          'From its first claim to its end, or until now; null if it was not claimed. It includes the waiting between attempts.',
      }),
    },
    { description: 'A task in the plan of a run.' },
  ),
)
export type PlanNode = Static<typeof PlanNode>

export const PlanProgress = named(
  'PlanProgress',
  closed(
    {
      total: count('All tasks.'),
      done: count('Those that succeeded.'),
      running: count('Those that a worker has, or whose work waits for its validators.'),
      queued: count('Those that wait for a worker.'),
      blocked: count('Those that wait for other tasks.'),
      failed: count('Those that failed.'),
      canceled: count('Those that were canceled.'),
      percent: Type.Integer({
        minimum: 0,
        maximum: 100,
        description: 'The share of `done` in `total`, rounded down: 100 only when all have succeeded.',
      }),
    },
    { description: 'How far a plan is. Every task counts once.' },
  ),
)
export type PlanProgress = Static<typeof PlanProgress>

export const CriticalPath = named(
  'CriticalPath',
  closed(
    {
      task_ids: tasks('The tasks on it, the first of them first.'),
      duration_ms: milliseconds('How long they took together.'),
    },
    {
      description:
        'The chain of tasks, each needed by the next, that took longest so far. Tasks that were never claimed are not on it.',
    },
  ),
)
export type CriticalPath = Static<typeof CriticalPath>

export const PlanEstimate = named(
  'PlanEstimate',
  closed(
    {
      remaining_ms: nullable(milliseconds('How long it may still take.'), {
        description:
          'The longest chain of what is left, by the median durations of the same tool in this run, else of the tool, else of the same kind in this run. Tasks of unknown duration count nothing; null if all are unknown.',
      }),
      known: count('How many of the tasks that are left have a known duration.'),
      of: count('How many tasks are left.'),
    },
    { description: 'How long a plan may still take, if every task that is ready has a worker at once.' },
  ),
)
export type PlanEstimate = Static<typeof PlanEstimate>

export const RunPlan = named(
  'RunPlan',
  closed(
    {
      run_id: ref(Ulid),
      nodes: Type.Array(ref(PlanNode), { description: 'The tasks, in the order of their submission.' }),
      levels: count('How many levels there are.'),
      progress: ref(PlanProgress),
      critical_path: ref(CriticalPath),
      estimate: ref(PlanEstimate),
    },
    {
      description: 'The tasks that were submitted for a run, and how far they are.',
      examples: [
        {
          run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
          nodes: [
            {
              task_id: 'edit',
              execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
              name: 'Reject an empty basket',
              state: 'succeeded',
              level: 0,
              needs: [],
              blocks: ['test'],
              blocked_by: [],
              tool_id: 'aider',
              attempts: 1,
              started_at: '2026-01-05T09:30:01.000Z',
              ended_at: '2026-01-05T09:31:01.000Z',
              duration_ms: 60_000,
            },
            {
              task_id: 'test',
              execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D3',
              name: 'Run the tests',
              state: 'queued',
              level: 1,
              needs: ['edit'],
              blocks: [],
              blocked_by: [],
              tool_id: 'pytest',
              attempts: 0,
              started_at: null,
              ended_at: null,
              duration_ms: null,
            },
          ],
          levels: 2,
          progress: {
            total: 2,
            done: 1,
            running: 0,
            queued: 1,
            blocked: 0,
            failed: 0,
            canceled: 0,
            percent: 50,
          },
          critical_path: { task_ids: ['edit'], duration_ms: 60_000 },
          estimate: { remaining_ms: 8_000, known: 1, of: 1 },
        },
      ],
    },
  ),
)
export type RunPlan = Static<typeof RunPlan>

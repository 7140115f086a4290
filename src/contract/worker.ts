import { type Static, Type } from '@sinclair/typebox'
import { Timestamp, Ulid, anyOf, count, name, page, pageOf } from './common.ts'
import { ExecutionRequestState } from './execution-request.ts'
import { closed, named, nullable, ref, words } from './named.ts'

export const HeldRequest = named(
  'HeldRequest',
  closed(
    {
      execution_request_id: ref(Ulid),
      run_id: ref(Ulid),
      step_attempt_id: ref(Ulid),
      tool_id: name('The tool.'),
      worker_id: name('The worker that holds it.'),
      fence: count('The number of the claim.'),
      claimed_at: ref(Timestamp),
      heartbeat_at: ref(Timestamp, { description: 'The last sign of life.' }),
      lease_expires_at: ref(Timestamp, {
        description: 'It is the worker’s until then, and longer with heartbeats.',
      }),
      attempt_expires_at: ref(Timestamp, { description: 'When the attempt has taken too long.' }),
    },
    { description: 'A request that a worker holds.' },
  ),
)
export type HeldRequest = Static<typeof HeldRequest>

const example = {
  worker_id: 'builder-1',
  tools: ['pytest', 'eslint'],
  first_seen_at: '2026-01-05T09:00:00.000Z',
  last_seen_at: '2026-01-05T09:30:00.000Z',
  done: 12,
  failed: 1,
  holds: [],
}

export const Worker = named(
  'Worker',
  closed(
    {
      worker_id: name('The worker, by the name that it gave.'),
      tools: Type.Array(name('A tool.'), { description: 'The tools that it asked for last.' }),
      first_seen_at: ref(Timestamp),
      last_seen_at: ref(Timestamp, {
        description:
          'Its last sign of life: a claim, a heartbeat or a report. Claims in vain count every ten seconds.',
      }),
      done: count('Attempts that it completed.'),
      failed: count('Attempts that failed with it, or were lost.'),
      holds: Type.Array(ref(HeldRequest), { description: 'What it holds now.' }),
    },
    { description: 'A worker, as the ledger knows it.', examples: [example] },
  ),
)
export type Worker = Static<typeof Worker>

export const WorkerPage = pageOf('WorkerPage', Worker, 'workers')

export const WorkerParams = closed({ worker_id: name('The worker.') }, { description: 'Which worker.' })

export const WorkersQuery = closed(
  { tool_id: anyOf(name('A tool.'), 'Workers that asked for one of these tools.'), ...page('asc') },
  { description: 'Filters of the list of workers, and paging.' },
)
export type WorkersQuery = Static<typeof WorkersQuery>

export const FindingCode = words(
  'FindingCode',
  [
    'ended',
    'blocked',
    'validating',
    'canceling',
    'held',
    'waiting_until',
    'tool_paused',
    'circuit_open',
    'at_max_parallel',
    'behind_others',
    'no_worker',
    'worker_expected',
  ],
  'Why nothing is happening: it has ended; it waits for other tasks; its work is done and waits for its validators; its worker was asked to stop; a worker has it; it waits until an instant; its tool is paused; the circuit of its tool is open; its tool does as much at a time as it may; others come first; no worker asks for its tool, or only such as have rejected it; a worker that asks for its tool should take it.',
)

export const Finding = named(
  'Finding',
  closed(
    {
      code: ref(FindingCode),
      detail: Type.String({ description: 'The same in a sentence.' }),
      until: nullable(ref(Timestamp), { description: 'When that ends by itself; null if it does not.' }),
      held_by: Type.Array(ref(HeldRequest), {
        description: 'Who holds it, or what else its tool does at the moment; the first of them.',
      }),
    },
    { description: 'One reason.' },
  ),
)
export type Finding = Static<typeof Finding>

export const Diagnosis = named(
  'Diagnosis',
  closed(
    {
      execution_request_id: ref(Ulid),
      state: ref(ExecutionRequestState),
      findings: Type.Array(ref(Finding), { description: 'Every reason, the first to mend first.' }),
    },
    {
      description: 'Why nothing is happening with an execution request.',
      examples: [
        {
          execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
          state: 'queued',
          findings: [
            {
              code: 'no_worker',
              detail: 'No worker asks for the tool aider now. Start one that names it.',
              until: null,
              held_by: [],
            },
          ],
        },
      ],
    },
  ),
)
export type Diagnosis = Static<typeof Diagnosis>

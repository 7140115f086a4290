import type { RunState } from '../contract/run.ts'
import { defineMachine } from './machine.ts'

export type RunCommand = 'create' | 'start' | 'succeed' | 'fail' | 'quarantine' | 'cancel'

const post = (operation_id: string, path: string) => ({ operation_id, method: 'POST' as const, href: path })

// This table is the lifecycle: the guard, GET /v1/state-machines and docs/state-machines.md all read it.
export const runMachine = defineMachine<RunState, RunCommand>(
  'run',
  [
    // from      on            to             event
    [null, 'create', 'pending', 'run_created'],
    ['pending', 'start', 'running', 'run_started'],
    ['pending', 'cancel', 'canceled', 'run_canceled'],
    ['running', 'succeed', 'succeeded', 'run_completed'],
    ['running', 'fail', 'failed', 'run_completed'],
    ['running', 'quarantine', 'quarantined', 'run_quarantined'],
    ['running', 'cancel', 'canceled', 'run_canceled'],
    ['failed', 'quarantine', 'quarantined', 'run_quarantined'],
  ],
  {
    create: post('createRun', '/v1/runs'),
    start: post('startRun', '/v1/runs/{run_id}/start'),
    succeed: post('completeRun', '/v1/runs/{run_id}/complete'),
    fail: post('completeRun', '/v1/runs/{run_id}/complete'),
    quarantine: post('quarantineRun', '/v1/runs/{run_id}/quarantine'),
    cancel: post('cancelRun', '/v1/runs/{run_id}/cancel'),
  },
)

/** Pending and running; every other state is closed and has `ended_at`. */
export const isOpen = (state: RunState): boolean => state === 'pending' || state === 'running'

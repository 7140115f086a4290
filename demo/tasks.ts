import type { CreateExecutionRequest } from '../src/contract/execution-request.ts'

export const PROJECT = { project_id: 'signalbox', phase_id: 'demo' }

export interface DemoTask {
  task_id: string
  title: string
  task: Omit<CreateExecutionRequest, 'task_id' | 'run_id' | 'project_id' | 'phase_id'>
  /** How many attempts it has to take: no fewer, no more. */
  attempts: number
}

/** What is done in the demo, the longest first. Which tool does it is for router_config.yaml to say. */
export const TASKS: readonly DemoTask[] = [
  { task_id: 'types', title: 'Check all types', task: { task_kind: 'type_check' }, attempts: 1 },
  {
    task_id: 'lint',
    title: 'Look for faults in the contract',
    task: { task_kind: 'lint', input: { prompt: 'src/contract' } },
    attempts: 1,
  },
  {
    task_id: 'tests',
    title: 'Run the tests of the event chain',
    task: { task_kind: 'test_run', input: { prompt: 'test/domain/event' } },
    attempts: 1,
  },
  {
    task_id: 'search',
    title: 'Find a word in the documents',
    // Its tool has no index yet when it is asked for the first time, and says so.
    task: { task_kind: 'search', input: { prompt: 'lease' } },
    attempts: 2,
  },
  {
    task_id: 'syntax',
    title: 'Parse the entry file',
    task: { task_kind: 'syntax_check', input: { prompt: 'src/cli.ts' } },
    attempts: 1,
  },
  {
    task_id: 'inventory',
    title: 'Count what is committed, trusting none of it',
    task: { task_kind: 'inventory', classification: { risk_tier: 'high' }, input: { prompt: 'src' } },
    attempts: 1,
  },
  {
    task_id: 'lines',
    title: 'Count the lines of the source',
    task: { task_kind: 'line_count', input: { prompt: 'src' } },
    attempts: 1,
  },
  { task_id: 'history', title: 'List the last commits', task: { task_kind: 'history' }, attempts: 1 },
]

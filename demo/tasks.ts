import type { CreateExecutionRequest } from '../src/contract/execution-request.ts'
import type { PlanTask } from '../src/contract/plan.ts'

export const PROJECT = { project_id: 'signalbox', phase_id: 'demo' }

export interface DemoTask {
  /** As it is submitted. */
  task: PlanTask
  /** Whose attempts it has to take, those of its validators among them, and how each has to end. */
  attempts: readonly `${string}: ${'succeeded' | 'failed'}`[]
}

const prompt = (text: string): Pick<PlanTask, 'execution_request_template'> => ({
  execution_request_template: { input: { prompt: text } },
})

const syntax: PlanTask = {
  task_id: 'syntax',
  name: 'Parse the entry file',
  kind: 'syntax_check',
  ...prompt('src/cli.ts'),
}
const types: PlanTask = {
  task_id: 'types',
  name: 'Check the types of the source',
  kind: 'type_check',
  depends_on: ['syntax'],
  ...prompt('tsconfig.build.json'),
}
const lint: PlanTask = {
  task_id: 'lint',
  name: 'Look for faults in the contract',
  kind: 'lint',
  depends_on: ['syntax'],
  ...prompt('src/contract'),
}
const tests: PlanTask = {
  task_id: 'tests',
  name: 'Run the tests of the event chain',
  kind: 'test_run',
  depends_on: ['syntax'],
  ...prompt('test/domain/event'),
}

const objects: PlanTask = {
  task_id: 'objects',
  name: 'Look whether the history is whole',
  kind: 'object_check',
}
const inventory: PlanTask = {
  task_id: 'inventory',
  name: 'Count what is committed, trusting none of it',
  kind: 'inventory',
  classification: { risk_tier: 'high' },
  depends_on: ['objects'],
}
const news: PlanTask = {
  task_id: 'news',
  name: 'Say what is new',
  kind: 'news',
  depends_on: ['objects'],
}

const search: PlanTask = {
  task_id: 'search',
  name: 'Find a word in the documents',
  kind: 'search',
  ...prompt('lease'),
}
const lines: PlanTask = {
  task_id: 'lines',
  name: 'Count the lines of the source',
  kind: 'line_count',
  ...prompt('src'),
}

const report: PlanTask = {
  task_id: 'report',
  name: 'Write down what was found',
  kind: 'report',
  depends_on: ['types', 'lint', 'tests', 'inventory', 'news', 'search', 'lines'],
}

/**
 * What is done in the demo: the code and the history are looked at side by side, each behind a check that is quick, and
 * what was found is brought together. Which tool does a task is for router_config.yaml to say.
 */
export const TASKS: readonly DemoTask[] = [
  { task: syntax, attempts: ['node-check: succeeded'] },
  { task: types, attempts: ['tsc: succeeded'] },
  { task: lint, attempts: ['eslint: succeeded'] },
  { task: tests, attempts: ['vitest: succeeded'] },
  { task: objects, attempts: ['git-fsck: succeeded'] },
  { task: inventory, attempts: ['git-stat: succeeded'] },
  // Nobody has written the notes that its first tool reads, however often it looks.
  { task: news, attempts: ['git-notes: failed', 'git-notes: failed', 'git-log: succeeded'] },
  // Its tool has no index yet when it is asked for the first time.
  { task: search, attempts: ['find-word: failed', 'find-word: succeeded'] },
  { task: lines, attempts: ['lines: succeeded'] },
  {
    task: report,
    // The first report has no contents yet, and its validator wants them.
    attempts: [
      'write-report: succeeded',
      'check-report: failed',
      'write-report: succeeded',
      'check-report: succeeded',
    ],
  },
]

/** The same for whoever asks where a task would go. */
export const askedTask = (task: PlanTask): CreateExecutionRequest => ({
  ...PROJECT,
  task_id: task.task_id,
  task_kind: task.kind,
  ...(task.classification == null ? {} : { classification: task.classification }),
})

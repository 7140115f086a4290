import type { Command } from 'commander'
import type { Connection } from '../client/connection.ts'
import type { Page } from '../contract/common.ts'
import type { Event } from '../contract/event.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import type { RunPlan } from '../contract/run-plan.ts'
import type { RunSummary } from '../contract/run-summary.ts'
import type { Run } from '../contract/run.ts'
import type { StepAttempt } from '../contract/step.ts'
import type { Diagnosis } from '../contract/worker.ts'
import { integer } from './arguments.ts'
import { examples } from './help.ts'
import { type OutputFlags, addOutputFlags, openOutput } from './output.ts'
import { findRun } from './run-id.ts'
import { runLines } from './run-text.ts'
import { type ServerFlags, addServerFlags, withServer } from './server-flags.ts'

interface Flags extends ServerFlags, OutputFlags {
  limit: number
}

/** All that is shown of a run, each as the API gave it. */
export interface RunStory {
  run: Run
  summary: RunSummary
  plan: RunPlan
  /** The last ones, oldest first. */
  steps: StepAttempt[]
  events: Event[]
  /** The first requests that are queued or claimed, and why they are. */
  open: OpenRequest[]
}

export interface OpenRequest {
  request: ExecutionRequest
  diagnosis: Diagnosis
}

const AFTER_HELP = `
With --json it is one object: run, summary and plan as getRun, getRunSummary and getRunPlan answer them, in steps and
events the last of what listStepAttempts and listRunEvents list, the oldest first, and in open the first requests that
are queued or claimed, each with its diagnosis.
${examples(
  'signalbox run 01JD8Z6V3QK0T2M4N6P8R0S2T4',
  'signalbox run 6P8R0S2T4 --limit 100',
  'signalbox run 01JD8Z6V3QK0T2M4N6P8R0S2T4 --json | jq .run.state',
)}`

export function addRun(signalbox: Command): void {
  const run = signalbox
    .command('run')
    .argument('<run_id>', 'the run; the end of its id will do, for one of the newest 500')
    .description('Show a run: how far it is, its plan, its steps, what failed and the last that happened.')
    .option(
      '--limit <n>',
      `how many steps, failures and events at the most [1 to ${LIMITS.page_max}]`,
      integer(1, LIMITS.page_max),
      20,
    )
  addOutputFlags(run, 'print one JSON object; see below')
  addServerFlags(run, 'read').addHelpText('after', AFTER_HELP)
  run.action((given: string, flags: Flags) =>
    withServer(flags, async (connection) => {
      const output = openOutput(flags)
      const story = await readStory(connection, await findRun(connection, given), flags.limit)
      output.print(flags.json ? [JSON.stringify(story)] : runLines(story, output))
    }),
  )
}

/** Of how many requests it is asked why nothing is happening. */
const DIAGNOSED = 5

async function readStory(connection: Connection, run_id: string, limit: number): Promise<RunStory> {
  const get = async <T>(path: string): Promise<T> => (await connection.send<T>({ method: 'GET', path })).body
  const path = `/v1/runs/${run_id}`
  const run = await get<Run>(path)
  const last = `?order=desc&limit=${limit}`
  const [summary, plan, steps, events, requests] = await Promise.all([
    get<RunSummary>(`${path}/summary`),
    get<RunPlan>(`${path}/plan`),
    get<Page<StepAttempt>>(`${path}/steps${last}`),
    get<Page<Event>>(`${path}/events${last}`),
    get<Page<ExecutionRequest>>(
      `/v1/execution-requests?run_id=${run_id}&state=queued&state=claimed&limit=${DIAGNOSED}`,
    ),
  ])
  const open = requests.items.map(async (request) => ({
    request,
    diagnosis: await get<Diagnosis>(`/v1/execution-requests/${request.request_id}/diagnosis`),
  }))
  return {
    run,
    summary,
    plan,
    steps: steps.items.toReversed(),
    events: events.items.toReversed(),
    open: await Promise.all(open),
  }
}

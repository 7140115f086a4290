import { constants } from 'node:os'
import { spanText } from '../src/cli/layout.ts'
import type { SubmittedTasks } from '../src/contract/plan.ts'
import type { ExplainResult } from '../src/contract/route-explain.ts'
import type { Run } from '../src/contract/run.ts'
import { type Api, connect } from './api.ts'
import { faultsOf } from './faults.ts'
import { type Options, readOptions } from './options.ts'
import { reportText } from './report-text.ts'
import { type Submitted, gather } from './report.ts'
import { type Stage, clear, createStage, openServer, openWorker } from './stage.ts'
import { DemoFailed, Interrupted, TooLate, untilStopped } from './stopping.ts'
import { PROJECT, TASKS, askedTask } from './tasks.ts'
import { createView } from './view.ts'
import { type Snapshot, diagnose, watchRun } from './watch.ts'

const CONCURRENCY = 4
const DIAGNOSIS_MS = 5_000

const { stdout } = process
const say = (text: string): void => void stdout.write(`${text}\n`)

const options = readOptions(process.argv.slice(2))
process.exitCode = typeof options === 'number' ? options : await demo(options)

/** @returns the exit code */
async function demo(options: Options): Promise<number> {
  const since = performance.now()
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupt.abort(new Interrupted(name)))
  }
  const failure = new AbortController()
  const tooLate = new TooLate(`It was not over after ${options.timeout_seconds} s.`)
  const late = setTimeout(() => failure.abort(tooLate), options.timeout_seconds * 1_000)
  const stage = createStage(AbortSignal.any([interrupt.signal, failure.signal]), (death) =>
    failure.abort(death),
  )
  let faults: string[] = []
  try {
    faults = await perform(stage, options)
  } catch (error) {
    if (error instanceof Interrupted) {
      await clear(stage, true)
      say(`The demo was ended by ${error.signal}; nothing is left of it.`)
      return 128 + constants.signals[error.signal]
    }
    if (!(error instanceof DemoFailed)) await clear(stage, true)
    faults = await faultsOfEnd(error, stage)
  } finally {
    clearTimeout(late)
  }
  const took_ms = performance.now() - since
  if (options.keep && stage.run_id !== null) await lookAround(stage, interrupt.signal)
  return conclude([...faults, ...(await clear(stage, faults.length > 0))], took_ms)
}

/** @returns what was not as it has to be, a sentence each */
async function perform(stage: Stage, { tools }: Options): Promise<string[]> {
  const api = await openServer(stage)
  say(`A server is at ${api.url}, with its data in ${stage.directory}.`)
  const run = await api.post<Run>('/v1/runs', {
    ...PROJECT,
    completion: 'auto', // it ends by itself, with its last task
    on_failure: 'continue', // and does not break off where one fails
    origin: { trigger_type: 'manual', requested_by: 'demo' },
  })
  stage.run_id = run.run_id
  const watching = `npm run signalbox -- tail --server ${api.url} --run ${run.run_id}`
  say(`Watch it in another terminal:\n  ${watching}`)
  const submitted = await submit(api, run.run_id)
  // The worker comes last, so that nothing has changed between a task's explanation and its decision.
  await openWorker(stage, { url: api.url, tools, concurrency: CONCURRENCY })
  say(`A worker does ${TASKS.length} tasks in run ${run.run_id}, ${CONCURRENCY} at a time.\n`)
  const view = createView(stdout, process.env)
  const show = ({ plan }: Snapshot): void => view.show(plan)
  const snapshot = await watchRun(api, run.run_id, { signal: stage.signal, show })
  const report = await gather(api, { snapshot, submitted, directory: stage.shared })
  say(`\n${reportText(report)}`)
  return faultsOf(report)
}

/** Asks first where each task would go, and why: what is stored then are codes, and the words are for readers. */
async function submit(api: Api, run_id: string): Promise<Submitted[]> {
  const explained = await Promise.all(
    TASKS.map(({ task }) => api.post<ExplainResult>('/v1/routing/explain', askedTask(task))),
  )
  const plan = { tasks: TASKS.map(({ task }) => task) }
  const { tasks } = await api.post<SubmittedTasks>(`/v1/runs/${run_id}/tasks`, plan)
  return TASKS.map((task, index) => ({
    plan: task,
    request_id: tasks[index]!.execution_request_id,
    explained: explained[index]!,
  }))
}

/** @throws what is no failure that the demo knows of */
async function faultsOfEnd(error: unknown, { api, run_id }: Stage): Promise<string[]> {
  if (!(error instanceof DemoFailed)) throw error
  if (!(error instanceof TooLate) || api === null || run_id === null) return [error.message]
  try {
    const unhurried = connect(api.url, AbortSignal.timeout(DIAGNOSIS_MS))
    return [error.message, ...(await diagnose(unhurried, run_id))]
  } catch {
    return [error.message, 'The server does not say what is open.']
  }
}

async function lookAround({ api, run_id, directory, shared }: Stage, interrupt: AbortSignal): Promise<void> {
  const url = `${api?.url}/v1`
  say(`
The server stays until Ctrl-C; its data is in ${directory},
and what was written down in ${shared}. Look around:
  npm run signalbox -- run ${run_id} --server ${api?.url}
  curl -s '${url}/runs/${run_id}/plan'
  curl -s '${url}/runs/${run_id}/events?limit=500'
  curl -s '${url}/execution-requests?run_id=${run_id}'
  curl -s '${url}/routing/decisions?run_id=${run_id}'
  curl -s '${url}/workers'
Or open ${api?.url}/docs.`)
  await untilStopped(interrupt)
}

function conclude(faults: readonly string[], took_ms: number): number {
  if (faults.length === 0) {
    say(
      `Everything ended as it should, after ${spanText(took_ms)}; worker and server have stopped with exit code 0.`,
    )
    return 0
  }
  say(`Not everything ended as it should:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
  return 1
}

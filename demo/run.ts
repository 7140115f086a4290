import { constants } from 'node:os'
import type { ExecutionRequest } from '../src/contract/execution-request.ts'
import type { ExplainResult } from '../src/contract/route-explain.ts'
import type { Run } from '../src/contract/run.ts'
import { type Api, connect } from './api.ts'
import { faultsOf } from './faults.ts'
import { type Options, readOptions } from './options.ts'
import { type Submitted, gather, reportText } from './report.ts'
import { type Stage, clear, createStage, openServer, openWorker } from './stage.ts'
import { DemoFailed, Interrupted, TooLate, untilStopped } from './stopping.ts'
import { type DemoTask, PROJECT, TASKS } from './tasks.ts'
import { createView, secondsOf } from './view.ts'
import { diagnose, watchRun } from './watch.ts'

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
  // The worker comes last: a run that has nothing left to do ends, and there would be nothing between two tasks.
  const submitted: Submitted[] = []
  for (const task of TASKS) submitted.push(await submit(api, run.run_id, task))
  await openWorker(stage, { url: api.url, tools, concurrency: CONCURRENCY })
  say(`A worker does ${TASKS.length} tasks in run ${run.run_id}, ${CONCURRENCY} at a time.\n`)
  const view = createView(TASKS, stdout, process.env)
  const snapshot = await watchRun(api, run.run_id, { signal: stage.signal, show: view.show })
  const report = await gather(api, snapshot, submitted)
  say(`\n${reportText(report)}`)
  return faultsOf(report)
}

/** Asks first where the task would go, and why: what is stored then are codes, and the words are for readers. */
async function submit(api: Api, run_id: string, plan: DemoTask): Promise<Submitted> {
  const task = { ...PROJECT, ...plan.task, task_id: plan.task_id, run_id }
  const explained = await api.post<ExplainResult>('/v1/routing/explain', task)
  const { request_id } = await api.post<ExecutionRequest>('/v1/execution-requests', task)
  return { plan, request_id, explained }
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

async function lookAround({ api, run_id, directory }: Stage, interrupt: AbortSignal): Promise<void> {
  const url = `${api?.url}/v1`
  say(`
The server stays until Ctrl-C; its data is in ${directory}. Look around:
  curl -s '${url}/runs/${run_id}'
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
      `Everything ended as it should, after ${secondsOf(took_ms)}; worker and server have stopped with exit code 0.`,
    )
    return 0
  }
  say(`Not everything ended as it should:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
  return 1
}

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import { LIMITS } from '../../src/contract/limits.ts'
import type { RunSummary, ToolTotals } from '../../src/contract/run-summary.ts'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { completeStepAttempt, createStepAttempt, retryStepAttempt } from '../../src/domain/step.ts'
import { LedgerError } from '../../src/domain/error.ts'
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts'
import type { Store } from '../../src/store/store.ts'
import { type Desk, openDesk } from '../support/dispatch.ts'
import { ANYBODY, countingEntropy } from '../support/given.ts'
import { openMemoryStore, requestsOf, stepsOf } from '../support/store.ts'

const TOOLS = ['aider', 'codex', 'pytest']

/** The same figures, from what the lists say, all at once. */
async function naively(store: Store, run_id: string, now: string): Promise<RunSummary> {
  const run = (await store.getRun(run_id, ANYBODY))!
  const steps = await stepsOf(store, run_id)
  const requests = await requestsOf(store, run_id)
  const { run_id: _, attempts, duration_ms, ...all } = { run_id, ...totalsOf(steps, now) }
  const { tokens_input, tokens_output, cost_usd_micros, ...by_state } = all
  const waits = requests.flatMap((request) => waitOf(request, steps))
  const tools = [...new Set(steps.map(({ tool_id }) => tool_id))].toSorted()
  return {
    run_id,
    state: run.state,
    as_of: now,
    step_attempts: {
      total: attempts,
      ...by_state,
      retries: steps.filter(({ retry_of }) => retry_of !== null).length,
      fallbacks: steps.filter((step) => isFallback(step, steps)).length,
    },
    execution_requests: requestsByState(requests),
    durations: {
      run_ms: run.started_at === null ? null : Date.parse(run.ended_at ?? now) - Date.parse(run.started_at),
      attempts_ms: duration_ms,
      queue_ms: sum(waits),
      queue_requests: waits.length,
    },
    usage: { tokens_input, tokens_output, cost_usd_micros },
    by_tool: tools.map((tool_id) => ({
      tool_id,
      ...totalsOf(
        steps.filter((step) => step.tool_id === tool_id),
        now,
      ),
    })),
    other_tools: null,
  }
}

const sum = (numbers: (number | null)[]): number => numbers.reduce<number>((all, one) => all + (one ?? 0), 0)

function totalsOf(steps: StepAttempt[], now: string): Omit<ToolTotals, 'tool_id'> {
  const count = (state: StepAttempt['state']) => steps.filter((step) => step.state === state).length
  return {
    attempts: steps.length,
    running: count('running'),
    succeeded: count('succeeded'),
    failed: count('failed'),
    canceled: count('canceled'),
    duration_ms: sum(
      steps.map(({ started_at, ended_at }) => Date.parse(ended_at ?? now) - Date.parse(started_at)),
    ),
    tokens_input: sum(steps.map(({ usage }) => usage.tokens_input)),
    tokens_output: sum(steps.map(({ usage }) => usage.tokens_output)),
    cost_usd_micros: sum(steps.map(({ usage }) => usage.cost_usd_micros)),
  }
}

const isFallback = ({ sequence, attempt, tool_id }: StepAttempt, steps: StepAttempt[]): boolean =>
  steps.some(
    (before) => before.sequence === sequence && before.attempt === attempt - 1 && before.tool_id !== tool_id,
  )

function waitOf({ request_id, created_at }: ExecutionRequest, steps: StepAttempt[]): number[] {
  const claims = steps.filter(({ execution_request_id }) => execution_request_id === request_id)
  const [first] = claims.toSorted((a, b) => a.attempt - b.attempt)
  return first === undefined ? [] : [Date.parse(first.started_at) - Date.parse(created_at)]
}

function requestsByState(requests: ExecutionRequest[]): RunSummary['execution_requests'] {
  const count = (state: ExecutionRequest['state']) =>
    requests.filter((request) => request.state === state).length
  return {
    blocked: count('blocked'),
    queued: count('queued'),
    claimed: count('claimed'),
    succeeded: count('succeeded'),
    failed: count('failed'),
    canceled: count('canceled'),
  }
}

/** A run in which moves are made, by what was drawn for each. */
class Scene {
  readonly desk: Desk
  readonly run: Run
  readonly held: ClaimedRequest[] = []
  readonly steps: StepAttempt[] = []

  constructor(desk: Desk, run: Run) {
    this.desk = desk
    this.run = run
  }

  async move({ kind, pick, tool_id, usage, ms }: Move): Promise<void> {
    const { desk, run, held, steps } = this
    const { run_id } = run
    const step_attempt_id = steps[pick % steps.length]?.step_attempt_id ?? ''
    const lease = held[pick % held.length]
    desk.pass(ms)
    const moves: Record<Move['kind'], () => Promise<unknown>> = {
      start: async () =>
        steps.push(
          await desk.write({ run_id }, (before, given) => createStepAttempt(before, given, { tool_id })),
        ),
      end: () =>
        desk.write({ step_attempt_id }, (before, given) =>
          completeStepAttempt(before, given, {
            status: (['succeeded', 'failed', 'canceled'] as const)[pick % 3]!,
            usage,
          }),
        ),
      retry: async () =>
        steps.push(
          await desk.write({ step_attempt_id, newest_at: 'step' }, (before, given) =>
            retryStepAttempt(before, given, { tool_id }),
          ),
        ),
      request: () => desk.request({ run_id, limits: { max_attempts: 2 } }),
      claim: async () => held.push(...(await desk.claim({ max: 1 + (pick % 2) })).items),
      complete: async () => lease && desk.complete(lease, { usage }),
      fail: async () =>
        lease && desk.fail(lease, pick % 2 === 0 ? 'tool_error' : 'invalid_request', { usage }),
      release: async () => lease && desk.release(lease),
      cancel: async () => lease && desk.cancel(lease.execution_request),
    }
    await moves[kind]().catch((error: unknown) => {
      if (!(error instanceof LedgerError)) throw error // what is refused has changed nothing
    })
  }
}

const amount = fc.option(fc.integer({ min: 0, max: 1_000_000 }), { nil: null })
const move = fc.record({
  kind: fc.constantFrom(
    ...(['start', 'start', 'end', 'end', 'retry', 'retry', 'request', 'claim', 'claim'] as const),
    ...(['complete', 'fail', 'fail', 'release', 'cancel'] as const),
  ),
  pick: fc.nat(100),
  tool_id: fc.constantFrom(...TOOLS),
  usage: fc.record({ tokens_input: amount, tokens_output: amount, cost_usd_micros: amount }),
  ms: fc.nat(5_000),
})
type Move = typeof move extends fc.Arbitrary<infer T> ? T : never

/** A run that a worker has begun. */
async function aScene(): Promise<Scene> {
  const desk = await openDesk(openMemoryStore().store)
  const { run_id } = await desk.run()
  await desk.request({ run_id })
  const held = await desk.claimOne()
  const scene = new Scene(desk, await desk.runNow({ run_id }))
  scene.held.push(held)
  return scene
}

/** Reads batches of `limit`, and lets something happen before each. */
const inBatches = (store: Store, limit: number, meanwhile: () => Promise<void>): Store => ({
  ...store,
  async readSummary(run_id, part) {
    await meanwhile()
    return store.readSummary(run_id, { ...part, limit })
  },
})

const summaryOf = ({ desk, run }: Scene, store: Store = desk.store): Promise<RunSummary> => {
  const clock = () => ({ ms: Date.parse(desk.now), text: desk.now })
  const orchestrator = createOrchestrator({ store, clock, entropy: countingEntropy() })
  return orchestrator.getRunSummary(ANYBODY, run.run_id)
}

describe('the summary of a run', () => {
  it('is what its lists add up to', async () => {
    let fallbacks = 0
    const property = fc.asyncProperty(fc.array(move, { minLength: 40, maxLength: 80 }), async (moves) => {
      const scene = await aScene()
      for (const each of moves) await scene.move(each)
      const summary = await summaryOf(scene)
      expect(summary).toEqual(await naively(scene.desk.store, scene.run.run_id, scene.desk.now))
      fallbacks += summary.step_attempts.fallbacks
    })
    await fc.assert(property, { numRuns: 25, seed: 1 })
    expect(fallbacks).toBeGreaterThan(8)
  })

  it('is that of the moment at which its last batch was read, whatever happened before', async () => {
    let batches = 0
    const property = fc.asyncProperty(
      fc.array(move, { minLength: 20, maxLength: 60 }),
      fc.array(move, { minLength: 20, maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      async (first, then, limit) => {
        const scene = await aScene()
        for (const each of first) await scene.move(each)
        const rest = [...then]
        const store = inBatches(scene.desk.store, limit, async () => {
          batches++
          for (const each of rest.splice(0, 3)) await scene.move(each)
        })
        expect(await summaryOf(scene, store)).toEqual(
          await naively(scene.desk.store, scene.run.run_id, scene.desk.now),
        )
      },
    )
    await fc.assert(property, { numRuns: 25, seed: 2 })
    expect(batches).toBeGreaterThan(80)
  })

  it('lists a thousand tools, and adds up the others', async () => {
    const scene = await aScene()
    const { desk, run } = scene
    for (let i = 0; i <= LIMITS.summary_tools; i++) {
      const tool_id = `tool-${String(i).padStart(4, '0')}`
      const { step_attempt_id } = await desk.write({ run_id: run.run_id }, (before, given) =>
        createStepAttempt(before, given, { tool_id }),
      )
      await desk.completeStep({ step_attempt_id }, 'failed')
    }
    const { by_tool, other_tools, step_attempts } = await summaryOf(scene)
    expect(by_tool.map(({ tool_id }) => tool_id).at(-1)).toBe('tool-0999')
    expect(by_tool).toHaveLength(LIMITS.summary_tools)
    expect(other_tools).toMatchObject({ attempts: 2, running: 1, failed: 1 })
    expect(step_attempts.total).toBe(LIMITS.summary_tools + 2)
  })
})

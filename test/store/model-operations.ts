import fc from 'fast-check'
import type { Call, Orchestrator } from '../../src/orchestrator/orchestrator.ts'
import type { Store } from '../../src/store/store.ts'
import { NO_ID, RUN_BODY, STEP_BODY } from '../support/builders.ts'
import * as model from './model.ts'
import type { Asked, Attempted, Expected, Model, ModelRun } from './model.ts'

export interface Real {
  store: Store
  orchestrator: Orchestrator
  advance: (ms: number) => void
}

/** One operation, for the model and for the ledger. `B` is what fast-check draws beside who asks. */
export interface Operation<B> {
  body: fc.Arbitrary<B>
  expected: (m: Model, asked: Asked, body: B) => Expected
  real: (o: Orchestrator, m: Model, call: <T>() => Call<T>, body: B) => Promise<unknown>
  /** The run that it is about. */
  target: (m: Model, body: B) => ModelRun | undefined
  /** The version that If-Match is about. */
  version: (m: Model, body: B) => number | undefined
}

const operation = <B>(parts: Operation<B>): Operation<unknown> => parts as unknown as Operation<unknown>

interface At {
  at: number
}

const at = fc.oneof({ weight: 15, arbitrary: fc.nat(90) }, { weight: 1, arbitrary: fc.constant(-1) })
const word = fc.constantFrom('x', 'y')
const labels = <T>(value: fc.Arbitrary<T>) => fc.dictionary(fc.constantFrom('a', 'b'), value)
const exit_code = fc.constantFrom(null, 0, 0, 2)

/** What an operation is about: more often than not a run, or an attempt, that suits it. */
function runThat(suits: (run: ModelRun) => boolean) {
  const one = (m: Model, body: At) => model.chosen(m.runs, body.at, suits)
  return {
    one,
    id: (m: Model, body: At): string => one(m, body)?.run_id ?? NO_ID,
    about: { target: one, version: (m: Model, body: At) => one(m, body)?.version },
  }
}

function attemptThat(suits: (attempt: Attempted) => boolean) {
  const one = (m: Model, body: At) => model.chosen(model.attempts(m), body.at, suits)
  return {
    one,
    id: (m: Model, body: At): string => one(m, body)?.step.step_attempt_id ?? NO_ID,
    about: {
      target: (m: Model, body: At) => one(m, body)?.run,
      version: (m: Model, body: At) => one(m, body)?.step.version,
    },
  }
}

const anyRun = runThat(() => true)
const pendingRun = runThat(({ state }) => state === 'pending')
const openRun = runThat(({ state }) => state === 'pending' || state === 'running')
const runningRun = runThat(({ state }) => state === 'running')
const failedRun = runThat(({ state }) => state === 'failed')
const idleRun = runThat(
  ({ state, steps }) => state === 'running' && steps.every((step) => step.state !== 'running'),
)
const runningStep = attemptThat(({ step }) => step.state === 'running')
const failedStep = attemptThat(({ run, step }) => run.state === 'running' && step.state === 'failed')

interface CommandBody extends At {
  exit_code: number | null
  reason: string
}

type RunCall = Parameters<Orchestrator['startRun']>[0]

const command = (
  name: Parameters<typeof model.commandRun>[2]['command'],
  { one, id, about }: typeof anyRun,
  real: (o: Orchestrator, call: RunCall, id: string, body: CommandBody) => Promise<unknown>,
) =>
  operation<CommandBody>({
    body: fc.record({ at, exit_code, reason: word }),
    expected: (m, asked, body) => model.commandRun(one(m, body), asked, { ...body, command: name }),
    real: (o, m, call, body) => real(o, call(), id(m, body), body),
    ...about,
  })

export const OPERATIONS: Record<string, Operation<unknown>> = {
  createRun: operation({
    body: fc.record({ project_id: fc.constantFrom('shop', 'bank'), labels: labels(word) }),
    expected: model.createRun,
    real: (o, _m, call, body) => o.createRun(call(), { ...RUN_BODY, ...body }, null),
    target: () => undefined,
    version: () => undefined,
  }),

  startRun: command('start', pendingRun, (o, call, id) => o.startRun(call, id)),

  succeedRun: command('succeed', idleRun, (o, call, id, { exit_code }) =>
    o.completeRun(call, id, { status: 'succeeded', exit_code }),
  ),

  failRun: command('fail', runningRun, (o, call, id, { exit_code }) =>
    o.completeRun(call, id, { status: 'failed', exit_code }),
  ),

  quarantineRun: command('quarantine', failedRun, (o, call, id, { reason }) =>
    o.quarantineRun(call, id, { reason }),
  ),

  cancelRun: command('cancel', openRun, (o, call, id, { reason }) => o.cancelRun(call, id, { reason })),

  updateRun: operation({
    body: fc.record({ at, labels: labels(fc.option(word, { nil: null })) }),
    expected: (m, asked, body) => model.updateRun(anyRun.one(m, body), asked, body.labels),
    real: (o, m, call, body) => o.updateRun(call(), anyRun.id(m, body), { labels: body.labels }),
    ...anyRun.about,
  }),

  createStepAttempt: operation({
    body: fc.record({ at, sequence: fc.constantFrom(null, null, 1, 2, 9) }),
    expected: (m, asked, body) => model.createStep(runningRun.one(m, body), asked, body.sequence),
    real: (o, m, call, body) =>
      o.createStepAttempt(call(), runningRun.id(m, body), { ...STEP_BODY, sequence: body.sequence }),
    ...runningRun.about,
  }),

  completeStepAttempt: operation({
    body: fc.record({
      at,
      status: fc.constantFrom('succeeded' as const, 'failed' as const, 'canceled' as const),
      exit_code,
    }),
    expected: (m, asked, body) => model.completeStep(runningStep.one(m, body), asked, body),
    real: (o, m, call, { status, exit_code, at }) =>
      o.completeStepAttempt(call(), runningStep.id(m, { at }), { status, exit_code }),
    ...runningStep.about,
  }),

  retryStepAttempt: operation({
    body: fc.record({ at }),
    expected: (m, asked, body) => model.retryStep(failedStep.one(m, body), asked),
    real: (o, m, call, body) => o.retryStepAttempt(call(), failedStep.id(m, body), {}),
    ...failedStep.about,
  }),

  appendRunEvent: operation({
    body: fc.record({
      at,
      kind: fc.constantFrom(
        'note',
        'note',
        'patch_created',
        'patch_apply_succeeded',
        'tool_call_error',
        'run_x',
      ),
      step: fc.option(fc.record({ at }), { nil: null }),
    }),
    expected: (m, asked, body) => {
      const step_attempt_id = body.step === null ? null : runningStep.id(m, body.step)
      return model.appendEvent(openRun.one(m, body), asked, { kind: body.kind, step_attempt_id })
    },
    real: (o, m, call, body) => {
      const step_attempt_id = body.step === null ? null : runningStep.id(m, body.step)
      return o.appendRunEvent(call(), openRun.id(m, body), { kind: body.kind, step_attempt_id })
    },
    ...openRun.about,
  }),
}

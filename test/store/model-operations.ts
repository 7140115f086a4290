import fc from 'fast-check'
import type { Call } from '../../src/orchestrator/call.ts'
import type { Orchestrator } from '../../src/orchestrator/orchestrator.ts'
import type { Store } from '../../src/store/store.ts'
import { NO_ID, RUN_BODY, STEP_BODY } from '../support/builders.ts'
import * as rules from './model.ts'
import type { Asked, Attempted, Expected, Model, ModelRun } from './model.ts'

export interface Real {
  store: Store
  orchestrator: Orchestrator
  advance: (ms: number) => void
}

/** One operation, for the model and for the ledger. `B` is what fast-check draws beside who asks. */
export interface Operation<B> {
  body: fc.Arbitrary<B>
  expected: (model: Model, asked: Asked, body: B) => Expected
  real: (ledger: Orchestrator, model: Model, call: <T>() => Call<T>, body: B) => Promise<unknown>
  /** The run that it is about. */
  target: (model: Model, body: B) => ModelRun | undefined
  /** The version that If-Match is about. */
  version: (model: Model, body: B) => number | undefined
}

const operation = <B>(parts: Operation<B>): Operation<unknown> => parts as unknown as Operation<unknown>

interface At {
  at: number
}

const at = fc.oneof(
  { weight: 15, arbitrary: fc.noBias(fc.nat(90)) },
  { weight: 1, arbitrary: fc.constant(-1) },
)
const word = fc.constantFrom('x', 'y')
const labels = <T>(value: fc.Arbitrary<T>) => fc.dictionary(fc.constantFrom('a', 'b'), value)
const exit_code = fc.constantFrom(null, 0, 0, 2)

/** What an operation is about: more often than not a run, or an attempt, that suits it. */
function runThat(suits: (run: ModelRun) => boolean) {
  const one = (model: Model, body: At) => rules.chosen(model.runs, body.at, suits)
  return {
    one,
    id: (model: Model, body: At): string => one(model, body)?.run_id ?? NO_ID,
    about: { target: one, version: (model: Model, body: At) => one(model, body)?.version },
  }
}

function attemptThat(suits: (attempt: Attempted) => boolean) {
  const one = (model: Model, body: At) => rules.chosen(rules.attempts(model), body.at, suits)
  return {
    one,
    id: (model: Model, body: At): string => one(model, body)?.step.step_attempt_id ?? NO_ID,
    about: {
      target: (model: Model, body: At) => one(model, body)?.run,
      version: (model: Model, body: At) => one(model, body)?.step.version,
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
const endedStep = attemptThat(
  ({ run, step }) => run.state === 'running' && /failed|canceled/.test(step.state),
)

interface CommandBody extends At {
  exit_code: number | null
  reason: string
}

type RunCall = Parameters<Orchestrator['startRun']>[0]

const command = (
  name: Parameters<typeof rules.commandRun>[2]['command'],
  { one, id, about }: typeof anyRun,
  real: (ledger: Orchestrator, call: RunCall, id: string, body: CommandBody) => Promise<unknown>,
) =>
  operation<CommandBody>({
    body: fc.record({ at, exit_code, reason: word }),
    expected: (model, asked, body) => rules.commandRun(one(model, body), asked, { ...body, command: name }),
    real: (ledger, model, call, body) => real(ledger, call(), id(model, body), body),
    ...about,
  })

export const OPERATIONS: Record<string, Operation<unknown>> = {
  createRun: operation({
    body: fc.record({ project_id: fc.constantFrom('shop', 'bank'), labels: labels(word) }),
    expected: rules.createRun,
    real: (ledger, _model, call, body) => ledger.createRun(call(), { ...RUN_BODY, ...body }, null),
    target: () => undefined,
    version: () => undefined,
  }),

  startRun: command('start', pendingRun, (ledger, call, id) => ledger.startRun(call, id)),

  succeedRun: command('succeed', idleRun, (ledger, call, id, { exit_code }) =>
    ledger.completeRun(call, id, { status: 'succeeded', exit_code }),
  ),

  failRun: command('fail', runningRun, (ledger, call, id, { exit_code }) =>
    ledger.completeRun(call, id, { status: 'failed', exit_code }),
  ),

  quarantineRun: command('quarantine', failedRun, (ledger, call, id, { reason }) =>
    ledger.quarantineRun(call, id, { reason }),
  ),

  cancelRun: command('cancel', openRun, (ledger, call, id, { reason }) =>
    ledger.cancelRun(call, id, { reason }),
  ),

  updateRun: operation({
    body: fc.record({ at, labels: labels(fc.option(word, { nil: null })) }),
    expected: (model, asked, body) => rules.updateRun(anyRun.one(model, body), asked, body.labels),
    real: (ledger, model, call, body) =>
      ledger.updateRun(call(), anyRun.id(model, body), { labels: body.labels }),
    ...anyRun.about,
  }),

  createStepAttempt: operation({
    body: fc.record({ at, sequence: fc.constantFrom(null, null, 1, 2, 9) }),
    expected: (model, asked, body) => rules.createStep(runningRun.one(model, body), asked, body.sequence),
    real: (ledger, model, call, body) =>
      ledger.createStepAttempt(call(), runningRun.id(model, body), { ...STEP_BODY, sequence: body.sequence }),
    ...runningRun.about,
  }),

  completeStepAttempt: operation({
    body: fc.record({
      at,
      status: fc.constantFrom('succeeded' as const, 'failed' as const, 'canceled' as const),
      exit_code,
    }),
    expected: (model, asked, body) => rules.completeStep(runningStep.one(model, body), asked, body),
    real: (ledger, model, call, { status, exit_code, at }) =>
      ledger.completeStepAttempt(call(), runningStep.id(model, { at }), { status, exit_code }),
    ...runningStep.about,
  }),

  retryStepAttempt: operation({
    body: fc.record({ at }),
    expected: (model, asked, body) => rules.retryStep(endedStep.one(model, body), asked),
    real: (ledger, model, call, body) => ledger.retryStepAttempt(call(), endedStep.id(model, body), {}),
    ...endedStep.about,
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
      step: fc.option(fc.record({ at }), { nil: null, freq: 1 }),
    }),
    expected: (model, asked, body) => {
      const step_attempt_id = body.step === null ? null : runningStep.id(model, body.step)
      return rules.appendEvent(openRun.one(model, body), asked, { kind: body.kind, step_attempt_id })
    },
    real: (ledger, model, call, body) => {
      const step_attempt_id = body.step === null ? null : runningStep.id(model, body.step)
      return ledger.appendRunEvent(call(), openRun.id(model, body), { kind: body.kind, step_attempt_id })
    },
    ...openRun.about,
  }),
}

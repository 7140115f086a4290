import { describe, expect, it } from 'vitest'
import { RunState } from '../../src/contract/run.ts'
import { StepAttemptState } from '../../src/contract/step.ts'
import type { RunCommand } from '../../src/domain/run-machine.ts'
import type { StepCommand } from '../../src/domain/step-machine.ts'
import { RUN_EDGES, STEP_EDGES, cells } from '../support/edges.ts'
import { ANYBODY } from '../support/given.ts'
import { refusalOf } from '../support/refusal.ts'
import {
  type Ledger,
  dumpOf,
  eventsOf,
  expectSound,
  ledgerOf,
  openMemoryStore,
  runIn,
  stepsOf,
} from '../support/store.ts'

// The matrix once more, on real rows: what is refused leaves every table as it was. `create` is not in it,
// because it takes no record that could refuse.

type Given<C extends string> = Record<Exclude<C, 'create'>, (ledger: Ledger, id: string) => Promise<unknown>>

const RUN_COMMANDS: Given<RunCommand> = {
  start: (ledger, run_id) => ledger.startRun(run_id),
  succeed: (ledger, run_id) => ledger.succeedRun(run_id),
  fail: (ledger, run_id) => ledger.failRun(run_id),
  quarantine: (ledger, run_id) => ledger.quarantineRun(run_id),
  cancel: (ledger, run_id) => ledger.cancelRun(run_id),
}

const STEP_COMMANDS: Given<StepCommand> = {
  succeed: (ledger, id) => ledger.completeStep(id, { status: 'succeeded' }),
  fail: (ledger, id) => ledger.completeStep(id, { status: 'failed' }),
  cancel: (ledger, id) => ledger.completeStep(id, { status: 'canceled' }),
  retry: (ledger, id) => ledger.retryStep(id),
}

const keysOf = <C extends string>(commands: Record<C, unknown>) => Object.keys(commands) as C[]

describe('a run in the store', () => {
  const states = RunState.enum as readonly RunState[]

  for (const { from, command, edge } of cells(states, keysOf(RUN_COMMANDS), RUN_EDGES)) {
    if (edge === undefined) {
      it(`that is ${from} refuses ${command}, and nothing is written`, async () => {
        const { db, store } = openMemoryStore()
        const ledger = ledgerOf(store)
        const { run_id } = await runIn(ledger, from)
        const before = dumpOf(db)
        const refusal = await refusalOf(RUN_COMMANDS[command](ledger, run_id))
        expect(refusal).toMatchObject({
          code: 'transition_refused',
          context: { state: from, command, allowed_commands: allowedIn(RUN_EDGES, from) },
        })
        expect(dumpOf(db)).toEqual(before)
      })
    } else {
      it(`that is ${from} takes ${command}: one version, one event`, async () => {
        const { store } = openMemoryStore()
        const ledger = ledgerOf(store)
        const before = await runIn(ledger, from)
        await RUN_COMMANDS[command](ledger, before.run_id)
        const run = await store.getRun(before.run_id, ANYBODY)
        expect(run).toMatchObject({ state: edge.to, version: before.version + 1 })
        expect(run!.updated_at > before.updated_at).toBe(true)
        const events = await eventsOf(store, before.run_id)
        expect(events).toHaveLength(before.version + 1)
        expect(events.at(-1)).toMatchObject({ kind: edge.event, from, to: edge.to, ts: run?.updated_at })
        await expectSound(store, before.run_id)
      })
    }
  }

  it('that is running refuses succeed while an attempt is running, and nothing is written', async () => {
    const { db, store } = openMemoryStore()
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'running')
    const { step_attempt_id } = await ledger.createStep(run_id)
    const before = dumpOf(db)
    expect(await refusalOf(ledger.succeedRun(run_id))).toMatchObject({
      code: 'steps_running',
      context: { step_attempt_ids: [step_attempt_id] },
    })
    expect(dumpOf(db)).toEqual(before)
  })

  it.each(['fail', 'quarantine', 'cancel'] as const)(
    'that is running takes %s while attempts are running, and ends them in the same transaction',
    async (command) => {
      const { store } = openMemoryStore()
      const ledger = ledgerOf(store)
      const { run_id } = await runIn(ledger, 'running')
      await ledger.createStep(run_id)
      const done = await ledger.createStep(run_id)
      await ledger.completeStep(done.step_attempt_id, { status: 'succeeded' })
      await ledger.createStep(run_id)
      await RUN_COMMANDS[command](ledger, run_id)
      const run = await store.getRun(run_id, ANYBODY)
      expect((await stepsOf(store, run_id)).map(({ state, ended_at }) => [state, ended_at])).toEqual([
        ['canceled', run?.ended_at],
        ['succeeded', expect.any(String)],
        ['canceled', run?.ended_at],
      ])
      const last = (await eventsOf(store, run_id)).slice(-3)
      expect(last.map(({ kind, to }) => [kind, to])).toEqual([
        ['step_completed', 'canceled'],
        ['step_completed', 'canceled'],
        [expect.stringMatching(/^run_/), run?.state],
      ])
      await expectSound(store, run_id)
    },
  )
})

describe('a step attempt in the store', () => {
  const states = StepAttemptState.enum as readonly StepAttemptState[]

  /** An attempt that took the shortest way into a state, in a run that is running. */
  async function attemptIn(ledger: Ledger, state: StepAttemptState) {
    const { run_id } = await runIn(ledger, 'running')
    const { step_attempt_id } = await ledger.createStep(run_id)
    if (state !== 'running') await ledger.completeStep(step_attempt_id, { status: state })
    return { run_id, step_attempt_id }
  }

  for (const { from, command, edge } of cells(states, keysOf(STEP_COMMANDS), STEP_EDGES)) {
    if (edge === undefined) {
      it(`that is ${from} refuses ${command}, and nothing is written`, async () => {
        const { db, store } = openMemoryStore()
        const ledger = ledgerOf(store)
        const { step_attempt_id } = await attemptIn(ledger, from)
        const before = dumpOf(db)
        const refusal = await refusalOf(STEP_COMMANDS[command](ledger, step_attempt_id))
        expect(refusal).toMatchObject({
          code: 'transition_refused',
          context: { state: from, command, allowed_commands: allowedIn(STEP_EDGES, from) },
        })
        expect(dumpOf(db)).toEqual(before)
      })
    } else {
      it(`that is ${from} takes ${command}: one version of the run, one event`, async () => {
        const { store } = openMemoryStore()
        const ledger = ledgerOf(store)
        const { run_id, step_attempt_id } = await attemptIn(ledger, from)
        const before = await store.getRun(run_id, ANYBODY)
        await STEP_COMMANDS[command](ledger, step_attempt_id)
        const run = await store.getRun(run_id, ANYBODY)
        expect(run?.version).toBe(before!.version + 1)
        expect((await eventsOf(store, run_id)).at(-1)).toMatchObject({
          kind: edge.event,
          run_seq: run?.version,
        })
        expect(await store.getStepAttempt(step_attempt_id, ANYBODY)).toMatchObject({ state: edge.to })
        await expectSound(store, run_id)
      })
    }
  }
})

const allowedIn = (rows: readonly (readonly [string, string, ...unknown[]])[], state: string): string[] =>
  rows.filter(([from]) => from === state).map(([, command]) => command)

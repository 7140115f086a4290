import { expect, it } from 'vitest'
import { createRun } from '../../../src/domain/run.ts'
import { AWKWARD, NO_ID, RUN_BODY } from '../../support/builders.ts'
import { ANYBODY, given } from '../../support/given.ts'
import { type OpenStore, eventsOf, expectSound, ledgerOf, runIn, stepsOf } from '../../support/store.ts'

export function records(open: OpenStore): void {
  const everyField = {
    project_id: AWKWARD,
    phase_id: '0',
    workstream_id: 'null',
    execution_request_id: NO_ID,
    origin: { trigger_type: 'error_pipeline', trigger_ref: AWKWARD, requested_by: '' },
    labels: { 'a.b/c-d_e': AWKWARD, empty: '', constructor: 'x' },
    metadata: {
      z: [1, -0.5, 1e21, null, { '\u{1f600}': false }],
      '': {},
      [AWKWARD]: Number.MAX_SAFE_INTEGER,
    },
    completion: 'auto',
    on_failure: 'continue',
  } as const

  it('of a run comes back as it was written, every field', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const body = { ...everyField, metadata: structuredClone(everyField.metadata) as Record<string, unknown> }
    const created = await ledger.createRun(body)
    expect(created).toMatchObject(everyField)
    const { run_id } = created
    await ledger.startRun(run_id)
    await ledger.appendEvent(run_id, { kind: 'patch_created' })
    await ledger.appendEvent(run_id, { kind: 'patch_created' })
    await ledger.appendEvent(run_id, { kind: 'patch_apply_succeeded' })
    await ledger.failRun(run_id)
    const run = await ledger.quarantineRun(run_id)
    expect(run).toMatchObject({ exit_code: 2, counters: { patches_created: 2, patches_applied: 1 } })
    expect(await store.getRun(run_id, ANYBODY)).toEqual(run)
    expect((await store.listRuns({}, ANYBODY)).items).toEqual([run])
    expect(await store.view({ run_id }, (before) => before.run?.run)).toEqual(run)
    await expectSound(store, run_id)
  })

  it('of a run with a traceparent keeps it', async () => {
    const store = await open()
    const run = await store.change({}, (before) => createRun(before, given(), RUN_BODY, '00-ab-cd-01'))
    expect((await store.getRun(run.run_id, ANYBODY))?.traceparent).toBe('00-ab-cd-01')
  })

  it('of a step attempt comes back as it was written, every field', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'running')
    const body = {
      tool_id: AWKWARD,
      sequence: 1_000_000,
      tool_run_id: '0',
      prompt_id: NO_ID,
      input_prompt: AWKWARD.repeat(1_000),
      metadata: { [AWKWARD]: [AWKWARD] },
    }
    const started = await ledger.createStep(run_id, body)
    expect(started).toMatchObject(body)
    expect(await store.getStepAttempt(started.step_attempt_id, ANYBODY)).toEqual(started)
    const end = {
      exit_code: -Number.MAX_SAFE_INTEGER,
      signal: 'SIGKILL',
      error_class: AWKWARD,
      error_code: '',
      error_log: AWKWARD,
      stdout_tail: '\n',
      stderr_tail: 'null',
      outputs: { patch_ids: [NO_ID, run_id], logs_path: AWKWARD, raw_response_path: '/' },
      usage: { tokens_input: 0, tokens_output: 1, cost_usd_micros: Number.MAX_SAFE_INTEGER, duration_ms: 3 },
    }
    const step = await ledger.completeStep(started.step_attempt_id, { status: 'failed', ...end })
    expect(step).toMatchObject({ ...body, ...end })
    expect(await store.getStepAttempt(step.step_attempt_id, ANYBODY)).toEqual(step)
    expect(await stepsOf(store, run_id)).toEqual([step])
    await expectSound(store, run_id)
  })

  it('of an event comes back as it was written, every field', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'running')
    const { step_attempt_id } = await ledger.createStep(run_id)
    const payload = { [AWKWARD]: [AWKWARD, 1e21, -0.5, null] }
    const actor = { type: 'worker', id: AWKWARD } as const
    const event = await ledger.appendEvent(
      run_id,
      { kind: 'tool_call_started', payload, step_attempt_id },
      { caller: { actor, projects: null }, http_request_id: AWKWARD },
    )
    expect(event).toMatchObject({ payload, actor, http_request_id: AWKWARD, step_attempt_id })
    expect((await eventsOf(store, run_id)).at(-1)).toEqual(event)
    expect((await store.listEvents({ order: 'desc', limit: 1 }, ANYBODY)).items).toEqual([event])
    const [kept] = await store.readChain(run_id, { run_seq: event.run_seq - 1, limit: 1 })
    const { payload: shown, ...rest } = event
    expect(kept).toEqual({ ...rest, payload_text: expect.any(String) as string })
    expect(JSON.parse(kept!.payload_text!)).toEqual(shown)
  })

  it('that nothing has is null', async () => {
    const store = await open()
    expect(await store.getRun(NO_ID, ANYBODY)).toBeNull()
    expect(await store.getStepAttempt(NO_ID, ANYBODY)).toBeNull()
    expect(await store.listStepAttempts(NO_ID, {}, ANYBODY)).toBeNull()
    expect(await store.listRunEvents(NO_ID, {}, ANYBODY)).toBeNull()
  })

  it.each([
    ['every project', null, true],
    ['this project', ['shop'], true],
    ['another project', ['bank'], false],
    ['no project', [], false],
  ])('is there for a key that sees %s: %j %s', async (_name, projects, seen) => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await runIn(ledger, 'running')
    const { step_attempt_id } = await ledger.createStep(run_id)
    const found = await Promise.all([
      store.getRun(run_id, { projects }),
      store.getStepAttempt(step_attempt_id, { projects }),
      store.listStepAttempts(run_id, {}, { projects }),
      store.listRunEvents(run_id, {}, { projects }),
    ])
    expect(found.map((each) => each !== null)).toEqual([seen, seen, seen, seen])
  })
}

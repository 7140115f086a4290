import { describe, expect, it } from 'vitest'
import { UNKNOWN_ID } from './operations.ts'
import { leavesNoTrace, untouched } from './untouched.ts'

const server = untouched()

/** Where a body goes, and a body that would be taken there. */
const TARGETS = {
  create: () => ({ method: 'POST', path: '/v1/runs', good: { project_id: 'p', phase_id: 'b' } }),
  update: () => ({ method: 'PATCH', path: `/v1/runs/${server.pending.run_id}`, good: {} }),
  start: () => ({ method: 'POST', path: `/v1/runs/${server.pending.run_id}/start`, good: {} }),
  complete: () => ({
    method: 'POST',
    path: `/v1/runs/${server.running.run_id}/complete`,
    good: { status: 'failed' },
  }),
  quarantine: () => ({
    method: 'POST',
    path: `/v1/runs/${server.running.run_id}/quarantine`,
    good: { reason: 'r' },
  }),
  cancel: () => ({ method: 'POST', path: `/v1/runs/${server.pending.run_id}/cancel`, good: {} }),
  add_step: () => ({
    method: 'POST',
    path: `/v1/runs/${server.running.run_id}/steps`,
    good: { tool_id: 'pytest' },
  }),
  end_step: () => ({
    method: 'POST',
    path: `/v1/steps/${server.step.step_attempt_id}/complete`,
    good: { status: 'failed' },
  }),
  retry: () => ({ method: 'POST', path: `/v1/steps/${server.step.step_attempt_id}/retry`, good: {} }),
  append: () => ({
    method: 'POST',
    path: `/v1/runs/${server.pending.run_id}/events`,
    good: { kind: 'note' },
  }),
}
type Target = keyof typeof TARGETS

const named = <T>(value: T): string => {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 60 ? `${text.slice(0, 40)}… (${text.length} characters)` : text
}

const chars = (count: number, char = 'x') => char.repeat(count)
const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, 'x']))
const ulids = (count: number) =>
  Array.from({ length: count }, (_, i) => `01JD8Z6V3QK0T2M4N6P8R0${String(i).padStart(4, '0')}`)
/** An object whose JSON has that many bytes. */
const ofBytes = (bytes: number, char = 'x') => ({
  a:
    chars(Math.floor((bytes - 8) / Buffer.byteLength(char)), char) +
    chars((bytes - 8) % Buffer.byteLength(char)),
})
const KIB = 1_024

describe('a field of a body that is refused', () => {
  const CASES: [Target, patch: object, at: string][] = [
    // Nothing is coerced.
    ['create', { project_id: null }, '#/project_id'],
    ['create', { project_id: 5 }, '#/project_id'],
    ['create', { project_id: false }, '#/project_id'],
    ['create', { project_id: ['p'] }, '#/project_id'],
    ['create', { project_id: undefined }, '#/project_id'],
    ['create', { phase_id: undefined }, '#/phase_id'],
    ['create', { workstream_id: 5 }, '#/workstream_id'],
    ['create', { origin: 'ci' }, '#/origin'],
    ['create', { origin: [] }, '#/origin'],
    ['create', { labels: [] }, '#/labels'],
    ['create', { labels: { team: 5 } }, '#/labels/team'],
    ['create', { labels: { team: null } }, '#/labels/team'],
    ['create', { metadata: 'x' }, '#/metadata'],
    ['create', { metadata: [] }, '#/metadata'],
    ['complete', { status: null }, '#/status'],
    ['complete', { exit_code: '0' }, '#/exit_code'],
    ['complete', { exit_code: false }, '#/exit_code'],
    ['add_step', { sequence: '1' }, '#/sequence'],
    ['add_step', { sequence: true }, '#/sequence'],
    ['end_step', { usage: { duration_ms: '1' } }, '#/usage/duration_ms'],
    ['end_step', { outputs: 'x' }, '#/outputs'],
    ['append', { payload: 'x' }, '#/payload'],
    ['append', { payload: [] }, '#/payload'],
    ['update', { labels: 5 }, '#/labels'],
    ['update', { labels: { team: 5 } }, '#/labels/team'],
    ['update', { metadata: [] }, '#/metadata'],

    // What is not known is refused, also where it is known elsewhere.
    ['create', { state: 'running' }, '#/state'],
    ['create', { run_id: UNKNOWN_ID }, '#/run_id'],
    ['create', { origin: { trigger: 'ci' } }, '#/origin/trigger'],
    ['create', { toString: 'x' }, '#/toString'],
    ['update', { state: 'succeeded' }, '#/state'],
    ['start', { force: true }, '#/force'],
    ['complete', { state: 'failed' }, '#/state'],
    ['cancel', { reason: 'r', cause: 'c' }, '#/cause'],
    ['add_step', { attempt: 2 }, '#/attempt'],
    ['end_step', { outputs: { patches: [] } }, '#/outputs/patches'],
    ['end_step', { usage: { tokens: 1 } }, '#/usage/tokens'],
    ['retry', { sequence: 1 }, '#/sequence'],
    ['append', { ts: '2026-01-05T09:30:00Z' }, '#/ts'],
    ['append', { actor: { type: 'system' } }, '#/actor'],

    // Words that are not among those that there are.
    ['create', { origin: { trigger_type: 'cron' } }, '#/origin/trigger_type'],
    ['create', { completion: 'sometimes' }, '#/completion'],
    ['create', { on_failure: 'FAIL' }, '#/on_failure'],
    ['complete', { status: 'running' }, '#/status'],
    ['complete', { status: 'canceled' }, '#/status'],
    ['complete', { status: undefined }, '#/status'],
    ['end_step', { status: 'running' }, '#/status'],
    ['append', { kind: undefined }, '#/kind'],
    ['append', { kind: '' }, '#/kind'],
    ['append', { kind: 'Note' }, '#/kind'],
    ['append', { kind: '1st' }, '#/kind'],
    ['append', { kind: 'two words' }, '#/kind'],
    ['append', { kind: 'note\n' }, '#/kind'],
    ['append', { kind: chars(65) }, '#/kind'],

    // Ids that are no ULIDs.
    ['create', { execution_request_id: 'latest' }, '#/execution_request_id'],
    ['create', { execution_request_id: UNKNOWN_ID.toLowerCase() }, '#/execution_request_id'],
    ['create', { execution_request_id: `8${UNKNOWN_ID.slice(1)}` }, '#/execution_request_id'],
    ['add_step', { prompt_id: '' }, '#/prompt_id'],
    ['append', { step_attempt_id: 'x' }, '#/step_attempt_id'],

    // Texts have bounds.
    ['create', { project_id: '' }, '#/project_id'],
    ['create', { project_id: chars(201) }, '#/project_id'],
    ['create', { workstream_id: '' }, '#/workstream_id'],
    ['create', { origin: { trigger_ref: chars(201) } }, '#/origin/trigger_ref'],
    ['create', { labels: { '': 'x' } }, '#/labels/'],
    ['create', { labels: { '-a': 'x' } }, '#/labels/-a'],
    ['create', { labels: { 'a b': 'x' } }, '#/labels/a b'],
    ['create', { labels: { 'a~/ä': 'x' } }, '#/labels/a~0~1ä'],
    ['create', { labels: { [chars(64)]: 'x' } }, `#/labels/${chars(64)}`],
    ['create', { labels: { team: chars(257) } }, '#/labels/team'],
    ['create', { labels: labels(65) }, '#/labels'],
    ['update', { labels: { 'a b': null } }, '#/labels/a b'],
    ['update', { labels: { team: chars(257) } }, '#/labels/team'],
    ['create', { metadata: ofBytes(64 * KIB + 1) }, '#/metadata'],
    ['create', { metadata: ofBytes(64 * KIB + 1, 'ä') }, '#/metadata'],
    ['create', { metadata: ofBytes(64 * KIB + 1, '💥') }, '#/metadata'],
    ['update', { metadata: ofBytes(64 * KIB + 1) }, '#/metadata'],
    ['append', { payload: ofBytes(64 * KIB + 1) }, '#/payload'],
    ['append', { payload: ofBytes(64 * KIB + 1, 'ä') }, '#/payload'],
    ['complete', { error_message: chars(4 * KIB + 1) }, '#/error_message'],
    ['complete', { error_message: chars(2 * KIB + 1, 'ä') }, '#/error_message'],
    ['quarantine', { reason: undefined }, '#/reason'],
    ['quarantine', { reason: null }, '#/reason'],
    ['quarantine', { reason: '' }, '#/reason'],
    ['quarantine', { reason: chars(1_001) }, '#/reason'],
    ['cancel', { reason: '' }, '#/reason'],
    ['cancel', { reason: chars(1_001) }, '#/reason'],
    ['add_step', { tool_id: undefined }, '#/tool_id'],
    ['add_step', { tool_id: '' }, '#/tool_id'],
    ['add_step', { tool_run_id: chars(201) }, '#/tool_run_id'],
    ['add_step', { input_prompt: chars(256 * KIB + 1) }, '#/input_prompt'],
    ['add_step', { input_prompt: chars(128 * KIB + 1, 'ä') }, '#/input_prompt'],
    ['add_step', { metadata: ofBytes(64 * KIB + 1) }, '#/metadata'],
    ['retry', { tool_id: '' }, '#/tool_id'],
    ['retry', { input_prompt: chars(256 * KIB + 1) }, '#/input_prompt'],
    ['end_step', { signal: '' }, '#/signal'],
    ['end_step', { error_class: chars(201) }, '#/error_class'],
    ['end_step', { error_code: chars(201) }, '#/error_code'],
    ['end_step', { error_log: chars(64 * KIB + 1) }, '#/error_log'],
    ['end_step', { error_log: chars(32 * KIB + 1, 'ä') }, '#/error_log'],
    ['end_step', { stdout_tail: chars(64 * KIB + 1) }, '#/stdout_tail'],
    ['end_step', { stderr_tail: chars(64 * KIB + 1) }, '#/stderr_tail'],
    ['end_step', { outputs: { logs_path: chars(4 * KIB + 1) } }, '#/outputs/logs_path'],
    ['end_step', { outputs: { raw_response_path: chars(4 * KIB + 1) } }, '#/outputs/raw_response_path'],

    // So have lists and numbers.
    ['end_step', { outputs: { patch_ids: 'x' } }, '#/outputs/patch_ids'],
    ['end_step', { outputs: { patch_ids: ['x'] } }, '#/outputs/patch_ids/0'],
    ['end_step', { outputs: { patch_ids: [null] } }, '#/outputs/patch_ids/0'],
    ['end_step', { outputs: { patch_ids: [UNKNOWN_ID, UNKNOWN_ID] } }, '#/outputs/patch_ids'],
    ['end_step', { outputs: { patch_ids: ulids(1_001) } }, '#/outputs/patch_ids'],
    ['add_step', { sequence: 0 }, '#/sequence'],
    ['add_step', { sequence: -1 }, '#/sequence'],
    ['add_step', { sequence: 1.5 }, '#/sequence'],
    ['add_step', { sequence: 1_000_001 }, '#/sequence'],
    ['complete', { exit_code: 1.5 }, '#/exit_code'],
    ['complete', { exit_code: 2 ** 53 }, '#/exit_code'],
    ['complete', { exit_code: -(2 ** 53) }, '#/exit_code'],
    ['end_step', { usage: { tokens_input: -1 } }, '#/usage/tokens_input'],
    ['end_step', { usage: { tokens_output: 0.5 } }, '#/usage/tokens_output'],
    ['end_step', { usage: { cost_usd_micros: 2 ** 53 } }, '#/usage/cost_usd_micros'],

    // What JSON can say and a ledger cannot keep.
    ['create', { project_id: 'a\0b' }, '#/project_id'],
    ['create', { labels: { team: '\0' } }, '#/labels/team'],
    ['create', { metadata: { list: ['ok', { deep: '\0' }] } }, '#/metadata/list/1/deep'],
    ['create', { metadata: { 'a\0': 1 } }, '#/metadata/a\\u0000'],
    ['create', { project_id: 'a\ud800' }, '#/project_id'],
    ['create', { project_id: '\udc00b' }, '#/project_id'],
    ['create', { metadata: { '\ud800': 1 } }, '#/metadata/\ufffd'],
    ['create', { metadata: { n: 2 ** 53 } }, '#/metadata/n'],
    ['create', { metadata: { list: [1, -1e300] } }, '#/metadata/list/1'],
    ['append', { payload: { text: '\ud800' } }, '#/payload/text'],
    ['append', { kind: 'no\0te' }, '#/kind'],
    ['update', { metadata: { a: { b: '\0' } } }, '#/metadata/a/b'],
    ['quarantine', { reason: '\ud83d' }, '#/reason'],
    ['end_step', { error_log: 'ends in a NUL\0' }, '#/error_log'],
    ['add_step', { input_prompt: '\0' }, '#/input_prompt'],
  ]

  it.each(CASES.map(([target, patch, at]) => [target, named(patch), patch, at] as const))(
    '%s %s',
    async (target, _name, patch, at) => {
      const { method, path, good } = TARGETS[target]()
      const sent = { body: { ...good, ...patch } }
      await server.refused({ method, path, sent }, { status: 400, code: 'validation_failed', at })
    },
  )

  it('is named beside all others that are wrong', async () => {
    const body = { phase_id: 5, origin: { trigger_type: 'cron', who: 'me' }, labels: { 'a b': 7 } }
    const { body: problem } = await server.client.post('/v1/runs', body)
    expect(problem.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      '#/labels/a b',
      '#/labels/a b',
      '#/origin/trigger_type',
      '#/origin/who',
      '#/phase_id',
      '#/project_id',
    ])
  })

  it('is named at most fifty times', async () => {
    const body = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`unknown_${i}`, i]))
    expect((await server.client.post('/v1/runs', body)).body.errors).toHaveLength(50)
  })
})

describe('what is just within the bounds is taken', () => {
  const wide = [
    ['metadata of 64 KiB', { metadata: ofBytes(64 * KIB) }],
    ['metadata of 64 KiB in two bytes each', { metadata: ofBytes(64 * KIB, 'ä') }],
    ['64 labels', { labels: labels(64) }],
    ['long labels', { labels: { [chars(63)]: chars(256, 'ä') } }],
    ['long names', { project_id: chars(200, 'ä') }],
    ['the largest integers', { metadata: { max: 2 ** 53 - 1, min: 1 - 2 ** 53 } }],
    ['whole surrogate pairs', { metadata: { 'ke💥y': '💥' } }],
    ['control characters other than NUL', { project_id: 'a\u0001\u007f\n' }],
    [
      'members called like those of objects',
      { metadata: { constructor: 1, toString: null, hasOwnProperty: [] } },
    ],
  ] as const

  it.each(wide)('%s', async (_name, given) => {
    const run = await server.client.aRun('pending', given)
    expect((await server.client.get(`/v1/runs/${run.run_id}`)).body).toMatchObject(given)
  })

  it('what a step attempt leaves behind', async () => {
    const attempt = await server.client.aStep('running', {
      sequence: 1_000_000,
      input_prompt: chars(128 * KIB, 'ä'),
    })
    const report = {
      status: 'failed',
      exit_code: 1 - 2 ** 53,
      error_log: chars(64 * KIB),
      stdout_tail: chars(32 * KIB, 'ä'),
      stderr_tail: '',
      outputs: { patch_ids: ulids(1_000), logs_path: chars(4 * KIB), raw_response_path: null },
      usage: { tokens_input: 2 ** 53 - 1, tokens_output: 0, cost_usd_micros: null, duration_ms: 1 },
    }
    const { status: state, ...kept } = report
    const { body } = await server.client.post(`/v1/steps/${attempt.step_attempt_id}/complete`, report)
    expect(body).toMatchObject({ state, ...kept })
  })

  it('reasons, messages and events', async () => {
    const run = await server.client.aRun('running')
    const path = `/v1/runs/${run.run_id}`
    const answers = [
      await server.client.post(`${path}/events`, { kind: chars(64), payload: ofBytes(64 * KIB) }),
      await server.client.post(`${path}/complete`, { status: 'failed', error_message: chars(2 * KIB, 'ä') }),
      await server.client.post(`${path}/quarantine`, { reason: chars(1_000, 'ä') }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200])
  })
})

leavesNoTrace(server)

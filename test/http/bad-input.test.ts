import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { type Sent, type TestApp, exchangeBytes, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { UNKNOWN_ID } from './operations.ts'

let app: TestApp
let client: Client
let pending: Run
let running: Run
let step: StepAttempt

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
  pending = await client.aRun()
  step = await client.aStep()
  running = (await client.get(`/v1/runs/${step.run_id}`)).body
})

afterAll(() => app.close())

/** Where a body goes, and a body that would be taken there. */
const TARGETS = {
  create: () => ({ method: 'POST', path: '/v1/runs', good: { project_id: 'p', phase_id: 'b' } }),
  update: () => ({ method: 'PATCH', path: `/v1/runs/${pending.run_id}`, good: {} }),
  start: () => ({ method: 'POST', path: `/v1/runs/${pending.run_id}/start`, good: {} }),
  complete: () => ({
    method: 'POST',
    path: `/v1/runs/${running.run_id}/complete`,
    good: { status: 'failed' },
  }),
  quarantine: () => ({
    method: 'POST',
    path: `/v1/runs/${running.run_id}/quarantine`,
    good: { reason: 'r' },
  }),
  cancel: () => ({ method: 'POST', path: `/v1/runs/${pending.run_id}/cancel`, good: {} }),
  add_step: () => ({
    method: 'POST',
    path: `/v1/runs/${running.run_id}/steps`,
    good: { tool_id: 'pytest' },
  }),
  end_step: () => ({
    method: 'POST',
    path: `/v1/steps/${step.step_attempt_id}/complete`,
    good: { status: 'failed' },
  }),
  retry: () => ({ method: 'POST', path: `/v1/steps/${step.step_attempt_id}/retry`, good: {} }),
  append: () => ({
    method: 'POST',
    path: `/v1/runs/${pending.run_id}/events`,
    good: { kind: 'note' },
  }),
}
type Target = keyof typeof TARGETS

interface Refusal {
  status: number
  code: string
  /** The place that must be among those that the answer names. */
  at?: string
}

async function refused(request: { method: string; path: string; sent: Sent }, expected: Refusal) {
  const before = app.writes()
  const { status, body } = await app.request(request.method, request.path, request.sent)
  const places = (body.errors ?? []).map((fault: { pointer?: string; parameter?: string }) => {
    return fault.pointer ?? fault.parameter
  })
  expect({ status, code: body.code }, body.detail).toEqual({ status: expected.status, code: expected.code })
  if (expected.at !== undefined) expect(places).toContain(expected.at)
  expect(app.writes()).toBe(before)
}

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
      await refused({ method, path, sent }, { status: 400, code: 'validation_failed', at })
    },
  )

  it('is named beside all others that are wrong', async () => {
    const body = { phase_id: 5, origin: { trigger_type: 'cron', who: 'me' }, labels: { 'a b': 7 } }
    const { body: problem } = await client.post('/v1/runs', body)
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
    expect((await client.post('/v1/runs', body)).body.errors).toHaveLength(50)
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
    const run = await client.aRun('pending', given)
    expect((await client.get(`/v1/runs/${run.run_id}`)).body).toMatchObject(given)
  })

  it('what a step attempt leaves behind', async () => {
    const attempt = await client.aStep('running', {
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
    const { body } = await client.post(`/v1/steps/${attempt.step_attempt_id}/complete`, report)
    expect(body).toMatchObject({ state, ...kept })
  })

  it('reasons, messages and events', async () => {
    const run = await client.aRun('running')
    const path = `/v1/runs/${run.run_id}`
    const answers = [
      await client.post(`${path}/events`, { kind: chars(64), payload: ofBytes(64 * KIB) }),
      await client.post(`${path}/complete`, { status: 'failed', error_message: chars(2 * KIB, 'ä') }),
      await client.post(`${path}/quarantine`, { reason: chars(1_000, 'ä') }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200])
  })
})

describe('a body that is refused as a whole', () => {
  const json = { 'content-type': 'application/json' }
  const post = (raw: string | Buffer, headers: Record<string, string> = json) => ({
    method: 'POST',
    path: '/v1/runs',
    sent: { raw, headers },
  })
  const good = '{"project_id":"p","phase_id":"b"}'
  const nested = (depth: number) =>
    good.replace('}', `,"metadata":{"a":${chars(depth - 2, '[')}${chars(depth - 2, ']')}}}`)

  it.each([
    ['cut off', '{"project_id":"p"'],
    ['with a comma too many', '{"project_id":"p",}'],
    ['with single quotes', "{'project_id':'p'}"],
    ['with a comment', '{"project_id":"p"/**/}'],
    ['with NaN', '{"metadata":{"n":NaN}}'],
    ['with Infinity', '{"metadata":{"n":-Infinity}}'],
    ['with a leading zero', '{"metadata":{"n":01}}'],
    ['with a line break in a text', '{"project_id":"a\nb"}'],
    ['two of them', `${good}${good}`],
    ['of white space', ' \n'],
    ['a form', 'project_id=p&phase_id=b'],
    ['a word', 'undefined'],
    ['a byte order mark alone', '\ufeff'],
    ['65 levels deep', nested(65)],
    ['60 000 levels deep', nested(60_000)],
    ['60 000 levels of objects, never closed', '{"a":'.repeat(60_000)],
    ['with a member __proto__', '{"project_id":"p","phase_id":"b","metadata":{"__proto__":{"admin":true}}}'],
    ['with an escaped __proto__', String.raw`{"metadata":{"\u005f_proto__":{"admin":true}}}`],
    ['with constructor.prototype', '{"metadata":{"constructor":{"prototype":{"admin":true}}}}'],
  ])('%s is malformed_json', (_name, raw) => refused(post(raw), { status: 400, code: 'malformed_json' }))

  it.each([
    ['a stray byte', [0xff]],
    ['half a character', [0xc3]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate on its own', [0xed, 0xa0, 0x80]],
    ['beyond Unicode', [0xf5, 0x80, 0x80, 0x80]],
  ])('%s in it is not UTF-8', (_name, bytes) => {
    const raw = Buffer.concat([Buffer.from('{"project_id":"'), Buffer.from(bytes), Buffer.from('"}')])
    return refused(post(raw), { status: 400, code: 'malformed_json' })
  })

  it('UTF-16 is not UTF-8', () => {
    const raw = Buffer.from(`\ufeff${good}`, 'utf16le')
    return refused(post(raw), { status: 400, code: 'malformed_json' })
  })

  it.each(['[]', '"text"', '5', 'true', 'null', `[${good}]`])('%s is no object', (raw) =>
    refused(post(raw), { status: 400, code: 'validation_failed', at: '#' }),
  )

  it.each([
    ['1e400', '{"project_id":"p","phase_id":"b","metadata":{"n":1e400}}', '#/metadata/n'],
    ['-1E999', '{"project_id":"p","phase_id":"b","metadata":{"n":[-1E999]}}', '#/metadata/n/0'],
    [
      '2^53 written out',
      '{"project_id":"p","phase_id":"b","metadata":{"n":9007199254740992}}',
      '#/metadata/n',
    ],
    ['an escaped NUL', String.raw`{"project_id":"\u0000","phase_id":"b"}`, '#/project_id'],
    ['half a pair, escaped', String.raw`{"project_id":"\uD83D","phase_id":"b"}`, '#/project_id'],
  ])('%s points at its field', (_name, raw, at) =>
    refused(post(raw), { status: 400, code: 'validation_failed', at }),
  )

  it.each([
    ['text/plain', {}],
    ['application/x-www-form-urlencoded', {}],
    ['multipart/form-data; boundary=x', {}],
    ['application/merge-patch+json', {}],
    ['application/vnd.api+json', {}],
    ['application/jsonl', {}],
    ['application/json-seq', {}],
    ['application/json, text/plain', {}],
    ['application', {}],
    ['application/json; charset=latin1', {}],
    ['application/json; charset=utf-16', {}],
    ['application/json', { 'content-encoding': 'br' }],
  ])('%s %o is not taken', (type, more) =>
    refused(post(good, { 'content-type': type, ...more }), { status: 415, code: 'unsupported_media_type' }),
  )

  it('compressed is not taken', () => {
    const headers = { ...json, 'content-encoding': 'gzip' }
    return refused(post(gzipSync(good), headers), { status: 415, code: 'unsupported_media_type' })
  })

  it('without a content type is not taken', () =>
    refused(post(good, {}), { status: 415, code: 'unsupported_media_type' }))

  it.each([1, 1_048_576])('%i byte above 1 MiB is too large', (above) => {
    const raw = good.padEnd(1_048_576 + above)
    return refused(post(raw), { status: 413, code: 'body_too_large' })
  })

  it('in chunks is too large as well, as soon as it is', () => {
    const headers = { ...json, 'transfer-encoding': 'chunked' }
    return refused(post(good.padEnd(1_048_577), headers), { status: 413, code: 'body_too_large' })
  })

  it.each([
    ['1 MiB', good.padEnd(1_048_576)],
    ['64 levels', nested(64)],
    ['brackets inside a text', `{"project_id":"${chars(99, '[{')}\\"","phase_id":"b"}`],
    ['a byte order mark', `\ufeff${good}`],
    ['white space around it', `\r\n\t ${good} \n`],
  ])('of %s is taken', async (_name, raw) => {
    expect((await app.request('POST', '/v1/runs', { raw, headers: json })).status).toBe(201)
  })

  it.each([json, {}, { ...json, 'transfer-encoding': 'chunked' }])(
    'that is missing means {}: %o',
    async (headers) => {
      const run = await client.aRun()
      const started = await app.request('POST', `/v1/runs/${run.run_id}/start`, { raw: '', headers })
      expect(started.status).toBe(200)
      const { method, path } = TARGETS.create()
      const expected = { status: 400, code: 'validation_failed', at: '#/project_id' }
      await refused({ method, path, sent: { raw: '', headers } }, expected)
    },
  )
})

describe('a query that is refused', () => {
  const RUNS = '/v1/runs'
  const EVENTS = '/v1/events'
  const long = chars(201)
  const CASES: [path: string, query: string, at: string][] = [
    ...['0', '-1', '501', 'abc', '1.5', '', 'null', '1e9', '50;'].map((limit): [string, string, string] => [
      RUNS,
      `limit=${limit}`,
      'limit',
    ]),
    [RUNS, 'limit', 'limit'],
    [RUNS, 'limit=1&limit=2', 'limit'],
    [EVENTS, 'limit=501', 'limit'],
    [RUNS, 'order=up', 'order'],
    [RUNS, 'order=ASC', 'order'],
    [RUNS, 'order=asc&order=desc', 'order'],
    [RUNS, 'order=asc;--', 'order'],
    [RUNS, 'state=unknown', 'state'],
    [RUNS, 'state=running&state=', 'state'],
    [RUNS, "state=running' OR '1'='1", 'state'],
    [RUNS, 'trigger_type=cron', 'trigger_type'],
    [RUNS, 'label=team', 'label'],
    [RUNS, 'label=:core', 'label'],
    [RUNS, 'label=a%20b:core', 'label'],
    [RUNS, `label=team:${chars(320)}`, 'label'],
    [RUNS, 'project_id=', 'project_id'],
    [RUNS, `project_id=${long}`, 'project_id'],
    [RUNS, `phase_id=${long}`, 'phase_id'],
    [RUNS, `workstream_id=${long}`, 'workstream_id'],
    [RUNS, `project_id=p&${chars(50, 'project_id=p&')}`, 'project_id'],
    ...[
      'yesterday',
      '2026-01-05',
      '2026-01-05T09:30:00',
      '2026-01-05%2009:30:00Z',
      '2026-01-05t09:30:00z',
      '2026-02-30T00:00:00Z',
      '2025-02-29T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-06-30T23:59:60Z',
      '2026-01-05T24:00:00Z',
      '2026-01-05T09:30:00%2B25:00',
      '2026-01-05T09:30:00+01:00', // a plus is a space in a query
      '2026-01-05T09:30:00.1234567890Z',
      '+002026-01-05T09:30:00Z',
      '1767605400',
      '',
    ].map((instant): [string, string, string] => [RUNS, `created_after=${instant}`, 'created_after']),
    [RUNS, 'created_before=Infinity', 'created_before'],
    [RUNS, 'created_after=2026-01-05T09:30:00Z&created_after=2026-01-06T09:30:00Z', 'created_after'],
    [EVENTS, 'after=-1', 'after'],
    [EVENTS, 'after=abc', 'after'],
    [EVENTS, 'after=0.5', 'after'],
    [EVENTS, 'after=9007199254740992', 'after'],
    [EVENTS, 'kind=Note', 'kind'],
    [EVENTS, 'kind=note&kind=', 'kind'],
    [EVENTS, 'project_id=', 'project_id'],
    // Names are not guessed, and never become SQL.
    [RUNS, 'projectid=p', 'projectid'],
    [RUNS, 'project_id%5B%5D=p', 'project_id[]'],
    [RUNS, 'Limit=5', 'Limit'],
    [RUNS, 'after=5', 'after'],
    [RUNS, 'runs.state=running', 'runs.state'],
    [RUNS, 'state%20%3D%20state%20--=x', 'state = state --'],
    [RUNS, '1%3D1%3B%20DROP%20TABLE%20runs=x', '1=1; DROP TABLE runs'],
    [RUNS, '__proto__=x', '__proto__'],
    [RUNS, 'constructor=x', 'constructor'],
    [RUNS, '=x', ''],
    [EVENTS, 'state=running', 'state'],
    // Text that is none.
    [RUNS, 'project_id=a%00b', 'project_id'],
    [RUNS, 'project_id=%FF', 'project_id'],
    [RUNS, 'project_id=%C3', 'project_id'],
    [RUNS, 'project_id=%ED%A0%80', 'project_id'],
    [RUNS, 'project_id=%', 'project_id'],
    [RUNS, 'project_id=%zz', 'project_id'],
    [RUNS, 'cursor=%00', 'cursor'],
    [RUNS, 'cursor=', 'cursor'],
    [RUNS, `cursor=${chars(513)}`, 'cursor'],
    [RUNS, 'cursor=a&cursor=b', 'cursor'],
  ]

  it.each(CASES.map(([path, query, at]) => [path, query.slice(0, 60), query, at] as const))(
    '%s?%s',
    (path, _name, query, at) => {
      const url = `${path}?${query.replaceAll(' ', '%20')}`
      return refused({ method: 'GET', path: url, sent: {} }, { status: 400, code: 'validation_failed', at })
    },
  )

  it.each([
    'x',
    '%F0%9F%92%A5',
    ...['[]', '{}', '5', 'null', '["x"]', '["x",1]', '[null,null]', '["x",{"a":1}]', `"${UNKNOWN_ID}"`].map(
      (text) => Buffer.from(text).toString('base64url'),
    ),
  ])('cursor=%s', async (cursor) => {
    for (const path of [
      RUNS,
      EVENTS,
      `${RUNS}/${pending.run_id}/events`,
      `${RUNS}/${pending.run_id}/steps`,
    ]) {
      const request = { method: 'GET', path: `${path}?cursor=${cursor}`, sent: {} }
      await refused(request, { status: 400, code: 'invalid_cursor', at: 'cursor' })
    }
  })

  it.each([
    '/v1/runs/ID',
    '/v1/runs/ID/transitions',
    '/v1/runs/ID/events/verify',
    '/v1/steps/ID',
    '/v1/state-machines',
    '/livez',
    '/readyz',
    '/openapi.json',
    '/problems/not-found',
  ])('%s takes none at all', (template) => {
    const id = template.includes('steps') ? step.step_attempt_id : pending.run_id
    const path = `${template.replace('ID', id)}?pretty=1`
    return refused(
      { method: 'GET', path, sent: {} },
      { status: 400, code: 'validation_failed', at: 'pretty' },
    )
  })

  it('with raw bytes beyond ASCII is not HTTP', async () => {
    const bytes = Buffer.from('GET /v1/runs?project_id=ä HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(await exchangeBytes(app.port, bytes)).toMatch(/^HTTP\/1\.1 400 /)
  })
})

describe('an id that is no ULID', () => {
  const BAD = [
    'latest',
    '0',
    '-1',
    UNKNOWN_ID.toLowerCase(),
    UNKNOWN_ID.slice(1),
    `${UNKNOWN_ID}0`,
    `8${UNKNOWN_ID.slice(1)}`,
    UNKNOWN_ID.replace('K', 'I'),
    UNKNOWN_ID.replace('K', 'U'),
    '018f4b2e-6f0a-7c3d-9e1b-2a3b4c5d6e7f',
    '%00',
    `${UNKNOWN_ID}%00`,
    `${UNKNOWN_ID}%0A`,
    '%20',
    "'%20OR%201=1--",
    '*',
    '%2e%2e',
    '%F0%9F%92%A5',
    '{run_id}',
  ]

  it.each(BAD)('is refused: %s', async (id) => {
    const expected = { status: 400, code: 'validation_failed' }
    for (const path of [`/v1/runs/${id}`, `/v1/runs/${id}/events`, `/v1/runs/${id}/steps`]) {
      await refused({ method: 'GET', path, sent: {} }, { ...expected, at: 'run_id' })
    }
    await refused(
      { method: 'POST', path: `/v1/runs/${id}/start`, sent: { body: {} } },
      { ...expected, at: 'run_id' },
    )
    await refused(
      { method: 'GET', path: `/v1/steps/${id}`, sent: {} },
      { ...expected, at: 'step_attempt_id' },
    )
  })

  it.each(['/v1/runs/%FF', '/v1/runs/%', '/v1/steps/%C3%28/complete'])(
    'is refused even where it cannot be read: %s',
    (path) => refused({ method: 'GET', path, sent: {} }, { status: 400, code: 'malformed_request' }),
  )

  it('that nothing has is 404: a step attempt is no run, a run no step attempt', async () => {
    for (const path of [`/v1/runs/${step.step_attempt_id}`, `/v1/steps/${running.run_id}`]) {
      expect((await client.get(path)).status).toBe(404)
    }
  })
})

describe('what was refused above', () => {
  it('has left no trace', async () => {
    expect((await client.get(`/v1/runs/${pending.run_id}`)).body).toEqual(pending)
    expect((await client.get(`/v1/runs/${running.run_id}`)).body).toEqual(running)
    expect((await client.get(`/v1/steps/${step.step_attempt_id}`)).body).toEqual(step)
    expect(app.logs.filter(({ level }) => level > 30)).toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import { exchangeBytes } from '../support/http.ts'
import { UNKNOWN_ID } from './operations.ts'
import { leavesNoTrace, untouched } from './untouched.ts'

const server = untouched()
const chars = (count: number, char = 'x') => char.repeat(count)

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
    [RUNS, 'needs_attention=tired', 'needs_attention'],
    [RUNS, 'needs_attention=stalled&needs_attention=', 'needs_attention'],
    [RUNS, 'stalled_for=0', 'stalled_for'],
    [RUNS, 'stalled_for=10m', 'stalled_for'],
    [RUNS, 'stalled_for=31536001', 'stalled_for'],
    [RUNS, 'stalled_for=600&stalled_for=601', 'stalled_for'],
    [RUNS, 'label=team', 'label'],
    [RUNS, 'label=:core', 'label'],
    [RUNS, 'label=a%20b:core', 'label'],
    [RUNS, `label=team:${chars(320)}`, 'label'],
    [RUNS, 'project_id=', 'project_id'],
    [RUNS, `project_id=${long}`, 'project_id'],
    [RUNS, `phase_id=${long}`, 'phase_id'],
    [RUNS, `workstream_id=${long}`, 'workstream_id'],
    [RUNS, `project_id=p&${'project_id=p&'.repeat(50)}`, 'project_id'],
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
      return server.refused(
        { method: 'GET', path: url, sent: {} },
        { status: 400, code: 'validation_failed', at },
      )
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
      `${RUNS}/${server.pending.run_id}/events`,
      `${RUNS}/${server.pending.run_id}/steps`,
    ]) {
      const request = { method: 'GET', path: `${path}?cursor=${cursor}`, sent: {} }
      await server.refused(request, { status: 400, code: 'invalid_cursor', at: 'cursor' })
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
    const id = template.includes('steps') ? server.step.step_attempt_id : server.pending.run_id
    const path = `${template.replace('ID', id)}?pretty=1`
    return server.refused(
      { method: 'GET', path, sent: {} },
      { status: 400, code: 'validation_failed', at: 'pretty' },
    )
  })

  it('with raw bytes beyond ASCII is not HTTP', async () => {
    const bytes = Buffer.from('GET /v1/runs?project_id=ä HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(await exchangeBytes(server.app.port, bytes)).toMatch(/^HTTP\/1\.1 400 /)
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
      await server.refused({ method: 'GET', path, sent: {} }, { ...expected, at: 'run_id' })
    }
    await server.refused(
      { method: 'POST', path: `/v1/runs/${id}/start`, sent: { body: {} } },
      { ...expected, at: 'run_id' },
    )
    await server.refused(
      { method: 'GET', path: `/v1/steps/${id}`, sent: {} },
      { ...expected, at: 'step_attempt_id' },
    )
  })

  it.each(['/v1/runs/%FF', '/v1/runs/%', '/v1/steps/%C3%28/complete'])(
    'is refused even where it cannot be read: %s',
    (path) => server.refused({ method: 'GET', path, sent: {} }, { status: 400, code: 'malformed_request' }),
  )

  it('that nothing has is 404: a step attempt is no run, a run no step attempt', async () => {
    for (const path of [`/v1/runs/${server.step.step_attempt_id}`, `/v1/steps/${server.running.run_id}`]) {
      expect((await server.client.get(path)).status).toBe(404)
    }
  })
})

leavesNoTrace(server)

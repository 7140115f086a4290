import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import type { Run } from '../../src/contract/run.ts'
import { START, type TestApp, openTestApp } from '../support/http.ts'
import { type Client, RUN_STATES, clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { UNKNOWN_ID, tagged } from './operations.ts'

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

const eventsOf = ({ run_id }: Pick<Run, 'run_id'>) => `/v1/runs/${run_id}/events`
const note = { kind: 'note', payload: { text: 'flaky test seen' } }
const kindsOf = ({ body }: { body: { items: Event[] } }) => body.items.map(({ kind }) => kind)

describe('appending an event', () => {
  it('answers 201 with the event: place, time and actor are the server’s', async () => {
    const run = await client.aRun('running')
    const { status, headers, body } = await client.post(eventsOf(run), note, { 'x-request-id': 'mine' })
    expect(status).toBe(201)
    expect([headers['etag'], headers['location']]).toEqual([undefined, undefined])
    expect(body).toMatchObject({
      run_id: run.run_id,
      run_seq: 3,
      step_attempt_id: null,
      ts: START,
      ...note,
      from: null,
      to: null,
      actor: { type: 'anonymous', id: null },
      http_request_id: 'mine',
    })
    expect((await client.get(eventsOf(run))).body.items[2]).toEqual(body)
  })

  it('may be about a step attempt of the run', async () => {
    const step = await client.aStep('failed')
    const about = { kind: 'tool_call_started', step_attempt_id: step.step_attempt_id }
    expect((await client.post(eventsOf(step), about)).body).toMatchObject({ ...about, payload: {} })
  })

  it('is refused about an attempt that is not of the run', async () => {
    const [run, other] = [await client.aRun(), await client.aStep()]
    for (const step_attempt_id of [other.step_attempt_id, UNKNOWN_ID]) {
      const answer = await client.post(eventsOf(run), { kind: 'note', step_attempt_id })
      expect(answer).toMatchObject({ status: 422, body: { code: 'unknown_reference' } })
      expect(answer.body.errors).toMatchObject([{ pointer: '#/step_attempt_id' }])
    }
  })

  it.each([
    ['patch_created', { patches_created: 1 }],
    ['patch_apply_succeeded', { patches_applied: 1 }],
    ['tool_call_error', { errors: 1 }],
  ])('of the kind %s counts in the run', async (kind, counted) => {
    const run = await client.aRun('running')
    await client.post(eventsOf(run), { kind })
    const { body } = await client.get(`/v1/runs/${run.run_id}`)
    expect(body).toEqual({ ...run, counters: { ...run.counters, ...counted }, version: run.version + 1 })
  })

  it('of another kind leaves the run as it is', async () => {
    const run = await client.aRun('running')
    await client.post(eventsOf(run), note)
    expect((await client.get(`/v1/runs/${run.run_id}`)).body).toEqual(run)
  })

  it.each([
    'run_started',
    'run_x',
    'step_completed',
    'task_routed',
    'request_claimed',
    'lease_lost',
    'circuit_opened',
    'config_activated',
    'tool_paused',
    'webhook_sent',
    'audit_x',
    'event_x',
  ])('of the kind %s, which the server alone writes, is refused', async (kind) => {
    const run = await client.aRun('running')
    const before = app.writes()
    const answer = await client.post(eventsOf(run), { kind })
    expect(answer).toMatchObject({ status: 422, body: { code: 'reserved_kind' } })
    expect(answer.body.errors).toMatchObject([{ pointer: '#/kind' }])
    expect(app.writes()).toBe(before)
  })

  it.each(RUN_STATES)(
    'to a run that is %s is possible for a note, and for others only while it is open',
    async (state) => {
      const run = await client.aRun(state)
      expect((await client.post(eventsOf(run), note)).status).toBe(201)
      const answer = await client.post(eventsOf(run), { kind: 'patch_created' })
      const refused = { status: 409, body: { code: 'run_not_running', state } }
      expect(answer).toMatchObject(['pending', 'running'].includes(state) ? { status: 201 } : refused)
    },
  )
})

describe('listing the events of a run', () => {
  it('begins with the oldest, and counts without a gap', async () => {
    const step = await client.aStep('failed')
    const { body } = await client.get(eventsOf(step))
    expect(body.items).toMatchObject([
      { run_seq: 1, kind: 'run_created', from: null, to: 'pending' },
      { run_seq: 2, kind: 'run_started', from: 'pending', to: 'running' },
      { run_seq: 3, kind: 'step_started', from: null, to: 'running' },
      { run_seq: 4, kind: 'step_completed', from: 'running', to: 'failed' },
    ])
    const seqs = body.items.map(({ seq }: Event) => seq)
    expect(seqs).toEqual(seqs.toSorted((a: number, b: number) => a - b))
  })

  it('can begin with the newest, and take only some kinds', async () => {
    const run = await client.aRun('failed')
    const listed = async (query: string) => kindsOf(await client.get(`${eventsOf(run)}?${query}`))
    expect(await listed('order=desc')).toEqual(['run_completed', 'run_started', 'run_created'])
    expect(await listed('kind=run_started&kind=run_completed')).toEqual(['run_started', 'run_completed'])
    expect(await listed('kind=note')).toEqual([])
  })

  it.each(['asc', 'desc'])('goes on from page to page, with order=%s', async (order) => {
    const run = await client.aRun('failed')
    const all = kindsOf(await client.get(`${eventsOf(run)}?order=${order}`))
    const first = await client.get(`${eventsOf(run)}?order=${order}&limit=2`)
    const next = `${eventsOf(run)}?order=${order}&limit=2&cursor=${first.body.next_cursor}`
    expect(first.headers['link']).toBe(`<${next}>; rel="next"`)
    const second = await client.get(next)
    expect([...kindsOf(first), ...kindsOf(second)]).toEqual(all)
    expect(second.body.next_cursor).toBeNull()
  })

  it('refuses a cursor that came with other kinds', async () => {
    const run = await client.aRun('failed')
    const { next_cursor } = (await client.get(`${eventsOf(run)}?limit=1`)).body
    const answer = await client.get(`${eventsOf(run)}?limit=1&kind=note&cursor=${next_cursor}`)
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } })
  })
})

describe('listing all events', () => {
  /** The end of everything so far: what comes later is the test's own. */
  const end = async () => (await client.get('/v1/events?order=desc&limit=1')).body.items[0].seq

  it('is one order over all runs, and is followed with after', async () => {
    await client.aRun()
    const after = await end()
    const [one, two] = [await client.aRun(), await client.aRun()]
    await client.post(`/v1/runs/${one.run_id}/start`)
    const { body } = await client.get(`/v1/events?after=${after}`)
    expect(body.next_cursor).toBeNull()
    expect(body.items.map(({ run_id, kind }: Event) => [run_id, kind])).toEqual([
      [one.run_id, 'run_created'],
      [two.run_id, 'run_created'],
      [one.run_id, 'run_started'],
    ])
    const last = body.items[2].seq
    expect((await client.get(`/v1/events?after=${last}`)).body.items).toEqual([])
    await client.post(eventsOf(two), note)
    expect(kindsOf(await client.get(`/v1/events?after=${last}`))).toEqual(['note'])
  })

  it('can take only some kinds, and only some projects', async () => {
    const after = await end()
    const run = await client.aRun('running', { project_id: 'events-mine' })
    await client.aRun('pending', { project_id: 'events-yours' })
    await client.aRun('pending', { project_id: 'events-theirs' })
    const listed = async (query: string) => kindsOf(await client.get(`/v1/events?after=${after}&${query}`))
    expect(await listed('project_id=events-mine')).toEqual(['run_created', 'run_started'])
    expect(await listed('project_id=events-mine&project_id=events-yours')).toHaveLength(3)
    expect(await listed('kind=run_started')).toEqual(['run_started'])
    expect(await listed('kind=run_started&project_id=events-yours')).toEqual([])
    expect(run.state).toBe('running')
  })

  it.each(['asc', 'desc'])('goes on from page to page, with order=%s', async (order) => {
    const project_id = `pages-${order}`
    await client.aRun('failed', { project_id })
    const after = order === 'asc' ? '&after=0' : ''
    const first = await client.get(`/v1/events?project_id=${project_id}&order=${order}&limit=2${after}`)
    const next = /^<(.*)>; rel="next"$/.exec(first.headers['link'] ?? '')?.[1]
    const second = await client.get(next!)
    const all = ['run_created', 'run_started', 'run_completed']
    expect([...kindsOf(first), ...kindsOf(second)]).toEqual(order === 'asc' ? all : all.reverse())
    expect(second.headers['link']).toBeUndefined()
  })

  it('refuses after together with a cursor, which also says where to begin, and against its direction', async () => {
    await client.aRun('running')
    const { next_cursor } = (await client.get('/v1/events?limit=1')).body
    for (const query of [`after=1&cursor=${next_cursor}`, 'after=1&order=desc']) {
      const answer = await client.get(`/v1/events?${query}`)
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } })
      expect(answer.body.errors).toMatchObject([{ parameter: 'after' }])
    }
  })
})

describe('verifying the events of a run', () => {
  it('finds a run sound whose events were left alone', async () => {
    const run = await client.aRun('failed')
    const { body } = await client.get(`${eventsOf(run)}/verify`)
    const last = (await client.get(`${eventsOf(run)}?order=desc&limit=1`)).body.items[0]
    expect(body).toEqual({
      run_id: run.run_id,
      valid: true,
      events_checked: 3,
      last_hash: last.hash,
      first_bad: null,
    })
  })

  it('names the first event that somebody changed behind the server’s back', async () => {
    const run = await client.aRun('failed')
    app.db.exec('DROP TRIGGER events_are_never_changed')
    const change = app.db.prepare(`UPDATE events SET payload = '{}' WHERE run_id = ? AND run_seq = 2`)
    change.run(run.run_id)
    const { status, body } = await client.get(`${eventsOf(run)}/verify`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ valid: false, first_bad: { run_seq: 2, fault: 'payload_hash' } })
  })
})

everyOperation(tagged('events'))
meetAllTheyPromise(tagged('events'))

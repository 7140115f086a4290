import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ExecutionRequest } from '../../src/contract/execution-request.ts'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import type { KeyScope } from '../../src/keys.ts'
import { type Json, type TestApp, aKey, aKeyFor, assemble, exchange, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { beRoutable } from './operations-routing.ts'
import { OPERATIONS, idOf, sentOf, table, withId } from './operations.ts'

const keys = {
  read: aKey('read'),
  write: aKey('write'),
  worker: aKey('worker'),
  admin: aKey('admin'),
  mine: aKeyFor(['mine', 'mine too'], 'admin', 'worker'),
  all: aKey('admin', 'worker'),
}

let app: TestApp

beforeAll(async () => {
  app = await openTestApp({ api_keys: Object.values(keys).map(({ entry }) => entry) })
})

afterAll(() => app.close())

const as = (key: string): Client => clientOf(app, key)

describe('scopes', () => {
  const ALLOWED: Record<KeyScope, { GET: boolean; POST: boolean }> = {
    read: { GET: true, POST: false },
    write: { GET: true, POST: true },
    worker: { GET: true, POST: false },
    admin: { GET: true, POST: true },
  }

  it.each(Object.entries(ALLOWED))('%s allows %o', async (scope, { GET, POST }) => {
    const { key } = keys[scope as KeyScope]
    const listed = await as(key).get('/v1/runs')
    const created = await as(key).post('/v1/runs', { project_id: 'p', phase_id: 'b' })
    expect([listed.status, created.status]).toEqual([GET ? 200 : 403, POST ? 201 : 403])
    if (!POST) expect(created.body).toMatchObject({ code: 'forbidden', needed_scope: 'write' })
  })

  it('are named by every route of the API: one that forgets does not start', async () => {
    const { app, store } = await assemble()
    const answer = () => 'for everybody'
    expect(() => app.get('/v1/forgotten', answer)).toThrow('/v1/forgotten names no scope')
    expect(() => app.get('/v1/remembered', { config: { scope: 'read' } }, answer)).not.toThrow()
    await app.close()
    await store.close()
  })
})

describe('who calls', () => {
  const authorization = async (header: string) => {
    const { status, headers } = await app.request('GET', '/v1/runs', { headers: { authorization: header } })
    return { status, challenge: headers['www-authenticate'] }
  }
  const { key } = keys.read
  const unknown = aKey('admin').key
  const changed = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`

  it.each([`Bearer ${key}`, `bearer ${key}`, `BEARER   ${key}`])('is known by %s', async (header) => {
    expect(await authorization(header)).toEqual({ status: 200, challenge: undefined })
  })

  it.each([
    ['nothing', ''],
    ['the scheme alone', 'Bearer'],
    ['the key alone', key],
    ['another scheme', `Basic ${Buffer.from(`x:${key}`).toString('base64')}`],
    ['a key that is unknown', `Bearer ${unknown}`],
    ['a known id with another secret', `Bearer ${changed}`],
    ['a key with something behind it', `Bearer ${key}x`],
    ['two keys', `Bearer ${key} ${unknown}`],
    ['the hash instead of the key', `Bearer ${keys.read.entry.sha256}`],
    ['the id instead of the key', `Bearer ${keys.read.entry.id}`],
    ['what every object has', 'Bearer sbx_constructor_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['a very long key', `Bearer sbx_${'x'.repeat(8_000)}`],
  ])('is not known by %s', async (_name, header) => {
    expect(await authorization(header)).toEqual({ status: 401, challenge: 'Bearer' })
  })

  it('is not looked for in the query', async () => {
    expect((await app.request('GET', `/v1/runs?api_key=${key}`)).status).toBe(401)
  })

  it('is asked before anything else is looked at', async () => {
    const answer = await app.request('POST', '/v1/runs/latest/start?x=1', { raw: '{', headers: {} })
    expect(answer.status).toBe(401)
  })

  it('stands in the events', async () => {
    const run = await as(keys.write.key).aRun()
    const { body } = await as(keys.read.key).get(`/v1/runs/${run.run_id}/events`)
    expect(body.items[0].actor).toEqual({ type: 'key', id: keys.write.entry.id })
  })

  it('does not matter where everybody may look', async () => {
    for (const path of [
      '/livez',
      '/readyz',
      '/openapi.json',
      '/openapi.yaml',
      '/problems/not-found',
      '/docs',
    ]) {
      expect((await exchange({ port: app.port, method: 'GET', path })).status).toBe(200)
    }
  })
})

describe('a key that is bound to projects', () => {
  let theirs: { run: Run; step: StepAttempt; request: ExecutionRequest }
  let mine: typeof theirs
  const bound = () => as(keys.mine.key)

  beforeAll(async () => {
    const everybody = as(keys.admin.key)
    const make = async (project_id: string) => {
      const run = await everybody.aRun('running', { project_id })
      const step = await everybody.aStepIn(run)
      const { body: request } = await everybody.post('/v1/execution-requests', {
        task_kind: 'code_edit',
        project_id,
        phase_id: 'build',
        run_id: run.run_id,
      })
      return { run: (await everybody.get(`/v1/runs/${run.run_id}`)).body, step, request }
    }
    await beRoutable(everybody)
    theirs = await make('theirs')
    mine = await make('mine')
  })

  /** By the parameter that names it: what is another project's. */
  const OF_OTHERS: Record<string, () => string> = {
    run_id: () => theirs.run.run_id,
    step_attempt_id: () => theirs.step.step_attempt_id,
    execution_request_id: () => theirs.request.request_id,
    route_decision_id: () => theirs.request.assignment!.route_decision_id,
  }
  const addressed = OPERATIONS.filter((operation) => (idOf(operation) ?? '') in OF_OTHERS)

  it.each(table(addressed))('finds nothing of others at %s', async (_name, operation) => {
    const ask = await operation.prepare(as(keys.all.key))
    const path = withId(operation, ask.path, OF_OTHERS[idOf(operation)!]!())
    const before = app.writes()
    const sent = sentOf(operation, ask)
    const refused = await app.request(operation.method, path, { ...sent, as: keys.mine.key })
    expect(refused.status).toBe(404)
    const if_match = { 'if-match': '"77"', 'if-none-match': '*' }
    const asked = await app.request(operation.method, path, {
      ...sent,
      as: keys.mine.key,
      headers: if_match,
    })
    expect(asked.status, 'not even its version').toBe(404)
    expect(app.writes()).toBe(before)
  })

  it('is told the same about what others have and about what nobody has', async () => {
    const tell = async (run_id: string) => {
      const { status, body } = await bound().get(`/v1/runs/${run_id}`)
      return { status, code: body.code, detail: body.detail }
    }
    expect(await tell(theirs.run.run_id)).toEqual(await tell('01JD8Z6V3QK0T2M4N6P8R0S2T4'))
  })

  it('may do everything with its own', async () => {
    const { body: created } = await bound().post('/v1/runs', { project_id: 'mine too', phase_id: 'b' })
    expect((await bound().post(`/v1/runs/${created.run_id}/start`)).status).toBe(200)
    expect((await bound().get(`/v1/runs/${mine.run.run_id}`)).body).toEqual(mine.run)
    expect((await bound().get(`/v1/steps/${mine.step.step_attempt_id}`)).body).toMatchObject(mine.step)
  })

  it.each(['theirs', 'MINE', 'mine ', 'min'])('may not create in %j', async (project_id) => {
    const before = app.writes()
    const answer = await bound().post('/v1/runs', { project_id, phase_id: 'b' })
    expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(answer.body.errors).toMatchObject([{ pointer: '#/project_id' }])
    expect(app.writes()).toBe(before)
  })

  const projectsOf = async (query: string) => {
    const { body } = await bound().get(`/v1/runs?limit=500${query}`)
    return [...new Set(body.items.map((run: Run) => run.project_id))].sort()
  }

  it('lists only its own runs, whatever it filters by', async () => {
    expect(await projectsOf('')).toEqual(['mine', 'mine too'])
    expect(await projectsOf('&order=asc&state=running')).toEqual(['mine', 'mine too'])
    expect(await projectsOf('&project_id=mine')).toEqual(['mine'])
    expect(await projectsOf('&project_id=theirs&project_id=mine')).toEqual(['mine'])
    expect(await projectsOf('&project_id=theirs')).toEqual([])
  })

  it('sees only the events of its own runs, and none that belong to no run', async () => {
    const everything = (await as(keys.admin.key).get('/v1/events?limit=500')).body.items
    expect(everything.some((event: Json) => event.run_id === null)).toBe(true)
    const own = new Set((await bound().get('/v1/runs?limit=500')).body.items.map((run: Run) => run.run_id))
    for (const query of ['', '&order=desc', '&after=0', '&project_id=theirs', '&kind=config_activated']) {
      const { body } = await bound().get(`/v1/events?limit=500${query}`)
      expect(body.items.filter((event: Json) => !own.has(event.run_id))).toEqual([])
    }
    expect((await bound().get('/v1/events')).body.items.length).toBeGreaterThan(3)
  })

  it('cannot name an attempt of others in an event of its own', async () => {
    const { step_attempt_id } = theirs.step
    const path = `/v1/runs/${mine.run.run_id}/events`
    const answer = await bound().post(path, { kind: 'note', step_attempt_id })
    expect(answer).toMatchObject({ status: 422, body: { code: 'unknown_reference' } })
  })
})

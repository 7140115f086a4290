import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { type Workshop, workshopOf } from './dispatch-client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

/** A project that only one test knows, so that its lists hold nothing of the others. */
let projects = 0
const aProject = () => `project-${++projects}`

const idsOf = ({ body }: { body: { items: Run[] } }) => body.items.map(({ run_id }) => run_id)

describe('listing runs', () => {
  /** The runs of a list, by the name that each has as its phase. */
  const found = async (query: string) => {
    const { status, body } = await client.get(`/v1/runs?${query}`)
    expect(status).toBe(200)
    return body.items.map((run: Run) => run.phase_id)
  }

  it('begins with the newest, and with order=asc with the oldest', async () => {
    const project = aProject()
    for (const phase_id of ['one', 'two', 'three'])
      await client.aRun('pending', { project_id: project, phase_id })
    expect(await found(`project_id=${project}`)).toEqual(['three', 'two', 'one'])
    expect(await found(`project_id=${project}&order=desc`)).toEqual(['three', 'two', 'one'])
    expect(await found(`project_id=${project}&order=asc`)).toEqual(['one', 'two', 'three'])
  })

  describe('filters', () => {
    const project_id = aProject()
    const project = `project_id=${project_id}`
    const awkward = 'a?b&c=d+e f:g%'

    beforeAll(async () => {
      const a_minute = 60_000
      await client.aRun('pending', {
        project_id,
        phase_id: 'a',
        workstream_id: 'w1',
        labels: { team: 'core' },
      })
      app.pass(a_minute)
      const labels = { team: 'web', note: awkward }
      await client.aRun('running', { project_id, phase_id: 'b', workstream_id: 'w2', labels })
      app.pass(a_minute)
      await client.aRun('failed', { project_id, phase_id: 'c', origin: { trigger_type: 'ci' } })
    })

    const at = async (phase_id: string) => {
      const { body } = await client.get(`/v1/runs?${project}&phase_id=${phase_id}`)
      return encodeURIComponent(body.items[0].created_at)
    }

    it.each([
      ['phase_id=a', ['a']],
      ['phase_id=a&phase_id=c', ['c', 'a']],
      ['workstream_id=w2', ['b']],
      ['state=running', ['b']],
      ['state=running&state=pending', ['b', 'a']],
      ['state=succeeded', []],
      ['label=team:core', ['a']],
      ['label=team:core&label=team:web', ['b', 'a']],
      ['label=team:', []],
      [`label=note:${encodeURIComponent(awkward)}`, ['b']],
      ['trigger_type=ci', ['c']],
      ['trigger_type=other&state=running', ['b']],
      ['phase_id=a&state=running', []],
      ['project_id=another', ['c', 'b', 'a']],
      ['created_after=2020-01-01T00:00:00Z', ['c', 'b', 'a']],
      ['created_before=2020-01-01T00:00:00Z', []],
      ['created_after=9999-12-31T23:59:59Z', []],
    ])('%s', async (filter, phases) => {
      expect(await found(`${project}&${filter}`)).toEqual(phases)
    })

    it('created_after is inclusive, created_before exclusive', async () => {
      const b = await at('b')
      expect(await found(`${project}&created_after=${b}`)).toEqual(['c', 'b'])
      expect(await found(`${project}&created_before=${b}`)).toEqual(['a'])
      expect(
        await found(`${project}&created_after=${await at('a')}&created_before=${await at('c')}`),
      ).toEqual(['b', 'a'])
    })

    it('an instant may be written in another zone', async () => {
      const b = decodeURIComponent(await at('b'))
      const elsewhere = new Date(Date.parse(b) + 5.5 * 3_600_000).toISOString().replace('Z', '+05:30')
      expect(await found(`${project}&created_after=${encodeURIComponent(elsewhere)}`)).toEqual(['c', 'b'])
    })
  })

  describe('pages', () => {
    const project_id = aProject()
    const label = 'a?b&c=d+e f'
    // A question mark needs no escape in a query (RFC 3986 §3.4).
    const query = `project_id=${project_id}&limit=2&label=l:${encodeURIComponent(label).replace('%3F', '?')}`
    const ids: string[] = []

    beforeAll(async () => {
      for (let i = 0; i < 5; i++) {
        ids.unshift((await client.aRun('pending', { project_id, labels: { l: label } })).run_id)
      }
    })

    it('follow each other by Link until there is none', async () => {
      const pages: string[][] = []
      let next: string | undefined = `/v1/runs?${query}`
      while (next !== undefined) {
        const page = await client.get(next)
        pages.push(idsOf(page))
        const link = page.headers['link']
        expect(link === undefined).toBe(page.body.next_cursor === null)
        next = link === undefined ? undefined : /^<(.*)>; rel="next"$/.exec(link)?.[1]
      }
      expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)])
    })

    it('follow each other by next_cursor, in the other direction too', async () => {
      const first = await client.get(`/v1/runs?${query}&order=asc`)
      const second = await client.get(`/v1/runs?${query}&order=asc&cursor=${first.body.next_cursor}`)
      const third = await client.get(`/v1/runs?${query}&order=asc&cursor=${second.body.next_cursor}`)
      expect([first, second, third].flatMap(idsOf)).toEqual(ids.toReversed())
      expect(third.body.next_cursor).toBeNull()
    })

    it('do not move when runs are created meanwhile', async () => {
      const project = aProject()
      const create = async () => (await client.aRun('pending', { project_id: project })).run_id
      const [one, two, three] = [await create(), await create(), await create()]
      const first = await client.get(`/v1/runs?project_id=${project}&limit=2`)
      await create()
      const second = await client.get(first.headers['link']!.slice(1, -'>; rel="next"'.length))
      expect([idsOf(first), idsOf(second)]).toEqual([[three, two], [one]])
    })

    it('may have another limit than the one before', async () => {
      const first = await client.get(`/v1/runs?${query}`)
      const rest = await client.get(
        `/v1/runs?${query.replace('limit=2', 'limit=500')}&cursor=${first.body.next_cursor}`,
      )
      expect(idsOf(rest)).toEqual(ids.slice(2))
    })

    it('hold 50 runs unless something else is asked for', async () => {
      const project = aProject()
      for (let i = 0; i < 51; i++) await client.aRun('pending', { project_id: project })
      const { body, headers } = await client.get(`/v1/runs?project_id=${project}`)
      expect(body.items).toHaveLength(50)
      expect(headers['link']).toContain(body.next_cursor)
    })

    it.each([
      ['of other filters', (cursor: string) => `/v1/runs?project_id=${project_id}&limit=2&cursor=${cursor}`],
      ['of another order', (cursor: string) => `/v1/runs?${query}&order=asc&cursor=${cursor}`],
      ['of another list', (cursor: string) => `/v1/events?cursor=${cursor}`],
      ['with a character lost', (cursor: string) => `/v1/runs?${query}&cursor=${cursor.slice(1)}`],
      ['that somebody made up', () => `/v1/runs?${query}&cursor=bm90IGEgY3Vyc29y`],
    ])('are not continued with a cursor %s', async (_name, path) => {
      const first = await client.get(`/v1/runs?${query}`)
      const { status, body } = await client.get(path(first.body.next_cursor))
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_cursor' })
      expect(body.errors).toMatchObject([{ parameter: 'cursor' }])
    })
  })
})

describe('the runs that need attention', () => {
  const MINUTE = 60_000
  const patient = { lease_seconds: 3_600 }
  const keys = { all: aKey('read', 'write', 'worker', 'admin'), bank: aKeyFor(['bank'], 'read') }
  let app: TestApp
  let client: Client
  let workshop: Workshop

  /** In each run what its phase says. */
  async function happened() {
    const { request, claimed, end, heartbeat } = workshop
    const running = async (phase_id: string, given: object = {}) => {
      const { run_id, project_id } = await client.aRun('running', { phase_id, ...given })
      return { run_id, project_id, phase_id }
    }
    const failing = async (how: object) => end(await claimed(patient), 'fail', { error: how })

    await client.aRun('pending', { phase_id: 'not started' })
    await client.aRun('succeeded', { phase_id: 'done' })
    await running('quiet', { project_id: 'bank', labels: { team: 'core' } })
    const noted = await running('noted')
    const patched = await running('patched')
    await request(await running('silent worker'))
    await claimed(patient)
    await request({ ...(await running('busy worker')), limits: { timeout_seconds: 7_200 } })
    const held = await claimed(patient)
    await request({ phase_id: 'failed by itself', project_id: 'bank' })
    await failing({ class: 'invalid_request' })
    app.pass(20 * MINUTE)
    await request(await running('goes on after a failure', { labels: { team: 'core' } }))
    await failing({ class: 'invalid_request' })
    await request(await running('retrying', { project_id: 'bank' }))
    await failing({ class: 'tool_error' })
    await request(await running('given back'))
    await end(await claimed(patient), 'release')
    await client.post(`/v1/runs/${noted.run_id}/events`, { kind: 'note' })
    await client.patch(`/v1/runs/${patched.run_id}`, { labels: { seen: 'yes' } })
    await heartbeat(held)
    app.pass(9 * MINUTE)
  }

  beforeAll(async () => {
    app = await openTestApp({ api_keys: Object.values(keys).map(({ entry }) => entry) })
    client = clientOf(app, keys.all.key)
    const request: TestApp['request'] = (method, path, sent) =>
      app.request(method, path, { as: keys.all.key, ...sent })
    workshop = await workshopOf({ ...app, request })
    await happened()
  })
  afterAll(() => app.close())

  const found = async (query: string, as = client) => {
    const { status, text, body } = await as.get(`/v1/runs?${query}`)
    expect(status, text).toBe(200)
    return body.items.map(({ phase_id }: Run) => phase_id)
  }

  it.each([
    ['needs_attention=retrying', ['retrying']],
    ['needs_attention=failed_requests', ['goes on after a failure', 'failed by itself']],
    ['needs_attention=stalled', ['silent worker', 'quiet']],
    ['stalled_for=600', ['silent worker', 'quiet']],
    ['stalled_for=1740', ['silent worker', 'quiet']],
    ['stalled_for=1741', []],
    ['needs_attention=stalled&stalled_for=1741', []],
    [
      'stalled_for=540',
      [
        'given back',
        'retrying',
        'goes on after a failure',
        'busy worker',
        'silent worker',
        'patched',
        'noted',
        'quiet',
      ],
    ],
    ['stalled_for=541', ['silent worker', 'quiet']],
    [
      'needs_attention=retrying&needs_attention=failed_requests',
      ['retrying', 'goes on after a failure', 'failed by itself'],
    ],
    ['needs_attention=retrying&stalled_for=600', ['retrying', 'silent worker', 'quiet']],
    [
      'needs_attention=failed_requests&needs_attention=stalled&needs_attention=retrying&order=asc',
      ['quiet', 'silent worker', 'failed by itself', 'goes on after a failure', 'retrying'],
    ],
    ['needs_attention=failed_requests&state=running', ['goes on after a failure']],
    ['needs_attention=failed_requests&project_id=bank', ['failed by itself']],
    ['needs_attention=retrying&state=failed', []],
    ['stalled_for=600&label=team:core', ['quiet']],
    ['stalled_for=600&needs_attention=failed_requests&label=team:core', ['goes on after a failure', 'quiet']],
    ['stalled_for=600&created_after=2026-01-05T09:31:00Z', []],
  ])('%s', async (query, phases) => expect(await found(query)).toEqual(phases))

  it('are no others for a key that is bound to a project', async () => {
    const all = 'needs_attention=failed_requests&needs_attention=retrying&stalled_for=600'
    const bound = clientOf(app, keys.bank.key)
    expect(await found(all, bound)).toEqual(['retrying', 'failed by itself', 'quiet'])
    expect(await found(`${all}&project_id=shop`, bound)).toEqual([])
  })

  it('come page by page, while time goes on', async () => {
    const query = 'needs_attention=failed_requests&needs_attention=retrying&stalled_for=600&limit=2'
    const seen: string[] = []
    let next: string | undefined = `/v1/runs?${query}`
    while (next !== undefined) {
      const page = await client.get(next)
      seen.push(...page.body.items.map(({ phase_id }: Run) => phase_id))
      next = /^<(.*)>/.exec(page.headers['link'] ?? '')?.[1]
      app.pass(1)
    }
    expect(seen).toEqual([
      'retrying',
      'goes on after a failure',
      'failed by itself',
      'silent worker',
      'quiet',
    ])
  })

  it.each(['stalled_for=601', 'needs_attention=retrying', 'limit=1'])(
    'are not continued under another filter: %s',
    async (other) => {
      const first = await client.get('/v1/runs?stalled_for=600&limit=1')
      const { status, body } = await client.get(`/v1/runs?${other}&cursor=${first.body.next_cursor}`)
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_cursor' })
    },
  )

  it('need it no more when what was wrong is over', async () => {
    app.pass(5 * MINUTE)
    const { claimed, end } = workshop
    const again = await claimed(patient)
    expect(await found('needs_attention=retrying')).toEqual([])
    await end(again, 'complete')
    expect(await found('needs_attention=retrying')).toEqual([])
  })
})

const operations = tagged('runs').filter(({ operation_id }) => operation_id === 'listRuns')
everyOperation(operations)
meetAllTheyPromise(operations)

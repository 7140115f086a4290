import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { documents } from '../../src/contract/documents/index.ts'
import { standalone } from '../../src/contract/documents/document.ts'
import { namedSchemas } from '../../src/contract/index.ts'
import { LIMITS } from '../../src/contract/limits.ts'
import { Problem } from '../../src/contract/problem.ts'
import { AnyDocument, DocumentVerdict, SchemaList } from '../../src/contract/schema.ts'
import { type AppOptions, buildApp } from '../../src/http/app.ts'
import { buildChecks } from '../../src/http/validation.ts'
import { newKey } from '../../src/keys.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

interface Fault {
  pointer: string
  detail: string
}

let app: Awaited<ReturnType<typeof buildApp>>

beforeAll(async () => {
  app = await open()
})
afterAll(() => app.close())

/** No store and nobody who could write: what works here reads nothing and writes nothing. */
async function open(options: Partial<AppOptions> = {}) {
  const opened = await buildApp({
    orchestrator: undefined as never,
    reads: undefined as never,
    logger: pino({ level: 'silent' }),
    newRequestId: () => '01JD8Z6V3RB2D4F6H8K0M2P4R6',
    version: '0.0.0',
    metrics: createMetrics({ version: '0.0.0', max_streams: 0, write_queue_max: 0 }),
    max_streams: 0,
    api_keys: [],
    is_loopback: true,
    allowed_hosts: [],
    allowed_origins: [],
    isDraining: () => false,
    ...options,
  })
  await opened.ready()
  return opened
}

const get = (path: string) => request(app.server).get(path)
const check = (name: string, document: unknown) =>
  request(app.server)
    .post(`/v1/schemas/${name}/validate`)
    .set('content-type', 'application/json')
    .send(JSON.stringify(document))
const checkText = (text: string | Buffer, type = 'application/json') =>
  request(app.server)
    .post('/v1/schemas/run_record.v1/validate')
    .set('content-type', type)
    .serialize((bytes) => bytes as string)
    .send(text)

const compile = buildChecks()
const fits = (schema: typeof SchemaList | typeof DocumentVerdict | typeof Problem, body: unknown) =>
  expect(compile(standalone(`${schema.$id}.v1`, schema, namedSchemas))(body)).toEqual([])

const exampleOf = (name: string) => (documents.get(name)?.['examples'] as object[])[0]

describe('listSchemas', () => {
  it('names every document, with the place of its schema', async () => {
    const { body } = await get('/v1/schemas').expect(200)
    fits(SchemaList, body)
    expect(body.items).toHaveLength(17)
    expect(body.items[1]).toEqual({
      name: 'run_record.v1',
      title: 'Run record',
      href: '/v1/schemas/run_record.v1.json',
    })
    for (const { name, title, href } of body.items) {
      const schema = await get(href).expect(200)
      expect(schema.body).toMatchObject({ $id: `${name}.json`, title })
    }
  })

  it('takes no parameters', () => get('/v1/schemas?limit=5').expect(400))
})

describe('getSchema', () => {
  it.each([...documents.keys()])('%s is the file that is published, with and without .json', async (name) => {
    const file = readFileSync(new URL(`../../schemas/${name}.json`, import.meta.url), 'utf8')
    for (const path of [`/v1/schemas/${name}`, `/v1/schemas/${name}.json`]) {
      const { body, headers } = await get(path).expect(200)
      expect(headers['content-type']).toBe('application/schema+json; charset=utf-8')
      expect(body).toEqual(JSON.parse(file))
    }
  })

  it.each(['run_record', 'run_record.v2', 'run_record.v1.json.json', 'Run', '__proto__', '..%2Fpackage'])(
    'knows no schema %s',
    async (name) => {
      for (const answer of [await get(`/v1/schemas/${name}`), await check(name, {})]) {
        expect(answer.status).toBe(404)
        fits(Problem, answer.body)
        expect(answer.body).toMatchObject({ code: 'schema_not_found', type: '/problems/schema-not-found' })
      }
    },
  )
})

describe('validateDocument', () => {
  it.each([...documents.keys()])('finds the example of %s valid', async (name) => {
    const { body } = await check(`${name}.json`, exampleOf(name)).expect(200)
    fits(DocumentVerdict, body)
    expect(body).toEqual({ valid: true, errors: [], complete: true })
  })

  it('names every fault with its place, once', async () => {
    const { body } = await check('run_record.v1', {
      run_id: 'me',
      phase_id: '',
      execution_request_id: 5,
      created_at: 'today',
      state: 'runing',
      origin: { trigger_type: null, by: 'me' },
      counters: { errors: -1, step_attempts: 1.5 },
      labels: { 'a/b~c': 7 },
      extra: true,
    }).expect(200)
    fits(DocumentVerdict, body)
    expect(body.valid).toBe(false)
    expect(body.complete).toBe(true)
    expect(body.errors.map(({ pointer, detail }: Fault) => `${pointer} ${detail}`).sort()).toEqual([
      '#/counters/errors must be >= 0',
      '#/counters/step_attempts must be integer',
      '#/created_at must be an RFC 3339 instant such as 2026-01-05T09:30:00Z',
      '#/execution_request_id must be string',
      '#/extra is not known here',
      '#/labels/a~1b~0c is not a name that is allowed here: it must match pattern "^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$"',
      '#/labels/a~1b~0c must be string',
      '#/origin/by is not known here',
      '#/origin/trigger_type must be one of manual, ci, error_pipeline, scheduled, other',
      '#/origin/trigger_type must be string',
      '#/phase_id must NOT have fewer than 1 characters',
      '#/project_id is missing',
      '#/run_id must match pattern "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"',
      '#/state must be one of pending, running, succeeded, failed, quarantined, canceled',
    ])
  })

  it('says what a constant must be, and what is there twice', async () => {
    const document = { ...exampleOf('doc-meta.v1'), meta_version: 'doc-meta.v2', tags: ['a', 'b', 'a'] }
    const { body } = await check('doc-meta.v1', document)
    expect(body.errors).toEqual([
      { pointer: '#/meta_version', detail: 'must be "doc-meta.v1"' },
      { pointer: '#/tags', detail: 'must NOT have duplicate items (items ## 2 and 0 are identical)' },
    ])
  })

  it('follows a document into the one that it refers to', async () => {
    const tasks = [
      { task_id: 'a', name: 'A', kind: 'edit' },
      { task_id: '', kind: 'edit' },
    ]
    const { body } = await check('workstream_spec.v1', { ...exampleOf('workstream_spec.v1'), tasks })
    expect(body.errors).toEqual([
      { pointer: '#/tasks/1/name', detail: 'is missing' },
      { pointer: '#/tasks/1/task_id', detail: 'must NOT have fewer than 1 characters' },
    ])
  })

  it.each([[[]], ['text'], [7], [true], [null]])(
    'finds %j to be no document, not a bad request',
    async (value) => {
      const { body } = await check('run_event.v1', value).expect(200)
      expect(body).toEqual({
        valid: false,
        errors: [{ pointer: '#', detail: 'must be object' }],
        complete: true,
      })
    },
  )

  it('takes no body for an empty document', async () => {
    for (const sent of [
      await request(app.server).post('/v1/schemas/run_event.v1/validate'),
      await checkText(''),
    ]) {
      expect(sent.status).toBe(200)
      expect(sent.body.valid).toBe(false)
    }
  })

  it('shows in its description what it answers', async () => {
    const [document] = AnyDocument.examples as [object]
    const { body } = await check('run_record.v1', document)
    expect(DocumentVerdict.examples).toEqual([body])
  })

  it('writes nothing, so a key for repeats means nothing', async () => {
    const key = '01JD8Z6V3QK0T2M4N6P8R0S2T4'
    const first = await check('run_event.v1', {}).set('idempotency-key', key).expect(200)
    const second = await check('run_event.v1', exampleOf('run_event.v1'))
      .set('idempotency-key', key)
      .expect(200)
    expect([first.body.valid, second.body.valid]).toEqual([false, true])
    expect(second.headers).not.toHaveProperty('idempotency-replayed')
    await check('run_event.v1', {}).set('idempotency-key', 'x'.repeat(300)).expect(200)
  })
})

describe('what is too much', () => {
  const withTags = (wrong: number) => ({ ...exampleOf('doc-meta.v1'), tags: Array(wrong).fill(7) })

  it(`names up to ${LIMITS.document_faults} faults, and says when there are more`, async () => {
    const all = await check('doc-meta.v1', withTags(LIMITS.document_faults))
    expect(all.body.errors).toHaveLength(LIMITS.document_faults)
    expect(all.body.complete).toBe(true)
    const most = await check('doc-meta.v1', withTags(LIMITS.document_faults + 1))
    expect(most.body.errors).toHaveLength(LIMITS.document_faults)
    expect(most.body).toMatchObject({ valid: false, complete: false })
  })

  it('stops where the places of the faults get too long', async () => {
    const exclusions = Array(900).fill(7)
    const { body, text } = await check('project_profile.v1', {
      resource_types: { ['k'.repeat(5_000)]: { exclusions } },
    })
    expect(body).toMatchObject({ valid: false, complete: false })
    expect(text.length).toBeLessThan(2 * LIMITS.document_faults_length)
  })

  it('refuses long names over many values at once, instead of working on them for a minute', async () => {
    const exclusions = Array(2_500).fill(7)
    const started = performance.now()
    const { status, body } = await check('project_profile.v1', {
      resource_types: { ['~'.repeat(500_000)]: { exclusions } },
    })
    expect(status).toBe(400)
    expect(body.code).toBe('validation_failed')
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('compares long lists of distinct ids quickly', async () => {
    const id = (i: number) => `01JD8Z6V3QK0T2M4N6${String(i).padStart(8, '0')}`
    const spec_refs = Array.from({ length: 35_000 }, (_, i) => id(i))
    const started = performance.now()
    await check('doc-meta.v1', { ...exampleOf('doc-meta.v1'), spec_refs }).expect(200, /"valid":true/)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('has the limits of every body', async () => {
    const refusals = [
      [checkText('{'), 400, 'malformed_json'],
      [checkText('{"__proto__": {}}'), 400, 'malformed_json'],
      [checkText(`${'['.repeat(65)}${']'.repeat(65)}`), 400, 'malformed_json'],
      [checkText(Buffer.from([0x22, 0xff, 0x22])), 400, 'malformed_json'],
      [checkText('{"run_id": 9007199254740993}'), 400, 'validation_failed'],
      [checkText(`"${'x'.repeat(LIMITS.body_bytes)}"`), 413, 'body_too_large'],
      [checkText('run_id: me', 'application/yaml'), 415, 'unsupported_media_type'],
    ] as const
    for (const [sent, status, code] of refusals) {
      const { body, status: answered } = await sent
      expect([answered, body.code]).toEqual([status, code])
    }
  })
})

describe('who may ask', () => {
  const openFor = async (options: Partial<AppOptions>) => {
    const other = await open(options)
    onTestFinished(() => other.close())
    return other
  }
  const { key, entry } = newKey({ scopes: ['read'], randomBytes })
  const paths = ['/v1/schemas', '/v1/schemas/run_event.v1', '/v1/schemas/run_event.v1/validate']

  it.each(paths)('%s needs the scope read', async (path) => {
    const { server } = await openFor({ api_keys: [entry] })
    const ask = () => request(server)[path.endsWith('validate') ? 'post' : 'get'](path)
    await ask().expect(401)
    await ask().set('authorization', `Bearer ${key}`).expect(200)
  })

  it('stops answering with the server', async () => {
    const { server } = await openFor({ isDraining: () => true })
    await request(server).get('/v1/schemas').expect(503)
  })

  it('knows the methods of its paths', async () => {
    const gone = await request(app.server).delete('/v1/schemas/run_event.v1').expect(405)
    expect(gone.headers['allow']).toContain('GET')
    const asked = await get('/v1/schemas/run_event.v1/validate').expect(405)
    expect(asked.headers['allow']).toBe('POST')
    await request(app.server).head('/v1/schemas/run_event.v1').expect(200)
  })
})

it('is described with every answer that it gives', () => {
  const { paths, components } = app.swagger() as unknown as {
    components: { schemas: object }
    paths: Record<string, Record<string, { operationId: string; tags: string[]; responses: object }>>
  }
  const described = Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/schemas'))
    .flatMap(([, methods]) => Object.values(methods))
    .map(({ operationId, tags, responses }) => [operationId, tags.join(), Object.keys(responses).join(' ')])
  expect(described).toEqual([
    ['listSchemas', 'schemas', '200 400 401 403 421 500 503'],
    ['getSchema', 'schemas', '200 400 401 403 404 421 500 503'],
    ['validateDocument', 'schemas', '200 400 401 403 404 413 415 421 500 503'],
  ])
  expect(Object.keys(components.schemas).filter((name) => !/^[A-Z][A-Za-z0-9]*$/.test(name))).toEqual([])
})

everyOperation(tagged('schemas'))
meetAllTheyPromise(tagged('schemas'), {
  'listSchemas 500 internal_error': 'it answers from memory',
  'listSchemas 503 store_unavailable': 'it answers from memory',
  'getSchema 500 internal_error': 'it answers from memory',
  'getSchema 503 store_unavailable': 'it answers from memory',
  'validateDocument 500 internal_error': 'it answers from memory',
  'validateDocument 503 store_unavailable': 'it answers from memory',
})

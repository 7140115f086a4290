import { readFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type TestApp, aKey, aKeyFor, openTestApp } from '../support/http.ts'
import { CONFIG, activate, configWith } from '../support/router.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
/** For each test of its own: those of every operation open one for all. */
async function open(): Promise<() => Promise<void>> {
  app = await openTestApp()
  return () => app.close()
}

const CONFIGS = '/v1/routing/configs'
const create = (body: unknown, headers = {}) => app.request('POST', CONFIGS, { body, headers })
const createYaml = (text: string, type = 'application/yaml') =>
  app.request('POST', CONFIGS, { raw: text, headers: { 'content-type': type } })
const activateVersion = (version: number, headers = {}) =>
  app.request('POST', `${CONFIGS}/${version}/activate`, { headers })
const events = async () => (await app.request('GET', '/v1/events')).body.items as { kind: string }[]
const pointers = ({ body }: { body: { errors: { pointer: string }[] } }) =>
  body.errors.map(({ pointer }) => pointer).sort()

describe('createRouterConfig', () => {
  beforeEach(open)

  it('keeps a configuration as a numbered version, with its hash, its place and an event', async () => {
    const { status, headers, body } = await create(CONFIG)
    expect(status).toBe(201)
    expect(headers['location']).toBe('/v1/routing/configs/1')
    expect(body).toMatchObject({ created: true, config_version: 1, activated_at: null, document: CONFIG })
    expect(await events()).toMatchObject([
      {
        kind: 'config_created',
        run_id: null,
        run_seq: 1,
        payload: { config: { content_hash: body.content_hash } },
      },
    ])
  })

  it('gives the same content the same version, however it is ordered', async () => {
    const first = await create(CONFIG)
    const { version, ...rest } = CONFIG
    const again = await create({ ...rest, version })
    expect(again.status).toBe(201)
    expect(again.body).toEqual({ ...first.body, created: false })
    expect(again.headers['location']).toBe(first.headers['location'])
    expect((await create(configWith('fixed'))).body).toMatchObject({ created: true, config_version: 2 })
    expect(await events()).toHaveLength(2)
  })

  it('takes the example that is shipped', async () => {
    const file = new URL('../../examples/router_config.json', import.meta.url)
    expect((await create(JSON.parse(readFileSync(file, 'utf8')))).status).toBe(201)
  })

  it('takes YAML, which says the same', async () => {
    const json = await create(CONFIG)
    const yaml = await createYaml(stringify(CONFIG))
    expect(yaml.body).toEqual({ ...json.body, created: false })
    expect((await createYaml(stringify(CONFIG), 'application/yaml; charset=utf-8')).status).toBe(201)
  })

  it('takes aliases', async () => {
    const text = stringify({ ...CONFIG, apps: {} }).replace(
      'apps: {}',
      'apps:\n  a: &app {kind: tool, command: a, capabilities: {task_kinds: [code_edit, test_run]}}\n  aider: *app\n  codex: *app\n  pytest: *app',
    )
    const { status, body } = await createYaml(text)
    expect(status).toBe(201)
    expect(body.document.apps.codex).toEqual(body.document.apps.a)
  })

  it.each([
    ['a tag', 'version: !mine "1.0.0"\n'],
    ['a tag of YAML 1.1', 'version: !!binary aGk=\n'],
    ['another YAML', '%YAML 1.1\n---\nversion: yes\n'],
    ['a key twice', 'version: 1.0.0\nversion: 1.0.0\n'],
    ['two documents', 'version: 1.0.0\n---\nversion: 1.0.0\n'],
    ['101 aliases', `a: &a x\nb: [${Array(101).fill('*a').join()}]\n`],
    [
      'laughs',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefgh'].map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefg'[i]}`).join()}]`).join('\n')}\n`,
    ],
    ['an alias of itself', 'a: &a [*a, *a]\n'],
    ['an alias of nothing', 'a: *b\n'],
    ['a number that is none', 'a: .nan\n'],
    ['a key that is no text', '? [a, b]\n: c\n'],
    ['65 levels', `a: ${'['.repeat(65)}${']'.repeat(65)}\n`],
    ['a hundred thousand levels', '['.repeat(100_000)],
    ['no YAML', 'a: b: c: "\n'],
  ])('refuses YAML with %s', async (_name, text) => {
    const { status, body } = await createYaml(text)
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'malformed_yaml' })
    expect(body.detail.length).toBeLessThan(200)
  })

  it('refuses aliases that make it too large', async () => {
    const text = `a: &a "${'x'.repeat(50_000)}"\nb: [${Array(90).fill('*a').join()}]\n`
    expect((await createYaml(text)).status).toBe(413)
  })

  it('guards YAML as JSON against __proto__', async () => {
    expect((await createYaml('__proto__: {a: 1}\n')).status).toBe(400)
    expect((await createYaml('a: "\\0"\n')).status).toBe(400)
  })

  it('takes YAML only here', async () => {
    const sent = { raw: 'project_id: shop\n', headers: { 'content-type': 'application/yaml' } }
    expect((await app.request('POST', '/v1/runs', sent)).status).toBe(415)
    expect((await createYaml('a: 1', 'text/yaml')).status).toBe(415)
  })

  it('names every fault of form, and those of meaning with them', async () => {
    const rule = { id: 'edits', match: [], select_from: ['nobody'] }
    const document = { version: 1, apps: { aider: null }, routing: { rules: [rule, rule] }, extra: true }
    const answer = await create(document)
    expect(answer.status).toBe(400)
    expect(answer.body.code).toBe('validation_failed')
    expect(pointers(answer)).toEqual(
      expect.arrayContaining([
        '#/version',
        '#/apps/aider',
        '#/routing/rules/0/match',
        '#/routing/rules/1/match',
        '#/extra',
        '#/routing/rules/0/select_from/0',
        '#/routing/rules/1/id',
      ]),
    )
  })

  it.each([
    [[]],
    [null],
    ['text'],
    [7],
    [{}],
    [{ apps: [] }],
    [{ routing: { rules: {} } }],
    [{ apps: { a: [] } }],
  ])('refuses %j, which is none', async (document) => {
    const { status, body } = await create(document)
    expect(status).toBe(400)
    expect(body.errors.length).toBeGreaterThan(0)
  })

  it('refuses what makes no sense with 422 and every place', async () => {
    const apps = {
      ...CONFIG.apps,
      aider: { ...CONFIG.apps.aider, env: { KEY: 'x' }, limits: { max_parallel: 0 } },
    }
    const answer = await create({ ...CONFIG, apps, defaults: { max_attempts: 0 } })
    expect(answer.status).toBe(422)
    expect(answer.body.code).toBe('router_config_invalid')
    expect(pointers(answer)).toEqual([
      '#/apps/aider/env',
      '#/apps/aider/limits/max_parallel',
      '#/defaults/max_attempts',
    ])
    expect(await events()).toEqual([])
  })

  it('does not stand still over long names of many wrong values', async () => {
    const apps = { ['~'.repeat(400_000)]: { capabilities: { task_kinds: Array(200_000).fill(1) } } }
    const start = performance.now()
    expect((await create({ ...CONFIG, apps })).status).toBe(400)
    expect(performance.now() - start).toBeLessThan(5_000)
  })

  it('answers a repeated key with the first answer, and another body with 422', async () => {
    const key = { 'idempotency-key': 'once' }
    const first = await create(CONFIG, key)
    const again = await create(CONFIG, key)
    expect(again.text).toBe(first.text)
    expect(again.headers['idempotency-replayed']).toBe('true')
    expect((await create(configWith('auto'), key)).body.code).toBe('idempotency_key_reused')
  })

  it('makes one version of many equal ones at once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => create(CONFIG)))
    expect(answers.filter(({ body }) => body.created === true)).toHaveLength(1)
    expect(new Set(answers.map(({ body }) => body.config_version))).toEqual(new Set([1]))
  })

  it('takes no parameters', async () =>
    expect((await app.request('POST', `${CONFIGS}?x=1`, { body: CONFIG })).status).toBe(400))
})

describe('reading configurations', () => {
  beforeEach(open)

  it('lists them newest first, page by page', async () => {
    for (const strategy of ['fixed', 'round_robin', 'auto'] as const) await create(configWith(strategy))
    const { body } = await app.request('GET', `${CONFIGS}?limit=2`)
    expect(body.items.map((item: { config_version: number }) => item.config_version)).toEqual([3, 2])
    const next = await app.request('GET', `${CONFIGS}?limit=2&cursor=${body.next_cursor}`)
    expect(next.body.items).toHaveLength(1)
    expect((await app.request('GET', `${CONFIGS}?order=asc&cursor=${body.next_cursor}`)).status).toBe(400)
  })

  it('reads one', async () => {
    const { body } = await create(CONFIG)
    const { created: _, ...config } = body
    expect((await app.request('GET', `${CONFIGS}/1`)).body).toEqual(config)
    expect((await app.request('GET', `${CONFIGS}/2`)).body.code).toBe('router_config_not_found')
    expect((await app.request('GET', `${CONFIGS}/x`)).status).toBe(400)
  })

  it('compares two', async () => {
    await create(CONFIG)
    await create(configWith('fixed'))
    const { body } = await app.request('GET', `${CONFIGS}/2/diff?against=1`)
    expect(body).toMatchObject({
      config_version: 2,
      against: 1,
      identical: false,
      changes: [{ subject: 'rule', id: 'edits', change: 'changed' }],
    })
    expect((await app.request('GET', `${CONFIGS}/2/diff?against=2`)).body).toMatchObject({
      identical: true,
      changes: [],
    })
    expect((await app.request('GET', `${CONFIGS}/3/diff?against=1`)).status).toBe(404)
    expect((await app.request('GET', `${CONFIGS}/2/diff?against=3`)).body.code).toBe('unknown_reference')
    expect((await app.request('GET', `${CONFIGS}/2/diff`)).status).toBe(400)
  })
})

describe('activateRouterConfig', () => {
  beforeEach(open)

  it('begins with 404 and the ETag "0"', async () => {
    const { status, headers, body } = await app.request('GET', `${CONFIGS}/active`)
    expect({ status, etag: headers['etag'], code: body.code }).toEqual({
      status: 404,
      etag: '"0"',
      code: 'router_config_not_found',
    })
  })

  it('activates under the ETag of what is active, and tells of it', async () => {
    await create(CONFIG)
    await create(configWith('fixed'))
    app.pass(1_000)
    const first = await activateVersion(1, { 'if-match': '"0"' })
    expect(first.status).toBe(200)
    expect(first.headers['etag']).toBe('"1"')
    expect(first.body.activated_at).toBe('2026-01-05T09:30:01.000Z')
    const active = await app.request('GET', `${CONFIGS}/active`)
    expect(active.headers['etag']).toBe('"1"')
    expect(active.body).toEqual(first.body)
    expect(
      (await app.request('GET', `${CONFIGS}/active`, { headers: { 'if-none-match': '"1"' } })).status,
    ).toBe(304)
    const second = await activateVersion(2, { 'if-match': '"1"' })
    expect(second.headers['etag']).toBe('"2"')
    expect(await events()).toMatchObject([
      {},
      {},
      { kind: 'config_activated', run_seq: 3 },
      { kind: 'config_activated', payload: { activation: { activations: 2, config_version: 2 } } },
    ])
  })

  it('asks for If-Match, and refuses a stale one, with the current ETag', async () => {
    await activate(app)
    await create(configWith('fixed'))
    const missing = await activateVersion(2)
    expect({ status: missing.status, code: missing.body.code, etag: missing.headers['etag'] }).toEqual({
      status: 428,
      code: 'precondition_required',
      etag: '"1"',
    })
    for (const tag of ['"0"', '"2"', 'W/"1"']) {
      const stale = await activateVersion(2, { 'if-match': tag })
      expect({ status: stale.status, etag: stale.headers['etag'] }).toEqual({ status: 412, etag: '"1"' })
    }
    expect((await activateVersion(2, { 'if-match': 'x' })).status).toBe(400)
    expect((await activateVersion(3)).status).toBe(404)
    expect((await activateVersion(2, { 'if-match': '*' })).status).toBe(200)
  })

  it('refuses what is active already', async () => {
    await activate(app)
    const again = await activateVersion(1, { 'if-match': '"1"' })
    expect(again.body).toMatchObject({
      status: 409,
      code: 'transition_refused',
      state: 'active',
      command: 'activate',
    })
  })

  it('lets one of many at once win', async () => {
    for (const strategy of ['fixed', 'auto'] as const) await create(configWith(strategy))
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => activateVersion(1 + (i % 2), { 'if-match': '"0"' })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(39)
  })

  it('answers a repeated key although the ETag is stale by then', async () => {
    await create(CONFIG)
    const headers = { 'if-match': '"0"', 'idempotency-key': 'once' }
    const first = await activateVersion(1, headers)
    const again = await activateVersion(1, headers)
    expect(again.text).toBe(first.text)
    expect(again.headers['etag']).toBe('"1"')
  })
})

describe('with keys', () => {
  beforeEach(open)

  const admin = aKey('admin')
  const writer = aKey('write')
  const bound = aKeyFor(['shop'], 'admin')
  let keyed: TestApp
  beforeAll(async () => {
    keyed = await openTestApp({ api_keys: [admin.entry, writer.entry, bound.entry] })
  })
  afterAll(() => keyed.close())

  it('is for administrators of everything', async () => {
    const post = (as?: string) =>
      keyed.request('POST', CONFIGS, { body: CONFIG, ...(as === undefined ? {} : { as }) })
    expect((await post()).status).toBe(401)
    expect((await post(writer.key)).status).toBe(403)
    expect((await post(bound.key)).status).toBe(403)
    expect((await post(admin.key)).status).toBe(201)
    const headers = { 'if-match': '"0"' }
    const path = `${CONFIGS}/1/activate`
    expect((await keyed.request('POST', path, { as: writer.key, headers })).status).toBe(403)
    expect((await keyed.request('POST', path, { as: bound.key, headers })).status).toBe(403)
    expect((await keyed.request('GET', `${CONFIGS}/1`, { as: bound.key })).status).toBe(200)
  })
})

const operations = tagged('routing').filter(
  ({ template, operation_id }) => template.startsWith(CONFIGS) && operation_id !== 'backtestRouterConfig',
)
everyOperation(operations)
meetAllTheyPromise(operations, { 'activateRouterConfig 422 idempotency_key_reused': 'its only body is {}' })

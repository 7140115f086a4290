import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { PROBLEMS, type ProblemCode, problemType } from '../../src/contract/problems.ts'
import { type TestApp, aKey, exchange, openTestApp } from '../support/http.ts'
import { clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp

beforeAll(async () => {
  app = await openTestApp({ api_keys: [aKey('admin').entry] })
})

afterAll(() => app.close())

/** A page for people: it is not in the document. */
const page = (path: string, method = 'GET') => exchange({ port: app.port, method, path })

describe('the contract', () => {
  it('is served as JSON and as YAML, the same', async () => {
    const json = await clientOf(app).get('/openapi.json')
    const yaml = await clientOf(app).get('/openapi.yaml')
    expect(json.body).toEqual(app.document)
    expect(parse(yaml.text)).toEqual(app.document)
    expect(yaml.headers['content-type']).toBe('application/yaml; charset=utf-8')
  })
})

describe('the page of a problem', () => {
  const CODES = Object.keys(PROBLEMS) as ProblemCode[]

  it.each(CODES)('explains %s to people', async (code) => {
    const { status, headers, text } = await clientOf(app).get(problemType(code))
    expect({ status, type: headers['content-type'] }).toEqual({
      status: 200,
      type: 'text/html; charset=utf-8',
    })
    expect(text).toContain(`<code>${code}</code>, status ${PROBLEMS[code].status}`)
    expect(text).not.toMatch(/`|<script/)
  })

  it.each(['nothing-of-the-kind', 'NOT-FOUND', 'not_found', 'constructor', '%3Cscript%3E', 'x'.repeat(64)])(
    'is not there for %s',
    async (slug) => {
      const { status, body } = await clientOf(app).get(`/problems/${slug}`)
      expect({ status, code: body.code }).toEqual({ status: 404, code: 'not_found' })
    },
  )

  it('has a name of bounded length', async () => {
    const { status, body } = await clientOf(app).get(`/problems/${'x'.repeat(65)}`)
    expect({ status, errors: body.errors }).toMatchObject({ status: 400, errors: [{ parameter: 'slug' }] })
  })
})

describe('the documentation', () => {
  const ASSET = /(?:src|href)="([^"]+)"/g

  it('is a page that needs nothing from elsewhere', async () => {
    const { status, headers, text } = await page('/docs')
    expect({ status, type: headers['content-type'] }).toEqual({
      status: 200,
      type: 'text/html; charset=utf-8',
    })
    const assets = [...text.matchAll(ASSET)].map(
      ([, path]) => new URL(path!, 'http://localhost/docs').pathname,
    )
    expect(assets.length).toBeGreaterThan(4)
    for (const path of assets) {
      const asset = await page(path)
      expect({ path, status: asset.status }).toEqual({ path, status: 200 })
      if (path.endsWith('.css')) expect(asset.text).not.toMatch(/@import|url\(['"]?https?:/)
    }
    expect(text).not.toMatch(/https?:\/\//)
  })

  it('forbids browsers to load anything from elsewhere, and does not force them to https', async () => {
    const policy = (await page('/docs')).headers['content-security-policy']
    expect(policy).toContain("default-src 'self'")
    expect(policy).not.toMatch(/https?:|swagger\.io|upgrade-insecure-requests|unsafe/)
  })

  it('cannot be framed by others, nor taken for another type', async () => {
    expect((await page('/docs')).headers).toMatchObject({
      'x-frame-options': 'SAMEORIGIN',
      'x-content-type-options': 'nosniff',
    })
  })

  it.each([
    ['/docs/static/nothing.js', 404],
    ['/docs/static/../../../package.json', 400],
    ['/docs/static/%2e%2e/%2e%2e/package.json', 400],
    ['/docs/static/..%2f..%2fpackage.json', 404],
    ['/docs/nothing', 404],
  ])('has nothing at %s', async (path, status) => {
    const answer = await page(path)
    expect(answer).toMatchObject({ status, body: { status, instance: path } })
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(answer.text).not.toMatch(/node_modules|\/static\/.*root/)
  })
})

const operations = tagged('health').filter(({ template }) => !/(z|metrics)$/.test(template))
everyOperation(operations)
meetAllTheyPromise(operations, {
  'getOpenApiJson 500 internal_error': 'it answers from memory',
  'getOpenApiYaml 500 internal_error': 'it answers from memory',
  'explainProblem 500 internal_error': 'it answers from memory',
})

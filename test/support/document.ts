import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { expect } from 'vitest'

/** As much of an OpenAPI document as the tests look at. */
export interface Document {
  openapi: string
  info: { description: string }
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

export interface Operation {
  operationId: string
  tags: string[]
  summary: string
  description: string
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, Media> }
  responses: Record<string, Documented>
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  schema: Schema
}

export interface Documented {
  description: string
  headers?: Record<string, { schema: Schema; description?: string }>
  content?: Record<string, Media>
}

export interface Media {
  schema: Schema
  example?: unknown
}

export type Schema = Record<string, unknown>

/** A response body is read as whatever came back. */
export type Json = ReturnType<typeof JSON.parse>

export interface Exchange {
  method: string
  path: string
  status: number
  headers: Record<string, string>
  text: string
}

/** What was answered so far in this test file: `getRun 200`, `getRun 404 run_not_found` … */
const met = new Set<string>()

/** What a document promises: every answer of the server is held against it. */
export interface Promises {
  /** @throws AssertionError if the document does not allow the answer */
  hold(exchange: Exchange): void
  /** What these operations may answer by their document, and have not answered in this test file. */
  unmet(operation_ids: string[]): string[]
}

export function promisesOf(document: Document): Promises {
  const validate = schemaChecker(document)
  const usual = anywhere(document)
  const find = operationFinder(document)

  return {
    hold(exchange) {
      const { method, status } = exchange
      const operation = find(exchange)
      const documented = operation?.responses[status]
      const code = status >= 400 ? holdProblem(exchange, validate) : null
      const is_usual = usual.some(
        (each) => each.status === status && (method === 'HEAD' || each.code === code),
      )
      if (operation === null || documented === undefined) {
        return expect(is_usual, `${nameOf(exchange)}: documented`).toBe(true)
      }
      if (code !== null && !is_usual) expect(codesOf(documented), nameOf(exchange)).toContain(code)
      holdContent(exchange, documented, validate)
      holdHeaders(exchange, documented)
      met.add([operation.operationId, status, code].filter((part) => part !== null).join(' '))
    },

    unmet: (operation_ids) =>
      operationsOf(document)
        .filter(({ operation }) => operation_ids.includes(operation.operationId))
        .flatMap(({ operation }) => promised(operation))
        .filter((promise) => !met.has(promise)),
  }
}

const nameOf = ({ method, path, status, text }: Exchange): string =>
  `${method} ${path} → ${status} ${text.slice(0, 200)}`

export interface Located {
  method: string
  path: string
  operation: Operation
}

export const operationsOf = ({ paths }: Document): Located[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )

/** The introduction lists what any request may meet. */
export const anywhere = ({ info }: Document): { status: number; code: string }[] =>
  [...info.description.matchAll(/(\d{3})\s`(\w+)`/g)].map(([, status, code = '']) => ({
    status: Number(status),
    code,
  }))

/** The description of a refusal names its codes. */
export const codesOf = ({ description }: Documented): string[] =>
  [...description.matchAll(/`(\w+)`: /g)].map(([, code]) => code ?? '')

function promised({ operationId, responses }: Operation): string[] {
  return Object.entries(responses).flatMap(([status, documented]) => {
    const codes = codesOf(documented)
    return codes.length === 0
      ? [`${operationId} ${status}`]
      : codes.map((code) => `${operationId} ${status} ${code}`)
  })
}

/** HEAD answers as GET does. */
function operationFinder(document: Document): (exchange: Exchange) => Operation | null {
  const operations = operationsOf(document).map(({ path, ...rest }) => ({
    ...rest,
    pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]*')}$`),
  }))
  return ({ method, path }) => {
    const asked = path.split('?', 1)[0] ?? path
    const verb = method === 'HEAD' ? 'GET' : method
    return operations.find((known) => known.method === verb && known.pattern.test(asked))?.operation ?? null
  }
}

type Validate = (schema: Schema, value: unknown) => void

/** The apps of one file have the same document: what was compiled for one is good for all. */
const checkers = new Map<string, Validate>()

/** Schemas of the document against values: examples, and what came back. */
export function schemaChecker(document: Document): Validate {
  const text = JSON.stringify(document)
  const checker = checkers.get(text) ?? newChecker(document)
  checkers.set(text, checker)
  return checker
}

function newChecker(document: Document): Validate {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false })
  formats.default(ajv)
  ajv.addSchema(document, 'document')
  const compiled = new Map<string, ValidateFunction>()
  return (schema, value) => {
    const text = JSON.stringify(schema)
    const validate = compiled.get(text) ?? ajv.compile(JSON.parse(text.replaceAll('"#/', '"document#/')))
    compiled.set(text, validate)
    if (!validate(value)) expect({ value, errors: validate.errors }).toEqual({ value, errors: [] })
  }
}

/** RFC 9457, and what ours adds: the same for every refusal. Answers its code; null where HEAD has no body. */
function holdProblem({ method, path, status, headers, text }: Exchange, validate: Validate): string | null {
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
  if (method === 'HEAD') return null
  const problem: Json = JSON.parse(text)
  validate({ $ref: '#/components/schemas/Problem' }, problem)
  expect(problem).toMatchObject({
    type: `/problems/${problem.code.replaceAll('_', '-')}`,
    status,
    instance: path.split('?', 1)[0],
    http_request_id: headers['x-request-id'],
  })
  expect(text).not.toMatch(INTERNALS)
  return problem.code
}

/** A stack, a file, SQL, or the driver's words. */
const INTERNALS =
  /\.ts\b|\.js:|node_modules|node:|\bat \S+ \(|SQLITE|SqliteError|\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b|TypeError|\/src\//

function holdContent(
  { method, status, headers, text }: Exchange,
  { content }: Documented,
  validate: Validate,
): void {
  if (content === undefined) return expect(text).toBe('')
  const type = (headers['content-type'] ?? '').split(';', 1)[0] ?? ''
  expect(Object.keys(content), `content type of ${status}`).toContain(type)
  if (method === 'HEAD') return expect(text).toBe('')
  const schema = content[type]?.schema
  if (schema !== undefined && type.endsWith('json')) validate(schema, JSON.parse(text))
}

const TELLING = ['etag', 'location', 'link', 'idempotency-replayed', 'retry-after', 'www-authenticate']
const NOT_ALWAYS = ['link', 'idempotency-replayed']

/** What is documented comes (but for what is there only sometimes), and what comes is documented. */
function holdHeaders({ status, headers }: Exchange, documented: Documented): void {
  const named = Object.keys(documented.headers ?? {}).map((name) => name.toLowerCase())
  const present = TELLING.filter((name) => headers[name] !== undefined)
  expect(
    present.filter((name) => !NOT_ALWAYS.includes(name)),
    `headers of ${status}`,
  ).toEqual(TELLING.filter((name) => named.includes(name) && !NOT_ALWAYS.includes(name)))
  expect(named, `headers of ${status}`).toEqual(expect.arrayContaining(present))
}

import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { PROBLEMS, type ProblemCode } from '../src/contract/problems.ts'
import { COMMITTED } from './http/operations.ts'
import {
  type Media,
  type Operation,
  type Schema,
  anywhere,
  codesOf,
  operationsOf,
  schemaChecker,
} from './support/document.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const file = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

const OPERATION_IDS = [
  'activateRouterConfig',
  'appendRunEvent',
  'backtestRouterConfig',
  'cancelExecutionRequest',
  'cancelRun',
  'claimExecutionRequests',
  'completeExecutionRequest',
  'completeRun',
  'completeStepAttempt',
  'createExecutionRequest',
  'createRouteDecision',
  'createRouterConfig',
  'createRun',
  'createStepAttempt',
  'diagnoseExecutionRequest',
  'diffRouterConfigs',
  'explainProblem',
  'explainRoute',
  'failExecutionRequest',
  'getActiveRouterConfig',
  'getExecutionRequest',
  'getLiveness',
  'getMetrics',
  'getOpenApiJson',
  'getOpenApiYaml',
  'getReadiness',
  'getRouteDecision',
  'getRouterConfig',
  'getRun',
  'getRunPlan',
  'getRunSummary',
  'getSchema',
  'getStatistics',
  'getStepAttempt',
  'getTool',
  'getWorker',
  'heartbeatExecutionRequest',
  'listEvents',
  'listExecutionRequests',
  'listRouteDecisions',
  'listRouterConfigs',
  'listRunEvents',
  'listRunTransitions',
  'listRuns',
  'listSchemas',
  'listStateMachines',
  'listStepAttempts',
  'listTools',
  'listWorkers',
  'pauseTool',
  'quarantineRun',
  'rejectExecutionRequest',
  'releaseExecutionRequest',
  'replayRouteDecision',
  'resetTool',
  'resumeTool',
  'retryStepAttempt',
  'startRun',
  'streamEvents',
  'streamRunEvents',
  'submitTasks',
  'updateRun',
  'validateDocument',
  'verifyRunEvents',
]

const located = operationsOf(COMMITTED)
const operations = located.map(({ operation }) => [operation.operationId, operation] as const)
const components = Object.entries(COMMITTED.components.schemas)

/** Every schema inside, the outermost first, with where it stands. */
function* schemasIn(schema: Schema, at: string): Generator<[at: string, schema: Schema]> {
  yield [at, schema]
  const inner: [string, unknown][] = [
    ...Object.entries(schema['properties'] ?? {}),
    ...((schema['anyOf'] ?? []) as unknown[]).map((each, i): [string, unknown] => [`anyOf/${i}`, each]),
    ['items', schema['items']],
    ['additionalProperties', schema['additionalProperties']],
  ]
  for (const [name, each] of inner) {
    if (typeof each === 'object' && each !== null) yield* schemasIn(each as Schema, `${at}/${name}`)
  }
}

const mediaOf = ({ requestBody, responses }: Operation): Media[] =>
  [requestBody, ...Object.values(responses)].flatMap((body) => Object.values(body?.content ?? {}))

/** Every schema of the document, with its component or operation as the first part of its place. */
const everySchema = [
  ...components.map(([name, schema]) => [name, schema] as const),
  ...located.flatMap(({ operation }) => {
    const id = operation.operationId
    const parameters = (operation.parameters ?? []).map(
      ({ name, schema }) => [`${id} ${name}`, schema] as const,
    )
    return [...parameters, ...mediaOf(operation).map(({ schema }) => [id, schema] as const)]
  }),
].flatMap(([at, schema]) => [...schemasIn(schema, at)])

const inner = everySchema.filter(([at]) => at.includes('/') || at.includes(' '))

describe('the document', () => {
  it('is OpenAPI 3.1.1', () => {
    expect(COMMITTED.openapi).toBe('3.1.1')
  })

  it('has every operation once, under the name that clients know', () => {
    expect(operations.map(([operation_id]) => operation_id).sort()).toEqual(OPERATION_IDS)
    for (const operation_id of OPERATION_IDS) expect(operation_id).toMatch(/^[a-z]+([A-Z][a-z]+)+$/)
  })

  it('says the same as JSON and as YAML', () => {
    expect(parse(file('openapi/openapi.yaml'))).toEqual(JSON.parse(file('openapi/openapi.json')))
  })

  it('describes every tag, and has none without an operation', () => {
    const used = new Set(operations.flatMap(([, { tags }]) => tags))
    expect(COMMITTED.tags.map(({ name }) => name).sort()).toEqual([...used].sort())
    for (const { description } of COMMITTED.tags) expect(description).toMatch(/\.$/)
  })

  it.each(operations)('%s has a summary, a description and one tag', (_name, operation) => {
    expect(operation.summary).toMatch(/^[A-Z].*[^.]$/)
    expect(operation.description).toMatch(/[.]$/)
    expect(operation.tags).toHaveLength(1)
  })

  it.each(operations)('%s describes each of its parameters', (_name, { parameters = [] }) => {
    for (const parameter of parameters) {
      expect(parameter, parameter.name).toHaveProperty('description', expect.stringMatching(/\.$/))
    }
  })

  it.each(operations)('%s lists its errors: each with its codes, as problems', (_name, { responses }) => {
    const errors = Object.entries(responses).filter(([status]) => Number(status) >= 400)
    expect(errors.map(([status]) => status)).toEqual(expect.arrayContaining(['400', '403', '421', '500']))
    for (const [status, documented] of errors) {
      expect(Object.keys(documented.content!)).toEqual(['application/problem+json'])
      const { schema } = documented.content!['application/problem+json']!
      expect(schema).toEqual({ $ref: '#/components/schemas/Problem' })
      for (const code of codesOf(documented))
        expect(PROBLEMS).toHaveProperty(`${code}.status`, Number(status))
    }
  })

  it.each(operations)('%s shows an example of each body, and it is valid', (_name, operation) => {
    const check = schemaChecker(COMMITTED)
    const media = mediaOf(operation).filter(({ schema }) => schema['$ref'] !== undefined)
    for (const { schema, example } of media) {
      expect(example, JSON.stringify(schema)).toBeDefined()
      check(schema, example)
    }
    for (const [status, { content = {} }] of Object.entries(operation.responses)) {
      const problem = content['application/problem+json']?.example
      if (problem !== undefined) expect(problem).toHaveProperty('status', Number(status))
    }
  })

  it.each(components.filter(([, { examples }]) => examples !== undefined))(
    'the examples of %s are valid',
    (_name, schema) => {
      for (const example of schema['examples'] as unknown[]) schemaChecker(COMMITTED)(schema, example)
    },
  )
})

describe('what generators of clients choke on is not there', () => {
  const schemas: (Schema & { at: string })[] = inner.map(([at, schema]) => ({ ...schema, at }))

  it('two successes with a body', () => {
    for (const [name, { responses }] of operations) {
      const successes = Object.entries(responses).filter(([status, { content }]) => {
        return Number(status) < 300 && content !== undefined
      })
      expect(successes, name).toHaveLength(1)
    }
  })

  it('names of components that differ only in case, or that no person has given', () => {
    const names = components.map(([name]) => name)
    for (const name of names) expect(name).toMatch(/^[A-Z][a-z0-9]*([A-Z][a-z0-9]*)*$/)
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length)
  })

  it('components that are missing or that nobody uses', () => {
    const used = new Set(
      [...JSON.stringify(COMMITTED).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name),
    )
    expect([...used].sort()).toEqual(components.map(([name]) => name).sort())
  })

  it('types that are mixed, but for null', () => {
    const mixed = schemas.filter(
      ({ type }) => Array.isArray(type) && !(type.length === 2 && type[1] === 'null'),
    )
    expect(mixed).toEqual([])
  })

  it('unions, but of one reference with null, and of one with a list of it where the document has that', () => {
    for (const { at, anyOf, oneOf, allOf } of schemas) {
      expect([oneOf, allOf], at).toEqual([undefined, undefined])
      if (anyOf === undefined) continue
      const [one] = anyOf as Schema[]
      const other = at.startsWith('RuleMatch/') ? { type: 'array', items: one } : { type: 'null' }
      expect(anyOf, at).toEqual([{ $ref: expect.any(String) }, other])
    }
  })

  it('words that are listed anywhere but in a component of their own', () => {
    expect(schemas.filter((schema) => 'enum' in schema || 'const' in schema)).toEqual([])
  })

  it('objects without a name inside others', () => {
    expect(schemas.filter(({ properties }) => properties !== undefined)).toEqual([])
  })

  it('bodies that are not one component, but for documents, text and freely shaped JSON', () => {
    for (const [name, operation] of operations) {
      for (const { schema } of mediaOf(operation)) {
        const free = schema['type'] === 'string' || schema['additionalProperties'] === true
        if (!free) expect(Object.keys(schema), name).toEqual(['$ref'])
      }
    }
  })

  it('one name for two parameters of an operation', () => {
    for (const [name, { parameters = [] }] of operations) {
      const names = parameters.map((parameter) => parameter.name.toLowerCase())
      expect(new Set(names).size, name).toBe(names.length)
    }
  })

  it('a default of what is required', () => {
    for (const [name, { parameters = [] }] of operations) {
      for (const { required, schema } of parameters) {
        if (required) expect(schema, name).not.toHaveProperty('default')
      }
    }
    for (const [at, { required = [], properties = {} }] of everySchema as [string, Json][]) {
      for (const field of required) expect(properties[field], at).not.toHaveProperty('default')
    }
  })

  it('headers whose schema is inside another schema', () => {
    for (const [name, { responses }] of operations) {
      for (const { headers = {} } of Object.values(responses)) {
        for (const { schema } of Object.values(headers)) expect(schema, name).toEqual({ type: 'string' })
      }
    }
  })
})

type Json = ReturnType<typeof JSON.parse>

describe('the words of the document', () => {
  const SNAKE = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/

  it('are snake_case in fields, queries and paths, kebab-case between slashes', () => {
    for (const [at, { properties = {} }] of everySchema) {
      for (const field of Object.keys(properties as object)) expect(field, at).toMatch(SNAKE)
    }
    for (const [, { parameters = [] }] of operations) {
      for (const { name, in: place } of parameters) if (place !== 'header') expect(name).toMatch(SNAKE)
    }
    for (const path of Object.keys(COMMITTED.paths)) {
      for (const part of path.slice(1).split('/')) {
        expect(part).toMatch(/^([a-z0-9]+(-[a-z0-9]+)*(\.(json|yaml))?|\{[a-z_]+\})$/)
      }
    }
  })

  it('are snake_case in lists of words, but for HTTP’s own', () => {
    for (const [name, schema] of components) {
      if (name === 'HttpMethod') continue
      for (const word of (schema['enum'] ?? []) as string[]) expect(word, name).toMatch(SNAKE)
    }
  })

  it('are explained: each component, and each field that is not a component itself', () => {
    for (const [name, schema] of components) {
      expect(schema['description'], name).toMatch(/\.$/)
      for (const [field, inside] of Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)) {
        const is_reference = '$ref' in inside || 'anyOf' in inside
        if (!is_reference) expect(inside['description'], `${name}.${field}`).toMatch(/[.…)]$/)
      }
    }
  })

  /** What other programs put into their configuration is kept, and warned of. */
  const OF_THE_CONFIGURATION = [
    'AppCapabilities',
    'AppCircuit',
    'AppLimits',
    'AutoDefaults',
    'AutoWeights',
    'RouterApp',
    'RouterDefaults',
    'RouterRouting',
    'RoutingRule',
    'RuleMatch',
  ]

  /** The same of tasks as other programs write them. */
  const OF_TASKS = ['PlanClassification', 'PlanConstraints', 'PlanExecution', 'PlanScope', 'PlanTemplate']

  it('are all there are: objects are closed, but for problems and parts of documents, which may grow', () => {
    const open = components.filter(([, { properties, additionalProperties }]) => {
      return properties !== undefined && additionalProperties !== false
    })
    expect(open.map(([name]) => name).sort()).toEqual(
      [...OF_THE_CONFIGURATION, ...OF_TASKS, 'Fault', 'Problem'].sort(),
    )
  })
})

describe('the codes of problems', () => {
  const CODES = Object.keys(PROBLEMS) as ProblemCode[]
  const source = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('contract/'))
    .map((path) => file(`src/${path}`))
    .join('\n')

  it.each(CODES)('%s is documented: at an operation, or as what any request may meet', (code) => {
    const { status } = PROBLEMS[code]
    const documented = operations.flatMap(([, { responses }]) => {
      const at_status = responses[status]
      return at_status === undefined ? [] : codesOf(at_status)
    })
    const usual = anywhere(COMMITTED).filter((each) => each.status === status)
    expect([...documented, ...usual.map((each) => each.code)]).toContain(code)
  })

  it.each(CODES)('%s is thrown somewhere', (code) => {
    const thrown = new RegExp(`(LedgerError|refusal)\\(\\s*'${code}'|: \\['${code}',`)
    expect(thrown.test(source)).toBe(true)
  })

  it('are all that is thrown', () => {
    for (const [, code] of source.matchAll(/LedgerError\(\s*'(\w+)'/g)) expect(CODES).toContain(code)
  })
})

describe('the committed document', () => {
  it('is clean to redocly, with every rule that it recommends', { timeout: 60_000 }, async () => {
    const redocly = join(ROOT, 'node_modules/@redocly/cli/bin/cli.js')
    const args = [redocly, 'lint', '--extends=recommended-strict', 'openapi/openapi.yaml']
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
    const { stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, env })
    expect(stderr).toContain('Your API description is valid')
    expect(stderr).not.toMatch(/warning|error/i)
  })
})

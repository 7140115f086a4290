import type { TObject } from '@sinclair/typebox'
import addFormats from 'ajv-formats'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { Ulid } from '../../src/contract/common.ts'
import { document, standalone } from '../../src/contract/documents/document.ts'
import { documents } from '../../src/contract/documents/index.ts'
import { Event } from '../../src/contract/event.ts'
import { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import { ref } from '../../src/contract/named.ts'
import { Run } from '../../src/contract/run.ts'
import { StepAttempt } from '../../src/contract/step.ts'
import { buildChecks } from '../../src/http/validation.ts'
import {
  FIELDS,
  type Field,
  changed,
  fullDocument,
  leastDocument,
  isClosed,
  objectAt,
  objectWithin,
  segmentsOf,
  valuesFor,
} from './documents.cases.ts'

interface Node {
  $ref?: string
  anyOf?: Node[]
  properties?: Record<string, Node>
  items?: Node
  additionalProperties?: Node | boolean
  description?: string
  default?: unknown
  examples?: unknown[]
  $defs?: Record<string, Node>
}

/** Documents that an API resource is too: they take what the resource has beside the fields of the table. */
const RESOURCES: Record<string, Pick<TObject, 'properties' | 'examples'>> = {
  'run_record.v1': Run,
  'step_attempt.v1': StepAttempt,
  'run_event.v1': Event,
  'execution_request.v1': ExecutionRequestStory,
}

const ROUTER_FIELDS = [
  'apps.<key>.args',
  'apps.<key>.description',
  'apps.<key>.cost_per_call_usd_micros',
  'apps.<key>.circuit',
  'routing.rules[].description',
  'routing.rules[].fallback_to',
  'routing.rules[].min_safety_tier',
  'routing.rules[].match.domain',
  'routing.rules[].match.priority',
  'routing.rules[].match.project_id',
  'routing.rules[].match.labels',
  'defaults.auto',
  'defaults.when_all_open',
]
const addedTo = (name: string): string[] =>
  name === 'router_config.v1' ? ROUTER_FIELDS : Object.keys(RESOURCES[name]?.properties ?? {})

// As strict as a validator can be: no unknown keyword or format, no constraint without its type.
const strict = new Ajv2020({ strict: true, allErrors: true })
addFormats.default(strict)
const compile = buildChecks()

const schemaOf = (name: string): Node => {
  const schema = documents.get(name)
  if (schema === undefined) throw new Error(`there is no schema ${name}`)
  return schema as Node // JSON Schema, of which this test reads these keywords
}

/** Where a document breaks its schema. The server's own validator and a strict one must agree that it does. */
function checkerOf(name: string): (document: unknown) => string[] {
  const schema = schemaOf(name)
  const validate = strict.compile(schema)
  const check = compile({ ...schema })
  return (document) => {
    const isValid = validate(document)
    const places = (validate.errors ?? []).map(({ instancePath, params }) => {
      const inner = (params['missingProperty'] ?? params['additionalProperty']) as string | undefined
      return inner === undefined ? instancePath : `${instancePath}/${inner}`
    })
    expect(check(document).length === 0, `the server agrees about ${JSON.stringify(document)}`).toBe(isValid)
    return isValid ? [] : places
  }
}

const pointerTo = (path: string): string => `/${segmentsOf(path).join('/')}`
const rulesIn = ({ path, types, isRequired, rules }: Field): string =>
  `${path}: ${types.join(' or ')}${isRequired ? ', required' : ''} ${JSON.stringify(rules)}`

it('refuses to publish a reference that leads nowhere', () => {
  const lost = document({ title: 'Lost', description: 'Lost.', example: { a: '' } }, { a: ref(Ulid) })
  expect(() => standalone('lost.v1', lost, [])).toThrow('lost.v1 refers to Ulid, which is not a named schema')
})

it('has exactly the documents of the table', () => {
  expect([...documents.keys()]).toEqual([...FIELDS.keys()])
})

describe.each([...FIELDS])('%s', (name, fields) => {
  const faultsIn = checkerOf(name)
  const full = fullDocument(fields)

  const expectValid = (document: unknown) => expect(faultsIn(document), JSON.stringify(document)).toEqual([])
  const expectFault = (document: unknown, pointer: string) => {
    const places = faultsIn(document)
    const isThere = places.some((place) => place === pointer || place.startsWith(`${pointer}/`))
    expect(isThere, `a fault at ${pointer} and not ${places.join(' ')}: ${JSON.stringify(document)}`).toBe(
      true,
    )
  }

  it('stands alone, with a title, a description and a valid example', () => {
    const schema = documents.get(name)
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: `${name}.json`,
      title: expect.stringMatching(/^[A-Z]/),
      description: expect.stringMatching(/\.$/),
    })
    expect(JSON.stringify(schema)).not.toContain('"x-')
    const [example, ...others] = schemaOf(name).examples ?? []
    expectValid(example)
    expect(others).toEqual([])
  })

  it('takes every field of the table, and needs no more than those that are required', () => {
    expectValid(full)
    expectValid(leastDocument(fields))
  })

  it('is an object', () => {
    for (const document of [null, true, 7, 'text', [], [full]]) expectFault(document, '')
  })

  it('refuses a field that it does not know', () => expectFault({ ...full, surplus: 1 }, '/surplus'))

  it('has no field beside those of the table and those that the API adds', () => {
    const own = new Set(fields.map(({ path }) => path))
    const added = addedTo(name).filter((path) => !own.has(path))
    const extra = pathsIn(schemaOf(name), schemaOf(name)).filter((path) => !own.has(path))
    const isWithin = (path: string, outer: string) =>
      path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[].`)
    expect(extra.filter((path) => !added.some((outer) => isWithin(path, outer)))).toEqual([])
    expect(added.filter((outer) => !extra.includes(outer))).toEqual([])
  })

  it.each(fields.map((field) => [rulesIn(field), field] as const))('%s', (_rules, field) => {
    const { path, isRequired, rules } = field
    const pointer = pointerTo(path)
    const { good, bad } = valuesFor(field)
    for (const value of good) expectValid(changed(full, path, value))
    for (const value of bad) expectFault(changed(full, path, value), pointer)

    const without = changed(full, path, undefined)
    if (isRequired) expectFault(without, pointer)
    else expectValid(without)

    const inner = objectWithin(field)
    if (inner !== null) {
      const surplus = changed(full, inner, { ...objectAt(full, inner), surplus: 1 })
      if (isClosed(field)) expectFault(surplus, `${pointerTo(inner)}/surplus`)
      else expectValid(surplus)
    }

    const node = nodeAt(name, path)
    expect(node.description ?? resolved(schemaOf(name), node).description, 'a description').toMatch(/[.…]$/)
    if ('default' in rules) expect(node.default).toEqual(rules.default)
  })
})

/** The schema at a path of the table. */
function nodeAt(name: string, path: string): Node {
  const root = schemaOf(name)
  return path.split('.').reduce<Node>((node, segment) => {
    const target = resolved(root, node)
    if (segment === '<key>') return target.additionalProperties as Node
    const property = target.properties?.[segment.replace('[]', '')] ?? {}
    return segment.endsWith('[]') ? (resolved(root, property).items ?? {}) : property
  }, root)
}

/** What a reference points at, through a null that may stand beside it. */
function resolved(root: Node, node: Node): Node {
  const [first] = node.anyOf ?? []
  if (first !== undefined) return resolved(root, first)
  if (node.$ref === undefined) return node
  return root.$defs?.[node.$ref.replace('#/$defs/', '')] ?? {}
}

/** Every path that a schema knows, written as in the table. */
function pathsIn(root: Node, node: Node): string[] {
  const target = resolved(root, node)
  return Object.entries(target.properties ?? {}).flatMap(([name, property]) => {
    const inner = resolved(root, property)
    const { additionalProperties: values, items } = inner
    const below = [
      ...pathsIn(root, inner).map((path) => `${name}.${path}`),
      ...(items === undefined ? [] : pathsIn(root, items).map((path) => `${name}[].${path}`)),
      ...(typeof values === 'object' ? pathsIn(root, values).map((path) => `${name}.<key>.${path}`) : []),
    ]
    return [name, ...below]
  })
}

describe('documents that an API resource is too', () => {
  it.each(Object.entries(RESOURCES))('%s takes what the API answers', (name, resource) => {
    const [example] = resource.examples as [object]
    expect(Object.keys(example).sort()).toEqual(Object.keys(resource.properties).sort())
    expect(checkerOf(name)(example)).toEqual([])
  })

  it.each(['run_record.v1', 'step_attempt.v1', 'run_event.v1', 'execution_request.v1'])(
    '%s takes what the original framework wrote: only what is required, and of any length',
    (name) => {
      const least = leastDocument(FIELDS.get(name) ?? [])
      expect(checkerOf(name)(least)).toEqual([])
      for (const field of ['project_id', 'phase_id', 'tool_id'].filter((each) => each in least)) {
        expect(checkerOf(name)({ ...least, [field]: 'x'.repeat(1_000) })).toEqual([])
      }
    },
  )

  it.each([
    'run_created',
    'run_started',
    'run_state_changed',
    'tool_call_started',
    'tool_call_completed',
    'tool_call_error',
    'patch_created',
    'patch_validated',
    'patch_apply_started',
    'patch_apply_succeeded',
    'patch_apply_failed',
    'patch_quarantined',
    'error_pipeline_triggered',
    'phase_transition',
    'note',
  ])('run_event.v1 takes the kind %s', (kind) => {
    const least = leastDocument(FIELDS.get('run_event.v1') ?? [])
    expect(checkerOf('run_event.v1')({ ...least, kind })).toEqual([])
  })
})

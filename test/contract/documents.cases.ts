import { TABLES } from './documents.table.ts'

interface Rules {
  closed?: boolean
  uniqueItems?: boolean
  ULID26?: boolean
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  pattern?: string
  format?: string
  const?: string
  enum?: string[]
  default?: unknown
  items?: Rules
}

export interface Field {
  path: string
  types: string[]
  isRequired: boolean
  rules: Rules
}

/** Values that a field takes and values that it must refuse, whatever stands around it. */
export interface Values {
  good: unknown[]
  bad: unknown[]
}

type Json = Record<string | number, unknown>

const NAMES = Object.keys(TABLES)
const REFERENCES: Record<string, string> = { 'array<task_spec.v1>': 'task_spec.v1' }

/** Every document with its fields; those of a document that it refers to stand under the field that refers. */
export const FIELDS: ReadonlyMap<string, Field[]> = new Map(NAMES.map((name) => [name, fieldsOf(name)]))

function fieldsOf(name: string): Field[] {
  const lines = (TABLES[name] ?? '').split('\n').filter((line) => line.trim() !== '')
  return lines.flatMap((line) => {
    const [path = '', types = '', required = '', ...rules] = line.trim().split(/\s+/)
    const isRequired = required === 'yes'
    const field = { path, types: types.split('|'), isRequired, rules: parseRules(rules.join(' ')) }
    const other = REFERENCES[types]
    if (other === undefined) return [field]
    return [field, ...fieldsOf(other).map((inner) => ({ ...inner, path: `${path}[].${inner.path}` }))]
  })
}

function parseRules(text: string): Rules {
  const [own = '', items] = text.split('items: ')
  const parts = own.split(';').map((part) => part.trim())
  const rules = Object.fromEntries(parts.filter((part) => part !== '').map(parseRule))
  return items === undefined ? rules : { ...rules, items: parseRules(items) }
}

function parseRule(rule: string): [string, unknown] {
  const [word = '', ...rest] = rule.split(' ')
  const argument = rest.join(' ')
  if (['closed', 'uniqueItems', 'ULID26'].includes(word)) return [word, true]
  if (['minLength', 'maxLength', 'minimum', 'maximum'].includes(word)) return [word, Number(argument)]
  if (['pattern', 'format', 'const'].includes(word)) return [word, argument]
  if (word === 'enum') return [word, argument.split(' / ')]
  if (word === 'default') return [word, JSON.parse(argument)]
  throw new Error(`no such rule: ${rule}`)
}

const ULID = '01JD8Z6V3QK0T2M4N6P8R0S2T4'
const SOME: [type: string, value: unknown][] = [
  ['string', 'text'],
  ['integer', 7],
  ['number', 1.5],
  ['boolean', true],
  ['null', null],
  ['array', []],
  ['object', {}],
]
const PATTERNS: Record<string, Values> = {
  [String.raw`^[0-9]+\.[0-9]+\.[0-9]+$`]: {
    good: ['1.0.0', '10.20.30'],
    bad: ['', '1', '1.0', 'v1.0.0', '1.0.0-rc.1', '1.0.0.0'],
  },
  '^[a-z][a-z0-9_]{0,63}$': {
    good: ['note', 'deployed_v2'],
    bad: ['', 'Note', '2nd', 'a-b', 'a'.repeat(65)],
  },
}

export function valuesFor({ types, rules }: Field): Values {
  const all = types.map((type) => valuesOf(type, types.length > 1 ? { ...rules.items, ...rules } : rules))
  const wrong = SOME.filter(([name]) => !types.some((type) => takes(type, name))).map(([, value]) => value)
  return { good: all.flatMap(({ good }) => good), bad: [...all.flatMap(({ bad }) => bad), ...wrong] }
}

const takes = (type: string, name: string): boolean =>
  type === name ||
  (type === 'number' && name === 'integer') ||
  (type.startsWith('array<') && name === 'array') ||
  (type === 'map<object>' && name === 'object')

function valuesOf(type: string, rules: Rules): Values {
  if (type === 'null') return { good: [null], bad: [] }
  if (type === 'boolean') return { good: [true, false], bad: [] }
  if (type === 'integer' || type === 'number') return numbers(type, rules)
  if (type === 'string') return strings(rules)
  if (type === 'array<string>') return lists(rules)
  if (type === 'map<object>') return { good: [{}], bad: [{ any: 7 }, { any: null }] }
  if (type.startsWith('array<')) return { good: [[]], bad: [[7], ['text'], [null]] }
  if (type === 'object') return { good: [], bad: [] } // what it may hold say the fields under it
  throw new Error(`no such type: ${type}`)
}

function numbers(type: string, { minimum, maximum }: Rules): Values {
  const good = [minimum ?? -1, maximum ?? 1_000_000_000]
  const bad = [
    ...(minimum === undefined ? [] : [minimum - 1]),
    ...(maximum === undefined ? [] : [maximum + 1]),
  ]
  return type === 'integer' ? { good, bad: [...bad, 41.5] } : { good: [...good, 0.5], bad }
}

function strings(rules: Rules): Values {
  if (rules.const !== undefined) return { good: [rules.const], bad: ['', 'other'] }
  if (rules.enum !== undefined) return { good: rules.enum, bad: ['', 'no_such_word'] }
  if (rules.ULID26) {
    const bad = ['', ULID.toLowerCase(), ULID.slice(1), `${ULID}0`, `8${ULID.slice(1)}`, `${ULID.slice(1)}I`]
    return { good: [ULID], bad }
  }
  if (rules.format === 'date-time') {
    const good = ['2026-01-05T09:30:00Z', '2026-01-05T09:30:00.250Z', '2026-01-05T09:30:00+02:00']
    return { good, bad: ['', 'now', '2026-01-05', '2026-01-05T09:30:00', '2026-02-30T09:30:00Z'] }
  }
  if (rules.pattern !== undefined) return patterned(rules.pattern)
  const { minLength = 0, maxLength } = rules
  return {
    good: ['x'.repeat(minLength), 'x'.repeat(maxLength ?? 5_000)],
    bad: [...(minLength > 0 ? [''] : []), ...(maxLength === undefined ? [] : ['x'.repeat(maxLength + 1)])],
  }
}

function patterned(pattern: string): Values {
  const values = PATTERNS[pattern]
  if (values === undefined) throw new Error(`no values for the pattern ${pattern}`)
  return values
}

function lists({ uniqueItems = false, items = {} }: Rules): Values {
  const { good, bad } = strings(items)
  const [one] = good
  const twice = [one, one]
  const rest = bad.map((item) => [one, item])
  return uniqueItems
    ? { good: [[], good], bad: [twice, [7], [null], ...rest] }
    : { good: [[], good, twice], bad: [[7], [null], ...rest] }
}

/** Where a field is in a document that has one item in each list and one entry, `any`, in each map. */
export const segmentsOf = (path: string): (string | number)[] =>
  path.split('.').flatMap((name): (string | number)[] => {
    if (name === '<key>') return ['any']
    return name.endsWith('[]') ? [name.slice(0, -2), 0] : [name]
  })

/** The path of the object that a field is, or of one that it holds. */
export function objectWithin({ path, types }: Field): string | null {
  if (types.includes('object')) return path
  if (types.includes('map<object>')) return `${path}.<key>`
  return types.some((type) => type === 'array<object>' || type in REFERENCES) ? `${path}[]` : null
}

/** Whether that object refuses fields that it does not know, as the root of every document does. */
export const isClosed = ({ types, rules }: Field): boolean =>
  rules.closed === true || types.some((type) => type in REFERENCES)

/** A document that has every field of the table. */
export function fullDocument(fields: Field[]): Json {
  const whole: Json = {}
  for (const field of fields) put(whole, segmentsOf(field.path), filled(field))
  return whole
}

function filled(field: Field): unknown {
  const [type = ''] = field.types
  if (type === 'object') return {}
  if (type === 'map<object>') return { any: {} }
  if (type === 'array<object>' || type in REFERENCES) return [{}]
  return type === 'array<string>' ? [strings(field.rules.items ?? {}).good[0]] : valuesFor(field).good[0]
}

/** A document that has what is required and nothing else; its lists and maps are empty. */
export function leastDocument(fields: Field[]): Json {
  const least: Json = {}
  const isNeeded = ({ path, isRequired }: Field): boolean => {
    const above = path.slice(0, Math.max(path.lastIndexOf('.'), 0))
    return (
      isRequired &&
      !/\[\]|<key>/.test(path) &&
      (above === '' || fields.some((f) => f.path === above && isNeeded(f)))
    )
  }
  for (const field of fields.filter(isNeeded)) {
    const [type = ''] = field.types
    const empty = type.startsWith('array<') ? [] : {}
    put(least, segmentsOf(field.path), /^(array|map|object)/.test(type) ? empty : filled(field))
  }
  return least
}

/** The document with another value in one place; undefined takes the field away. */
export function changed(whole: Json, path: string, value: unknown): Json {
  const copy = structuredClone(whole)
  put(copy, segmentsOf(path), value)
  return copy
}

/** The object that the document has at a path. */
export function objectAt(whole: Json, path: string): Json {
  return segmentsOf(path).reduce<Json>((at, segment) => at[segment] as Json, whole)
}

function put(whole: Json, segments: (string | number)[], value: unknown): void {
  const last = segments.at(-1) ?? ''
  const parent = segments.slice(0, -1).reduce<Json>((at, segment) => at[segment] as Json, whole)
  if (value === undefined) delete parent[last]
  else parent[last] = value
}

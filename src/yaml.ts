import { type Document, isNode, isScalar, parseDocument, visit } from 'yaml'
import { LIMITS } from './contract/limits.ts'
import { LedgerError } from './domain/error.ts'

/**
 * The JSON of a YAML 1.2 document that holds nothing which JSON cannot say: no tags beyond the core schema, no key
 * twice, no mapping that is not by text, and few enough aliases that it stays small.
 * @throws LedgerError `malformed_yaml`, or `body_too_large` if the aliases make it so
 */
export function jsonOf(text: string): string {
  const value = valueOf(documentOf(text))
  const size = { left: LIMITS.body_bytes }
  requireJson(value, LIMITS.json_depth, size)
  return JSON.stringify(value)
}

function documentOf(text: string): Document {
  const document = parsed(text)
  const [fault] = [...document.errors, ...document.warnings]
  if (fault?.code === 'RESOURCE_EXHAUSTION') throw tooDeep()
  if (fault !== undefined) throw malformedAt(text, fault.pos[0], fault.message)
  const { explicit, version } = document.directives?.yaml ?? {}
  if (explicit === true && version !== '1.2') throw malformed('Only YAML 1.2 is read.')
  requireUniqueKeys(text, document)
  return document
}

/** The parser would compare each key with all before it. */
function requireUniqueKeys(text: string, document: Document): void {
  visit(document, {
    Map(_place, { items }) {
      const seen = new Set<unknown>()
      for (const { key } of items) {
        const name = isScalar(key) ? key.value : key // an alias of a text is a key, too
        if (seen.has(name)) throw malformedAt(text, startOf(key), 'Map keys must be unique')
        seen.add(name)
      }
    },
  })
}

const startOf = (key: unknown): number => (isNode(key) ? (key.range?.[0] ?? 0) : 0)

/** What nests too deep for the parser breaks it. */
function parsed(text: string): Document {
  try {
    return parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      strict: true,
      stringKeys: true,
      uniqueKeys: false,
      prettyErrors: false, // for each of thousands it would search the text
      logLevel: 'error',
    })
  } catch {
    throw tooDeep()
  }
}

function valueOf(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: LIMITS.yaml_aliases })
  } catch {
    throw malformed(`The body has more than ${LIMITS.yaml_aliases} aliases, or one that stands for nothing.`)
  }
}

/** Also ends what contains itself. */
function requireJson(value: unknown, depth: number, size: { left: number }): void {
  size.left -= typeof value === 'string' ? value.length : 1
  if (size.left < 0) throw new LedgerError('body_too_large', 'With its aliases the body has more than 1 MiB.')
  if (typeof value === 'number' && !Number.isFinite(value)) throw malformed('A number is not finite.')
  if (typeof value !== 'object' || value === null) return
  if (!isPlain(value)) throw malformed('It has a value that JSON does not know.')
  if (depth === 0) throw tooDeep()
  for (const [key, member] of Object.entries(value)) {
    size.left -= Array.isArray(value) ? 0 : key.length
    requireJson(member, depth - 1, size)
  }
}

/** The parser knows tags of YAML 1.1 that make other things: bytes, sets, dates. */
const isPlain = (value: object): boolean =>
  Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype

function malformedAt(text: string, offset: number, said: string): LedgerError {
  const line = text.slice(0, offset).split('\n').length
  return malformed(`Line ${line}: ${said}.`)
}

const tooDeep = () => malformed(`The body is nested deeper than ${LIMITS.json_depth}.`)

const malformed = (detail: string) => new LedgerError('malformed_yaml', detail)

import { type Document, parseDocument } from 'yaml'
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
  if (fault !== undefined) {
    const line = fault.linePos?.[0].line ?? 1
    const [said = ''] = fault.message.split(/ at line |\n/)
    throw malformed(`Line ${line}: ${said}.`)
  }
  const { explicit, version } = document.directives?.yaml ?? {}
  if (explicit === true && version !== '1.2') throw malformed('Only YAML 1.2 is read.')
  return document
}

/** What nests too deep for the parser breaks it. */
function parsed(text: string): Document {
  try {
    return parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      strict: true,
      stringKeys: true,
      uniqueKeys: true,
      logLevel: 'error',
    })
  } catch {
    throw malformed('The body is no YAML, or nested too deep.')
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
  if (depth === 0) throw malformed(`The body is nested deeper than ${LIMITS.json_depth}.`)
  for (const [key, member] of Object.entries(value)) {
    size.left -= Array.isArray(value) ? 0 : key.length
    requireJson(member, depth - 1, size)
  }
}

/** The parser knows tags of YAML 1.1 that make other things: bytes, sets, dates. */
const isPlain = (value: object): boolean =>
  Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype

const malformed = (detail: string) => new LedgerError('malformed_yaml', detail)

import { type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'

/** A document's name, as files and references have it: `run_record.v1`. */
export type DocumentName = `${string}.v${number}`

/** A document's schema as it is published: JSON Schema 2020-12 that refers to nothing outside itself. */
export interface PublishedSchema {
  $schema: string
  $id: string
  title: string
  [keyword: string]: unknown
}

interface About<P extends TProperties> {
  title: string
  description: string
  example: Static<TObject<P>>
}

/** A document: an object that takes these fields and no others. */
export function document<P extends TProperties>(about: About<NoInfer<P>>, properties: P): TObject<P> {
  const { title, description, example } = about
  return Type.Object(properties, { title, description, additionalProperties: false, examples: [example] })
}

/**
 * A document that an API resource is too: beside its own fields it takes what only the resource has, and
 * requires none of that. So what the original framework wrote and what the API answers are both valid.
 */
export function supersetOf(resource: Pick<TObject, 'properties'>, own: TObject): TObject {
  const added = Object.entries(resource.properties).filter(([name]) => !(name in own.properties))
  return { ...own, properties: { ...own.properties, ...Object.fromEntries(added) } }
}

/**
 * Stands alone: what a schema refers to becomes its own definitions. Our own keywords (`x-…`) stay at home:
 * strict validators refuse keywords that they do not know.
 */
export function standalone(
  name: DocumentName,
  schema: TObject,
  named: readonly (TSchema & { $id: string })[],
): PublishedSchema {
  const used = new Map<string, unknown>()
  const byId = new Map(named.map((each) => [each.$id, each]))

  const inlined = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(inlined)
    if (typeof node !== 'object' || node === null) return node
    const entries = Object.entries(node).filter(([key]) => key !== '$id' && !key.startsWith('x-'))
    return Object.fromEntries(entries.map(([key, value]) => [key, inlinedKeyword(key, value)]))
  }
  const inlinedKeyword = (key: string, value: unknown): unknown => {
    if (key !== '$ref' || typeof value !== 'string') return inlined(value)
    define(value)
    return `#/$defs/${value}`
  }
  const define = (id: string): void => {
    if (used.has(id)) return
    const target = byId.get(id)
    if (target === undefined) throw new Error(`${name} refers to ${id}, which is not a named schema`)
    used.set(id, null) // before its own references, which may lead back
    used.set(id, inlined(target))
  }

  const root = inlined(schema) as TObject
  const $defs = Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1)))
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `${name}.json`,
    ...root,
    title: root.title ?? name,
    ...(used.size === 0 ? {} : { $defs }),
  }
}

import { type TSchema, Type } from '@sinclair/typebox'

/** A document's name, as files and references have it: `run_record.v1`. */
export type DocumentName = `${string}.v${number}`

/**
 * A document that an API resource is too: the resource's fields, of which only the document's own are required.
 * So what the original framework wrote and what the API answers are both valid; the root stays closed.
 */
export function documentOf(
  resource: TSchema & { properties: Record<string, TSchema> },
  title: string,
  required: string[],
): TSchema {
  const { properties, description = title } = resource
  return Type.Unsafe({
    title,
    description,
    type: 'object',
    additionalProperties: false,
    required,
    properties,
  })
}

/** Stands alone: what a schema refers to becomes its own definitions. */
export function standalone(
  name: DocumentName,
  schema: TSchema,
  named: readonly (TSchema & { $id: string })[],
): object {
  const used = new Map<string, unknown>()
  const byId = new Map(named.map((each) => [each.$id, each]))

  const inlined = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(inlined)
    if (typeof node !== 'object' || node === null) return node
    const entries = Object.entries(node).map(([key, value]): [string, unknown] => {
      if (key !== '$ref' || typeof value !== 'string') return [key, inlined(value)]
      define(value)
      return [key, `#/$defs/${value}`]
    })
    return Object.fromEntries(entries)
  }
  const define = (id: string): void => {
    const target = byId.get(id)
    if (target === undefined || used.has(id)) return
    used.set(id, null) // before its own references, which may lead back
    const { $id: _, ...body } = target
    used.set(id, inlined(body))
  }

  const root = inlined(schema) as object
  const $defs = Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1)))
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', $id: `${name}.json`, ...root, $defs }
}

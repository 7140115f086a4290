import { type Static, type TSchema, Type } from '@sinclair/typebox'

/** Gives a schema its public name: the OpenAPI component, and what `ref()` points at. Names are global. */
export function named<T extends TSchema>(name: string, schema: T): T & { $id: string } {
  return { ...schema, $id: name }
}

/** Points at a named schema instead of copying it, and keeps its static type. */
export function ref<T extends TSchema>(schema: T, options: { description?: string } = {}) {
  if (schema.$id === undefined) throw new Error('ref() needs a schema made by named()')
  return Type.Unsafe<Static<T>>({ ...options, $ref: schema.$id })
}

/**
 * The schema, or null. Scalars become a type pair and references an `anyOf`: the two forms that client
 * generators understand (OpenAPI 3.1.1).
 */
export function nullable<T extends TSchema>(schema: T, options: { description?: string } = {}) {
  if (schema.$ref !== undefined) {
    const { description = options.description, ...reference } = schema
    const text = description === undefined ? {} : { description: description }
    return Type.Unsafe<Static<T> | null>({ ...text, anyOf: [reference, { type: 'null' }] })
  }
  return Type.Unsafe<Static<T> | null>({ ...schema, ...options, type: [schema.type, 'null'] })
}

/** What a request may leave out; null means the same as absent. */
export function optional<T extends TSchema>(schema: T) {
  return Type.Optional(nullable(schema))
}

/** A closed list of words. Always a named component: generators choke on enums inside other schemas. */
export function words<const T extends readonly string[]>(name: string, values: T, description: string) {
  return named(name, Type.Unsafe<T[number]>({ type: 'string', enum: values, description }))
}

/** An object that refuses unknown fields. */
export function closed<T extends Record<string, TSchema>>(
  properties: T,
  options: { description: string; examples?: unknown[] },
) {
  return Type.Object(properties, { ...options, additionalProperties: false })
}

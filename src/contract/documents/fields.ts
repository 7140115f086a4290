import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { Ulid } from '../common.ts'
import { ref } from '../named.ts'

// The kinds of fields that documents are made of. They ask no more than the framework's own schemas do: a
// bound of ours, such as the length of a name, would refuse documents that exist.

/** Any text, also an empty one. */
export const text = (description: string) => Type.String({ description })

/** Text that is not empty. */
export const filled = (description: string) => Type.String({ minLength: 1, description })

export const ulid = (description: string) => ref(Ulid, { description })

export const dateTime = (description: string) => Type.String({ format: 'date-time', description })

export const semver = (description: string) =>
  Type.String({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$', description })

/** One of a closed list of words. Not a component of its own: documents are no part of the API's contract. */
export const oneOf = <const T extends readonly string[]>(values: T, description: string) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, description })

export const flag = (description: string, options: { default?: boolean } = {}) =>
  Type.Boolean({ ...options, description })

export const integer = (description: string, options: { minimum?: number; default?: number } = {}) =>
  Type.Integer({ ...options, description })

export const count = (description: string) => integer(description, { minimum: 0 })

export const strings = (description: string) => Type.Array(Type.String(), { description })

/** No string twice. */
export const distinct = (description: string) => Type.Array(Type.String(), { uniqueItems: true, description })

export const distinctFilled = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { uniqueItems: true, description })

// The pattern is copied: ajv compares items of a named type pair by pair, which takes seconds for a long list.
export const distinctUlids = (description: string) =>
  Type.Array(Type.String({ pattern: Ulid.pattern ?? '' }), { uniqueItems: true, description })

/** An object that takes other fields beside these. */
export const open = <P extends TProperties>(properties: P, description: string) =>
  Type.Object(properties, { description, additionalProperties: true })

/** An object of which nothing is known. */
export const anyObject = (description: string) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, description })

/** An object whose names are free and whose values are all of one kind. */
export const mapOf = <T extends TSchema>(value: T, description: string) =>
  Type.Unsafe<Record<string, Static<T>>>({ type: 'object', additionalProperties: value, description })

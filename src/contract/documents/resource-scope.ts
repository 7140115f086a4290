import { Type } from '@sinclair/typebox'
import { strings } from './fields.ts'

/** Which resources work may touch, as patterns relative to the project. What no list names is out of bounds. */
export const scopePatterns = {
  read: Type.Optional(strings('Patterns of what may be read.')),
  write: Type.Optional(strings('Patterns of what may be changed.')),
  create: Type.Optional(strings('Patterns of what may be made anew.')),
  forbidden: Type.Optional(strings('Patterns of what may not be touched, whatever the other lists say.')),
}

import picomatch from 'picomatch'
import type { Fault } from '../contract/problem.ts'
import type { ResourceScope } from '../contract/task.ts'
import { LIMITS } from '../contract/limits.ts'
import { pointerTo } from './pointer.ts'

export type ScopeOperation = 'read' | 'write' | 'create'

const LISTS = ['read', 'write', 'create', 'forbidden'] as const

/** Every pattern of a scope that could leave the project, or that cannot be held against paths. */
export function checkScope(scope: ResourceScope | null, ...path: readonly string[]): Fault[] {
  return LISTS.flatMap((list) =>
    (scope?.[list] ?? []).flatMap((pattern, position) => {
      const detail = faultOf(pattern)
      return detail === null ? [] : [{ pointer: pointerTo(...path, list, position), detail }]
    }),
  )
}

/** Line ends too: no part of a name that anyone gives on purpose, and a glob's `**` would not match them. */
const UNSAFE = /[\u0000-\u001f\u007f\u2028\u2029\\]/

function faultOf(pattern: string): string | null {
  if (UNSAFE.test(pattern))
    return 'may not contain a backslash or a control character; directories end with /'
  if (pattern.startsWith('/') || /^[A-Za-z]:/.test(pattern)) return 'must be relative to the project'
  if (pattern.split(/[/{},]/).includes('..')) return 'may not lead out of the project with ..'
  if (pattern.endsWith('/')) return 'may not end with a slash: write dir/** for what is in a directory'
  if (pattern.split('/').some((part) => part === '' || part === '.'))
    return 'may have no empty part and no . between slashes'
  return braceFault(pattern) ?? wildcardFault(pattern)
}

function braceFault(pattern: string): string | null {
  let depth = 0
  for (const character of pattern) {
    if (character === '{') depth++
    if (character === '}') depth--
    if (depth < 0) break
  }
  if (depth !== 0) return 'must have a } for every {'
  return /\{[^{}]*\.\.[^{}]*\}/.test(pattern)
    ? 'may have no .. in braces: write out what it stands for'
    : null
}

/**
 * picomatch makes regular expressions, and those go back and forth: with five `*` a name of 250 characters takes
 * minutes. Within these bounds it is a tenth of a second at the very worst.
 */
function wildcardFault(pattern: string): string | null {
  const count = (text: string, wildcard: RegExp): number => text.match(wildcard)?.length ?? 0
  const { scope_globstars, scope_braces, scope_stars } = LIMITS
  if (count(pattern, /\*\*+/g) > scope_globstars) return `may have at most ${scope_globstars} **`
  if (count(pattern, /\{/g) > scope_braces) return `may have at most ${scope_braces} pairs of braces`
  const parts = pattern.split('/')
  if (parts.some((part) => count(part, /\*+/g) > scope_stars))
    return `may have at most ${scope_stars} * between two slashes`
  return null
}

/** Longer ones are allowed nothing: the bounds above hold for names as file systems have them. */
const PATH_LENGTH = 1_024

type Matcher = (path: string) => boolean

export interface CompiledScope {
  /** Whether a path, relative to the project, may be touched in this way. */
  allows: (operation: ScopeOperation, path: string) => boolean
}

/** The scope must have passed `checkScope`. `forbidden` beats everything; what no list names is not allowed. */
export function compileScope(scope: ResourceScope | null): CompiledScope {
  const matchers = (list: (typeof LISTS)[number]): Matcher[] => (scope?.[list] ?? []).map(matcherOf)
  const allowed = { read: matchers('read'), write: matchers('write'), create: matchers('create') }
  const forbidden = matchers('forbidden')
  return {
    allows: (operation, path) =>
      isInside(path) &&
      !lineage(path).some((part) => forbidden.some((matches) => matches(part))) &&
      allowed[operation].some((matches) => matches(path)),
  }
}

const isInside = (path: string): boolean =>
  path.length <= PATH_LENGTH &&
  !UNSAFE.test(path) &&
  !/^[A-Za-z]:/.test(path) &&
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')

/** The path and the directories that it lies in: who forbids a directory forbids what is in it. */
const lineage = (path: string): string[] =>
  path.split('/').map((_, depth, parts) => parts.slice(0, depth + 1).join('/'))

/** picomatch would read these as parts of a regular expression; to us they are characters: `app/[id]/(shop)`. */
const literal = (pattern: string): string => pattern.replace(/[()[\]|^$+]/g, '\\$&')

const matcherOf = (pattern: string): Matcher =>
  picomatch(literal(pattern), { dot: true, nonegate: true, noextglob: true })

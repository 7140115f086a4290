import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { LIMITS } from '../contract/limits.ts'
import type { Fault } from '../contract/problem.ts'
import { LedgerError } from '../domain/error.ts'
import { jsonOf } from '../yaml.ts'

const NOT_JSON = 'The body is not JSON, or names __proto__. Check quotes, commas and braces.'

const JSON_TYPE = 'application/json'
const YAML_TYPE = 'application/yaml'
const MERGE_PATCH_TYPE = 'application/merge-patch+json'

type Done = (error: Error | null, value?: unknown) => void

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether a body may also be YAML; absent is no. */
    yaml?: boolean
  }
}

/**
 * JSON bodies, checked as bytes and text before they are parsed; where a route says so also YAML, which is turned
 * into the JSON that says the same. Everything else is 415.
 */
export function readBodies(app: FastifyInstance): void {
  // Fastify's own guard against __proto__ and constructor.prototype; an own parser would lose it.
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  const readJson = (request: FastifyRequest, text: string, done: Done): void => {
    requireShallow(text)
    void parse(request, text, (error, value) => {
      if (error !== null) return done(malformed(NOT_JSON))
      const fault = SUSPICIOUS.test(text) ? unstorable(value, '#') : null
      done(fault === null ? null : unfit(fault), value)
    })
  }
  app.addContentTypeParser([JSON_TYPE, MERGE_PATCH_TYPE], { parseAs: 'buffer' }, (request, bytes, done) => {
    try {
      requireReadable(request)
      const text = textOf(bytes as Buffer)
      if (text === '') return done(null, {})
      readJson(request, text, done)
    } catch (error) {
      done(error as Error)
    }
  })
  app.addContentTypeParser(YAML_TYPE, { parseAs: 'buffer' }, (request, bytes, done) => {
    try {
      requireReadable(request)
      readJson(request, jsonOf(textOf(bytes as Buffer)), done)
    } catch (error) {
      done(error as Error)
    }
  })
  // A request without a body never meets the parser: to us it says {}. Set before, because a hook between
  // parsing and validation would be a phase of its own for every request.
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.method !== 'GET') request.body = {}
    done()
  })
}

function requireReadable(request: FastifyRequest): void {
  const { headers, method } = request
  if (headers['content-type'] === JSON_TYPE && headers['content-encoding'] === undefined) return // nearly always
  const coding = headers['content-encoding'] ?? 'identity'
  const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';')
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith('charset='))
  const isUtf8Named = charset === undefined || /^charset="?utf-?8"?$/.test(charset)
  const isYaml = type.trim() === YAML_TYPE
  const isTaken = isYaml
    ? request.routeOptions.config.yaml === true
    : type.trim() === JSON_TYPE || method === 'PATCH'
  if (coding === 'identity' && isUtf8Named && isTaken) return
  throw new LedgerError(
    'unsupported_media_type',
    'Send the body as application/json in UTF-8, without content coding.',
  )
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw malformed('The body is not UTF-8.')
  return bytes.toString('utf8')
}

const malformed = (detail: string) => new LedgerError('malformed_json', detail)

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Before parsing: deep JSON is small, parses, and then breaks whatever walks it recursively. */
function requireShallow(text: string): void {
  if (text.length <= 2 * LIMITS.json_depth) return // deeper takes more brackets, or is no JSON
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (inString) {
      if (char === BACKSLASH) i++
      else if (char === QUOTE) inString = false
    } else if (char === QUOTE) inString = true
    else if (char === 0x7b || char === 0x5b) {
      if (++depth > LIMITS.json_depth) throw malformed(`The body is nested deeper than ${LIMITS.json_depth}.`)
    } else if (char === 0x7d || char === 0x5d) depth--
  }
}

// Only such a text can hold what JSON allows and the ledger cannot keep: an escaped NUL or lone surrogate, or
// a number that is not exact. It lets almost every body pass without a walk through it.
const SUSPICIOUS = /\\u|\d{16}|\d[eE]/

/** The first value that could not be stored, hashed and given back unchanged. Bounded by the body's depth. */
function unstorable(value: unknown, pointer: string): Fault | null {
  if (typeof value === 'string') return unstorableText(value, pointer)
  if (typeof value === 'number') {
    const exact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
    return exact ? null : { pointer, detail: 'is not exact: integers go up to 2^53 - 1' }
  }
  if (typeof value !== 'object' || value === null) return null
  for (const [key, member] of Object.entries(value)) {
    const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
    const fault = unstorableText(key, at) ?? unstorable(member, at)
    if (fault !== null) return fault
  }
  return null
}

function unstorableText(text: string, pointer: string): Fault | null {
  if (text.includes('\0'))
    return { pointer: pointer.replaceAll('\0', '\\u0000'), detail: 'holds a NUL character' }
  return text.isWellFormed()
    ? null
    : { pointer: pointer.toWellFormed(), detail: 'holds half a surrogate pair' }
}

const unfit = (fault: Fault) =>
  new LedgerError('validation_failed', `${fault.pointer} ${fault.detail}.`, { errors: [fault] })

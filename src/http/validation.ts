import { AjvCompiler } from '@fastify/ajv-compiler'
import type { FastifySchemaCompiler } from 'fastify'
import type { Fault } from '../contract/problem.ts'
import { LIMITS } from '../contract/limits.ts'
import { LedgerError } from '../domain/error.ts'

type Ajv = {
  addFormat: (name: string, check: (text: string) => boolean) => void
  addKeyword: (k: object) => void
}

// RFC 3339 §5.6 with the capital letters that text order needs; leap seconds are left out, because JavaScript
// has none. ajv's own `date-time` accepts what `new Date` cannot read.
const INSTANT = /^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/

function isInstant(text: string): boolean {
  if (!INSTANT.test(text)) return false
  const parsed = new Date(`${text.slice(0, 10)}T00:00:00Z`)
  // Date.parse takes the 31st of February for the 3rd of March.
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(text.slice(0, 10))
}

const isWithin = (bytes: number, value: unknown): boolean => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes
}

function ourWords(ajv: Ajv): void {
  ajv.addFormat('date-time', isInstant)
  ajv.addKeyword({ keyword: 'x-max-bytes', validate: isWithin, errors: false })
}

// Named as the compiler expects, or it would add formats of its own over ours.
function formatsPlugin(ajv: Ajv): void {
  ourWords(ajv)
}

const plugins = [formatsPlugin] as never // typed for a whole ajv, of which ours need little
/** More than anybody is told, however many findings one fault makes. */
const FINDINGS_MAX = 4 * LIMITS.document_faults

/**
 * ajv copies all findings so far for each reference that does not hold: a body of many empty objects would keep the
 * server busy for minutes. Behind so many, a reference adds one finding, for what does not hold must stay so.
 */
const boundCopies = (code: string): string =>
  code.replace(
    /vErrors\.concat\(([\w.]+)\)/g,
    `(vErrors.length < ${FINDINGS_MAX} ? vErrors.concat($1) : (vErrors.push($1[0]), vErrors))`,
  )

const ajvOptions = {
  allErrors: true,
  allowUnionTypes: true,
  useDefaults: false,
  removeAdditional: false,
  code: { process: boundCopies },
}
const forBodies = { customOptions: { ...ajvOptions, coerceTypes: false }, plugins } as const
const forTexts = { customOptions: { ...ajvOptions, coerceTypes: 'array' }, plugins } as const

// Fastify asks anew for every route, and each answer would be looked up by the text of all schemas. Those are the same in
// every app of a process.
let compile: FastifySchemaCompiler<unknown> | undefined

/**
 * Two compilers, over the schemas that were added before the routes: text that comes in a path, a query or a header
 * must be turned into numbers and lists; a body has types of its own, and `"5"` for 5 there is a fault of the client
 * that must not go unseen.
 */
export const buildValidator = (externalSchemas: never): FastifySchemaCompiler<unknown> =>
  (compile ??= compilerOver(externalSchemas))

function compilerOver(externalSchemas: never): FastifySchemaCompiler<unknown> {
  const ofBodies = AjvCompiler()(externalSchemas, forBodies)
  const ofTexts = AjvCompiler()(externalSchemas, forTexts)
  return (route) => {
    // Headers stand in the contract to be read: each is checked where it is used, in words of its own.
    if (route.httpPart === 'headers') return () => true
    return (route.httpPart === 'body' ? ofBodies : ofTexts)(route) as never
  }
}

/** What ajv finds in a value; none is a valid one. */
export type Check = (value: unknown) => readonly Finding[]

/**
 * Compiles schemas that stand alone just as those of bodies. They are JSON Schema 2020-12 and this ajv knows
 * draft 07: ours use nothing in which the two differ, and a test holds them against an ajv for 2020-12.
 */
export function buildChecks(): (schema: Record<string, unknown>) => Check {
  const compile = AjvCompiler()({}, forBodies)
  return ({ $schema: _, ...schema }) => {
    const validate = compile({ schema }) // a route: its types say a schema
    return (value) => {
      requireShortPlaces(value)
      return validate(value) === true ? [] : ((validate.errors ?? []) as Finding[])
    }
  }
}

/**
 * ajv writes out the place of each finding and escapes its names anew: a long name over many wrong values, in
 * one body of a megabyte, would keep the server busy for a minute.
 */
export function requireShortPlaces(value: unknown): void {
  if (placesLength(value, 1) <= LIMITS.document_places_length) return
  const detail =
    'The document has names too long for so many values. Shorten the names, or check it in parts.'
  throw new LedgerError('validation_failed', detail)
}

function placesLength(value: unknown, own: number): number {
  let length = own
  if (typeof value !== 'object' || value === null) return length
  for (const [name, member] of Object.entries(value)) length += placesLength(member, own + 1 + name.length)
  return length
}

/** What ajv found, as far as we read it. */
export interface Finding {
  instancePath: string
  keyword: string
  params: {
    missingProperty?: string
    additionalProperty?: string
    allowedValues?: string[]
    allowedValue?: unknown
    type?: string | string[]
  }
  /** The property that a finding inside `propertyNames` is about. */
  propertyName?: string
  message?: string
}

/** The first of ajv's findings as faults with their places. `context` is the part of the request. */
export function faultsOf(findings: readonly Finding[], context: string): Fault[] {
  const faults: Fault[] = []
  for (const fault of eachFault(findings, context)) {
    if (faults.push(fault) === LIMITS.listed_faults) break
  }
  return faults
}

/** One by one and once each: there may be a finding for every few bytes of a body, and places may be long. */
function* eachFault(findings: readonly Finding[], context: string): Generator<Fault> {
  const seen = new Set<string>()
  for (const [i, finding] of findings.entries()) {
    if (isEcho(finding, findings[i + 1])) continue
    const place = placeOf(finding, context)
    const detail = sentenceOf(finding)
    const text = `${place.pointer ?? place.parameter} ${detail}`
    if (seen.has(text)) continue
    seen.add(text)
    yield { ...place, detail }
  }
}

/** The faults of a body, as many as one answer may hold, and whether these are all; the place of each may be long. */
export function firstFaults(findings: readonly Finding[]): { faults: Fault[]; complete: boolean } {
  const faults: Fault[] = []
  let room: number = LIMITS.document_faults_length
  for (const fault of eachFault(findings, 'body')) {
    if (faults.length === LIMITS.document_faults || room < 0) return { faults, complete: false }
    faults.push(fault)
    room -= fault.pointer?.length ?? 0
  }
  return { faults, complete: true }
}

/** A nullable reference that fails says so three times, the last two being its null and itself: once is enough. */
function isEcho({ keyword, params, instancePath }: Finding, next: Finding | undefined): boolean {
  if (keyword === 'anyOf' || keyword === 'propertyNames') return true // what is inside has told more
  const isNull = keyword === 'type' && params.type === 'null'
  return isNull && next?.keyword === 'anyOf' && next.instancePath === instancePath
}

function placeOf({ instancePath, params, propertyName }: Finding, context: string) {
  const inner = params.missingProperty ?? params.additionalProperty ?? propertyName
  const path = inner === undefined ? instancePath : `${instancePath}/${escaped(inner)}`
  if (context === 'body') return { pointer: `#${path}` }
  return { parameter: path.split('/')[1] ?? '' }
}

/** RFC 6901 §3. */
const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

function sentenceOf({ keyword, params, propertyName, message = 'is wrong' }: Finding): string {
  if (propertyName !== undefined) return `is not a name that is allowed here: it ${message}`
  if (keyword === 'required') return 'is missing'
  if (keyword === 'additionalProperties') return 'is not known here'
  if (keyword === 'enum') return `must be one of ${params.allowedValues?.join(', ')}`
  if (keyword === 'const') return `must be ${JSON.stringify(params.allowedValue)}`
  if (keyword === 'type') return `must be ${[params.type].flat().join(' or ')}`
  if (keyword === 'format') return 'must be an RFC 3339 instant such as 2026-01-05T09:30:00Z'
  if (keyword === 'x-max-bytes') return 'has too many bytes'
  return message
}

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { LIMITS } from '../contract/limits.ts'
import { isDirectory } from '../directory.ts'
import { EXIT, ExitError } from '../exit.ts'
import { PLACEHOLDERS, placeholdersOf } from './argv.ts'

/** What a tool is on this machine. The server names tools; what that means is said by the file alone. */
export interface Tool {
  tool_id: string
  /** The program and its arguments, with placeholders; never read by a shell. */
  argv: readonly string[]
  /** The variables that its program sees beside PATH and HOME. */
  env: readonly string[]
  /** Absolute. */
  working_directory: string
  /** How long a program may run; null is as long as the request says. */
  timeout_seconds: number | null
}

export type Tools = ReadonlyMap<string, Tool>

type Mapping = Record<string, unknown>
/** Notes what is wrong at a place. */
type Complain = (place: string, fault: string) => void

const KEYS = ['argv', 'env', 'working_directory', 'timeout_seconds']

/**
 * The tools of a file like
 *
 *     tools:
 *       eslint:
 *         argv: [npx, --no, --, eslint, .]   # a list: no shell reads it
 *         env: [CI]                          # beside PATH and HOME; nothing else is passed
 *         working_directory: ../shop         # relative to this file; left out is where the worker was started
 *         timeout_seconds: 300               # left out is what the request says
 *
 * @throws ExitError 78 that names every fault with its place
 */
export function readToolsFile(file: string): Tools {
  const faults: string[] = []
  const complain: Complain = (place, fault) => faults.push(`${place} ${fault}.`)
  const content = parsed(file)
  const entries = isMapping(content) ? content['tools'] : undefined
  if (isMapping(content)) refuseUnknown(content, ['tools'], '', complain)
  if (!isMapping(entries) || Object.keys(entries).length === 0) {
    complain('tools', 'has to be a mapping of at least one tool id to its argv')
  }
  const tools = Object.entries(isMapping(entries) ? entries : {}).map(([tool_id, entry]) =>
    toolOf(tool_id, entry, dirname(resolve(file)), complain),
  )
  if (tools.length > LIMITS.claim_tools) complain('tools', `has more than ${LIMITS.claim_tools} tools`)
  if (faults.length > 0) throw new ExitError(EXIT.config, `${file} is refused:\n  ${faults.join('\n  ')}`)
  return new Map(tools.map((tool) => [tool.tool_id, tool]))
}

function parsed(file: string): unknown {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ExitError(EXIT.config, `${file} cannot be read: ${(error as NodeJS.ErrnoException).code}.`)
  }
  const document = parseDocument(text, { uniqueKeys: true, stringKeys: true, logLevel: 'error' })
  const [fault] = [...document.errors, ...document.warnings]
  const [said = ''] = fault?.message.split('\n') ?? []
  if (fault !== undefined) throw new ExitError(EXIT.config, `${file} is not YAML: ${said.replace(/:$/, '.')}`)
  try {
    return document.toJS()
  } catch (error) {
    // Aliases are looked up here only, and a glob without quotes is one.
    const advice = 'Quote a text that begins with *, as in "*.ts".'
    throw new ExitError(EXIT.config, `${file} is refused: ${(error as Error).message}. ${advice}`)
  }
}

const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function refuseUnknown(mapping: Mapping, known: readonly string[], place: string, complain: Complain): void {
  for (const key of Object.keys(mapping)) {
    if (!known.includes(key)) complain(place + key, `is not known; there are ${known.join(', ')}`)
  }
}

function toolOf(tool_id: string, entry: unknown, base: string, complain: Complain): Tool {
  const place = `tools.${tool_id}`
  if (tool_id.length === 0 || tool_id.length > LIMITS.name_length) {
    complain(place, `needs an id of 1 to ${LIMITS.name_length} characters`)
  }
  if (!isMapping(entry)) complain(place, `has to be a mapping of ${KEYS.join(', ')}`)
  const { argv, env = [], working_directory, timeout_seconds } = isMapping(entry) ? entry : ({} as Mapping)
  if (isMapping(entry)) refuseUnknown(entry, KEYS, `${place}.`, complain)
  return {
    tool_id,
    argv: isMapping(entry) ? argvOf(argv, `${place}.argv`, complain) : [],
    env: envOf(env, `${place}.env`, complain),
    working_directory: directoryOf(working_directory, base, `${place}.working_directory`, complain),
    timeout_seconds: secondsOf(timeout_seconds, `${place}.timeout_seconds`, complain),
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0')

function argvOf(argv: unknown, place: string, complain: Complain): string[] {
  if (!Array.isArray(argv) || argv.length === 0 || !argv.every(isText)) {
    complain(
      place,
      'has to be a list of texts: the program, then its arguments (quote what looks like a number)',
    )
    return []
  }
  const [program = ''] = argv
  if (program === '') complain(`${place}[0]`, 'is empty; it has to be a program')
  if (placeholdersOf(program).length > 0) complain(`${place}[0]`, 'is the program, and takes no placeholder')
  for (const [index, argument] of argv.entries()) {
    const unknown = placeholdersOf(argument).filter((word) => !PLACEHOLDERS.includes(word))
    for (const word of index === 0 ? [] : unknown) {
      complain(
        `${place}[${index}]`,
        `has {${word}}; there are ${PLACEHOLDERS.map((known) => `{${known}}`).join(', ')}`,
      )
    }
  }
  return argv
}

function envOf(env: unknown, place: string, complain: Complain): string[] {
  const isName = (value: unknown): value is string => isText(value) && /^[A-Za-z_][A-Za-z0-9_]*$/.test(value)
  if (Array.isArray(env) && env.every(isName)) return env
  complain(place, 'has to be a list of names of environment variables; values stay in the environment')
  return []
}

function directoryOf(path: unknown, base: string, place: string, complain: Complain): string {
  if (path === undefined) return resolve('.')
  if (!isText(path) || path === '') {
    complain(place, 'has to be a path; a relative one starts at the directory of this file')
    return base
  }
  const directory = resolve(base, path)
  if (!isDirectory(directory)) complain(place, `is no directory that this worker can see: ${directory}`)
  return directory
}

function secondsOf(value: unknown, place: string, complain: Complain): number | null {
  if (value === undefined) return null
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= LIMITS.timeout_seconds)
    return Number(value)
  complain(place, `has to be an integer from 1 to ${LIMITS.timeout_seconds}`)
  return null
}

import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Connection, NO_PROBLEM, Refused, Unanswered, connect } from '../client/connection.ts'
import { CLIENT_VARIABLES } from '../config.ts'
import { EXIT, ExitError } from '../exit.ts'
import type { KeyScope } from '../keys.ts'

export interface ServerFlags {
  server: URL
  keyFile?: string
}

/** The flags that say which server, and by which key. */
export function addServerFlags(command: Command, scope: KeyScope): Command {
  const server = new Option('--server <url>', 'the server')
    .argParser(httpUrl)
    .default(new URL('http://127.0.0.1:8710'), 'http://127.0.0.1:8710')
  const key = new Option(
    '--key-file <file>',
    `a file with the API key, which needs the scope ${scope} (default: no key)`,
  )
  return command
    .addOption(fromVariable(server, CLIENT_VARIABLES.server))
    .addOption(fromVariable(key, CLIENT_VARIABLES.key_file))
}

/** An empty variable counts as not set, as with settings. */
const fromVariable = (option: Option, variable: string): Option =>
  process.env[variable] === '' ? option : option.env(variable)

function httpUrl(text: string): URL {
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '') return url
  throw new InvalidArgumentError('It has to be a URL like http://127.0.0.1:8710.')
}

/**
 * The API key that the flags name; null without one.
 * @throws ExitError 78
 */
export function keyOf({ keyFile: file }: ServerFlags): string | null {
  if (file === undefined) return null
  const text = textOf(file)
  if (/^[\x21-\x7e]+$/.test(text)) return text
  throw new ExitError(
    EXIT.config,
    `${file} has to hold one key and nothing else; \`signalbox keys new\` makes one.`,
  )
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ExitError(EXIT.config, `The key file ${file} cannot be read: ${code}.`)
  }
}

/**
 * Does what asks the server of the flags.
 * @throws ExitError that says what to do, where the server does not answer or refuses
 */
export async function withServer(
  flags: ServerFlags,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const url = flags.server.href.replace(/\/$/, '')
  const connection = connect({ server: flags.server, key: keyOf(flags) })
  try {
    await work(connection)
  } catch (error) {
    if (error instanceof Unanswered) throw new ExitError(EXIT.unavailable, unansweredText(error, url))
    if (error instanceof Refused) throw new ExitError(exitOf(error), refusalText(error, url))
    throw error
  }
}

const unansweredText = ({ message, status }: Unanswered, url: string): string =>
  status === null
    ? `No server answers at ${url} (${message}). Start one with \`signalbox serve\`, or name another one by ` +
      `--server or ${CLIENT_VARIABLES.server}.`
    : `The server at ${url} cannot answer now: ${message}. Try again later.`

function exitOf({ status, code }: Refused): ExitError['exit_code'] {
  if (status === 401 || status === 403) return EXIT.config
  return status === 404 && code !== NO_PROBLEM ? EXIT.no_input : EXIT.failure
}

function refusalText({ status, code, detail, type }: Refused, url: string): string {
  if (code === NO_PROBLEM) return `What answers at ${url} (with ${status}) is no Signalbox. Look at --server.`
  const isKey = status === 401 || status === 403
  const advice = isKey ? ` Name a key that may by --key-file or ${CLIENT_VARIABLES.key_file}.` : ''
  return `${detail}${advice} (${code}: ${url}${type})`
}

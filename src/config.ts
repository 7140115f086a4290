import { existsSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import type { TSchema } from '@sinclair/typebox'
import { checkValue, refuseRepeatedKeyIds, refuseUnknown } from './config/check.ts'
import { readSettingsFile } from './config/file.ts'
import {
  allowedBy,
  comesFrom,
  flagOf,
  SETTING_ROWS,
  type SettingName,
  SETTINGS,
  type Settings,
  variableOf,
} from './config/settings.ts'
import { EXIT, ExitError } from './exit.ts'

export type { ApiKey, SettingName } from './config/settings.ts'

/** Read from the working directory when it is there and no other file is named. */
export const DEFAULT_CONFIG_FILE = 'signalbox.yaml'
export const CONFIG_FILE_VARIABLE = 'SIGNALBOX_CONFIG'

/** Where the commands that ask a server find it, and their key. A server that is started there looks at neither. */
export const CLIENT_VARIABLES = { server: 'SIGNALBOX_SERVER', key_file: 'SIGNALBOX_KEY_FILE' } as const

const NO_SETTINGS: readonly string[] = [CONFIG_FILE_VARIABLE, ...Object.values(CLIENT_VARIABLES)]

/** All settings, checked; paths are absolute. `sources` says where each value came from, in words. */
export type Config = Readonly<Settings> & { readonly sources: Readonly<Record<SettingName, string>> }

export interface ConfigInput {
  /** By setting name, as typed; a flag without a value is `true`. */
  flags: Partial<Record<SettingName, string | boolean>>
  /** The file that --config names. */
  config_file?: string | undefined
  env: Readonly<Record<string, string | undefined>>
  /** Where relative paths start. */
  cwd: string
}

/**
 * Finds each setting's value: flag over environment over file over default.
 * @throws ExitError 78 that names what is unknown or refused, where it came from and what is allowed.
 */
export function loadConfig(input: ConfigInput): Config {
  refuseUnknownVariables(input.env)
  const file = configFile(input)
  const found = SETTING_ROWS.map(([name]) => [name, findValue(name, input, file)] as const)
  for (const [name, { value, source }] of found) checkValue(name, value, source)

  const sources = Object.fromEntries(found.map(([name, { source }]) => [name, source]))
  const settings = Object.fromEntries(found.map(([name, { value }]) => [name, value])) as Settings
  refuseRepeatedKeyIds(settings)
  return {
    ...settings,
    data_dir: resolve(input.cwd, settings.data_dir),
    router_config: settings.router_config === '' ? '' : resolve(input.cwd, settings.router_config),
    sources: sources as Config['sources'], // both have one entry for each row of the table
  }
}

/**
 * Refuses to serve other machines without knowing who calls. Only for commands that listen: a backup inside a
 * container whose host is 0.0.0.0 needs no key.
 * @throws ExitError 78
 */
export function requireKeysBeyondLoopback({ host, api_keys, insecure, sources }: Config): void {
  if (isLoopback(host) || api_keys.length > 0 || insecure) return
  throw new ExitError(
    EXIT.config,
    `host is ${host} (from ${sources.host}), which other machines may reach, and there are no API keys. ` +
      'Make one with `signalbox keys new --scopes read,write` and add it to api_keys, ' +
      'or give --insecure to let everybody in.',
  )
}

export interface SettingDescription {
  name: SettingName
  /** null where the setting cannot be given that way. */
  flag: string | null
  variable: string | null
  in_file: boolean
  /** Whether the flag stands alone, without a value. */
  is_switch: boolean
  allowed: string
  unit: string | null
  default: string
  description: string
}

/** The table of settings as text, for help and documentation. */
export function describeSettings(): SettingDescription[] {
  return SETTING_ROWS.map(([name, { schema, unit, description, ...row }]) => ({
    name,
    flag: comesFrom(name, 'flag') ? flagOf(name) : null,
    variable: comesFrom(name, 'environment') ? variableOf(name) : null,
    in_file: comesFrom(name, 'file'),
    is_switch: schema.type === 'boolean',
    allowed: allowedBy(schema),
    unit: unit ?? null,
    default:
      typeof row.default === 'string' && row.default !== '' ? row.default : JSON.stringify(row.default),
    description,
  }))
}

/** What is in force and why, safe to show: secrets are masked. */
export function maskedConfig(config: Config): Record<SettingName, { value: unknown; source: string }> {
  const shown = SETTING_ROWS.map(([name, row]) => {
    const value = row.masked ? row.masked(config[name]) : config[name]
    return [name, { value, source: config.sources[name] }]
  })
  return Object.fromEntries(shown) as ReturnType<typeof maskedConfig> // one entry for each row of the table
}

interface ConfigFile {
  path: string
  settings: Record<string, unknown>
}

function configFile({ config_file, env, cwd }: ConfigInput): ConfigFile | null {
  const named = config_file ?? given(env[CONFIG_FILE_VARIABLE])
  const path = resolve(cwd, named ?? DEFAULT_CONFIG_FILE)
  if (named === undefined && !existsSync(path)) return null
  const settings = readSettingsFile(path)
  for (const key of Object.keys(settings)) refuseUnknown(key, 'file', path)
  return { path, settings }
}

interface Found {
  value: unknown
  source: string
}

function findValue(name: SettingName, { flags, env }: ConfigInput, file: ConfigFile | null): Found {
  const { schema, ...row } = SETTINGS[name]
  const flag = flags[name]
  if (flag !== undefined) return { value: fromText(schema, flag), source: flagOf(name) }
  const variable = given(env[variableOf(name)])
  if (variable !== undefined) return { value: fromText(schema, variable), source: variableOf(name) }
  const inFile = file?.settings[name]
  if (file && inFile !== undefined) return { value: inFile, source: file.path }
  return { value: row.default, source: 'default' }
}

/** An empty variable counts as not set: that is what `VAR= command` and compose files mean by it. */
function given(variable: string | undefined): string | undefined {
  return variable === '' ? undefined : variable
}

/** What a flag or a variable means, by the kind of its setting. Text that means nothing stays, for the check to refuse. */
function fromText(schema: TSchema, text: string | boolean): unknown {
  if (typeof text === 'boolean') return text
  if (schema.type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : text
  if (schema.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (schema.type !== 'array') return text
  return (schema.items as TSchema).type === 'string'
    ? text.split(',').map((part) => part.trim())
    : fromJson(text)
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function refuseUnknownVariables(env: ConfigInput['env']): void {
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith('SIGNALBOX_') || NO_SETTINGS.includes(variable)) continue
    refuseUnknown(variable, 'environment', 'the environment')
  }
}

/** Whether only this machine reaches the address. A name other than localhost may resolve to anything. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

import { Value, type ValueError, ValueErrorType } from '@sinclair/typebox/value'
import { EXIT, ExitError } from '../exit.ts'
import { nearest } from './nearest.ts'
import {
  allowedBy,
  comesFrom,
  flagOf,
  SETTING_ROWS,
  type SettingName,
  SETTINGS,
  type Settings,
  type Source,
  variableOf,
} from './settings.ts'

/** @throws ExitError 78 that names the place, where the value came from, and what is allowed there. */
export function checkValue(name: SettingName, value: unknown, source: string): void {
  const { schema, ...row } = SETTINGS[name]
  const fault = Value.Errors(schema, value).First()
  if (!fault) return
  const place = name + fault.path.replaceAll(/\/(\d+)/g, '[$1]').replaceAll('/', '.')
  const shown = 'masked' in row ? 'not accepted' : JSON.stringify(fault.value)
  throw new ExitError(EXIT.config, `${place} (from ${source}) ${describeFault(fault, shown)}`)
}

function describeFault({ type, path, schema }: ValueError, shown: string): string {
  if (type === ValueErrorType.ObjectAdditionalProperties) {
    const key = path.slice(path.lastIndexOf('/') + 1)
    return `is not known${suggestion(key, Object.keys(schema.properties as object))}`
  }
  if (type === ValueErrorType.ObjectRequiredProperty) return `is missing; it has to be ${allowedBy(schema)}.`
  return `is ${shown}; it has to be ${allowedBy(schema)}.`
}

/**
 * A misspelt setting would otherwise be one that is silently not in force.
 * @throws ExitError 78 for a key that is no setting, or none that `source` may give.
 */
export function refuseUnknown(key: string, source: Source, where: string): void {
  const spelling = source === 'environment' ? variableOf : (name: SettingName) => name
  const known = SETTING_ROWS.map(([name]) => name)
  const name = known.find((one) => spelling(one) === key)
  if (name && comesFrom(name, source)) return
  if (name) throw new ExitError(EXIT.config, `${key} (in ${where}) can only be given as ${flagOf(name)}.`)
  const candidates = known.filter((one) => comesFrom(one, source)).map(spelling)
  throw new ExitError(EXIT.config, `${key} (in ${where}) is not a setting${suggestion(key, candidates)}`)
}

function suggestion(word: string, names: readonly string[]): string {
  const name = nearest(word, names)
  return name === null ? `; there are ${names.join(', ')}.` : `; did you mean ${name}?`
}

/**
 * Logs and events name a caller by the key's id, so each id must mean one key.
 * @throws ExitError 78
 */
export function refuseRepeatedKeyIds({ api_keys }: Settings): void {
  const ids = api_keys.map(({ id }) => id)
  const repeated = ids.find((id, index) => ids.indexOf(id) !== index)
  if (repeated === undefined) return
  throw new ExitError(EXIT.config, `api_keys has the id ${repeated} twice; each key needs its own.`)
}

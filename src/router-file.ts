import { readFileSync } from 'node:fs'
import { documents } from './contract/documents/index.ts'
import type { Fault } from './contract/problem.ts'
import { EXIT, ExitError } from './exit.ts'
import { buildChecks, firstFaults } from './http/validation.ts'
import { jsonOf } from './yaml.ts'

/**
 * Reads a router configuration as the API would: JSON where the name says so, else YAML.
 * @throws ExitError if it cannot be read or parsed, LedgerError `malformed_yaml`
 */
export function readRouterFile(file: string): { document: unknown; faults_of_form: Fault[] } {
  const text = textOf(file)
  const document = parsed(file, file.endsWith('.json') ? text : jsonOf(text))
  const check = buildChecks()(documents.get('router_config.v1')!) // the list has it
  return { document, faults_of_form: firstFaults(check(document)).faults }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ExitError(EXIT.config, `Cannot read the router configuration: ${(error as Error).message}.`)
  }
}

function parsed(file: string, json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new ExitError(EXIT.config, `${file} is not JSON: ${(error as Error).message}.`)
  }
}

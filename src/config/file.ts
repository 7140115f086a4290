import { readFileSync } from 'node:fs'
import { parse, YAMLParseError } from 'yaml'
import { EXIT, ExitError } from '../exit.ts'

/**
 * The settings that a YAML file (or JSON, which is YAML) gives, not yet checked. An empty file gives none.
 * @throws ExitError 78 when it cannot be read or is no mapping.
 */
export function readSettingsFile(path: string): Record<string, unknown> {
  const content = parseYaml(path, readText(path)) ?? {}
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new ExitError(EXIT.config, `${path}: it has to be a mapping of settings, like \`port: 8710\`.`)
  }
  return content as Record<string, unknown> // a mapping; its keys are text, because JSON's keys are
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ExitError(
      EXIT.config,
      `The configuration file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}.`,
    )
  }
}

function parseYaml(path: string, text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' })
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error
    // The lines after the first draw the place, which a terminal's error line has no room for.
    const [fault = error.message] = error.message.split('\n')
    throw new ExitError(EXIT.config, `${path} is not YAML: ${fault.replace(/:$/, '.')}`)
  }
}

import { type Command, Option } from 'commander'
import {
  type Config,
  CONFIG_FILE_VARIABLE,
  DEFAULT_CONFIG_FILE,
  describeSettings,
  loadConfig,
  type SettingDescription,
  type SettingName,
} from '../config.ts'

/** Gives a command the flags of some settings, or of all that have one, and --config. */
export function addSettings(command: Command, names?: readonly SettingName[]): Command {
  for (const setting of describeSettings()) {
    if (setting.flag === null || names?.includes(setting.name) === false) continue
    command.addOption(new Option(flagSyntax(setting), flagHelp(setting)))
  }
  return command.option(
    '--config <file>',
    `A YAML file with settings. [default: ${DEFAULT_CONFIG_FILE}, if it is there; variable: ${CONFIG_FILE_VARIABLE}]`,
  )
}

/** @throws ExitError 78 where a setting is refused. */
export function configOf(command: Command): Config {
  const { config, ...given } = command.opts<Record<string, string | true>>()
  const flags = command.options.map((option) => [nameOf(option), given[option.attributeName()]] as const)
  return loadConfig({
    flags: Object.fromEntries(flags.filter(([, value]) => value !== undefined)),
    config_file: config as string | undefined, // --config takes a value, so it is never `true`
    env: process.env,
    cwd: process.cwd(),
  })
}

/** --data-dir → data_dir */
function nameOf({ long }: Option): string {
  return (long ?? '').replace('--', '').replaceAll('-', '_')
}

/** --data-dir <dir>; a switch takes no value. */
function flagSyntax({ flag, is_switch }: SettingDescription): string {
  return is_switch ? `${flag}` : `${flag} <${flag?.split('-').at(-1)}>`
}

function flagHelp({ description, is_switch, allowed, variable, ...setting }: SettingDescription): string {
  const value = is_switch ? [] : [allowed, `default: ${setting.default}`]
  const facts = variable === null ? value : [...value, `variable: ${variable}`]
  return facts.length === 0 ? description : `${description} [${facts.join('; ')}]`
}

import type { Argument, Command, Option } from 'commander'

/** What can stand where a value is asked for. */
export type Values =
  { kind: 'words'; words: readonly string[] } | { kind: 'file' } | { kind: 'directory' } | { kind: 'free' }

export interface Flag {
  name: string
  /** Null where it stands alone. */
  values: Values | null
  /** Whether its value may be left out. */
  is_optional: boolean
  description: string
}

/** A command as shells complete it. */
export interface CommandRow {
  /** Behind the name of the program: empty, `tail`, `keys new`. */
  path: string
  description: string
  commands: readonly { name: string; description: string }[]
  flags: readonly Flag[]
  /** Of its first argument; null where it has none. */
  argument: Values | null
}

/** Every command of the program, the program first. */
export function commandTable(command: Command, path = ''): CommandRow[] {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  const [argument] = command.registeredArguments
  const row: CommandRow = {
    path,
    description: command.description(),
    commands: commands.map((each) => ({ name: each.name(), description: each.description() })),
    flags: help.visibleOptions(command).map(flagOf),
    argument: argument === undefined ? null : valuesOf(argument, argument.name()),
  }
  const below = command.commands.flatMap((each) => commandTable(each, `${path} ${each.name()}`.trim()))
  return [row, ...below]
}

const flagOf = (option: Option): Flag => ({
  name: option.long ?? option.flags,
  values:
    option.required || option.optional ? valuesOf(option, /[<[]([^>\]]*)/.exec(option.flags)?.[1]) : null,
  is_optional: option.optional,
  description: option.description,
})

/** What is called a file is one. */
function valuesOf({ argChoices }: Pick<Option | Argument, 'argChoices'>, called: string | undefined): Values {
  if (argChoices !== undefined) return { kind: 'words', words: argChoices }
  if (called === 'file') return { kind: 'file' }
  return { kind: called === 'dir' ? 'directory' : 'free' }
}

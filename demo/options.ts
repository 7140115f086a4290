import { fileURLToPath } from 'node:url'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'

export interface Options {
  /** Where the worker reads what its tools are. */
  tools: string
  timeout_seconds: number
  keep: boolean
}

const ABOUT =
  'Starts a server with a new data directory and a worker, and has them carry out a plan of real work on this ' +
  'repository: types, lint, tests and more, several at a time in one run, and a report of it all. One tool has to be ' +
  'tried again, one keeps failing, so that another one takes over, and a validator rejects the report once. Ends ' +
  "with what was done, by which tool and why, and with the run's events verified."

const AFTER_HELP = `
Exit codes:
  0   everything ended as it should
  1   something did not; what was wrong is printed
  64  the command line is wrong
  More than 128: ended by a signal. Nothing is left of it then.
`

const TOOLS = fileURLToPath(new URL('tools.yaml', import.meta.url))

/** @returns the exit code instead, where the command line asks for help or is wrong */
export function readOptions(args: readonly string[]): Options | number {
  const program = new Command('npm run demo --')
    .description(ABOUT)
    .addOption(new Option('--tools <file>', 'what the tools are').default(TOOLS, 'demo/tools.yaml'))
    .option('--timeout-seconds <n>', 'give up after this long, and say what is open', seconds, 300)
    .option('--keep', 'keep the server and its data until Ctrl-C, to look around', false)
    .addHelpText('after', AFTER_HELP)
    .exitOverride()
  try {
    program.parse(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64
    throw error
  }
  const { tools, timeoutSeconds, keep } = program.opts<{
    tools: string
    timeoutSeconds: number
    keep: boolean
  }>()
  return { tools, timeout_seconds: timeoutSeconds, keep }
}

function seconds(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (value >= 1 && value <= 86_400) return value
  throw new InvalidArgumentError('It has to be an integer from 1 to 86400.')
}

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { EXIT, ExitError } from '../exit.ts'
import { addBackup, addConfig, addGenerate, addKeys, addMigrate, addServe } from './commands.ts'
import { addCompletion } from './completion.ts'
import { addExplain } from './explain.ts'
import { addRun } from './run.ts'
import { addRuns } from './runs.ts'
import { addTail } from './tail.ts'
import { addWorker } from './worker.ts'

/** Runs one command line. Whatever goes wrong is one line on stderr and an exit code, never a stack. */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(withDefaultCommand(args), { from: 'user' })
  } catch (error) {
    // Ends the process at once: a command that failed half-way may leave a timer or a socket that keeps it alive.
    process.exit(report(error))
  }
}

/** `signalbox --port 0` means serve. commander's own default command would take a misspelt command for an argument. */
function withDefaultCommand(args: readonly string[]): readonly string[] {
  const [first] = args
  if (first === undefined) return ['serve']
  const isAboutProgram = ['-h', '--help', '-V', '--version'].includes(first)
  return first.startsWith('-') && !isAboutProgram ? ['serve', ...args] : args
}

function report(error: unknown): number {
  // commander has already said what is wrong; its code is 0 for --help and --version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  process.stderr.write(`signalbox: ${error instanceof Error ? error.message : String(error)}\n`)
  return error instanceof ExitError ? error.exit_code : EXIT.failure
}

const AFTER_HELP = `
Without a command it serves. Settings come from flags, then from variables, then from the file, then from defaults;
an empty variable counts as not set.

Examples:
  $ signalbox --port 0
  $ signalbox tail --server http://127.0.0.1:8710
  $ signalbox help backup

Exit codes:
  0   done
  1   failed, or the server refused
  2   explain: no tool would take the task
  64  the command line is wrong
  66  the file to read, or what was asked for, is not there
  69  the server does not answer, or asks to come again later
  73  the file to write exists already, or cannot be created
  75  another process holds the data directory
  78  the configuration or the key is refused, or the store is shorter than its anchor
  130 ended by Ctrl-C
`

/** In the order in which help lists them. */
const COMMANDS = [
  addServe,
  addWorker,
  addTail,
  addRuns,
  addRun,
  addExplain,
  addConfig,
  addKeys,
  addBackup,
  addMigrate,
  addGenerate,
  addCompletion,
]

function program(): Command {
  const signalbox = new Command('signalbox')
    .description('A run ledger and task router: one small HTTP server.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'signalbox: ')) })
    .addHelpText('after', AFTER_HELP)
  for (const add of COMMANDS) add(signalbox)
  return signalbox
}

function packageVersion(): string {
  // Two levels up from src/cli and from dist/cli alike.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version // our own file
}

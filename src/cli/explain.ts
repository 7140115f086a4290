import { readFile } from 'node:fs/promises'
import { text as streamText } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { Connection } from '../client/connection.ts'
import type { ExplainResult } from '../contract/route-explain.ts'
import { EXIT, ExitError } from '../exit.ts'
import { jsonOf } from '../yaml.ts'
import { explanationLines } from './explanation-text.ts'
import { examples } from './help.ts'
import { type OutputFlags, addOutputFlags, openOutput } from './output.ts'
import { type ServerFlags, addServerFlags, withServer } from './server-flags.ts'

interface Flags extends ServerFlags, OutputFlags {
  task: string
}

const AFTER_HELP = `
Nothing is written. It ends with 0 where a tool would take the task, and with ${EXIT.no_tool} where none would.
${examples(
  'signalbox explain --task task.yaml',
  `echo '{"task_kind":"docs_edit","project_id":"shop"}' | signalbox explain --task -`,
  'signalbox explain --task task.json --json | jq -r .tool_id',
)}`

export function addExplain(signalbox: Command): void {
  const explain = signalbox
    .command('explain')
    .description(
      'Say which tool would get a task now, why, why none of the others, and what would change that.',
    )
    .requiredOption('--task <file>', 'the task, as JSON or YAML; - is standard input')
  addOutputFlags(explain, "print the server's answer as it is")
  addServerFlags(explain, 'read').addHelpText('after', AFTER_HELP)
  explain.action((flags: Flags) => withServer(flags, (connection) => printExplanation(connection, flags)))
}

async function printExplanation(connection: Connection, flags: Flags): Promise<void> {
  const output = openOutput(flags)
  const { body, text } = await connection.send<ExplainResult>({
    method: 'POST',
    path: '/v1/routing/explain',
    body: await readTask(flags.task),
  })
  output.print(flags.json ? [text] : explanationLines(body, output))
  if (body.outcome === 'unroutable') process.exitCode = EXIT.no_tool
}

/** @throws ExitError 66 where there is nothing to read, 1 where it is neither JSON nor YAML */
async function readTask(file: string): Promise<unknown> {
  const text = await textOf(file)
  try {
    return JSON.parse(text)
  } catch {
    return parsedYaml(file, text)
  }
}

function parsedYaml(file: string, text: string): unknown {
  try {
    return JSON.parse(jsonOf(text))
  } catch (error) {
    const place = file === STANDARD_INPUT ? 'Standard input' : file
    throw new ExitError(EXIT.failure, `${place} is neither JSON nor YAML. ${(error as Error).message}`)
  }
}

const STANDARD_INPUT = '-'

async function textOf(file: string): Promise<string> {
  try {
    return await (file === STANDARD_INPUT ? streamText(process.stdin) : readFile(file, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ExitError(EXIT.no_input, `The task file ${file} cannot be read: ${code}.`)
  }
}

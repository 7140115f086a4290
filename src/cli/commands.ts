import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { stringify } from 'yaml'
import { type Config, maskedConfig, requireKeysBeyondLoopback } from '../config.ts'
import { LIMITS } from '../contract/limits.ts'
import { EXIT, ExitError } from '../exit.ts'
import { KEY_SCOPES, type KeyScope, newKey } from '../keys.ts'
import { examples } from './help.ts'
import { addSettings, configOf } from './settings-flags.ts'

// What a command needs is imported when it runs: the keys of a server can be made, and its configuration looked
// at, where its database driver does not load.

export function addServe(signalbox: Command): void {
  const serve = signalbox
    .command('serve')
    .description('Serve the ledger over HTTP until SIGTERM or SIGINT. The default command.')
    .addHelpText('after', examples('signalbox', 'signalbox serve --port 0 --data-dir /var/lib/signalbox'))
  addSettings(serve).action(async () => {
    const config = configOf(serve)
    requireKeysBeyondLoopback(config)
    const main = await import('../main.ts')
    await main.serve(config)
  })
}

export function addConfig(signalbox: Command): void {
  const config = signalbox.command('config').description('Look at the configuration.')
  const print = config
    .command('print')
    .description('Print every setting that is in force, and where it comes from. Secrets are masked.')
    .option('--json', 'print JSON instead of YAML')
    .addHelpText('after', examples('signalbox config print', 'signalbox config print --json --port 80'))
  addSettings(print).action(({ json }: { json?: true }) => {
    const shown = configOf(print)
    process.stdout.write(json ? `${JSON.stringify(maskedConfig(shown), null, 2)}\n` : asYaml(shown))
  })
}

/** YAML as a configuration file has it, with the source of each value in a comment. */
function asYaml(config: Config): string {
  const entries = Object.entries(maskedConfig(config)).map(([name, { value, source }]) => {
    const [first = '', ...rest] = stringify({ [name]: value }, { lineWidth: 0 })
      .trimEnd()
      .split('\n')
    return [`${first} # ${source}`, ...rest].join('\n')
  })
  return `${entries.join('\n')}\n`
}

interface KeysNewOptions {
  scopes: KeyScope[]
  project?: string[]
}

export function addKeys(signalbox: Command): void {
  const keys = signalbox.command('keys').description('Make API keys.')
  keys
    .command('new')
    .description('Make an API key: prints it, once, and the entry by which the server will know it.')
    .requiredOption(
      '--scopes <list>',
      `what the key may do: ${KEY_SCOPES.join(', ')}; with commas`,
      parseScopes,
    )
    .option(
      '--project <project_id>',
      'bind the key to this project; may be repeated (default: all)',
      addProject,
    )
    .addHelpText(
      'after',
      examples(
        'signalbox keys new --scopes write',
        'signalbox keys new --scopes read,worker --project my-app',
      ),
    )
    .action(({ scopes, project }: KeysNewOptions) => {
      const { key, entry } = newKey({ scopes, ...(project && { projects: project }), randomBytes })
      process.stdout.write(`${key}\n\n${stringify({ api_keys: [entry] })}`)
      process.stderr.write(
        '\nKeep the first line: it is the key, and nothing can show it again. Add the entry to api_keys in ' +
          `signalbox.yaml, or to the list in\nSIGNALBOX_API_KEYS='${JSON.stringify([entry])}'\n`,
      )
    })
}

function parseScopes(list: string): KeyScope[] {
  const words = list.split(',').map((word) => word.trim())
  const unknown = words.find((word) => !isScope(word))
  if (unknown !== undefined)
    throw new InvalidArgumentError(`'${unknown}' is none of ${KEY_SCOPES.join(', ')}.`)
  return KEY_SCOPES.filter((scope) => words.includes(scope))
}

function addProject(project_id: string, before: string[] = []): string[] {
  if (project_id === '' || project_id.length > LIMITS.name_length) {
    throw new InvalidArgumentError(`A project id has 1 to ${LIMITS.name_length} characters.`)
  }
  return [...before, project_id]
}

function isScope(word: string): word is KeyScope {
  return KEY_SCOPES.some((scope) => scope === word)
}

export function addBackup(signalbox: Command): void {
  const backup = signalbox
    .command('backup')
    .argument('<file>', 'where to write the copy; a file that exists is never overwritten')
    .description('Copy the store into one file, also while it is served, and verify the copy.')
    .addHelpText('after', examples('signalbox backup /backups/signalbox-2026-01-05.db'))
  addSettings(backup, ['data_dir']).action(async (name: string) => {
    const { data_dir } = configOf(backup)
    const file = resolve(name)
    if (existsSync(file))
      throw new ExitError(EXIT.cannot_create, `${file} exists already; name another file.`)
    const store = await import('../store/sqlite/backup.ts')
    const { runs, events, bytes } = await store.backup({ data_dir, file })
    process.stdout.write(`Copied to ${file} and verified: ${runs} runs, ${events} events, ${bytes} bytes.\n`)
  })
}

export function addMigrate(signalbox: Command): void {
  const migrate = signalbox
    .command('migrate')
    .description('Bring the store to the version that this program needs; serve does so by itself.')
    .addHelpText('after', examples('signalbox migrate --data-dir /var/lib/signalbox'))
  addSettings(migrate, ['data_dir', 'log_level', 'accept_loss']).action(async () => {
    const config = configOf(migrate)
    const { migrateOnly } = await import('../main.ts')
    const { from, to } = await migrateOnly(config)
    const done =
      from === to ? `The store is at version ${to} already.` : `Migrated the store from ${from} to ${to}.`
    process.stdout.write(`${done}\n`)
  })
}

export function addGenerate(signalbox: Command): void {
  signalbox
    .command('generate')
    .description('Write the files that are made from the code: openapi/, schemas/ and the state diagrams.')
    .option('--check', 'write nothing; fail when a file differs from what the code would write')
    .addHelpText('after', examples('npm run generate', 'npm run signalbox -- generate --check'))
    .action(async ({ check = false }: { check?: boolean }) => {
      const { generate } = await import('../generate.ts')
      const files = await generate({ check })
      if (check && files.length > 0) {
        throw new ExitError(
          EXIT.failure,
          `these files differ from what the code makes: ${files.join(', ')}. Run \`npm run generate\`.`,
        )
      }
      for (const file of files) process.stdout.write(`${file}\n`)
    })
}

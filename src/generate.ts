import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { format } from 'prettier'
import { documents } from './contract/documents/index.ts'
import { describeSettings } from './config.ts'
import { circuitMachine } from './domain/circuit-machine.ts'
import { describeMachine } from './domain/machine.ts'
import { requestMachine } from './domain/request-machine.ts'
import { runMachine } from './domain/run-machine.ts'
import { stepMachine } from './domain/step-machine.ts'
import { buildApp } from './http/app.ts'
import { yamlOf } from './http/routes/docs.ts'
import { VERSION } from './main.ts'
import { createMetrics } from './metrics/metrics.ts'

const root = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))

/**
 * Writes what is made from the code: openapi/ from the routes, schemas/ from the contract,
 * docs/state-machines.md from the machines, and the tables of operations and settings in README.md. With `check` it writes nothing.
 * @returns the files that were written, or that differ
 */
export async function generate({ check = false }: { check?: boolean }): Promise<string[]> {
  const differing: string[] = []
  for (const [file, content] of await generated()) {
    if (contentOf(root(file)) === content) continue
    differing.push(file)
    if (check) continue
    mkdirSync(dirname(root(file)), { recursive: true })
    writeFileSync(root(file), content)
  }
  return differing
}

async function generated(): Promise<Map<string, string>> {
  const openapi = await openApiDocument()
  const files = new Map([
    ['openapi/openapi.json', `${JSON.stringify(openapi, null, 2)}\n`],
    ['openapi/openapi.yaml', yamlOf(openapi)],
    ['docs/state-machines.md', await machinesPage()],
    ['README.md', await readme(openapi as Described)],
  ])
  for (const [name, schema] of documents)
    files.set(`schemas/${name}.json`, `${JSON.stringify(schema, null, 2)}\n`)
  return files
}

/** The app is built but never asked anything, so it needs nothing to stand on. */
async function openApiDocument(): Promise<object> {
  const app = await buildApp({
    orchestrator: undefined as never,
    reads: undefined as never,
    logger: pino({ level: 'silent' }),
    newRequestId: () => '',
    version: VERSION,
    metrics: createMetrics({ version: VERSION, max_streams: 0, write_queue_max: 0 }),
    max_streams: 0,
    api_keys: [],
    is_loopback: true,
    allowed_hosts: [],
    allowed_origins: [],
    isDraining: () => false,
  })
  await app.ready()
  const document = app.swagger()
  await app.close()
  return document
}

interface Described {
  paths: Record<string, Record<string, { operationId: string; summary: string }>>
}

/** The README is written by hand, but for its two tables. */
async function readme({ paths }: Described): Promise<string> {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, summary }]) => [
      `\`${operationId}\``,
      `\`${method.toUpperCase()} ${path}\``,
      summary,
    ]),
  )
  const settings = describeSettings().map((setting) => [
    `\`${setting.name}\``,
    setting.flag === null ? '–' : `\`${setting.flag}\``,
    setting.variable === null ? '–' : `\`${setting.variable}\``,
    `\`${setting.default}\`${setting.unit === null ? '' : ` ${setting.unit}`}`,
    setting.description,
  ])
  const page = contentOf(root('README.md')) ?? ''
  const withOperations = section(
    page,
    'operations',
    table(['operation', 'request', 'what it does'], operations),
  )
  const head = ['setting', 'flag', 'variable', 'default', 'what it is']
  return format(section(withOperations, 'settings', table(head, settings)), {
    parser: 'markdown',
    printWidth: 120,
  })
}

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** Puts the text between `<!-- name -->` and `<!-- /name -->`. */
function section(page: string, name: string, text: string): string {
  const [before, rest] = page.split(`<!-- ${name} -->`)
  const [, after] = (rest ?? '').split(`<!-- /${name} -->`)
  if (before === undefined || after === undefined) throw new Error(`README.md has no section ${name}`)
  return `${before}<!-- ${name} -->\n\n${text}\n\n<!-- /${name} -->${after}`
}

function machinesPage(): Promise<string> {
  const sections = [runMachine, stepMachine, requestMachine, circuitMachine].map((machine) => {
    const { name, mermaid, transitions } = describeMachine<string, string>(machine)
    const rows = transitions.map(
      ({ from, command, to, event }) => `| ${from ?? '–'} | ${command} | ${to} | \`${event}\` |`,
    )
    const table = ['| from | command | to | event |', '| --- | --- | --- | --- |', ...rows].join('\n')
    return `## ${name}\n\n\`\`\`mermaid\n${mermaid}\n\`\`\`\n\n${table}\n`
  })
  const head =
    '<!-- Made by `npm run generate` from the tables in src/domain; do not edit. -->\n\n# State machines\n'
  return format([head, ...sections].join('\n'), { parser: 'markdown' })
}

function contentOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

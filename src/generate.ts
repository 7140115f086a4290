import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { format } from 'prettier'
import { documents } from './contract/documents/index.ts'
import { describeMachine } from './domain/machine.ts'
import { runMachine } from './domain/run-machine.ts'
import { stepMachine } from './domain/step-machine.ts'
import { buildApp } from './http/app.ts'
import { yamlOf } from './http/routes/docs.ts'
import { VERSION } from './main.ts'

const root = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))

/**
 * Writes what is made from the code: openapi/ from the routes, schemas/ from the contract, and
 * docs/state-machines.md from the machines. With `check` it writes nothing.
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

function machinesPage(): Promise<string> {
  const sections = [runMachine, stepMachine].map((machine) => {
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

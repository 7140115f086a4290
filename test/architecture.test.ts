import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/**
 * Who may import whom. A name that ends in `/` is a folder of src, `.ts` is a file of it, `type:` allows its
 * types alone; the rest are packages. Everybody may import from the own folder.
 */
const MAY_IMPORT: Record<string, readonly string[] | 'anything'> = {
  contract: ['@sinclair/typebox'],
  domain: ['contract/', 'node:crypto', 'canonicalize', 'picomatch'],
  clock: [],
  directory: ['node:fs', 'node:path'],
  entropy: ['node:crypto', 'ulid'],
  exit: [],
  keys: ['type:config/settings.ts', 'node:crypto'],
  yaml: ['contract/', 'domain/error.ts', 'yaml'],
  'router-file': ['contract/', 'http/validation.ts', 'exit.ts', 'yaml.ts', 'node:fs'],
  config: [
    'contract/',
    'exit.ts',
    'keys.ts',
    '@sinclair/typebox',
    '@sinclair/typebox/value',
    'yaml',
    'node:fs',
    'node:net',
    'node:path',
  ],
  store: [
    'domain/',
    'contract/',
    'directory.ts',
    'better-sqlite3',
    'ulid',
    'node:crypto',
    'node:fs',
    'node:fs/promises',
    'node:path',
    'node:timers/promises',
    'node:worker_threads',
  ],
  metrics: [
    'contract/',
    'domain/decision.ts',
    'type:orchestrator/figures.ts',
    'type:orchestrator/lease-news.ts',
    'type:store/store.ts',
    '@prometheus-io/client',
    'node:timers/promises',
  ],
  orchestrator: [
    'domain/',
    'contract/',
    'type:store/store.ts',
    'type:clock.ts',
    'type:entropy.ts',
    'node:timers/promises',
  ],
  http: [
    'contract/',
    'metrics/metrics.ts',
    'type:metrics/durations.ts',
    'type:orchestrator/call.ts',
    'type:orchestrator/orchestrator.ts',
    'type:store/store.ts',
    'yaml.ts',
    'domain/circuit-machine.ts',
    'domain/configuration.ts',
    'type:domain/decision.ts',
    'domain/error.ts',
    'domain/event-chain.ts',
    'domain/guard.ts',
    'domain/idempotency.ts',
    'domain/machine.ts',
    'domain/request-machine.ts',
    'domain/route-decision.ts',
    'domain/run-machine.ts',
    'domain/step-machine.ts',
    'type:domain/step-report.ts',
    'keys.ts',
    'fastify',
    '@fastify/ajv-compiler',
    '@fastify/cors',
    '@fastify/helmet',
    '@fastify/swagger',
    '@fastify/swagger-ui',
    'type:@fastify/type-provider-typebox',
    'type:pino',
    '@sinclair/typebox',
    'yaml',
    'node:buffer',
    'node:crypto',
    'node:http',
    'type:node:net',
    'node:stream',
    'node:timers/promises',
  ],
  // How every client of ours speaks to a server: over HTTP, and knowing its contract and nothing else.
  client: ['contract/', 'node:timers/promises'],
  // A client like any other: its way to the server is HTTP.
  worker: [
    'client/',
    'contract/',
    'directory.ts',
    'exit.ts',
    'yaml',
    'node:child_process',
    'node:crypto',
    'node:fs',
    'node:path',
  ],
  main: 'anything',
  generate: 'anything',
  cli: 'anything',
}

/** What only these may import: nobody builds a server by chance. */
const ENTRANCES: Record<string, readonly string[]> = {
  'main.ts': ['cli', 'generate'],
  'generate.ts': ['cli'],
  'cli.ts': [],
}

interface Import {
  from: string
  /** A path within src, or the name of a package. */
  target: string
  types_only: boolean
  names: string[]
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts'))
  .toSorted()

const textOf = (file: string): string => readFileSync(join(SRC, file), 'utf8')
const parsed = new Map(
  files.map((file) => [file, ts.createSourceFile(file, textOf(file), ts.ScriptTarget.Latest)]),
)
const imports = files.flatMap(importsOf)

/** The folder of a file, or its own name where it stands directly in src. */
const unitOf = (file: string): string => file.split('/')[0]!.replace(/\.ts$/, '')

function importsOf(file: string): Import[] {
  const found: Import[] = []
  const add = (specifier: ts.Expression, types_only: boolean, names: string[] = []): void => {
    if (!ts.isStringLiteral(specifier)) throw new Error(`${file} imports something that cannot be read`)
    const { text } = specifier
    const target = text.startsWith('.') ? relative(SRC, join(SRC, dirname(file), text)) : text
    found.push({ from: file, target, types_only, names })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, isOfTypes(node.importClause), namesOf(node.importClause))
    if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node.moduleSpecifier, node.isTypeOnly)
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0]!, false)
    }
    ts.forEachChild(node, visit)
  }
  visit(parsed.get(file)!)
  return found
}

function isOfTypes(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const { name, namedBindings } = clause
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false
  return namedBindings.elements.every(({ isTypeOnly }) => isTypeOnly)
}

function namesOf(clause: ts.ImportClause | undefined): string[] {
  const bindings = clause?.namedBindings
  if (bindings === undefined || !ts.isNamedImports(bindings)) return []
  return bindings.elements.map(({ name, propertyName }) => (propertyName ?? name).text)
}

function isAllowed({ from, target, types_only }: Import): boolean {
  const unit = unitOf(from)
  const allowed = MAY_IMPORT[unit]
  if (allowed === 'anything' || unitOf(target) === unit) return true
  return (allowed ?? []).some((rule) => {
    const name = rule.replace(/^type:/, '')
    if (rule.startsWith('type:') && !types_only) return false
    return name.endsWith('/') ? target.startsWith(name) : target === name
  })
}

const said = ({ from, target, types_only }: Import) =>
  `${from} imports ${types_only ? 'types of ' : ''}${target}`

describe('who imports whom', () => {
  it('is known for every file', () => {
    const units = new Set(files.map(unitOf))
    expect([...units].filter((unit) => MAY_IMPORT[unit] === undefined)).toEqual([])
  })

  it.each(Object.keys(MAY_IMPORT))('%s imports what it may, and nothing else', (unit) => {
    const own = imports.filter(({ from }) => unitOf(from) === unit)
    expect(own.filter((each) => !isAllowed(each)).map(said)).toEqual([])
  })

  it('leaves no rule that nothing needs', () => {
    const idle = Object.entries(MAY_IMPORT).flatMap(([unit, rules]) => {
      const targets = imports.filter(({ from }) => unitOf(from) === unit).map(({ target }) => target)
      const needed = (rule: string) =>
        targets.some((target) =>
          rule.endsWith('/') ? target.startsWith(rule) : target === rule.replace(/^type:/, ''),
        )
      return rules === 'anything'
        ? []
        : rules.filter((rule) => !needed(rule)).map((rule) => `${unit}: ${rule}`)
    })
    expect(idle).toEqual([])
  })

  it.each(Object.entries(ENTRANCES))('%s is imported by no other than %j', (entrance, allowed) => {
    const others = imports.filter(
      ({ from, target }) => target === entrance && !allowed.includes(unitOf(from)),
    )
    expect(others.map(said)).toEqual([])
  })

  it('lets generate take no more of main than its version', () => {
    const names = imports.filter(({ from, target }) => from === 'generate.ts' && target === 'main.ts')
    expect(names.map((each) => each.names)).toEqual([['VERSION']])
  })

  it('lets no adapter of the store know another one', () => {
    const adapters = readdirSync(join(SRC, 'store'), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    )
    for (const { name } of adapters) {
      const own = imports.filter(({ from }) => from.startsWith(`store/${name}/`))
      const strangers = own.filter(({ target }) => {
        const [unit, folder, file] = target.split('/')
        return unit === 'store' && file !== undefined && folder !== name
      })
      expect(strangers.map(said)).toEqual([])
    }
  })

  it('lets the port know no adapter', () => {
    const own = imports.filter(({ from }) => /^store\/[^/]+\.ts$/.test(from))
    expect(own.filter(({ target }) => /^store\/.+\//.test(target)).map(said)).toEqual([])
  })
})

describe('the domain', () => {
  const domain = files.filter((file) => unitOf(file) === 'domain')

  it('takes from node:crypto the hash, and no chance', () => {
    const taken = imports.filter(({ from, target }) => unitOf(from) === 'domain' && target === 'node:crypto')
    expect([...new Set(taken.flatMap(({ names }) => names))]).toEqual(['hash'])
  })

  it.each(['performance', 'process', 'setTimeout', 'setImmediate', 'fetch', 'console'])(
    'knows nothing of %s',
    (name) => {
      expect(domain.filter((file) => identifiersOf(file).has(name))).toEqual([])
    },
  )

  it('reads and writes instants, and never asks what time it is', () => {
    const others = domain.filter((file) =>
      /\bDate\b/.test(codeOf(file).replace(/\bDate\.parse\(|\bnew Date\((?!\s*\))/g, '')),
    )
    expect(others).toEqual([])
  })

  it('draws no lots, and waits for nothing', () => {
    expect(
      domain.filter((file) => /Math\.random|\bawait\b|\basync\b|\bPromise\b/.test(codeOf(file))),
    ).toEqual([])
  })
})

describe('time', () => {
  it('is read from the wall in one place', () => {
    const readers = files.filter((file) => /\bDate\.now\b|new Date\(\)/.test(codeOf(file)))
    expect(readers).toEqual(['clock.ts'])
  })
})

describe('a file', () => {
  it('tells one story: no more than 300 lines', () => {
    expect(files.filter((file) => textOf(file).trimEnd().split('\n').length > 300)).toEqual([])
  })

  it('is no barrel: it exports what stands in it', () => {
    // config.ts is the door of its folder, and has its own story.
    const barrels = files.filter((file) => parsed.get(file)!.statements.some(isReexport))
    expect(barrels).toEqual(['config.ts'])
  })

  it('lives with what it is about', () => {
    const drawers = /(^|\/)(utils?|helpers?|types|services?|models?|common)\//
    expect(files.filter((file) => drawers.test(file))).toEqual([])
  })

  it('is named by a noun in kebab-case', () => {
    expect(
      files.filter((file) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(file)),
    ).toEqual([])
  })
})

const isReexport = (node: ts.Statement): boolean =>
  ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined

function identifiersOf(file: string): Set<string> {
  const names = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) names.add(node.text)
    ts.forEachChild(node, visit)
  }
  visit(parsed.get(file)!)
  return names
}

/** Without comments. */
function codeOf(file: string): string {
  const printer = ts.createPrinter({ removeComments: true })
  return printer.printFile(parsed.get(file)!)
}

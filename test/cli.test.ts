import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { describeSettings } from '../src/config.ts'
import { hashKey } from '../src/keys.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CLI = join(ROOT, 'src/cli.ts')
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

let cwd: string
const servers: ChildProcess[] = []

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'signalbox-cli-'))
})

afterEach(() => {
  for (const server of servers.splice(0)) server.kill('SIGKILL') // those that a failed test left behind
  rmSync(cwd, { recursive: true })
})

interface Outcome {
  code: number
  stdout: string
  stderr: string
}

/** A real process, as somebody's shell would start it. */
function signalbox(args: string[], { env = {}, node = [] as string[] } = {}): Promise<Outcome> {
  const options = { cwd, env: { PATH: process.env.PATH, ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, [...node, CLI, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

/** A server in the background, as soon as it says where it serves. */
async function serving(...flags: string[]): Promise<{ url: string; stop: () => Promise<number | null> }> {
  const server = spawn(process.execPath, [CLI, 'serve', ...flags], { cwd, env: { PATH: process.env.PATH } })
  servers.push(server)
  const exited = once(server, 'exit') as Promise<[number | null]>
  for await (const line of createInterface(server.stdout)) {
    const { url } = JSON.parse(line) as { url?: string }
    if (url === undefined) continue
    server.stdout.resume() // what it logs from now on is nobody's business, but must not fill the pipe
    return {
      url,
      async stop() {
        server.kill('SIGTERM')
        return (await exited)[0]
      },
    }
  }
  throw new Error('the server ended before it served')
}

const COMMANDS = [
  ...['serve', 'worker', 'tail', 'runs', 'run', 'explain', 'backup', 'migrate', 'generate', 'completion'].map(
    (word) => [word],
  ),
  ['config', 'print'],
  ['keys', 'new'],
]

describe('help', () => {
  it.each([[], ...COMMANDS].map((words) => [words]))('of %j goes to stdout, with examples', async (words) => {
    const { code, stdout, stderr } = await signalbox([...words, '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`Usage: ${['signalbox', ...words].join(' ')} `)
    expect(stdout).toContain('Examples:\n  $ ')
  })

  it('names the exit codes', async () => {
    const { stdout } = await signalbox(['--help'])
    for (const code of [0, 1, 2, 64, 66, 69, 73, 75, 78, 130])
      expect(stdout).toMatch(new RegExp(`^ {2}${code} +\\w`, 'm'))
  })

  it('of serve has every setting with its variable and its default', async () => {
    const { stdout } = await signalbox(['serve', '--help'])
    const words = stdout.replaceAll(/\s+/g, ' ')
    for (const { flag, variable, is_switch, ...setting } of describeSettings()) {
      if (flag === null) continue
      expect(words).toContain(` ${flag} `)
      if (variable !== null) expect(words).toContain(`variable: ${variable}]`)
      if (!is_switch) expect(words).toContain(`default: ${setting.default};`)
    }
  })
})

it('--version is the version of the package', async () => {
  expect(await signalbox(['--version'])).toEqual({ code: 0, stdout: `${MANIFEST.version}\n`, stderr: '' })
})

describe('a command line that is wrong', () => {
  it.each([
    ['an unknown command', ['srve'], "signalbox: unknown command 'srve'\n(Did you mean serve?)\n"],
    [
      'an unknown flag',
      ['serve', '--prot', '1'],
      "signalbox: unknown option '--prot'\n(Did you mean --port?)\n",
    ],
    ['an unknown flag and no command', ['--prot', '1'], "signalbox: unknown option '--prot'"],
    ['a flag without its value', ['--port'], "signalbox: option '--port <port>' argument missing\n"],
    ['a word too many', ['serve', 'now'], "signalbox: too many arguments for 'serve'."],
    ['no file for a backup', ['backup'], "signalbox: missing required argument 'file'\n"],
    ['no scopes for a key', ['keys', 'new'], "signalbox: required option '--scopes <list>' not specified\n"],
    [
      'an unknown scope',
      ['keys', 'new', '--scopes', 'read,all'],
      "'all' is none of read, write, worker, admin.",
    ],
    ['a project without a name', ['keys', 'new', '--scopes', 'read', '--project', ''], '1 to 200 characters'],
  ])('with %s ends with 64 and says so', async (_fault, args, line) => {
    const { code, stdout, stderr } = await signalbox(args)
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' })
    expect(stderr).toContain(line)
  })
})

describe('serve', () => {
  it('refuses a setting with 78 and one line', async () => {
    expect(await signalbox(['serve', '--port', 'x'])).toEqual({
      code: 78,
      stdout: '',
      stderr: 'signalbox: port (from --port) is "x"; it has to be an integer from 0 to 65535.\n',
    })
  })

  it('is the command when there is none', async () => {
    const { code, stderr } = await signalbox([], { env: { SIGNALBOX_HOST: '0.0.0.0' } })
    expect(code).toBe(78)
    expect(stderr).toMatch(
      /^signalbox: host is 0\.0\.0\.0 \(from SIGNALBOX_HOST\).*there are no API keys.*\n$/,
    )
  })

  it('answers until SIGTERM, and then exits with 0', async () => {
    const server = await serving('--port', '0', '--data-dir', 'store')
    expect((await fetch(`${server.url}/livez`)).status).toBe(200)
    expect(existsSync(join(cwd, 'store'))).toBe(true)
    expect(await server.stop()).toBe(0)
  })

  it('refuses a data directory that another process holds, with 75', async () => {
    const server = await serving('--port', '0')
    const { code, stderr } = await signalbox(['serve', '--port', '0'])
    await server.stop()
    expect(code).toBe(75)
    expect(stderr).toMatch(/^signalbox: .*\n$/)
  })

  it('fails with 1 when the port is taken, and says which', async () => {
    const server = await serving('--port', '0')
    const { port } = new URL(server.url)
    const { code, stderr } = await signalbox(['serve', '--port', port, '--data-dir', 'other'])
    await server.stop()
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^signalbox: 127\\.0\\.0\\.1:${port} is in use\\..*\\n$`))
  })
})

describe('migrate', () => {
  it('brings a store to the version of the program, once', async () => {
    const first = await signalbox(['migrate'])
    expect(first).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Migrated the store from 0 to \d+\.\n$/),
    })
    const second = await signalbox(['migrate'])
    expect(second).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^The store is at version \d+ already\.\n$/),
    })
  })
})

describe('backup', () => {
  it('copies the store while it is served', async () => {
    const server = await serving('--port', '0')
    await fetch(`${server.url}/v1/runs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ project_id: 'p', phase_id: 'build' }),
    })
    const { code, stdout } = await signalbox(['backup', 'copy.db'])
    await server.stop()
    expect({ code, file: existsSync(join(cwd, 'copy.db')) }).toEqual({ code: 0, file: true })
    expect(stdout).toMatch(/^Copied to .*copy\.db and verified: 1 runs, 1 events, \d+ bytes\.\n$/)
  })

  it('refuses a file that exists with 73, and leaves it alone', async () => {
    writeFileSync(join(cwd, 'copy.db'), 'precious')
    await signalbox(['migrate'])
    const { code, stderr } = await signalbox(['backup', 'copy.db'])
    expect({ code, stderr }).toEqual({
      code: 73,
      stderr: `signalbox: ${join(cwd, 'copy.db')} exists already; name another file.\n`,
    })
    expect(readFileSync(join(cwd, 'copy.db'), 'utf8')).toBe('precious')
  })

  it('fails with 1 where there is no store', async () => {
    const { code, stderr } = await signalbox(['backup', 'copy.db', '--data-dir', 'nowhere'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `signalbox: There is no store in ${join(cwd, 'nowhere')}.\n`,
    })
  })
})

describe('config print', () => {
  it('prints every setting as YAML, and where it comes from', async () => {
    const file = join(cwd, 'signalbox.yaml')
    writeFileSync(file, 'log_level: warn\n')
    const { code, stdout, stderr } = await signalbox(['config', 'print', '--port', '0'], {
      env: { SIGNALBOX_HOST: '::1' },
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('port: 0 # --port\n')
    expect(stdout).toContain('host: ::1 # SIGNALBOX_HOST\n')
    expect(stdout).toContain(`log_level: warn # ${file}\n`)
    expect(stdout).toContain('write_queue_max: 4096 # default\n')
    expect(Object.keys(parse(stdout))).toEqual(describeSettings().map(({ name }) => name))
  })

  it('prints JSON for programs', async () => {
    const { stdout } = await signalbox(['config', 'print', '--json', '--data-dir', 'x'])
    expect(JSON.parse(stdout).data_dir).toEqual({ value: join(cwd, 'x'), source: '--data-dir' })
  })

  it('masks what is secret', async () => {
    const sha256 = 'ab'.repeat(32)
    const env = { SIGNALBOX_API_KEYS: JSON.stringify([{ id: 'ci', sha256, scopes: ['read'] }]) }
    for (const args of [[], ['--json']]) {
      const { stdout } = await signalbox(['config', 'print', ...args], { env })
      expect(stdout).toContain('ci')
      expect(stdout).not.toContain(sha256)
    }
  })
})

describe('keys new', () => {
  it('prints the key first, then the entry for the configuration file', async () => {
    const { code, stdout } = await signalbox([
      'keys',
      'new',
      '--scopes',
      'write,read',
      '--project',
      'p',
      '--project',
      'q',
    ])
    const [key = '', blank, ...entry] = stdout.split('\n')
    expect({ code, blank }).toEqual({ code: 0, blank: '' })
    expect(parse(entry.join('\n'))).toEqual({
      api_keys: [
        { id: key.split('_')[1], sha256: hashKey(key), scopes: ['read', 'write'], projects: ['p', 'q'] },
      ],
    })
  })

  it('says what to do with them on stderr, without the key', async () => {
    const { stdout, stderr } = await signalbox(['keys', 'new', '--scopes', 'read'])
    expect(stderr).toContain("SIGNALBOX_API_KEYS='[{")
    expect(stderr).not.toContain(stdout.split('\n')[0])
  })

  it('makes an entry that the server takes, from the file and from the variable', async () => {
    const { stdout, stderr } = await signalbox(['keys', 'new', '--scopes', 'admin'])
    const entry = stdout.slice(stdout.indexOf('api_keys:'))
    const variable = /SIGNALBOX_API_KEYS='(.*)'/.exec(stderr)?.[1]

    const fromVariable = await signalbox(['config', 'print'], { env: { SIGNALBOX_API_KEYS: variable } })
    expect(fromVariable).toMatchObject({ code: 0, stdout: expect.stringContaining('- admin') })

    writeFileSync(join(cwd, 'signalbox.yaml'), entry)
    const fromFile = await signalbox(['config', 'print'])
    expect(fromFile).toMatchObject({ code: 0, stdout: expect.stringContaining('- admin') })
  })
})

describe('a Node that is too old', () => {
  /** Node, but it says that it is another version. */
  const pretending = (version: string) => [
    '--import',
    `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`,
  ]

  it.each(['18.20.8', '20.20.2', '22.17.1'])(
    '%s is told what to do, before anything is loaded',
    async (version) => {
      const { code, stdout, stderr } = await signalbox(['--version'], { node: pretending(version) })
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^signalbox needs Node 22\.18 or later, and this is .*npm start.*\n$/)
    },
  )

  it.each(['22.18.0', '24.0.0'])('is not %s', async (version) => {
    expect((await signalbox(['--version'], { node: pretending(version) })).code).toBe(0)
  })

  it('is older than package.json asks for', () => {
    expect(MANIFEST.engines.node).toBe('>=22.18')
  })
})

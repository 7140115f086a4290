import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type ConfigInput,
  describeSettings,
  loadConfig,
  maskedConfig,
  requireKeysBeyondLoopback,
} from '../src/config.ts'
import type { ExitError } from '../src/exit.ts'

const SHA256 = '0123456789abcdef'.repeat(4)
const KEY = { id: 'ci', sha256: SHA256, scopes: ['read'] }

let cwd: string

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'signalbox-config-'))
})

afterEach(() => {
  rmSync(cwd, { recursive: true })
})

function load(input: Partial<ConfigInput> = {}) {
  return loadConfig({ flags: {}, env: {}, cwd, ...input })
}

function loadFile(yaml: string) {
  writeFileSync(join(cwd, 'signalbox.yaml'), yaml)
  return load()
}

function loadKeys(keys: unknown) {
  return load({ env: { SIGNALBOX_API_KEYS: JSON.stringify(keys) } })
}

/** The line with which something is refused; it always ends the process with 78, EX_CONFIG. */
function refusal(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    const { exit_code, message } = error as ExitError
    expect({ exit_code, lines: message.split('\n').length }).toEqual({ exit_code: 78, lines: 1 })
    return message
  }
  throw new Error('it was not refused')
}

describe('where a value comes from', () => {
  it('is the default when nothing else gives one', () => {
    const { sources, ...settings } = load()
    expect(settings).toEqual({
      host: '127.0.0.1',
      port: 8710,
      data_dir: join(cwd, 'data'),
      log_level: 'info',
      api_keys: [],
      insecure: false,
      allowed_origins: [],
      allowed_hosts: [],
      max_connections: 10_000,
      max_streams: 2_000,
      write_queue_max: 4_096,
      idempotency_ttl_hours: 24,
      router_config: '',
      accept_loss: false,
    })
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']))
  })

  it('is a flag over a variable over the file, and the configuration tells which', () => {
    const file = join(cwd, 'signalbox.yaml')
    writeFileSync(file, 'port: 1\nhost: localhost\nlog_level: warn\n')
    const config = load({
      flags: { port: '3' },
      env: { SIGNALBOX_PORT: '2', SIGNALBOX_HOST: '::1' },
    })
    expect(config).toMatchObject({ port: 3, host: '::1', log_level: 'warn', max_connections: 10_000 })
    expect(config.sources).toMatchObject({
      port: '--port',
      host: 'SIGNALBOX_HOST',
      log_level: file,
      max_connections: 'default',
    })
  })

  it('is the file that --config names, then SIGNALBOX_CONFIG, then signalbox.yaml in the working directory', () => {
    for (const [port, name] of ['signalbox.yaml', 'variable.yaml', 'flag.yaml'].entries()) {
      writeFileSync(join(cwd, name), `port: ${port}`)
    }
    const env = { SIGNALBOX_CONFIG: 'variable.yaml' }
    expect(load().port).toBe(0)
    expect(load({ env }).port).toBe(1)
    expect(load({ env, config_file: 'flag.yaml' }).port).toBe(2)
  })

  it('is not a variable that is empty', () => {
    expect(load({ env: { SIGNALBOX_PORT: '', SIGNALBOX_CONFIG: '' } }).port).toBe(8710)
  })

  it('does not matter for relative paths: they start at the working directory', () => {
    expect(load({ flags: { data_dir: 'x/y' } }).data_dir).toBe(join(cwd, 'x/y'))
    expect(load({ flags: { data_dir: '/x' } }).data_dir).toBe('/x')
  })
})

describe('text from flags and variables', () => {
  it('becomes a number, a truth value, a list or keys, as the setting wants', () => {
    const config = load({
      flags: { insecure: true },
      env: {
        SIGNALBOX_MAX_CONNECTIONS: '7',
        SIGNALBOX_ALLOWED_ORIGINS: 'https://a.example, http://[::1]:3000',
        SIGNALBOX_API_KEYS: JSON.stringify([KEY]),
      },
    })
    expect(config).toMatchObject({
      insecure: true,
      max_connections: 7,
      allowed_origins: ['https://a.example', 'http://[::1]:3000'],
      api_keys: [KEY],
    })
  })

  it.each([
    [
      'SIGNALBOX_PORT',
      '70000',
      'port (from SIGNALBOX_PORT) is 70000; it has to be an integer from 0 to 65535.',
    ],
    ['SIGNALBOX_PORT', '-1', 'port (from SIGNALBOX_PORT) is -1; it has to be an integer from 0 to 65535.'],
    [
      'SIGNALBOX_PORT',
      '80.5',
      'port (from SIGNALBOX_PORT) is "80.5"; it has to be an integer from 0 to 65535.',
    ],
    [
      'SIGNALBOX_PORT',
      '0x50',
      'port (from SIGNALBOX_PORT) is "0x50"; it has to be an integer from 0 to 65535.',
    ],
    ['SIGNALBOX_INSECURE', 'yes', 'insecure (from SIGNALBOX_INSECURE) is "yes"; it has to be true or false.'],
    [
      'SIGNALBOX_LOG_LEVEL',
      'verbose',
      'log_level (from SIGNALBOX_LOG_LEVEL) is "verbose"; ' +
        'it has to be one of trace, debug, info, warn, error, fatal, silent.',
    ],
    [
      'SIGNALBOX_ALLOWED_ORIGINS',
      'https://a.example,*',
      'allowed_origins[1] (from SIGNALBOX_ALLOWED_ORIGINS) is "*"; it has to be an origin like https://app.example.com.',
    ],
    [
      'SIGNALBOX_HOST',
      'http://0.0.0.0',
      'host (from SIGNALBOX_HOST) is "http://0.0.0.0"; ' +
        'it has to be a host name or an IP address (IPv6 without brackets).',
    ],
  ])('%s=%s is refused', (variable, value, line) => {
    expect(refusal(() => load({ env: { [variable]: value } }))).toBe(line)
  })
})

describe('a name that is no setting', () => {
  it('in the environment is refused, with the nearest one', () => {
    expect(refusal(() => load({ env: { SIGNALBOX_PROT: '1' } }))).toBe(
      'SIGNALBOX_PROT (in the environment) is not a setting; did you mean SIGNALBOX_PORT?',
    )
  })

  it('in the file is refused, with the nearest one', () => {
    expect(refusal(() => loadFile('data_dri: x'))).toBe(
      `data_dri (in ${join(cwd, 'signalbox.yaml')}) is not a setting; did you mean data_dir?`,
    )
  })

  it('that is near to none is refused with all there are', () => {
    const line = refusal(() => loadFile('telemetry: true'))
    expect(line).toContain('is not a setting; there are host, port, data_dir,')
  })

  it('is no business of ours without our prefix', () => {
    expect(load({ env: { PORT: 'x', MY_SIGNALBOX_PORT: '1' } }).port).toBe(8710)
  })

  it('accept_loss is one only as a flag: a decision about one start stays in no file', () => {
    expect(load({ flags: { accept_loss: true } }).accept_loss).toBe(true)
    expect(refusal(() => loadFile('accept_loss: true'))).toContain('can only be given as --accept-loss.')
    expect(refusal(() => load({ env: { SIGNALBOX_ACCEPT_LOSS: 'true' } }))).toContain(
      'can only be given as --accept-loss.',
    )
  })
})

describe('the file', () => {
  it('may be empty, or hold nothing but comments', () => {
    expect(loadFile('').port).toBe(8710)
    expect(loadFile('# port: 1\n').port).toBe(8710)
  })

  it('is not coerced: a number has to be one', () => {
    expect(refusal(() => loadFile('port: "8710"'))).toContain('is "8710"; it has to be an integer')
    expect(refusal(() => loadFile('port:'))).toContain('is null; it has to be an integer')
  })

  it.each([
    ['a list', '- port', /it has to be a mapping of settings/],
    ['no YAML', 'port: [1', /is not YAML: .* at line 1, column \d+\.$/],
    ['a key twice', 'port: 1\nport: 2', /is not YAML: Map keys must be unique at line 2, column 1\.$/],
  ])('with %s is refused', (_fault, yaml, line) => {
    expect(refusal(() => loadFile(yaml))).toMatch(line)
  })

  it('has to be there when it is named', () => {
    expect(refusal(() => load({ config_file: 'none.yaml' }))).toBe(
      `The configuration file ${join(cwd, 'none.yaml')} cannot be read: ENOENT.`,
    )
  })
})

describe('api_keys', () => {
  it('may be bound to projects', () => {
    expect(loadKeys([{ ...KEY, projects: ['p'] }]).api_keys[0]?.projects).toEqual(['p'])
  })

  it.each([
    [
      'text',
      'sbx_ci_secret',
      'api_keys (from SIGNALBOX_API_KEYS) is not accepted; it has to be a list of keys',
    ],
    ['an id with an underscore', [{ ...KEY, id: 'a_b' }], 'api_keys[0].id (from SIGNALBOX_API_KEYS) is not'],
    [
      'a short hash',
      [KEY, { ...KEY, sha256: 'ab' }],
      'api_keys[1].sha256 (from SIGNALBOX_API_KEYS) is not accepted',
    ],
    [
      'a hash in capitals',
      [{ ...KEY, sha256: SHA256.toUpperCase() }],
      '64 lower-case hexadecimal characters',
    ],
    ['no scope', [{ ...KEY, scopes: [] }], 'a list of at least one of read, write, worker, admin'],
    ['a scope twice', [{ ...KEY, scopes: ['read', 'read'] }], 'each once'],
    ['an unknown scope', [{ ...KEY, scopes: ['reed'] }], 'it has to be one of read, write, worker, admin.'],
    [
      'a missing part',
      [{ id: 'ci', scopes: ['read'] }],
      'api_keys[0].sha256 (from SIGNALBOX_API_KEYS) is missing',
    ],
    ['an unknown part', [{ ...KEY, project: ['p'] }], 'is not known; did you mean projects?'],
    ['no project', [{ ...KEY, projects: [] }], 'leave it out for all projects'],
    ['an id twice', [KEY, { ...KEY, scopes: ['write'] }], 'api_keys has the id ci twice'],
  ])('with %s are refused', (_fault, keys, line) => {
    expect(refusal(() => loadKeys(keys))).toContain(line)
  })

  it('are never repeated in a refusal, lest somebody gave the key for its hash', () => {
    expect(refusal(() => loadKeys([{ ...KEY, sha256: 'sbx_ci_secret' }]))).not.toContain('secret')
  })

  it('are shown without their hashes', () => {
    const shown = maskedConfig(loadKeys([KEY]))
    expect(shown.api_keys).toEqual({ value: [{ ...KEY, sha256: '********' }], source: 'SIGNALBOX_API_KEYS' })
    expect(shown.port).toEqual({ value: 8710, source: 'default' })
    expect(JSON.stringify(shown)).not.toContain(SHA256)
  })
})

describe('an address that other machines reach', () => {
  const serving = (flags: ConfigInput['flags'], env = {}) => requireKeysBeyondLoopback(load({ flags, env }))

  it.each(['0.0.0.0', '::', '192.168.1.5', 'example.com', '127.example.com', '::ffff:10.0.0.1'])(
    '%s is refused without API keys, with what to do',
    (host) => {
      const line = refusal(() => serving({ host }))
      expect(line).toContain(`host is ${host} (from --host)`)
      expect(line).toContain('signalbox keys new')
      expect(line).toContain('--insecure')
    },
  )

  it.each(['127.0.0.1', '127.9.9.9', 'localhost', '::1'])('is not %s', (host) => {
    expect(() => serving({ host })).not.toThrow()
  })

  it('is served with API keys, or where everybody is let in on purpose', () => {
    expect(() => serving({ host: '0.0.0.0' }, { SIGNALBOX_API_KEYS: JSON.stringify([KEY]) })).not.toThrow()
    expect(() => serving({ host: '0.0.0.0', insecure: true })).not.toThrow()
  })
})

describe('the table of settings', () => {
  it('describes each one for help and documentation', () => {
    const rows = describeSettings()
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(load().sources))
    expect(rows.find(({ name }) => name === 'data_dir')).toEqual({
      name: 'data_dir',
      flag: '--data-dir',
      variable: 'SIGNALBOX_DATA_DIR',
      in_file: true,
      is_switch: false,
      allowed: 'a path; a relative one starts at the working directory',
      unit: null,
      default: './data',
      description:
        'The directory of the database. It is created when missing, and belongs to one process at a time.',
    })
  })

  it('has defaults that pass its own checks', () => {
    for (const { name, default: text, in_file } of describeSettings()) {
      if (in_file) expect(loadFile(`${name}: ${text}`)[name]).toEqual(load()[name])
    }
  })
})

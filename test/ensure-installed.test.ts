import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../scripts/ensure-installed.mjs', import.meta.url))

let clone: string

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'signalbox-clone-'))
  mkdirSync(join(clone, 'scripts'))
  copyFileSync(SCRIPT, join(clone, 'scripts/ensure-installed.mjs'))
  lockfile('package-lock.json', { '': { version: '0.1.0' }, 'node_modules/a': { version: '1.0.0' } })
})

afterEach(() => {
  rmSync(clone, { recursive: true })
})

function lockfile(path: string, packages: Record<string, object>) {
  mkdirSync(join(clone, 'node_modules'), { recursive: true })
  writeFileSync(join(clone, path), JSON.stringify({ packages }))
}

function installed(packages: Record<string, object>) {
  lockfile('node_modules/.package-lock.json', packages)
}

/** Runs the script with an npm that only notes what it was asked for. */
function ensureInstalled({ npm_exit_code = 0 } = {}) {
  const bin = join(clone, 'bin')
  const asked = join(clone, 'asked')
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\necho "$@" > '${asked}'\necho added\nexit ${npm_exit_code}\n`)
  chmodSync(join(bin, 'npm'), 0o755)
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(clone, 'scripts/ensure-installed.mjs')],
    {
      env: { PATH: `${bin}:${process.env.PATH}` },
      encoding: 'utf8',
    },
  )
  return { status, stdout, stderr, npm: existsSync(asked) ? readFileSync(asked, 'utf8') : null }
}

describe('before npm start and npm test', () => {
  it('nothing happens when everything is installed', () => {
    installed({ 'node_modules/a': { version: '1.0.0' } })
    expect(ensureInstalled()).toEqual({ status: 0, stdout: '', stderr: '', npm: null })
  })

  it.each<[string, Record<string, object> | null]>([
    ['node_modules is not there', null],
    ['a package is missing', {}],
    ['a package has another version', { 'node_modules/a': { version: '0.9.0' } }],
  ])('npm ci runs when %s, and leaves stdout to the command that follows', (_state, packages) => {
    if (packages) installed(packages)
    else rmSync(join(clone, 'node_modules'), { recursive: true })
    const { status, stdout, stderr, npm } = ensureInstalled()
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(npm).toMatch(/^ci --include=dev /)
    expect(stderr).toContain('running npm ci')
  })

  it('a package for other machines may be missing', () => {
    lockfile('package-lock.json', { 'node_modules/b': { version: '1.0.0', optional: true } })
    installed({})
    expect(ensureInstalled().npm).toBeNull()
  })

  it('the command that follows does not run when npm ci fails', () => {
    expect(ensureInstalled({ npm_exit_code: 3 }).status).toBe(1)
  })
})

import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeDirectory } from '../src/directory.ts'
import { tempDir } from './support/store.ts'

const modeOf = (path: string): number => statSync(path).mode & 0o777

it('makes a directory and those above it, for the owner alone', () => {
  const path = join(tempDir(), 'a', 'b', 'c')
  makeDirectory(path)
  expect([path, join(path, '..'), join(path, '..', '..')].map(modeOf)).toEqual([0o700, 0o700, 0o700])
})

it('leaves one that is there as it is', () => {
  const path = join(tempDir(), 'shared')
  mkdirSync(path, { mode: 0o755 })
  makeDirectory(path)
  expect(modeOf(path)).toBe(0o755)
})

it('says what is in the way', () => {
  const file = join(tempDir(), 'file')
  writeFileSync(file, '')
  expect(() => makeDirectory(file)).toThrow('EEXIST')
  expect(() => makeDirectory(join(file, 'a', 'b'))).toThrow('ENOTDIR')
})

it.runIf(process.platform === 'linux')('gives up where the system takes no directory and says ENOENT', () => {
  expect(() => makeDirectory('/proc/signalbox/data')).toThrow('ENOENT')
})

import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { startProgram } from '../../src/worker/executor.ts'
import { createOutput } from '../../src/worker/output.ts'
import { cleanUp, temporaryDirectory } from '../support/process.ts'

afterAll(cleanUp)

/** Takes every descriptor that this process may still have; the function that it returns gives them back. */
function takeDescriptors(): () => void {
  const limited = spawnSync('prlimit', [`--pid=${process.pid}`, '--nofile=1024:'])
  expect(limited.status).toBe(0)
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch {
    return () => taken.forEach((descriptor) => closeSync(descriptor))
  }
}

describe.skipIf(spawnSync('prlimit').error !== undefined)('where no descriptor is left', () => {
  it('a program is told as not started', async () => {
    const cwd = temporaryDirectory()
    const [stdout, stderr] = ['out', 'err'].map((name) => createOutput(join(cwd, name)))
    const free = takeDescriptors()
    try {
      const { ended } = startProgram({ argv: ['true'], cwd, env: {}, stdout: stdout!, stderr: stderr! })
      expect(await ended).toMatchObject({ kind: 'not_started', code: 'EMFILE', is_missing: false })
    } finally {
      free()
      stdout!.close()
      stderr!.close()
    }
  })
})

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT, type ServerProcess, cleanUp, startServer, temporaryDirectory } from './support/process.ts'

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const END = '--- end of a block ---'

interface Step {
  commands: string
  shown: string
}

/** Each block of commands of the tour, with the output that stands below it. */
function tourOf(page: string): Step[] {
  const tour = page.slice(page.indexOf('<!-- tour -->'), page.indexOf('<!-- /tour -->'))
  const blocks = tour.matchAll(/```bash\n(.*?)```\s*```text\n(.*?)```/gs)
  return [...blocks].map(([, commands = '', shown = '']) => ({ commands, shown }))
}

/** What is shown, as a pattern: `…` stands for anything within its line. */
const patternOf = (shown: string): RegExp => {
  const literal = shown.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${literal.replaceAll('…', '.*')}$`)
}

describe("the README's tour", () => {
  const steps = tourOf(README)
  let server: ServerProcess
  let outputs: string[]

  beforeAll(async () => {
    server = await startServer({ data_dir: temporaryDirectory() })
    // One shell for all, as a person pastes them; only the port is another.
    const script = steps.map(({ commands }) => `${commands}\necho '${END}'`).join('\n')
    const pasted = script.replaceAll('http://127.0.0.1:8710', server.url)
    outputs = execFileSync('bash', ['-s'], { input: pasted, cwd: ROOT, encoding: 'utf8' }).split(`${END}\n`)
  })
  afterAll(cleanUp)

  it('has all its blocks of commands followed by their output', () => {
    const tour = README.slice(README.indexOf('<!-- tour -->'), README.indexOf('<!-- /tour -->'))
    expect(steps.length).toBeGreaterThan(4)
    expect(tour.match(/```bash/g)).toHaveLength(steps.length)
  })

  it.each(steps.map(({ commands, shown }, i) => [commands.split('\n', 1)[0], i, shown] as const))(
    'gives what it shows: %s',
    (_line, i, shown) => {
      expect(outputs[i]?.trim()).toMatch(patternOf(shown))
    },
  )

  it('names no file that is not there', () => {
    const linked = [...README.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => path)
    for (const path of linked) expect(() => execFileSync('ls', [join(ROOT, path)])).not.toThrow()
  })
})

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanUp, signalbox, temporaryDirectory } from '../support/process.ts'

let script: string
let cwd: string

beforeAll(async () => {
  cwd = temporaryDirectory()
  for (const name of ['tools.yaml', 'two words.yaml']) writeFileSync(join(cwd, name), '')
  script = await completionFor('bash')
})
afterAll(cleanUp)

async function completionFor(shell: string): Promise<string> {
  const { code, stdout, stderr } = await signalbox(['completion', shell])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

/** What a real bash offers where the last of these words is being typed. */
function offered(...typed: string[]): string[] {
  const ask = `${script}
    COMP_WORDS=(signalbox "$@")
    COMP_CWORD=$#
    _signalbox
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const lines = execFileSync('bash', ['--noprofile', '--norc', '-c', ask, 'bash', ...typed], {
    cwd,
    encoding: 'utf8',
  })
  return lines.split('\n').filter((line) => line !== '')
}

describe('bash completes', () => {
  it.each<[string[], string[]]>([
    [['ta'], ['tail']],
    [
      ['keys', ''],
      ['new', 'help', '--help'],
    ],
    [['keys', 'new', '--s'], ['--scopes']],
    [
      ['tail', '--s'],
      ['--since', '--server'],
    ],
    [['runs', '--state', 'f'], ['failed']],
    [
      ['runs', '--state', 'failed', '--l'],
      ['--label', '--limit'],
    ],
    [['runs', '--needs-attention', 's'], ['stalled']],
    [
      ['runs', '--needs-attention', '--st'],
      ['--state', '--stalled-for'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish', '--help'],
    ],
    [
      ['worker', '--tools', 't'],
      ['tools.yaml', 'two words.yaml'],
    ],
    [['explain', '--task', 'tw'], ['two words.yaml']],
    [['backup', 'two'], ['two words.yaml']],
    [['tail', '--since', ''], []],
  ])('%j', (typed, words) => {
    expect(offered(...typed).toSorted()).toEqual(words.toSorted())
  })

  it('every command, and every flag that its help names', async () => {
    const helpOf = async (...words: string[]) => (await signalbox([...words, '--help'])).stdout
    const commandsIn = (help: string) => [...help.matchAll(/^  ([a-z]+) .*/gm)].map(([, name = '']) => name)
    const commands = commandsIn((await helpOf()).split('Commands:')[1]!.split('\n\n')[0]!)
    expect(offered('')).toEqual(expect.arrayContaining(commands))
    expect(commands).toContain('tail')
    for (const command of ['tail', 'worker']) {
      const flags = [...(await helpOf(command)).matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(
        ([, flag]) => flag,
      )
      expect(flags.length).toBeGreaterThan(5)
      expect(offered(command, '--').toSorted()).toEqual(flags.toSorted())
    }
  })
})

describe.each(['zsh', 'fish'])('the script for %s', (shell) => {
  it('has every command and the words of its flags', async () => {
    const text = await completionFor(shell)
    for (const word of [
      ...offered('').filter((each) => !each.startsWith('-')),
      'quarantined',
      'stalled',
      'keys new',
    ])
      expect(text).toContain(word)
  })
})

import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { filledArgv, isPromptAnOption } from '../../src/worker/argv.ts'
import { readToolsFile } from '../../src/worker/tools-file.ts'
import { ROOT, cleanUp, signalbox, temporaryDirectory } from '../support/process.ts'

afterAll(cleanUp)

function written(text: string): string {
  const file = join(temporaryDirectory(), 'tools.yaml')
  writeFileSync(file, text)
  return file
}

describe('examples/tools.yaml', () => {
  it('has the tools of examples/router_config.json', () => {
    const tools = readToolsFile(join(ROOT, 'examples/tools.yaml'))
    const config = JSON.parse(readFileSync(join(ROOT, 'examples/router_config.json'), 'utf8'))
    expect([...tools.keys()].sort()).toEqual(Object.keys(config.apps).sort())
  })

  it('lets no prompt be an option', () => {
    for (const { argv, tool_id } of readToolsFile(join(ROOT, 'examples/tools.yaml')).values()) {
      expect(isPromptAnOption(argv, '--evil'), tool_id).toBe(false)
    }
  })
})

describe('a tools file', () => {
  it('says all there is to know of a tool', () => {
    const file = written(
      'tools: { a: { argv: [x, "{prompt}"], env: [CI], working_directory: ., timeout_seconds: 5 } }',
    )
    expect(readToolsFile(file).get('a')).toEqual({
      tool_id: 'a',
      argv: ['x', '{prompt}'],
      env: ['CI'],
      working_directory: dirname(file),
      timeout_seconds: 5,
    })
  })

  it('may leave out all but argv', () => {
    expect(readToolsFile(written('tools: { a: { argv: [x] } }')).get('a')).toEqual({
      tool_id: 'a',
      argv: ['x'],
      env: [],
      working_directory: process.cwd(),
      timeout_seconds: null,
    })
  })

  it.each([
    ['', 'tools has to be a mapping of at least one tool id'],
    ['tools: {}', 'tools has to be a mapping of at least one tool id'],
    ['[]', 'tools has to be a mapping'],
    ['tools: { a: { argv: [x] } }\ntoools: 1', 'toools is not known; there are tools.'],
    ['tools: { a: { argv: [x], shell: true } }', 'tools.a.shell is not known; there are argv, env'],
    ['tools: { a: null }', 'tools.a has to be a mapping of argv'],
    ['tools: { a: { } }', 'tools.a.argv has to be a list of texts'],
    ['tools: { a: { argv: eslint . } }', 'tools.a.argv has to be a list of texts'],
    ['tools: { a: { argv: [] } }', 'tools.a.argv has to be a list of texts'],
    ['tools: { a: { argv: [x, 0] } }', 'tools.a.argv has to be a list of texts'],
    ['tools: { a: { argv: [x, "\\0"] } }', 'tools.a.argv has to be a list of texts'],
    ['tools: { a: { argv: [""] } }', 'tools.a.argv[0] is empty'],
    ['tools: { a: { argv: ["{prompt}"] } }', 'tools.a.argv[0] is the program, and takes no placeholder'],
    [
      'tools: { a: { argv: [x, "-f={promt}"] } }',
      'tools.a.argv[1] has {promt}; there are {prompt}, {prompt_file}',
    ],
    ['tools: { a: { argv: [x], env: [A=1] } }', 'tools.a.env has to be a list of names'],
    ['tools: { a: { argv: [x], env: { A: 1 } } }', 'tools.a.env has to be a list of names'],
    ['tools: { a: { argv: [x], working_directory: nowhere } }', 'tools.a.working_directory is no directory'],
    ['tools: { a: { argv: [x], working_directory: 1 } }', 'tools.a.working_directory has to be a path'],
    [
      'tools: { a: { argv: [x], timeout_seconds: 0 } }',
      'tools.a.timeout_seconds has to be an integer from 1 to',
    ],
    [
      'tools: { a: { argv: [x], timeout_seconds: "5" } }',
      'tools.a.timeout_seconds has to be an integer from 1 to',
    ],
    ['tools: { a: { argv: [x] }, a: { argv: [y] } }', 'is not YAML: Map keys must be unique'],
    ['tools: {', 'is not YAML'],
    ['tools: !!js/function x', 'is not YAML: Unresolved tag'],
    ['tools: { a: { argv: [ls, *.ts] } }', 'tools.yaml is refused: Unresolved alias'],
    ['tools: { a: { argv: [ls, *.ts] } }', ': .ts. Quote a text that begins with *, as in "*.ts".'],
  ])('%j is refused', (text, fault) => {
    expect(() => readToolsFile(written(text))).toThrow(
      expect.objectContaining({ exit_code: 78, message: expect.stringContaining(fault) }) as Error,
    )
  })

  it('names a directory that cannot be looked at beside its other faults', () => {
    const file = written('tools: { a: { argv: [x], working_directory: loop }, b: { argv: [] } }')
    symlinkSync('loop', join(dirname(file), 'loop'))
    expect(() => readToolsFile(file)).toThrow(
      /tools\.yaml is refused:\n.*tools\.a\.working_directory is no .*\n.*tools\.b\.argv /,
    )
  })

  it('is told all its faults at once', () => {
    const file = written('tools: { a: { argv: [x], shell: true }, b: { argv: [] } }')
    expect(() => readToolsFile(file)).toThrow(/tools\.a\.shell .*\n.*tools\.b\.argv /)
  })
})

describe('arguments', () => {
  const values = {
    prompt: '$& {prompt_file}',
    prompt_file: '/p',
    working_directory: '/w',
    request_file: '/r',
  }

  it('are filled in one pass, as text', () => {
    const argv = [
      'x',
      'a{prompt}b',
      '{prompt_file}{request_file}',
      '{"a":1}',
      '{ prompt }',
      '{working_directory}/y',
    ]
    expect(filledArgv(argv, values)).toEqual([
      'x',
      'a$& {prompt_file}b',
      '/p/r',
      '{"a":1}',
      '{ prompt }',
      '/w/y',
    ])
  })

  it.each([
    [['x', '{prompt}'], '-v', true],
    [['x', '{prompt}', '--'], '-v', true],
    [['x', '--', '{prompt}'], '-v', false],
    [['x', '--prompt={prompt}'], '-v', false],
    [['x', '{prompt_file}'], '-v', false],
    [['x', '{prompt}'], 'v -v', false],
  ])('%j with the prompt %j: an option is %s', (argv, prompt, is) => {
    expect(isPromptAnOption(argv, prompt)).toBe(is)
  })
})

describe('signalbox worker', () => {
  const fine = () => written('tools: { a: { argv: [x] } }')

  it.each([
    [[], 64, "required option '--tools <file>' not specified"],
    [['--tools', '/nowhere.yaml'], 78, '/nowhere.yaml cannot be read: ENOENT.'],
    [['--tools', fine(), '--server', 'ftp://x'], 64, 'It has to be a URL like http://127.0.0.1:8710.'],
    [['--tools', fine(), '--concurrency', '0'], 64, 'It has to be an integer from 1 to 32.'],
    [['--tools', fine(), '--key-file', '/nowhere'], 78, 'The key file /nowhere cannot be read: ENOENT.'],
    [['--tools', fine(), '--key-file', written('two keys')], 78, 'has to hold one key and nothing else'],
    [
      ['--tools', fine(), '--data-dir', '/dev/null/x'],
      73,
      'The data directory /dev/null/x cannot be made: ENOTDIR.',
    ],
  ])('%j ends with %i', async (args, code, said) => {
    const ended = await signalbox(['worker', ...args])
    expect(ended).toMatchObject({ code, stdout: '' })
    expect(ended.stderr).toContain(said)
  })

  it('--help has an example, and the placeholders', async () => {
    const { code, stdout } = await signalbox(['worker', '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('$ signalbox worker --tools examples/tools.yaml')
    expect(stdout).toContain('{prompt_file}')
  })
})

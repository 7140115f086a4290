import { describe, expect, it } from 'vitest'
import { checkScope, compileScope } from '../../../src/domain/resource-scope.ts'

const faultOf = (pattern: string) => checkScope({ write: ['ok', pattern] }, 'resource_scope')[0] ?? null

describe('patterns that are refused, each with its place', () => {
  it.each([
    ['../other/**', /out of the project/],
    ['src/../../x', /out of the project/],
    ['..', /out of the project/],
    ['src/{a,..}/x', /out of the project/],
    ['{../x,y}', /out of the project/],
    ['/etc/passwd', /relative/],
    ['C:/Windows', /relative/],
    ['c:x', /relative/],
    ['src\\secret', /backslash/],
    ['..\\x', /backslash/],
    ['a\u0000b', /control character/],
    ['a\nb', /control character/],
    ['', /empty part/],
    ['src//a', /empty part/],
    ['./src', /no \. between/],
    ['src/', /dir\/\*\*/],
    ['src/{a,b', /} for every {/],
    ['src/a}', /} for every {/],
    ['}{', /} for every {/],
    ['file{1..9}', /no \.\. in braces/],
    ['**/a/**/b/**', /at most 2 \*\*/],
    ['*a*b*', /at most 2 \* between/],
    ['{a,{b,{c,d}}}', /at most 2 pairs/],
  ])('%j', (pattern, detail) => {
    expect(faultOf(pattern)).toEqual({
      pointer: '#/resource_scope/write/1',
      detail: expect.stringMatching(detail),
    })
  })

  it.each([
    'src/**',
    '**/*.ts',
    '*.spec.*',
    'a..b/c',
    '...',
    'src/{a,b}.ts',
    'app/[id]/(shop)/+page.ts',
    '.env',
    'ä/ü.md',
    'a b',
  ])('but not %j', (pattern) => expect(faultOf(pattern)).toBeNull())

  it('every fault is named, in every list', () => {
    const scope = { read: ['/a'], write: null, create: ['b', '..'], forbidden: ['\\', '/'] }
    expect(checkScope(scope).map(({ pointer }) => pointer)).toEqual([
      '#/read/0',
      '#/create/1',
      '#/forbidden/0',
      '#/forbidden/1',
    ])
  })

  it('no scope has no faults', () => expect(checkScope(null)).toEqual([]))
})

describe('what a scope allows', () => {
  it('an empty scope means nothing', () => {
    for (const scope of [null, {}, { read: [], write: [] }])
      for (const operation of ['read', 'write', 'create'] as const)
        expect(compileScope(scope).allows(operation, 'README.md')).toBe(false)
  })

  it('each list allows what it is for, and no more', () => {
    const { allows } = compileScope({ read: ['**'], write: ['src/**'], create: ['src/new/*.ts'] })
    expect(allows('read', 'docs/a.md')).toBe(true)
    expect(allows('write', 'docs/a.md')).toBe(false)
    expect(allows('write', 'src/a/b.ts')).toBe(true)
    expect(allows('create', 'src/a.ts')).toBe(false)
    expect(allows('create', 'src/new/a.ts')).toBe(true)
    expect(allows('create', 'src/new/deep/a.ts')).toBe(false)
  })

  it('forbidden beats everything', () => {
    const { allows } = compileScope({ read: ['**'], write: ['.env', '**'], forbidden: ['**/*.pem', '.env'] })
    expect(allows('write', '.env')).toBe(false)
    expect(allows('read', 'keys/a.pem')).toBe(false)
    expect(allows('read', 'a.pem')).toBe(false)
    expect(allows('read', 'a.pem.txt')).toBe(true)
  })

  it('who forbids a directory forbids what is in it', () => {
    const { allows } = compileScope({ read: ['**'], forbidden: ['secrets', '*/private'] })
    expect(allows('read', 'secrets')).toBe(false)
    expect(allows('read', 'secrets/deep/key')).toBe(false)
    expect(allows('read', 'app/private/key')).toBe(false)
    expect(allows('read', 'secretsauce')).toBe(true)
  })

  it('names that begin with a dot are names', () => {
    const { allows } = compileScope({ read: ['*', 'a/**'] })
    expect(allows('read', '.env')).toBe(true)
    expect(allows('read', 'a/.git/config')).toBe(true)
  })

  it('characters that other globs give a meaning stand for themselves', () => {
    const literal = 'app/[id]/(a|b)/+x@y!$^.ts'
    const { allows } = compileScope({ read: [literal, '!src/**', 'src/{a,b}?.ts'] })
    expect(allows('read', literal)).toBe(true)
    expect(allows('read', 'app/i/a/+x@y!$^.ts')).toBe(false)
    expect(allows('read', 'anything')).toBe(false)
    expect(allows('read', '!src/a')).toBe(true)
    expect(allows('read', 'src/a1.ts')).toBe(true)
    expect(allows('read', 'src/c1.ts')).toBe(false)
    expect(allows('read', 'src/a/.ts')).toBe(false)
  })

  it.each([
    '../x',
    '/x',
    'a/../b',
    'a//b',
    './a',
    'a/',
    'C:/x',
    'a\\b',
    'a\nb',
    'a\u0000',
    '',
    'x'.repeat(1025),
  ])('a path that is none inside the project is allowed nothing: %j', (path) => {
    expect(compileScope({ read: ['**', '*', '../**', path || 'x'] }).allows('read', path)).toBe(false)
  })

  it('the worst that passes the check is matched in well under a second', () => {
    const pattern = '**/*a*/**/*a*b'
    expect(faultOf(pattern)).toBeNull()
    const path = `${'a'.repeat(254)}/`.repeat(4).slice(0, -1)
    const started = performance.now()
    expect(compileScope({ read: [pattern] }).allows('read', path)).toBe(false)
    expect(performance.now() - started).toBeLessThan(2000)
  })
})

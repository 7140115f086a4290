import { describe, expect, it } from 'vitest'
import { jsonOf } from '../src/yaml.ts'

describe('a fault in YAML', () => {
  it.each([
    ['a key twice', 'a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n', 'Line 5: Map keys must be unique.'],
    ['a key twice in one line', '{a: 1, a: 2}', 'Line 1: Map keys must be unique.'],
    ['a tag', 'a: 1\n\nb: !mine 1\n', 'Line 3: Unresolved tag: !mine.'],
    ['too many levels', '{a: '.repeat(5_000), 'The body is nested deeper than 64.'],
  ])('is told with its line: %s', (_, text, detail) => {
    expect(() => jsonOf(text)).toThrow(detail)
  })
})

// A parser that compares each key with all before it, or looks up the line of each fault, takes minutes for these.
describe('much YAML', () => {
  it('may be many keys', () => {
    const text = Array.from({ length: 80_000 }, (_, i) => `k${i}: 1`).join('\n')
    expect(Object.keys(JSON.parse(jsonOf(text)) as object)).toHaveLength(80_000)
  })

  it('is refused where all of it is wrong', () => {
    expect(() => jsonOf('"['.repeat(150_000))).toThrow(/^Line 1: /)
  })
})

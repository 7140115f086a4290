import { expect, it } from 'vitest'
import { labeled, lastLines, printable, spanText, table } from '../../src/cli/layout.ts'

const paint = (style: string, text: string) => (style === 'none' ? text : `<${text}>`)
const row = (...texts: string[]) =>
  texts.map((text, index) => (index === 1 ? { text, style: 'red' as const } : { text }))

it('a table has its columns one below the other; styles take no room', () => {
  expect(table([row('a', 'long text', 'x'), row('bcd', 'y', '')], { paint, width: null })).toEqual([
    'a    <long text>  x',
    'bcd  <y>',
  ])
})

it('a table ends where the terminal ends', () => {
  const lines = table([row('01JD', 'failed', 'why it did'), row('01JE', 'ok', '')], {
    paint: (_, text) => text,
    width: 16,
  })
  expect(lines).toEqual(['01JD  failed  w…', '01JE  ok'])
  expect(table([row('a'.repeat(30), 'b')], { paint: (_, text) => text, width: 10 })).toEqual(['aaaaaaaaa…'])
})

it('a text stands behind its label, on as many lines as it takes', () => {
  expect(labeled('why', 'one two three', { width: 14, indent: 6 })).toEqual(['  why one two', '      three'])
})

it('the last lines are those that say something', () => {
  expect(lastLines('a\n\nbbbb\n \nccccccc\n', { count: 2, width: 5 })).toEqual(['bbbb', 'cccc…'])
})

it('nothing moves the cursor or changes colours', () => {
  expect(printable('\x1b[31mred\x1b[0m\tand\u202e \x1b]0;title\x07back\r')).toBe('red and back ')
})

it.each([
  [80, '0.1 s'],
  [41_800, '41.8 s'],
  [999_900, '999.9 s'],
  [1_000_000, '17 min'],
  [86_400_000, '24 h'],
])('%i ms are %s', (ms, text) => {
  expect(spanText(ms)).toBe(text)
})

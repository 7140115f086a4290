import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import { decodeCursor, encodeCursor } from '../../src/store/cursor.ts'
import { ulid, NOW } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

const LIST = { list: 'runs', order: 'desc', state: ['failed'] }
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('a cursor', () => {
  it.each([
    ['an id', ulid(NOW, 1), 'string'],
    ['a seq', 42, 'number'],
  ] as const)('gives the position back: %s', (_name, position, kind) => {
    expect(decodeCursor(LIST, encodeCursor(LIST, position), kind)).toBe(position)
  })

  it('fits into a URL as it is, and into its limit', () => {
    const cursor = encodeCursor(LIST, ulid(NOW, 1))
    expect(cursor).toMatch(/^[\w-]+$/)
    expect(cursor.length).toBeLessThan(LIMITS.cursor_length)
  })

  it('is bound to its list, its order and its filters', () => {
    const cursor = encodeCursor(LIST, 1)
    const others = [
      { ...LIST, list: 'events' },
      { ...LIST, order: 'asc' },
      { ...LIST, state: ['running'] },
      { ...LIST, label: ['a:b'] },
      { list: 'runs', order: 'desc' },
    ]
    for (const other of others) {
      expect(refusal(() => decodeCursor(other, cursor, 'number'))).toMatchObject({
        code: 'invalid_cursor',
        context: { errors: [{ parameter: 'cursor' }] },
      })
    }
  })

  it('does not mind filters that are absent', () => {
    expect(decodeCursor({ ...LIST, label: undefined }, encodeCursor(LIST, 1), 'number')).toBe(1)
  })

  it('is refused where it has a position of another kind', () => {
    expect(refusal(() => decodeCursor(LIST, encodeCursor(LIST, 'x'), 'number')).code).toBe('invalid_cursor')
    expect(refusal(() => decodeCursor(LIST, encodeCursor(LIST, 1), 'string')).code).toBe('invalid_cursor')
  })

  it.each([
    ['no JSON', 'x'],
    ['null', encoded(null)],
    ['a number', encoded(1)],
    ['an object', encoded({ 0: 'x', 1: 1 })],
    ['an empty list', encoded([])],
    ['a hash alone', encoded(['x'])],
    ['another hash', encoded(['x', 1])],
  ])('is refused where it is none: %s', (_name, cursor) => {
    expect(refusal(() => decodeCursor(LIST, cursor, 'number')).code).toBe('invalid_cursor')
  })

  it('is refused, and nothing else happens, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (cursor) => {
        expect(refusal(() => decodeCursor(LIST, cursor, 'string')).code).toBe('invalid_cursor')
      }),
    )
  })
})

import { decodeTime } from 'ulid'
import { describe, expect, it } from 'vitest'
import { Ulid } from '../src/contract/common.ts'
import { createEntropy, requestIds } from '../src/entropy.ts'
import { NOW } from './support/given.ts'

const MS = Date.parse(NOW)
const PATTERN = new RegExp(Ulid.pattern!)

describe('an id', () => {
  it('is a ULID of its millisecond, as the contract has it', () => {
    const id = createEntropy().newId(MS)
    expect(id).toMatch(PATTERN)
    expect(decodeTime(id)).toBe(MS)
  })

  it('sorts behind all that were made before it, also within a millisecond', () => {
    const { newId } = createEntropy()
    const made = Array.from({ length: 20_000 }, (_, i) => newId(MS + Math.floor(i / 5_000)))
    expect(made.toSorted()).toEqual(made)
    expect(new Set(made).size).toBe(made.length)
  })

  it('never sorts back, even if it is asked for an earlier instant', () => {
    const { newId } = createEntropy()
    const later = newId(MS + 10)
    const earlier = newId(MS)
    expect(earlier > later).toBe(true)
    expect(earlier).toMatch(PATTERN)
  })

  it('differs between two processes in the same millisecond', () => {
    const ids = Array.from({ length: 200 }, () => createEntropy().newId(MS))
    expect(new Set(ids).size).toBe(200)
  })

  it('draws every character of its random part', () => {
    const characters = new Set(
      Array.from({ length: 200 }, () => createEntropy().newId(MS).slice(10)).join(''),
    )
    expect([...characters].toSorted().join('')).toBe('0123456789ABCDEFGHJKMNPQRSTVWXYZ')
  })
})

describe('random bytes', () => {
  it.each([1, 8, 16, 32])('are hexadecimal, %i of them', (bytes) => {
    expect(createEntropy().hex(bytes)).toMatch(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
  })

  it('are never given twice, however many are drawn', () => {
    const { hex } = createEntropy()
    const salts = Array.from({ length: 10_000 }, () => hex(16))
    expect(new Set(salts).size).toBe(salts.length)
    expect(new Set(salts.map(({ length }) => length))).toEqual(new Set([32]))
  })

  it('are whole where the pool ends within them', () => {
    const { hex } = createEntropy()
    const drawn = Array.from({ length: 3_000 }, () => hex(7))
    expect(new Set(drawn.map(({ length }) => length))).toEqual(new Set([14]))
    expect(new Set(drawn).size).toBe(drawn.length)
  })

  it('are as many ones as zeros', () => {
    const { hex } = createEntropy()
    const bits = Buffer.from(hex(8_000), 'hex').reduce(
      (sum, byte) => sum + byte.toString(2).replaceAll('0', '').length,
      0,
    )
    expect(Math.abs(bits / 64_000 - 0.5)).toBeLessThan(0.02) // ten standard deviations
  })

  it('do not come out of the ids, nor the ids out of them', () => {
    const { newId, hex } = createEntropy()
    const mixed = Array.from({ length: 2_000 }, (_, i) => (i % 2 === 0 ? newId(MS) : hex(16)))
    expect(new Set(mixed).size).toBe(mixed.length)
  })
})

describe('the id of a request', () => {
  it('begins as the process does, and never comes again', () => {
    const newRequestId = requestIds('5f0c3a1d')
    const made = Array.from({ length: 5_000 }, newRequestId)
    expect(new Set(made).size).toBe(made.length)
    expect(made.every((id) => id.startsWith('5f0c3a1d-'))).toBe(true)
  })

  it('does not come again after a restart', () => {
    const [before, after] = [requestIds('a'), requestIds('b')]
    expect(Array.from({ length: 100 }, after)).not.toEqual(
      expect.arrayContaining(Array.from({ length: 1 }, before)),
    )
  })

  it('is short, of characters that are safe in a header', () => {
    const newRequestId = requestIds('5f0c3a1d9be27c44')
    expect(Array.from({ length: 5_000 }, newRequestId).at(-1)).toMatch(/^[0-9a-z-]{1,32}$/)
  })
})

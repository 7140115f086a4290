import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import { createLatest, createOutput, textOf } from '../../src/worker/output.ts'
import { cleanUp, temporaryDirectory } from '../support/process.ts'

afterAll(cleanUp)

const SIZE = LIMITS.tail_bytes

describe('a tail', () => {
  it.each(['é', '€', '😀'])('of %s is not cut within a character', (character) => {
    for (let before = 0; before < 4; before++) {
      const whole = `${character.repeat(SIZE)}${'a'.repeat(before)}`
      const text = textOf(Buffer.from(whole).subarray(-SIZE), SIZE)
      expect(text).not.toContain('\uFFFD')
      expect(whole.endsWith(text)).toBe(true)
      expect(Buffer.byteLength(text)).toBeGreaterThan(SIZE - 4)
    }
  })

  it('is what the ledger takes, whatever the bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 64 }).map((some) => Buffer.from(some))
    fc.assert(
      fc.property(bytes, fc.constantFrom(1, 4_000), (some, times) => {
        const text = textOf(Buffer.concat(Array.from({ length: times }, () => some)).subarray(-SIZE), SIZE)
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(SIZE)
        expect(text.includes('\0')).toBe(false)
        expect(text.isWellFormed()).toBe(true)
      }),
    )
  })

  it('is the latest of both streams, in the order in which it came, within its bound', () => {
    const latest = createLatest()
    const bound = LIMITS.live_output_bytes
    const [out, err] = ['out', 'err'].map((name) =>
      createOutput(join(temporaryDirectory(), name), { latest }),
    )
    out!.take(Buffer.from('one '))
    err!.take(Buffer.from('two '))
    out!.take(Buffer.from('three\0'))
    expect([latest.text(), out!.tail(), err!.tail()]).toEqual([
      'one two three\uFFFD',
      'one three\uFFFD',
      'two ',
    ])
    err!.take(Buffer.alloc(bound, 0xff))
    expect(latest.text()).toBe('\uFFFD'.repeat(bound / 3))
    out!.take(Buffer.from('é'.repeat(bound)))
    expect(latest.text()).toBe('é'.repeat(bound / 2))
    for (const output of [out!, err!]) output.close()
  })

  it('is the end of all chunks, however they were cut', () => {
    const letters = Buffer.from(Array.from({ length: 3 * SIZE }, (_, index) => 97 + (index % 23)))
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: SIZE + 5 }), { maxLength: 12 }), (sizes) => {
        const file = join(temporaryDirectory(), 'out')
        const output = createOutput(file, { file_bytes: 100_000 })
        let at = 0
        for (const size of sizes) output.take(letters.subarray(at, (at += size)))
        output.close()
        const all = letters.subarray(0, at)
        expect(output.tail()).toBe(all.subarray(-SIZE).toString())
        expect(readFileSync(file)).toEqual(all.subarray(0, 100_000))
        expect(output.counts()).toEqual({ bytes: all.length, dropped: Math.max(0, all.length - 100_000) })
      }),
      { numRuns: 50 },
    )
  })
})

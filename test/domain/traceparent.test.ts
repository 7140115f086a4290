import { describe, expect, it } from 'vitest'
import { traceparentOf } from '../../src/domain/traceparent.ts'
import { countingEntropy } from '../support/given.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const of = (header: string | null) => traceparentOf(header, countingEntropy().hex)

describe('traceparent', () => {
  it('is no trace where there is no header', () => {
    expect(of(null)).toBeNull()
  })

  it.each([
    ['version 00', `00-${TRACE}-${PARENT}-01`],
    ['not sampled', `00-${TRACE}-${PARENT}-00`],
    ['flags that are not known yet', `00-${TRACE}-${PARENT}-ff`],
    ['a later version', `01-${TRACE}-${PARENT}-01`],
    ['a later version that says more', `cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`],
  ])('is kept as it came: %s', (_name, header) => {
    expect(of(header)).toBe(header)
  })

  it.each([
    ['empty', ''],
    ['the version ff', `ff-${TRACE}-${PARENT}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${PARENT}-01`],
    ['a short trace', `00-${TRACE.slice(1)}-${PARENT}-01`],
    ['no flags', `00-${TRACE}-${PARENT}`],
    ['version 00 that says more, which it cannot', `00-${TRACE}-${PARENT}-01-extra`],
    ['version 00 that ends in a dash', `00-${TRACE}-${PARENT}-01-`],
    ['a later version that goes on without a dash', `01-${TRACE}-${PARENT}-01x`],
    ['two headers in one', `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`],
    ['more than 512 characters', `01-${TRACE}-${PARENT}-01-${'x'.repeat(500)}`],
  ])('begins a new trace where the header is none: %s', (_name, header) => {
    expect(of(header)).toBe(`00-${'1'.padStart(32, '0')}-${'2'.padStart(16, '0')}-01`)
  })
})

import { describe, expect, it } from 'vitest'
import { requireAgreement, requireMatch, sees, visibleRun, visibleStep } from '../../src/domain/guard.ts'
import { aRun, aSnapshot, aStep } from '../support/builders.ts'
import { boundTo, given } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

describe('a caller', () => {
  it.each([
    ['bound to nothing sees every project', null, true],
    ['bound to this project sees it', ['shop'], true],
    ['bound to several sees each of them', ['bank', 'shop'], true],
    ['bound to another does not see it', ['bank'], false],
    ['bound to a project whose name only begins alike does not see it', ['sho', 'shop2'], false],
    ['bound to no project at all sees none', [], false],
  ])('%s', (_name, projects, expected) => {
    expect(sees({ projects }, 'shop')).toBe(expected)
  })

  it('gets the run that it sees', () => {
    const run = aRun()
    expect(visibleRun(aSnapshot({ run }), given({ caller: boundTo('shop') }))).toBe(run)
  })

  it('gets the attempt that it sees, with its run', () => {
    const [run, step_attempt] = [aRun({ state: 'running' }), aStep()]
    const seen = visibleStep(aSnapshot({ run, step_attempt }), given({ caller: boundTo('shop') }))
    expect(seen).toEqual({ book: run, step: step_attempt })
  })

  it('learns nothing from a refusal: hidden and missing are the same', () => {
    const hidden = given({ caller: boundTo('bank') })
    expect(refusal(() => visibleRun(aSnapshot({ run: aRun() }), hidden))).toEqual(
      refusal(() => visibleRun(aSnapshot(), hidden)),
    )
    const attempt = aSnapshot({ run: aRun(), step_attempt: aStep() })
    expect(refusal(() => visibleStep(attempt, hidden))).toEqual(
      refusal(() => visibleStep(aSnapshot(), hidden)),
    )
  })
})

describe('If-Match', () => {
  it.each([
    ['absent', null],
    ['*', '*'],
    ['the version', ['3']],
    ['a list with the version', ['1', '3']],
  ] as const)('passes: %s', (_name, if_match) => {
    expect(() => requireMatch(given({ if_match }), 3)).not.toThrow()
  })

  it.each([
    ['another version', ['2']],
    ['the version written otherwise', ['03', '3.0', ' 3']],
    ['no strong tag at all', []],
  ] as const)('refuses, and says what the version is: %s', (_name, if_match) => {
    expect(refusal(() => requireMatch(given({ if_match }), 3))).toMatchObject({
      code: 'precondition_failed',
      context: { version: 3 },
    })
  })
})

describe('the exit code', () => {
  it.each([
    { status: 'succeeded' },
    { status: 'succeeded', exit_code: null },
    { status: 'succeeded', exit_code: 0 },
    { status: 'failed', exit_code: 0 },
    { status: 'failed', exit_code: 1 },
    { status: 'canceled', exit_code: 143 },
  ])('agrees: %j', (body) => {
    expect(() => requireAgreement(body)).not.toThrow()
  })

  it.each([1, -1, 256])('%i contradicts success', (exit_code) => {
    expect(refusal(() => requireAgreement({ status: 'succeeded', exit_code }))).toMatchObject({
      code: 'exit_code_contradicts',
      context: { errors: [{ pointer: '#/exit_code' }] },
    })
  })
})

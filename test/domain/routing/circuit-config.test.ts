import { describe, expect, it } from 'vitest'
import { documents } from '../../../src/contract/documents/index.ts'
import { CIRCUIT_DEFAULTS } from '../../../src/contract/defaults.ts'
import type { AppCircuit } from '../../../src/contract/documents/router-config.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { diffRouterConfigs } from '../../../src/domain/router-config-diff.ts'
import { buildChecks, faultsOf } from '../../../src/http/validation.ts'
import { aConfig, anApp } from '../../support/routing.ts'
import { checkRouterConfig } from '../../support/router-check.ts'

const validate = buildChecks()(documents.get('router_config.v1')!)
const check = (document: unknown) => checkRouterConfig(document, (value) => faultsOf(validate(value), 'body'))
const base = aConfig({ apps: { aider: {} }, rules: [{ id: 'edits', select_from: ['aider'] }] })
const withCircuit = (circuit: object) => ({ ...base, apps: { aider: { ...anApp(), circuit } } })
const withDefaults = (defaults: object) => ({ ...base, defaults })
const thresholdsOf = (circuit: AppCircuit) => compileRouterConfig(withCircuit(circuit), 1).apps[0]!.circuit

describe('the thresholds of an app', () => {
  it('are those of the standard where it says nothing', () => {
    expect(compileRouterConfig(base, 1).apps[0]!.circuit).toEqual(CIRCUIT_DEFAULTS)
    expect(compileRouterConfig(base, 1).when_all_open).toBe('wait')
  })

  it('are its own, all of them', () => {
    const own = {
      failures_in_row: 3,
      failure_rate: 0.25,
      min_attempts: 4,
      window_seconds: 30,
      open_seconds: 10,
      max_open_seconds: 40,
    }
    expect(check(withCircuit(own))).toMatchObject({ faults_of_meaning: [], warnings: [] })
    expect(thresholdsOf(own)).toEqual(own)
  })

  it('may open for longer than the standard at most', () => {
    expect(thresholdsOf({ open_seconds: 3_600 }).max_open_seconds).toBe(3_600)
  })

  it.each([
    ['failures_in_row', 0, 'must be from 1 to 1000'],
    ['failures_in_row', 1_001, 'must be from 1 to 1000'],
    ['failure_rate', -0.1, 'must be from 0 to 1'],
    ['failure_rate', 1.1, 'must be from 0 to 1'],
    ['min_attempts', 0, 'must be from 1 to 10000'],
    ['min_attempts', 10_001, 'must be from 1 to 10000'],
    ['window_seconds', 0, 'must be from 1 to 3600'],
    ['window_seconds', 3_601, 'must be from 1 to 3600'],
    ['open_seconds', 0, 'must be from 1 to 86400'],
    ['open_seconds', 86_401, 'must be from 1 to 86400'],
    ['max_open_seconds', 0, 'must be from 1 to 86400'],
    ['max_open_seconds', 86_401, 'must be from 1 to 86400'],
    ['max_open_seconds', 59, 'must not be less than open_seconds, which is 60'],
  ])('are faults of meaning beyond their bounds: %s %d', (field, value, detail) => {
    const { faults_of_form, faults_of_meaning } = check(withCircuit({ [field]: value }))
    expect(faults_of_form).toEqual([])
    expect(faults_of_meaning).toEqual([{ pointer: `#/apps/aider/circuit/${field}`, detail }])
  })

  it('are faults of form where they are no numbers', () => {
    const { faults_of_form, faults_of_meaning } = check(withCircuit({ min_attempts: '3', open_seconds: 1.5 }))
    expect(faults_of_form.map(({ pointer }) => pointer)).toEqual([
      '#/apps/aider/circuit/min_attempts',
      '#/apps/aider/circuit/open_seconds',
    ])
    expect(faults_of_meaning).toEqual([])
  })

  it('are warned of where they have no effect', () => {
    const window = { failure_rate: 0.1, min_attempts: 3, window_seconds: 9 }
    const { warnings } = check(withCircuit({ failures_in_row: 1, ...window }))
    expect(warnings).toEqual(
      ['failure_rate', 'min_attempts', 'window_seconds'].map((field) => ({
        code: 'circuit_without_effect',
        pointer: `#/apps/aider/circuit/${field}`,
        detail: `${field} has no effect: the first failure opens the circuit.`,
      })),
    )
    const never = check(withCircuit({ failure_rate: 1, min_attempts: 3 })).warnings
    expect(never.map(({ detail }) => detail)).toEqual([
      'min_attempts has no effect: no share of failures is larger than 1.',
    ])
    expect(check(withCircuit({ failure_rate: 1 })).warnings).toEqual([])
  })

  it('are warned of where nothing is called so', () => {
    const { warnings } = check(withCircuit({ threshold: 3 }))
    expect(warnings).toMatchObject([{ code: 'unknown_field', pointer: '#/apps/aider/circuit/threshold' }])
  })

  it('stand in a difference, field by field', () => {
    expect(diffRouterConfigs(withCircuit({ open_seconds: 60 }), withCircuit({ open_seconds: 90 }))).toEqual([
      {
        subject: 'app',
        id: 'aider',
        change: 'changed',
        fields: [{ pointer: '#/circuit/open_seconds', before: 60, after: 90 }],
      },
    ])
  })
})

describe('when_all_open', () => {
  it.each(['wait', 'fail'] as const)('may be %s', (when_all_open) => {
    expect(check(withDefaults({ when_all_open }))).toMatchObject({ faults_of_form: [], warnings: [] })
    expect(compileRouterConfig({ ...base, defaults: { when_all_open } }, 1).when_all_open).toBe(when_all_open)
  })

  it('may be nothing else', () => {
    const { faults_of_form } = check(withDefaults({ when_all_open: 'retry' }))
    expect(faults_of_form.map(({ pointer }) => pointer)).toEqual(['#/defaults/when_all_open'])
  })

  it('stands in a difference', () => {
    const changes = diffRouterConfigs(base, withDefaults({ when_all_open: 'fail' }))
    expect(changes).toMatchObject([
      { subject: 'defaults', fields: [{ pointer: '#/when_all_open', before: null, after: 'fail' }] },
    ])
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandStatus, StateMachine } from '../../src/contract/machine.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { clientOf } from './client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { tagged } from './operations.ts'

let app: TestApp
let machines: StateMachine[]

beforeAll(async () => {
  app = await openTestApp()
  machines = (await clientOf(app).get('/v1/state-machines')).body.items
})

afterAll(() => app.close())

const commandsOf = (name: string, state: string): string[] =>
  machines
    .find((machine) => machine.name === name)!
    .states.find((known) => known.state === state)!
    .commands.filter(({ allowed }) => allowed)
    .map(({ command }) => command)

describe('the state machines', () => {
  it('are those of runs, of step attempts, of execution requests and of circuits', () => {
    expect(machines.map(({ name }) => name)).toEqual(['run', 'step_attempt', 'execution_request', 'circuit'])
  })

  it.each([
    ['run', 'pending', ['start', 'cancel']],
    ['run', 'running', ['succeed', 'fail', 'quarantine', 'cancel']],
    ['run', 'failed', ['quarantine']],
    ['run', 'succeeded', []],
    ['run', 'quarantined', []],
    ['run', 'canceled', []],
    ['step_attempt', 'running', ['succeed', 'fail', 'cancel']],
    ['step_attempt', 'failed', ['retry']],
    ['step_attempt', 'canceled', ['retry']],
    ['step_attempt', 'succeeded', []],
    ['execution_request', 'blocked', ['unblock', 'expire', 'cancel', 'accept', 'send_back', 'refuse']],
    ['execution_request', 'queued', ['reassign', 'claim', 'expire', 'cancel']],
    ['execution_request', 'claimed', ['validate', 'succeed', 'requeue', 'fail', 'cancel', 'confirm_cancel']],
    ['execution_request', 'canceled', []],
    ['circuit', 'closed', ['trip']],
    ['circuit', 'open', ['probe', 'reset']],
    ['circuit', 'half_open', ['trip', 'recover', 'reset']],
  ])('of a %s that is %s allow %j', (name, state, commands) => {
    expect(commandsOf(name, state).sort()).toEqual([...commands].sort())
  })

  it('name every state and call those terminal that nothing leads out of', () => {
    const terminal = machines.map(({ states }) =>
      states
        .filter((known) => known.terminal)
        .map(({ state }) => state)
        .sort(),
    )
    expect(terminal).toEqual([
      ['canceled', 'quarantined', 'succeeded'],
      ['canceled', 'failed', 'succeeded'],
      ['canceled', 'failed', 'succeeded'],
      [],
    ])
  })

  it('name operations that exist, where the document has them', () => {
    const named = machines.flatMap(({ states }) => states.flatMap(({ commands }) => commands))
    expect(named.length).toBeGreaterThan(20)
    for (const command of named) expect(operationAt(command)).toBe(command.operation_id)
  })

  const operationAt = ({ method, href }: CommandStatus) =>
    href === null ? null : app.document.paths[href]?.[method!.toLowerCase()]?.operationId

  it('refuse with the code that the operation answers', () => {
    const refused = machines
      .flatMap(({ states }) => states.flatMap(({ commands }) => commands))
      .filter(({ allowed }) => !allowed)
    for (const { code, detail } of refused) {
      expect(code).toBe('transition_refused')
      expect(detail).toMatch(/does not take/)
    }
  })

  it('are the same as Mermaid text', () => {
    for (const { transitions, mermaid } of machines) {
      for (const { from, command, to } of transitions) {
        expect(mermaid.split('\n')).toContain(`  ${from ?? '[*]'} --> ${to} : ${command}`)
      }
    }
  })
})

everyOperation(tagged('machines'))
meetAllTheyPromise(tagged('machines'), {
  'listStateMachines 500 internal_error': 'it answers from memory',
  'listStateMachines 503 store_unavailable': 'it answers from memory',
})

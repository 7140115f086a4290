import { describe, expect, it } from 'vitest'
import { ExecutionRequestState } from '../../../src/contract/execution-request.ts'
import { isTerminal } from '../../../src/domain/machine.ts'
import { requestMachine } from '../../../src/domain/request-machine.ts'
import { REQUEST_EDGES, cells } from '../../support/edges.ts'
import { refusal } from '../../support/refusal.ts'

describe('the execution request machine', () => {
  const states = ExecutionRequestState.enum as readonly ExecutionRequestState[]

  it('knows the states of the contract', () => {
    expect([...requestMachine.states].sort()).toEqual([...states].sort())
  })

  it('knows these commands', () => {
    expect(requestMachine.commands).toEqual([
      ...[
        'create',
        'unblock',
        'reassign',
        'claim',
        'validate',
        'succeed',
        'requeue',
        'fail',
        'expire',
        'cancel',
        'confirm_cancel',
        'accept',
        'send_back',
        'refuse',
      ],
    ])
  })

  it('begins with create, blocked or queued', () => {
    const beginnings = requestMachine.edges.filter(({ from }) => from === null)
    expect(beginnings).toEqual([
      { from: null, command: 'create', to: 'blocked', event: 'request_created' },
      { from: null, command: 'create', to: 'queued', event: 'request_created' },
    ])
  })

  for (const { from, command, edge } of cells(states, requestMachine.commands, REQUEST_EDGES)) {
    if (edge !== undefined) {
      it(`${from} takes ${command} and becomes ${edge.to}`, () => {
        expect(requestMachine.edge(from, command)).toEqual(edge)
      })
    } else {
      it(`${from} refuses ${command}`, () => {
        const { code, context } = refusal(() => requestMachine.edge(from, command))
        expect({ code, state: context['state'], command: context['command'] }).toEqual({
          code: 'transition_refused',
          state: from,
          command,
        })
        const allowed = REQUEST_EDGES.filter((row) => row[0] === from).map((row) => row[1])
        expect((context['allowed_commands'] as string[]).toSorted()).toEqual(allowed.toSorted())
      })
    }
  }

  it.each([
    ['blocked', false],
    ['queued', false],
    ['claimed', false],
    ['succeeded', true],
    ['failed', true],
    ['canceled', true],
  ] as const)('%s: terminal %s', (state, terminal) => {
    expect(isTerminal(requestMachine, state)).toBe(terminal)
  })
})

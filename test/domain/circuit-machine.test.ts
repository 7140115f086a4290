import { describe, expect, it } from 'vitest'
import { CircuitState } from '../../src/contract/circuit.ts'
import { CLOSED } from '../../src/domain/circuit.ts'
import { circuitMachine } from '../../src/domain/circuit-machine.ts'
import { CIRCUIT_EDGES, cells } from '../support/edges.ts'
import { refusal } from '../support/refusal.ts'

describe('the circuit machine', () => {
  const states = CircuitState.enum as readonly CircuitState[]

  it('knows the states of the contract', () => {
    expect([...circuitMachine.states].sort()).toEqual([...states].sort())
  })

  it('knows these commands', () => {
    expect(circuitMachine.commands).toEqual(['trip', 'probe', 'reset', 'recover'])
  })

  it('begins closed, without an event: a tool of which nothing is known has a circuit', () => {
    expect(circuitMachine.edges.filter(({ from }) => from === null)).toEqual([])
    expect(CLOSED.state).toBe('closed')
  })

  for (const { from, command, edge } of cells(states, circuitMachine.commands, CIRCUIT_EDGES)) {
    if (edge !== undefined) {
      it(`${from} takes ${command} and becomes ${edge.to}`, () => {
        expect(circuitMachine.edge(from, command)).toEqual(edge)
      })
    } else {
      it(`${from} refuses ${command}`, () => {
        const { code, context } = refusal(() => circuitMachine.edge(from, command))
        const allowed = CIRCUIT_EDGES.filter((row) => row[0] === from).map((row) => row[1])
        expect({ code, ...context }).toEqual({
          code: 'transition_refused',
          state: from,
          command,
          allowed_commands: allowed,
        })
      })
    }
  }
})

import type { CircuitState } from '../contract/circuit.ts'
import { OWN_COMMAND, defineMachine } from './machine.ts'

export type CircuitCommand = 'trip' | 'probe' | 'recover' | 'reset'

// A tool begins closed, before anything is known of it: no event makes a circuit.
export const circuitMachine = defineMachine<CircuitState, CircuitCommand>(
  'circuit',
  [
    // from        on         to           event
    ['closed', 'trip', 'open', 'circuit_opened'],
    ['open', 'probe', 'half_open', 'circuit_half_opened'],
    ['open', 'reset', 'closed', 'circuit_closed'],
    ['half_open', 'trip', 'open', 'circuit_opened'],
    ['half_open', 'recover', 'closed', 'circuit_closed'],
    ['half_open', 'reset', 'closed', 'circuit_closed'],
  ],
  {
    trip: OWN_COMMAND,
    probe: OWN_COMMAND,
    recover: OWN_COMMAND,
    reset: { operation_id: 'resetTool', method: 'POST', href: '/v1/tools/{tool_id}/reset' },
  },
)

import { StateMachineList } from '../../contract/machine.ts'
import { ref } from '../../contract/named.ts'
import { circuitMachine } from '../../domain/circuit-machine.ts'
import { describeMachine } from '../../domain/machine.ts'
import { requestMachine } from '../../domain/request-machine.ts'
import { runMachine } from '../../domain/run-machine.ts'
import { stepMachine } from '../../domain/step-machine.ts'
import { sendJson } from '../answers.ts'
import type { App } from '../deps.ts'
import { reads } from '../operation.ts'

export function machineRoutes(app: App): void {
  const machines = {
    items: [
      describeMachine(runMachine),
      describeMachine(stepMachine),
      describeMachine(requestMachine),
      describeMachine(circuitMachine),
    ],
  }
  const listStateMachines = reads(
    {
      operationId: 'listStateMachines',
      tag: 'machines',
      summary: 'List the state machines',
      description:
        'The tables that guard every change: each state with what it allows, each edge, and the same as Mermaid text.',
    },
    ref(StateMachineList),
    {},
  )
  app.get('/v1/state-machines', { schema: listStateMachines, config: { scope: 'read' } }, (_request, reply) =>
    sendJson(reply, machines),
  )
}

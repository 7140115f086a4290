import { type Static, Type } from '@sinclair/typebox'
import { closed, named, nullable, ref, words } from './named.ts'

export const HttpMethod = words('HttpMethod', ['GET', 'POST', 'PATCH'], 'An HTTP method.')

export const CommandStatus = named(
  'CommandStatus',
  closed(
    {
      command: Type.String({ description: 'The command, as state machines name it.' }),
      allowed: Type.Boolean({ description: 'Whether it would be accepted now.' }),
      code: nullable(Type.String(), { description: 'The `code` of the refusal; null if allowed.' }),
      detail: nullable(Type.String(), { description: 'Why it would be refused, in words; null if allowed.' }),
      operation_id: nullable(Type.String(), {
        description: 'The operation that gives the command; null if only the server itself gives it.',
      }),
      method: nullable(ref(HttpMethod)),
      href: nullable(Type.String(), { description: 'Where to send it; null as `operation_id`.' }),
    },
    { description: 'A command, and whether it is allowed.' },
  ),
)
export type CommandStatus = Static<typeof CommandStatus>

export const RunTransitions = named(
  'RunTransitions',
  closed(
    {
      run_id: Type.String({ description: 'The run.' }),
      state: Type.String({ description: 'The state that it is in.' }),
      commands: Type.Array(ref(CommandStatus), { description: 'Every command that a run knows.' }),
    },
    {
      description: 'What can be done with a run now, and why the rest cannot.',
      examples: [
        {
          run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
          state: 'pending',
          commands: [
            {
              command: 'start',
              allowed: true,
              code: null,
              detail: null,
              operation_id: 'startRun',
              method: 'POST',
              href: '/v1/runs/01JD8Z6V3QK0T2M4N6P8R0S2T4/start',
            },
          ],
        },
      ],
    },
  ),
)
export type RunTransitions = Static<typeof RunTransitions>

export const Transition = named(
  'Transition',
  closed(
    {
      from: nullable(Type.String(), { description: 'The state before; null where the record begins.' }),
      command: Type.String({ description: 'What is asked.' }),
      to: Type.String({ description: 'The state after.' }),
      event: Type.String({ description: 'The kind of the event that tells of it.' }),
    },
    { description: 'One edge of a state machine.' },
  ),
)

export const MachineState = named(
  'MachineState',
  closed(
    {
      state: Type.String({ description: 'Its name.' }),
      terminal: Type.Boolean({ description: 'Whether nothing leads out of it.' }),
      commands: Type.Array(ref(CommandStatus), {
        description: 'Every command, and whether this state allows it. `href` is a template.',
      }),
    },
    { description: 'A state, and what it allows.' },
  ),
)

export const StateMachine = named(
  'StateMachine',
  closed(
    {
      name: Type.String({ description: 'The record that it governs.' }),
      states: Type.Array(ref(MachineState), { description: 'Every state.' }),
      transitions: Type.Array(ref(Transition), { description: 'Every edge.' }),
      mermaid: Type.String({ description: 'The same as a Mermaid state diagram.' }),
    },
    { description: 'The table that guards every change of a record.' },
  ),
)
export type StateMachine = Static<typeof StateMachine>

export const StateMachineList = named(
  'StateMachineList',
  closed(
    { items: Type.Array(ref(StateMachine), { description: 'The machines.' }) },
    {
      description: 'All state machines.',
      examples: [
        {
          items: [
            {
              name: 'step_attempt',
              states: [{ state: 'running', terminal: false, commands: [] }],
              transitions: [
                { from: 'running', command: 'succeed', to: 'succeeded', event: 'step_completed' },
              ],
              mermaid: 'stateDiagram-v2\n  running --> succeeded : succeed',
            },
          ],
        },
      ],
    },
  ),
)

/** Where a command of a machine is given over HTTP. `href` is a path template. */
export interface CommandOperation {
  operation_id: string | null
  method: Static<typeof HttpMethod> | null
  href: string | null
}

import type { CommandOperation, CommandStatus, StateMachine } from '../contract/machine.ts'
import { LedgerError } from './error.ts'

/** A command that the server itself gives, when something else has happened or time has passed. */
export const OWN_COMMAND = { operation_id: null, method: null, href: null } as const

export interface Edge<S extends string, C extends string> {
  /** Null where a record begins. */
  from: S | null
  command: C
  to: S
  /** The kind of the event that tells of the move. */
  event: string
}

export interface Machine<S extends string, C extends string> {
  name: string
  states: readonly S[]
  commands: readonly C[]
  edges: readonly Edge<S, C>[]
  operations: Readonly<Record<C, CommandOperation>>
  /** @throws LedgerError `transition_refused` where the table has no such edge. */
  edge(from: S, command: C): Edge<S, C>
  allowed(from: S): C[]
}

type Row<S, C> = readonly [from: S | null, command: C, to: S, event: string]

/** A lifecycle as data: one row for each edge, and where each command is given over HTTP. */
export function defineMachine<S extends string, C extends string>(
  name: string,
  rows: readonly Row<S, C>[],
  operations: Readonly<Record<C, CommandOperation>>,
): Machine<S, C> {
  const edges = rows.map(([from, command, to, event]) => ({ from, command, to, event }))
  const byMove = new Map(edges.map((edge) => [`${edge.from} ${edge.command}`, edge]))
  const allowed = (from: S): C[] => edges.filter((edge) => edge.from === from).map((edge) => edge.command)
  return {
    name,
    edges,
    operations,
    states: [...new Set(edges.map((edge) => edge.to))],
    commands: [...new Set(edges.map((edge) => edge.command))],
    allowed,
    edge(from, command) {
      const edge = byMove.get(`${from} ${command}`)
      if (edge === undefined) throw refusal(name, from, command, allowed(from))
      return edge
    },
  }
}

function refusal(name: string, state: string, command: string, allowed_commands: string[]) {
  const instead = allowed_commands.length === 0 ? 'no command' : allowed_commands.join(', ')
  const detail = `The ${name.replace('_', ' ')} is ${state} and does not take ${command}; it takes ${instead}.`
  return new LedgerError('transition_refused', detail, { state, command, allowed_commands })
}

/** Every command but the one that makes the record, and what `check` says to it (it throws what refuses). */
export function commandStatuses<C extends string>(
  machine: Machine<string, C>,
  ids: Record<string, string>,
  check: (command: C) => void,
): CommandStatus[] {
  const made = new Set(machine.edges.filter((edge) => edge.from === null).map((edge) => edge.command))
  return machine.commands
    .filter((command) => !made.has(command))
    .map((command) => {
      const { operation_id, method, href } = machine.operations[command]
      const refused = refusalOf(() => check(command))
      return {
        command,
        allowed: refused === null,
        code: refused?.code ?? null,
        detail: refused?.message ?? null,
        operation_id,
        method,
        href: href === null ? null : href.replace(/\{(\w+)\}/g, (whole, id: string) => ids[id] ?? whole),
      }
    })
}

function refusalOf(check: () => void): LedgerError | null {
  try {
    check()
    return null
  } catch (error) {
    if (error instanceof LedgerError) return error
    throw error
  }
}

/** A state is terminal if nothing leads to another one (a retry stays where it is: it makes a new record). */
export const isTerminal = <S extends string>(machine: Machine<S, string>, state: S): boolean =>
  machine.edges.every((edge) => edge.from !== state || edge.to === state)

/** The table as the API publishes it. */
export function describeMachine<S extends string, C extends string>(machine: Machine<S, C>): StateMachine {
  return {
    name: machine.name,
    states: machine.states.map((state) => ({
      state,
      terminal: isTerminal(machine, state),
      commands: commandStatuses(machine, {}, (command) => machine.edge(state, command)),
    })),
    transitions: machine.edges.map((edge) => ({ ...edge })),
    mermaid: mermaidOf(machine),
  }
}

function mermaidOf<S extends string, C extends string>(machine: Machine<S, C>): string {
  const arrows = machine.edges.map((edge) => `  ${edge.from ?? '[*]'} --> ${edge.to} : ${edge.command}`)
  const ends = machine.states
    .filter((state) => isTerminal(machine, state))
    .map((state) => `  ${state} --> [*]`)
  return ['stateDiagram-v2', ...arrows, ...ends].join('\n')
}

import { describe, expect, it } from 'vitest'
import { RunState } from '../../src/contract/run.ts'
import { StepAttemptState } from '../../src/contract/step.ts'
import { describeMachine, isTerminal } from '../../src/domain/machine.ts'
import { isOpen, runMachine } from '../../src/domain/run-machine.ts'
import { stepMachine } from '../../src/domain/step-machine.ts'
import { RUN_EDGES, STEP_EDGES, cells } from '../support/edges.ts'
import { refusal } from '../support/refusal.ts'

describe('the run machine', () => {
  const states = RunState.enum as readonly (typeof runMachine.states)[number][]

  it('knows the states of the contract', () => {
    expect([...runMachine.states].sort()).toEqual([...states].sort())
  })

  it('knows these commands', () => {
    expect(runMachine.commands).toEqual(['create', 'start', 'cancel', 'succeed', 'fail', 'quarantine'])
  })

  it('begins with create', () => {
    const beginnings = runMachine.edges.filter(({ from }) => from === null)
    expect(beginnings).toEqual([{ from: null, command: 'create', to: 'pending', event: 'run_created' }])
  })

  for (const { from, command, edge } of cells(states, runMachine.commands, RUN_EDGES)) {
    if (edge !== undefined) {
      it(`${from} takes ${command} and becomes ${edge.to}`, () => {
        expect(runMachine.edge(from, command)).toEqual(edge)
      })
    } else {
      it(`${from} refuses ${command}`, () => {
        const allowed_commands = RUN_EDGES.filter((row) => row[0] === from).map((row) => row[1])
        expect(refusal(() => runMachine.edge(from, command))).toMatchObject({
          code: 'transition_refused',
          context: { state: from, command, allowed_commands },
        })
      })
    }
  }

  it.each([
    ['pending', false, true],
    ['running', false, true],
    ['succeeded', true, false],
    ['failed', false, false],
    ['quarantined', true, false],
    ['canceled', true, false],
  ] as const)('%s: terminal %s, open %s', (state, terminal, open) => {
    expect({ terminal: isTerminal(runMachine, state), open: isOpen(state) }).toEqual({ terminal, open })
  })
})

describe('the step attempt machine', () => {
  const states = StepAttemptState.enum as readonly (typeof stepMachine.states)[number][]

  it('knows the states of the contract', () => {
    expect([...stepMachine.states].sort()).toEqual([...states].sort())
  })

  it('knows these commands', () => {
    expect(stepMachine.commands).toEqual(['create', 'succeed', 'fail', 'cancel', 'retry'])
  })

  it('begins with create', () => {
    const beginnings = stepMachine.edges.filter(({ from }) => from === null)
    expect(beginnings).toEqual([{ from: null, command: 'create', to: 'running', event: 'step_started' }])
  })

  for (const { from, command, edge } of cells(states, stepMachine.commands, STEP_EDGES)) {
    if (edge !== undefined) {
      it(`${from} takes ${command} and becomes ${edge.to}`, () => {
        expect(stepMachine.edge(from, command)).toEqual(edge)
      })
    } else {
      it(`${from} refuses ${command}`, () => {
        const allowed_commands = STEP_EDGES.filter((row) => row[0] === from).map((row) => row[1])
        expect(refusal(() => stepMachine.edge(from, command))).toMatchObject({
          code: 'transition_refused',
          context: { state: from, command, allowed_commands },
        })
      })
    }
  }

  it.each([
    ['running', false],
    ['succeeded', true],
    ['failed', true],
    ['canceled', true],
  ] as const)('%s: terminal %s', (state, terminal) => {
    expect(isTerminal(stepMachine, state)).toBe(terminal)
  })
})

describe('a refusal', () => {
  it('says what the state takes instead', () => {
    const { detail } = refusal(() => runMachine.edge('pending', 'succeed'))
    expect(detail).toBe('The run is pending and does not take succeed; it takes start, cancel.')
  })

  it('says so where the state takes nothing', () => {
    const { detail } = refusal(() => stepMachine.edge('succeeded', 'retry'))
    expect(detail).toBe('The step attempt is succeeded and does not take retry; it takes no command.')
  })
})

describe('a machine as the API publishes it', () => {
  const run = describeMachine(runMachine)

  it('has every edge, as the table has it', () => {
    expect(run.transitions).toEqual(runMachine.edges)
    expect(run.name).toBe('run')
  })

  it('has every command in every state, with the code of its refusal and where to give it', () => {
    const pending = run.states.find(({ state }) => state === 'pending')
    expect(pending?.commands).toMatchObject([
      { command: 'start', allowed: true, code: null, detail: null },
      { command: 'cancel', allowed: true },
      { command: 'succeed', allowed: false, code: 'transition_refused' },
      { command: 'fail', allowed: false },
      { command: 'quarantine', allowed: false },
    ])
    expect(pending?.commands[0]).toMatchObject({
      operation_id: 'startRun',
      method: 'POST',
      href: '/v1/runs/{run_id}/start',
    })
  })

  it('leaves out the command that makes the record: no state takes it', () => {
    const commands = run.states.flatMap((state) => state.commands.map(({ command }) => command))
    expect(commands).not.toContain('create')
  })

  it('is a Mermaid diagram with every edge, and every end', () => {
    expect(describeMachine(stepMachine).mermaid.split('\n')).toEqual([
      'stateDiagram-v2',
      '  [*] --> running : create',
      '  running --> succeeded : succeed',
      '  running --> failed : fail',
      '  running --> canceled : cancel',
      '  failed --> failed : retry',
      '  canceled --> canceled : retry',
      '  succeeded --> [*]',
      '  failed --> [*]',
      '  canceled --> [*]',
    ])
  })
})

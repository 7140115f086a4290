import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { createView } from '../../demo/view.ts'
import type { PlanNode, RunPlan } from '../../src/contract/run-plan.ts'

const aNode = (node: Partial<PlanNode>): PlanNode => ({
  task_id: 'edit',
  execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
  name: 'Reject an empty basket',
  state: 'queued',
  level: 0,
  needs: [],
  blocks: [],
  blocked_by: [],
  tool_id: 'aider',
  attempts: 0,
  started_at: null,
  ended_at: null,
  duration_ms: null,
  ...node,
})

const test = aNode({ task_id: 'test', name: 'Run the tests', tool_id: 'pytest' })

/** A plan of two tasks, with what the server would count. */
function aPlan(nodes: PlanNode[]): RunPlan {
  const count = (state: string): number => nodes.filter((node) => node.state === state).length
  const done = count('succeeded')
  return {
    run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
    nodes,
    levels: 2,
    progress: {
      total: nodes.length,
      done,
      running: count('claimed'),
      queued: count('queued'),
      blocked: count('blocked'),
      failed: count('failed'),
      canceled: count('canceled'),
      percent: Math.floor((100 * done) / nodes.length),
    },
    critical_path: { task_ids: [], duration_ms: 0 },
    estimate: { remaining_ms: null, known: 0, of: nodes.length - done },
  }
}

const BEGIN = aPlan([
  aNode({ state: 'claimed', duration_ms: 1_500 }),
  { ...test, state: 'blocked', tool_id: null, blocked_by: ['edit'] },
])
const MIDDLE = aPlan([
  aNode({ state: 'succeeded', attempts: 1, duration_ms: 2_000 }),
  { ...test, attempts: 1, duration_ms: 100 },
])
const VALIDATED = aPlan([
  aNode({ state: 'blocked', attempts: 1, duration_ms: 1_900 }),
  { ...test, state: 'blocked', tool_id: null, blocked_by: ['edit'] },
])
const FALLEN_BACK = aPlan([
  aNode({ state: 'succeeded', attempts: 1, duration_ms: 2_000 }),
  { ...test, tool_id: 'vitest', state: 'claimed', attempts: 2, duration_ms: 300 },
])

/** What is written for these looks, each on its own, to something that is as wide as a terminal, or none. */
function written(looks: readonly RunPlan[], columns: number | null): string[] {
  const out = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: columns !== null, columns })
  const view = createView(out as unknown as NodeJS.WriteStream, { NO_COLOR: '1' })
  return looks.map((look) => {
    view.show(look)
    return (out.read() as string | null) ?? ''
  })
}

const UP_4 = '\x1b[4A'
const TO_THE_END = '\x1b[K'

/** From the beginning of the line on, each line rid of what was longer there before. */
const drawn = (...lines: string[]): string => `\r${lines.map((line) => `${line}${TO_THE_END}\n`).join('')}`

it('draws a bar and the tasks on a terminal, each time over the one before', () => {
  const [first, second] = written([BEGIN, MIDDLE], 100)
  expect(first).toBe(
    drawn(
      `${'░'.repeat(30)}   0 %  0 of 2 done, 1 running, 0 queued, 1 blocked`,
      '',
      '▶ edit       aider           1.5 s  running                     Reject an empty basket',
      '· test       –                      waits for edit              Run the tests',
    ),
  )
  expect(second).toBe(
    `${UP_4}${drawn(
      `${'█'.repeat(15)}${'░'.repeat(15)}  50 %  1 of 2 done, 0 running, 1 queued, 0 blocked`,
      '',
      '✓ edit       aider           2.0 s  succeeded                   Reject an empty basket',
      '↻ test       pytest          0.1 s  waits for its next attempt  Run the tests',
    )}`,
  )
})

it('keeps each line within the width of the terminal', () => {
  const [first = ''] = written([BEGIN], 20)
  const lines = first.replaceAll(TO_THE_END, '').replace('\r', '').split('\n')
  expect(lines.map(({ length }) => length)).toEqual([19, 0, 19, 19, 0])
})

it('writes a line for each change where there is no terminal', () => {
  const looks = written([BEGIN, BEGIN, VALIDATED, MIDDLE, FALLEN_BACK], null)
  expect(looks.map((text) => text.replaceAll(/^ +\d+\.\d s +/gm, '').split('\n'))).toEqual([
    ['0 of 2  edit       aider         running', '0 of 2  test       –             waits for edit', ''],
    [''],
    ['0 of 2  edit       aider         waits for its validator', ''],
    [
      '1 of 2  edit       aider         succeeded',
      '1 of 2  test       pytest        waits for its next attempt',
      '',
    ],
    ['1 of 2  test       vitest        running, attempt 3', ''],
  ])
})

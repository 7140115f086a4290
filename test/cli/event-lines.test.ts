import { describe, expect, it } from 'vitest'
import { eventLines } from '../../src/cli/event-lines.ts'
import { openOutput } from '../../src/cli/output.ts'
import type { Event } from '../../src/contract/event.ts'

const RUN = '01JD8Z6V3QK0T2M4N6P8R0S2T4'
const OTHER = '01JD8Z6V3QK0T2M4N6P8R0S2T5'
const REQUEST = '01JD8Z6V5NC4X8Y2Z6A0B4C8D2'
const STEP = '01JD8Z6W9ZC4X8Y2Z6A0B4C8D2'

const anEvent = (event: Partial<Event>): Event => ({
  event_id: '01JD8Z6V3RT7W9Y1A3C5E7G9J1',
  seq: 1,
  run_id: RUN,
  run_seq: 1,
  step_attempt_id: null,
  ts: '2026-01-05T09:30:01.250Z',
  kind: 'note',
  payload: {},
  payload_salt: null,
  payload_hash: '00',
  from: null,
  to: null,
  actor: { type: 'system', id: null },
  http_request_id: null,
  hash: '00',
  ...event,
})

const plain = { paint: (_style: string, text: string) => text }

/** The lines of these events, without the day. */
function linesOf(events: Partial<Event>[], { hasRuns = false } = {}): string[] {
  const line = eventLines(plain, { hasRuns })
  return events.flatMap((event) => line(anEvent(event))).filter((text) => !text.endsWith('(UTC)'))
}

describe('an event', () => {
  it('stands in a line behind its day, with its run: by the end of its id, and once by all of it', () => {
    const line = eventLines(plain, { hasRuns: true })
    const night = [
      anEvent({ kind: 'run_started', from: 'pending', to: 'running' }),
      anEvent({ payload: { text: 'flaky' }, ts: '2026-01-06T00:00:00.000Z' }),
      anEvent({ run_id: OTHER, ts: '2026-01-06T00:00:01.000Z' }),
      anEvent({ run_id: null, kind: 'config_created', payload: { config: { config_version: 3 } } }),
    ]
    expect(night.flatMap(line)).toEqual([
      '2026-01-05 (UTC)',
      `09:30:01  P8R0S2T4  run_started        pending → running      run ${RUN}`,
      '2026-01-06 (UTC)',
      '00:00:00  P8R0S2T4  note                                      flaky',
      `00:00:01  P8R0S2T5  note                                      run ${OTHER}`,
      '2026-01-05 (UTC)',
      '09:30:01  –         config_created                            version 3',
    ])
  })

  it('of a request names its task from when it was created on, what it waits for, and why it ended', () => {
    const request = { request_id: REQUEST, assignment: { tool_id: 'aider' } }
    const told = (kind: string, from: string | null, to: string, more: object): Partial<Event> => ({
      kind,
      from,
      to,
      payload: { execution_request: { ...request, ...more } },
    })
    const events = [
      told('request_created', null, 'queued', { task_id: 'edit', task_kind: 'code_edit' }),
      told('request_queued', 'claimed', 'queued', { available_at: '2026-01-05T09:31:00.000Z' }),
      told('request_queued', 'blocked', 'queued', { validation_error: { message: '41 passed\n1 failed\n' } }),
      told('request_completed', 'claimed', 'failed', { stop_reason: 'max_attempts' }),
      told('request_completed', 'claimed', 'failed', { stop_reason: 'max_attempts' }),
    ]
    expect(linesOf(events).map((line) => line.slice(51).trim())).toEqual([
      'edit  for aider',
      'edit  for aider  again at 09:31:00',
      'edit  for aider  1 failed',
      'edit  by aider  max_attempts',
      'request A0B4C8D2  by aider  max_attempts',
    ])
  })

  it('of an attempt names its tool, how it ended, how long it took, and the last line that says why', () => {
    const step = (kind: string, ts: string, step_attempt: object): Partial<Event> => ({
      kind,
      ts,
      step_attempt_id: STEP,
      payload: { step_attempt },
    })
    const end = {
      exit_code: null,
      signal: 'SIGKILL',
      state: 'failed',
      error_log: 'It took\nmore than 60 s.\n',
    }
    const events = [
      step('step_started', '2026-01-05T09:30:00.000Z', { tool_id: 'tsc', sequence: 3, attempt: 2 }),
      step('step_completed', '2026-01-05T09:31:00.000Z', end),
      step('step_completed', '2026-01-05T09:31:00.000Z', {
        exit_code: 0,
        state: 'succeeded',
        stdout_tail: 'fine',
      }),
    ]
    expect(linesOf(events).map((line) => line.slice(51).trim())).toEqual([
      'tsc  step 3  attempt 2',
      'tsc  SIGKILL after 60.0 s  more than 60 s.',
      'exit code 0',
    ])
  })

  it.each<[string, Partial<Event>, string]>([
    [
      'circuit',
      {
        kind: 'circuit_opened',
        payload: {
          tool: { tool_id: 'tsc', circuit: { reason: 'auth', open_until: '2026-01-05T10:00:00.000Z' } },
        },
      },
      'tsc  auth  until 10:00:00',
    ],
    [
      'pause',
      { kind: 'tool_paused', payload: { tool: { tool_id: 'tsc', pause: { reason: 'quota' } } } },
      'tsc  quota',
    ],
    [
      'decision',
      { kind: 'task_routed', payload: { route_decision: { tool_id: 'tsc', rule_id: 'types' } } },
      'to tsc  by rule types',
    ],
    [
      'decision without a tool',
      { kind: 'task_routed', payload: { route_decision: { tool_id: null, rule_id: null } } },
      'there is no tool for it',
    ],
    [
      'change of labels',
      { kind: 'run_updated', payload: { run: { labels: {}, updated_at: '', version: 2 } } },
      'labels',
    ],
    ['call of a tool', { kind: 'tool_call_started', payload: { tool: 'grep' } }, '{"tool":"grep"}'],
    ['kind of a client', { kind: 'patch_created', payload: { message: 'a\x1b[2J\nb' } }, 'a b'],
    ['kind that nobody knows', { kind: 'lease_moved', payload: { a: 1 } }, '{"a":1}'],
    ['erased one', { payload: null }, '(erased)'],
    ['kind whose payload holds something else', { kind: 'step_completed', payload: {} }, 'canceled'],
  ])('tells what matters of a %s', (_what, event, details) => {
    const [line = ''] = linesOf([event])
    expect(line.slice(51).trim()).toBe(details)
  })

  it('is coloured by the state that it leads to, at a terminal that takes colours', () => {
    const coloured = (env: NodeJS.ProcessEnv, { color = true, isTTY = true } = {}): string => {
      const stdout = { isTTY, columns: 80, write: () => true, on: () => stdout as never }
      const output = openOutput({ color }, { stdout, stderr: { write: () => true }, env })
      return eventLines(output, { hasRuns: false })(anEvent({ kind: 'run_completed', to: 'failed' }))[1]!
    }
    expect(coloured({})).toContain('\x1b[31m→ failed')
    expect(coloured({ NO_COLOR: '1' })).not.toContain('\x1b')
    expect(coloured({ TERM: 'dumb' })).not.toContain('\x1b')
    expect(coloured({}, { color: false })).not.toContain('\x1b')
    expect(coloured({}, { isTTY: false })).not.toContain('\x1b')
  })
})

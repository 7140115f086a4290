import { type Static, Type } from '@sinclair/typebox'
import { Timestamp, Ulid, count, name } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, ref } from './named.ts'
import { RunState } from './run.ts'

const usage = {
  tokens_input: count('Tokens read by models, as far as it was reported.'),
  tokens_output: count('Tokens written by models, as far as it was reported.'),
  cost_usd_micros: count('Cost in millionths of a US dollar, as far as it was reported.'),
}

const byState = {
  running: count('Attempts that have not ended.'),
  succeeded: count('Attempts that succeeded.'),
  failed: count('Attempts that failed.'),
  canceled: count('Attempts that were canceled.'),
}

export const AttemptTotals = named(
  'AttemptTotals',
  closed(
    {
      total: count('All attempts.'),
      ...byState,
      retries: count('Attempts beyond the first of their step.'),
      fallbacks: count('Retries with another tool than the attempt before.'),
    },
    { description: 'The step attempts of a run, by what became of them.' },
  ),
)

export const RequestTotals = named(
  'RequestTotals',
  closed(
    {
      blocked: count('Requests that wait for other tasks, or, with their work done, for their validators.'),
      queued: count('Requests that wait for a worker, for the first time or again.'),
      claimed: count('Requests that a worker holds.'),
      succeeded: count('Requests that succeeded.'),
      failed: count('Requests that finally failed.'),
      canceled: count('Requests that were canceled.'),
    },
    { description: 'The execution requests of a run, by state.' },
  ),
)

export const RunDurations = named(
  'RunDurations',
  closed(
    {
      run_ms: nullable(count('From its start to its end, or until now; null if it never started.')),
      attempts_ms: count(
        'From start to end, or until now, of all attempts together: more than `run_ms` where they overlap.',
      ),
      queue_ms: count('From creation to first claim, of all execution requests that were claimed.'),
      queue_requests: count('How many requests `queue_ms` is about.'),
    },
    { description: 'Where the time of a run went, in milliseconds by the clock of the server.' },
  ),
)

export const UsageTotals = named(
  'UsageTotals',
  closed(usage, {
    description:
      'What the attempts of a run used up. What an attempt did not report counts as 0; 2^53 − 1 is that or more.',
  }),
)

const toolTotals = {
  attempts: count('Its attempts.'),
  ...byState,
  duration_ms: count('From start to end, or until now, of its attempts together.'),
  ...usage,
}

export const ToolTotals = named(
  'ToolTotals',
  closed(
    { tool_id: name('The tool.'), ...toolTotals },
    { description: 'What one tool did and used up in a run.' },
  ),
)
export type ToolTotals = Static<typeof ToolTotals>

export const OtherToolTotals = named(
  'OtherToolTotals',
  closed(toolTotals, { description: 'What the tools that are not listed did and used up in a run.' }),
)

const example = {
  run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
  state: 'running',
  as_of: '2026-01-05T09:31:00.000Z',
  step_attempts: {
    total: 2,
    running: 0,
    succeeded: 1,
    failed: 1,
    canceled: 0,
    retries: 1,
    fallbacks: 1,
  },
  execution_requests: { blocked: 0, queued: 0, claimed: 0, succeeded: 1, failed: 0, canceled: 0 },
  durations: { run_ms: 58_750, attempts_ms: 12_000, queue_ms: 750, queue_requests: 1 },
  usage: { tokens_input: 5_200, tokens_output: 900, cost_usd_micros: 31_000 },
  by_tool: [
    {
      tool_id: 'aider',
      attempts: 1,
      running: 0,
      succeeded: 0,
      failed: 1,
      canceled: 0,
      duration_ms: 4_000,
      tokens_input: 5_200,
      tokens_output: 900,
      cost_usd_micros: 31_000,
    },
    {
      tool_id: 'codex',
      attempts: 1,
      running: 0,
      succeeded: 1,
      failed: 0,
      canceled: 0,
      duration_ms: 8_000,
      tokens_input: 0,
      tokens_output: 0,
      cost_usd_micros: 0,
    },
  ],
  other_tools: null,
}

export const RunSummary = named(
  'RunSummary',
  closed(
    {
      run_id: ref(Ulid),
      state: ref(RunState),
      as_of: ref(Timestamp, { description: 'The instant that «until now» means.' }),
      step_attempts: ref(AttemptTotals),
      execution_requests: ref(RequestTotals),
      durations: ref(RunDurations),
      usage: ref(UsageTotals),
      by_tool: Type.Array(ref(ToolTotals), {
        description: `The same by tool, in the order of \`tool_id\`: at most ${LIMITS.summary_tools} tools.`,
      }),
      other_tools: nullable(ref(OtherToolTotals), {
        description: 'The tools beyond those, together; null if all are listed.',
      }),
    },
    { description: 'What a run did and used up, in numbers.', examples: [example] },
  ),
)
export type RunSummary = Static<typeof RunSummary>

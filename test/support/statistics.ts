import type { ExecutionRequestStory } from '../../src/contract/request-story.ts'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'

// What statistics must say, counted row by row from what the API tells of each run, request and attempt by itself.

export interface Rows {
  runs: Run[]
  /** Without validators. */
  requests: ExecutionRequestStory[]
  attempts: (StepAttempt & Pick<Run, 'project_id'>)[]
}

export interface Asked {
  from: number
  to: number
  bucket_seconds: number | null
  by: 'tool' | 'project' | null
  project_id: string[]
  tool_id: string[]
}

export const ms = (instant: string): number => Date.parse(instant)
export const iso = (instant: number): string => new Date(instant).toISOString()
const countOf = <T>(rows: T[], passes: (row: T) => boolean): number => rows.filter(passes).length
const share = (part: number, whole: number) => (whole === 0 ? null : part / whole)

function stateCounts(rows: { state: string }[], states: string[]) {
  const counts = states.map((state) => [state, countOf(rows, (row) => row.state === state)] as const)
  return { total: rows.length, ...Object.fromEntries(counts) }
}

/** The least of them that is no less than so many hundredths of them. */
function percentile(values: number[], percent: number): number | null {
  const enough = values.filter(
    (value) => countOf(values, (other) => other <= value) * 100 >= percent * values.length,
  )
  return enough.length === 0 ? null : Math.min(...enough)
}

const durationsOf = (values: number[]) => ({
  count: values.length,
  p50_ms: percentile(values, 50),
  p90_ms: percentile(values, 90),
  p99_ms: percentile(values, 99),
  max_ms: values.length === 0 ? null : Math.max(...values),
})

const usedOf = (values: (number | null)[]) => {
  const known = values.filter((value) => value !== null)
  return { sum: known.length === 0 ? null : known.reduce((a, b) => a + b, 0), attempts: known.length }
}

const took = (rows: { started_at: string | null; ended_at: string | null }[]) =>
  rows.flatMap(({ started_at, ended_at }) =>
    started_at === null || ended_at === null ? [] : [ms(ended_at) - ms(started_at)],
  )

function figures({ runs, requests, attempts }: Rows, hasRuns: boolean) {
  const of = (rows: { state: string }[], ...states: string[]) =>
    countOf(rows, ({ state }) => states.includes(state))
  const done = requests.filter(({ state }) => state === 'succeeded')
  const queue = requests.flatMap(({ created_at, step_attempts }) => {
    const first = step_attempts.find(({ attempt }) => attempt === 1)
    return first === undefined ? [] : [ms(first.started_at) - ms(created_at)]
  })
  return {
    runs: !hasRuns
      ? null
      : {
          ...stateCounts(runs, ['pending', 'running', 'succeeded', 'failed', 'quarantined', 'canceled']),
          success_rate: share(of(runs, 'succeeded'), of(runs, 'succeeded', 'failed', 'quarantined')),
          durations: durationsOf(took(runs)),
        },
    execution_requests: {
      ...stateCounts(requests, ['blocked', 'queued', 'claimed', 'succeeded', 'failed', 'canceled']),
      success_rate: share(done.length, of(requests, 'succeeded', 'failed')),
      attempts_per_success: share(
        done.reduce((sum, { attempts }) => sum + attempts, 0),
        done.length,
      ),
      queue: durationsOf(queue),
    },
    step_attempts: {
      ...stateCounts(attempts, ['running', 'succeeded', 'failed', 'canceled']),
      success_rate: share(of(attempts, 'succeeded'), of(attempts, 'succeeded', 'failed')),
      durations: durationsOf(took(attempts)),
      tokens_input: usedOf(attempts.map(({ usage }) => usage.tokens_input)),
      tokens_output: usedOf(attempts.map(({ usage }) => usage.tokens_output)),
      cost_usd_micros: usedOf(attempts.map(({ usage }) => usage.cost_usd_micros)),
    },
  }
}

const toolOf = (request: ExecutionRequestStory): string | null => request.assignment?.tool_id ?? null
const among = (names: string[], name: string | null) =>
  names.length === 0 || (name !== null && names.includes(name))

const within = ({ runs, requests, attempts }: Rows, from: number, to: number): Rows => {
  const isWithin = (instant: string) => from <= ms(instant) && ms(instant) < to
  return {
    runs: runs.filter(({ created_at }) => isWithin(created_at)),
    requests: requests.filter(({ created_at }) => isWithin(created_at)),
    attempts: attempts.filter(({ started_at }) => isWithin(started_at)),
  }
}

export function expected(all: Rows, asked: Asked) {
  const { from, to, by, bucket_seconds } = asked
  const projects = (row: { project_id: string }) => among(asked.project_id, row.project_id)
  const hasRuns = asked.tool_id.length === 0
  const rows = within(
    {
      runs: hasRuns ? all.runs.filter(projects) : [],
      requests: all.requests.filter((row) => projects(row) && among(asked.tool_id, toolOf(row))),
      attempts: all.attempts.filter((row) => projects(row) && among(asked.tool_id, row.tool_id)),
    },
    from,
    to,
  )
  const buckets = (part: Rows, has: boolean) => {
    const found = []
    const length = (bucket_seconds ?? 0) * 1_000
    for (let start = from; length > 0 && start < to;) {
      const end = Math.min(to, start - (start % length) + length)
      found.push({ from: iso(start), to: iso(end), ...figures(within(part, start, end), has) })
      start = end
    }
    return found
  }
  const keys = (part: Rows): (string | null)[] =>
    by === 'tool'
      ? [...part.requests.map(toolOf), ...part.attempts.map(({ tool_id }) => tool_id)]
      : [...part.runs, ...part.requests, ...part.attempts].map(({ project_id }) => project_id)
  const groups = [...new Set(by === null ? [] : keys(rows))].map((name) => {
    const part: Rows =
      by === 'tool'
        ? {
            runs: [],
            requests: rows.requests.filter((row) => toolOf(row) === name),
            attempts: rows.attempts.filter(({ tool_id }) => tool_id === name),
          }
        : {
            runs: rows.runs.filter(({ project_id }) => project_id === name),
            requests: rows.requests.filter(({ project_id }) => project_id === name),
            attempts: rows.attempts.filter(({ project_id }) => project_id === name),
          }
    const has = hasRuns && by === 'project'
    const named = by === 'tool' ? { project_id: null, tool_id: name } : { project_id: name, tool_id: null }
    return { size: keys(part).length, ...named, ...figures(part, has), buckets: buckets(part, has) }
  })
  groups.sort((a, b) => b.size - a.size || nameOf(a).localeCompare(nameOf(b)))
  return {
    ...{ from: iso(from), to: iso(to), bucket_seconds, by },
    total: figures(rows, hasRuns),
    buckets: buckets(rows, hasRuns),
    groups: groups.map(({ size: _, ...group }) => group),
    other: null,
  }
}

const nameOf = (group: { project_id: string | null; tool_id: string | null }) =>
  group.project_id ?? group.tool_id ?? '~'

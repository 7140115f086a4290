import { type Command, Option } from 'commander'
import type { Answer, Connection } from '../client/connection.ts'
import { createClock } from '../clock.ts'
import { RunAttention } from '../contract/attention.ts'
import type { Page } from '../contract/common.ts'
import { LIMITS } from '../contract/limits.ts'
import { type Run, RunState } from '../contract/run.ts'
import { collect, collectOf, integer } from './arguments.ts'
import { placeOf } from './event-details.ts'
import { examples } from './help.ts'
import { type Cell, printable, spanText, table } from './layout.ts'
import { type OutputFlags, addOutputFlags, openOutput, styleOf } from './output.ts'
import { type ServerFlags, addServerFlags, withServer } from './server-flags.ts'

interface Flags extends ServerFlags, OutputFlags {
  state?: string[]
  project?: string[]
  label?: string[]
  needsAttention?: string[]
  stalledFor?: number
  limit: number
}

/** The words stand in the schema; TypeBox types such lists as anything. */
const STATES = RunState.enum as readonly string[]
const REASONS = RunAttention.enum as readonly string[]
const ANY = 'any'

const AFTER_HELP = examples(
  'signalbox runs',
  'signalbox runs --state running --state failed --project shop --label team:core',
  'signalbox runs --needs-attention',
  'signalbox runs --needs-attention stalled --stalled-for 1800 --json',
)

export function addRuns(signalbox: Command): void {
  const runs = signalbox
    .command('runs')
    .description('List runs, the newest first.')
    .addOption(
      new Option('--state <state>', 'only runs in this state; may be repeated')
        .choices(STATES)
        .argParser(collectOf(STATES)),
    )
    .option('--project <project_id>', 'only runs of this project; may be repeated', collect)
    .option('--label <key:value>', 'only runs with this label; may be repeated: any of them will do', collect)
    .addOption(
      new Option(
        '--needs-attention [reason]',
        'only runs that need somebody, for this reason; may be repeated',
      )
        .choices([ANY, ...REASONS])
        .preset(ANY)
        .argParser(collectOf([ANY, ...REASONS])),
    )
    .option(
      '--stalled-for <seconds>',
      'only running runs in which nothing has happened for so long',
      integer(1, LIMITS.stalled_seconds_max),
    )
    .option('--limit <n>', `how many at the most [1 to ${LIMITS.page_max}]`, integer(1, LIMITS.page_max), 20)
  addOutputFlags(runs, "print each run's JSON in a line, as the server sends it")
  addServerFlags(runs, 'read').addHelpText('after', AFTER_HELP)
  runs.action((flags: Flags) => withServer(flags, (connection) => printRuns(connection, flags)))
}

async function printRuns(connection: Connection, flags: Flags): Promise<void> {
  const output = openOutput(flags)
  const { runs, hasMore } = await listRuns(connection, flags)
  if (flags.json) return output.print(runs.map((run) => JSON.stringify(run)))
  if (runs.length === 0) return output.remark('there is no such run')
  const clock = createClock(null)
  output.print(table([HEADINGS, ...runs.map((run) => cellsOf(run, clock().ms))], output))
  if (hasMore && flags.limit < LIMITS.page_max) output.remark('there are more; --limit shows them')
}

/** A page may be short and not the last: then the server has looked at as much as it does at a time. */
async function listRuns(connection: Connection, flags: Flags): Promise<{ runs: Run[]; hasMore: boolean }> {
  const runs: Run[] = []
  let cursor: string | null = null
  do {
    const path: string = `/v1/runs?${queryOf(flags, flags.limit - runs.length, cursor).toString()}`
    const { body }: Answer<Page<Run>> = await connection.send<Page<Run>>({ method: 'GET', path })
    runs.push(...body.items)
    cursor = body.next_cursor
  } while (cursor !== null && runs.length < flags.limit)
  return { runs, hasMore: cursor !== null }
}

function queryOf(flags: Flags, limit: number, cursor: string | null): URLSearchParams {
  const { state = [], project = [], label = [], needsAttention = [], stalledFor } = flags
  const reasons = needsAttention.includes(ANY) ? REASONS : needsAttention
  const query = new URLSearchParams({ limit: String(limit) })
  for (const each of state) query.append('state', each)
  for (const each of project) query.append('project_id', each)
  for (const each of label) query.append('label', each)
  for (const each of reasons) query.append('needs_attention', each)
  if (stalledFor !== undefined) query.set('stalled_for', String(stalledFor))
  if (cursor !== null) query.set('cursor', cursor)
  return query
}

const HEADINGS: readonly Cell[] = [
  'RUN',
  'STATE',
  'CREATED',
  'TOOK',
  'STEPS',
  'ERRORS',
  'PROJECT',
  'WHY',
].map((text) => ({ text, style: 'dim' }))

function cellsOf(run: Run, now_ms: number): Cell[] {
  const { run_id, state, created_at, counters, error_message, state_reason } = run
  return [
    { text: run_id },
    { text: state, style: styleOf(state) },
    { text: created_at.slice(0, 16).replace('T', ' ') },
    { text: tookText(run, now_ms) },
    { text: String(counters.step_attempts) },
    { text: String(counters.errors), style: counters.errors > 0 ? 'red' : 'none' },
    { text: printable(placeOf(run)) },
    { text: printable(error_message ?? state_reason ?? '') },
  ]
}

function tookText({ started_at, ended_at }: Run, now_ms: number): string {
  if (started_at === null) return '–'
  const end_ms = ended_at === null ? now_ms : Date.parse(ended_at)
  return spanText(Math.max(0, end_ms - Date.parse(started_at))) // their clock may be ahead of ours
}

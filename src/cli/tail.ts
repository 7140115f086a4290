import { type Command, Option } from 'commander'
import type { Answer, Connection } from '../client/connection.ts'
import { follow } from '../client/follow.ts'
import type { Page } from '../contract/common.ts'
import { type Event, EventKind } from '../contract/event.ts'
import { LIMITS } from '../contract/limits.ts'
import { collect, collectMatching, integer } from './arguments.ts'
import { eventLines } from './event-lines.ts'
import { examples } from './help.ts'
import { type OutputFlags, addOutputFlags, openOutput } from './output.ts'
import { findRun } from './run-id.ts'
import { type ServerFlags, addServerFlags, withServer } from './server-flags.ts'

interface Flags extends ServerFlags, OutputFlags {
  run?: string
  kind?: string[]
  project?: string[]
  since?: number
}

const AFTER_HELP = `
A lost connection is made again, and no event is left out or comes twice; where there never was one, it fails.
Ctrl-C ends it with 130, the end of what reads it (\`| head\`) with 0, and so does the end of the run with --run.
${examples(
  'signalbox tail',
  'signalbox tail --run 01JD8Z6V3QK0T2M4N6P8R0S2T4',
  'signalbox tail --kind step_completed --kind note --project shop --json',
  'signalbox tail --since 0 | grep failed',
)}`

export function addTail(signalbox: Command): void {
  const tail = signalbox
    .command('tail')
    .description(
      'Print events as they happen: when, in which run, what, from which state to which, and what matters.',
    )
    .option(
      '--run <run_id>',
      'only this run, from its first event on, until it is closed; the end of its id will do',
    )
    .option(
      '--kind <kind>',
      'only events of this kind; may be repeated',
      collectMatching(EventKind.pattern!, 'a word like run_completed'),
    )
    .addOption(
      new Option('--project <project_id>', 'only events of runs of this project; may be repeated')
        .argParser(collect)
        .conflicts('run'),
    )
    .option(
      '--since <seq>',
      'begin behind the event with this number; 0 is the beginning (default: what comes next)',
      integer(0, LIMITS.integer),
    )
  addOutputFlags(tail, "print each event's JSON in a line, as the server sends it")
  addServerFlags(tail, 'read').addHelpText('after', AFTER_HELP)
  tail.action((flags: Flags) => withServer(flags, (connection) => printEvents(connection, flags)))
}

async function printEvents(connection: Connection, flags: Flags): Promise<void> {
  const output = openOutput(flags)
  const run_id = flags.run === undefined ? null : await findRun(connection, flags.run)
  const after = flags.since ?? (run_id === null ? await newestSeq(connection) : 0)
  output.remark(`following ${run_id === null ? 'all events' : `run ${run_id}`} behind number ${after}`)
  const messages = follow(connection, {
    path: run_id === null ? `/v1/events/stream${filtersOf(flags)}` : `/v1/runs/${run_id}/events/stream`,
    after,
    onLost: ({ message }) => output.remark(`the connection is lost (${message}); trying again`),
    onBack: () => output.remark('connected again'),
  })
  // The end of a run is found behind its last event: so all of them are asked for, and those wanted are picked here.
  const isWanted = ({ kind }: Event): boolean => flags.kind?.includes(kind) ?? true
  const linesOf = eventLines(output, { hasRuns: run_id === null, isWanted })
  for await (const { data } of messages) {
    const event = JSON.parse(data) as Event // the server's, by its document
    if (flags.json === undefined) output.print(linesOf(event))
    else if (isWanted(event)) output.print([data])
  }
}

function filtersOf({ kind = [], project = [] }: Flags): string {
  const query = new URLSearchParams([
    ...kind.map((each): [string, string] => ['kind', each]),
    ...project.map((each): [string, string] => ['project_id', each]),
  ])
  return query.size === 0 ? '' : `?${query.toString()}`
}

/** Where what comes next begins. A page may be empty and not the last, where the key sees few projects. */
async function newestSeq(connection: Connection): Promise<number> {
  let cursor: string | null = null
  do {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const path: string = `/v1/events?order=desc&limit=1${query}`
    const { body }: Answer<Page<Event>> = await connection.send<Page<Event>>({ method: 'GET', path })
    if (body.items[0] !== undefined) return body.items[0].seq
    cursor = body.next_cursor
  } while (cursor !== null)
  return 0
}

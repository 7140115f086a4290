import type { Event } from '../contract/event.ts'
import { detailsOf } from './event-details.ts'
import { printable } from './layout.ts'
import { createNames } from './names.ts'
import { type Output, styleOf } from './output.ts'
import { shortId } from './run-id.ts'

/** As wide as what the server itself writes; longer ones shift the rest of their line. */
const KIND_WIDTH = 'request_completed'.length
const MOVE_WIDTH = 'running → quarantined'.length

export interface EventLinesOptions {
  /** Whether to say which run: by the end of its id, and by all of it when it appears first. */
  hasRuns: boolean
  /** What is known already: names of tasks by the id of their request, of tools by that of an attempt. */
  known?: Iterable<readonly [id: string, name: string]>
  /** What is not wanted has no line, and is remembered all the same. */
  isWanted?: (event: Event) => boolean
}

/**
 * A line for each event, and one for each day before its first. An event tells only what it changed, so who reads them
 * in order remembers what things are called.
 */
export function eventLines(
  { paint }: Pick<Output, 'paint'>,
  { hasRuns, known = [], isWanted = () => true }: EventLinesOptions,
): (event: Event) => string[] {
  const names = createNames()
  for (const [id, name] of known) names.set(id, name)
  let day = ''

  return (event) => {
    const { ts, kind, run_id, to } = event
    const what = printable(detailsOf(event, names))
    if (!isWanted(event)) return []
    const today = ts.slice(0, 10)
    const heading = today === day ? [] : [paint('dim', `${today} (UTC)`)]
    day = today
    const isNew = hasRuns && run_id !== null && names.get(run_id) === undefined
    if (isNew) names.set(run_id, shortId(run_id))
    const run = run_id === null ? '–'.padEnd(8) : shortId(run_id)
    const details = [what, ...(isNew ? [paint('dim', `run ${run_id}`)] : [])]
    const fields = [
      paint('dim', ts.slice(11, 19)),
      ...(hasRuns ? [paint('dim', run)] : []),
      printable(kind).padEnd(KIND_WIDTH),
      paint(styleOf(to ?? ''), moveText(event).padEnd(MOVE_WIDTH)),
      details.filter((text) => text !== '').join('  '),
    ]
    return [...heading, fields.join('  ').trimEnd()]
  }
}

function moveText({ from, to }: Event): string {
  if (to === null) return ''
  return from === null ? `→ ${to}` : `${from} → ${to}`
}

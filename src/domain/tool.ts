import type { StepAttempt } from '../contract/step.ts'
import type { PauseTool, Tool, ToolPause } from '../contract/tool.ts'
import { canonicalText } from './canonical.ts'
import type { Change, Decision, Given, Routing, Snapshot, ToolBook } from './decision.ts'
import { LedgerError } from './error.ts'
import { type EventDraft, chain } from './event-chain.ts'
import { requireUnbound } from './guard.ts'
import { type EndedAttempt, attemptEnded, isPaused, newToolRecord, shownTool } from './tool-record.ts'

/** A tool that the ledger knows nothing of. */
export const unknownTool = (tool_id: string): ToolBook => ({
  record: newToolRecord(tool_id),
  pause: null,
  version: 0,
})

/** What the end of attempts says of their tools: one change for each tool, however many of its attempts end. */
export function toolsAfter({ tools }: Pick<Snapshot, 'tools'>, ended: readonly StepAttempt[]): Change[] {
  const after = new Map<string, ToolBook>()
  for (const attempt of ended) {
    const { tool_id } = attempt
    const { record, pause, version } = after.get(tool_id) ?? tools.get(tool_id) ?? unknownTool(tool_id)
    const known = attemptEnded(record, attempt as EndedAttempt) // it has ended: it has an instant of that
    after.set(tool_id, { record: known, pause, version: after.has(tool_id) ? version : version + 1 })
  }
  return [...after].map(([tool_id, book]) => ({
    record: 'tool',
    before: tools.get(tool_id) ?? unknownTool(tool_id),
    after: book,
  }))
}

/** The scope must load the active configuration and the end of the system chain. */
export function pauseTool(before: Snapshot, given: Given, tool_id: string, body: PauseTool): Decision<Tool> {
  requireUnbound(given)
  const book = toolOf(before, tool_id)
  const until = body.until == null ? null : new Date(body.until).toISOString()
  if (until !== null && until <= given.now) throw untilPassed()
  if (isPaused(book.pause, given.now)) throw refused(tool_id, 'paused', 'pause', ['resume'])
  const pause = { reason: body.reason, until, paused_at: given.now, paused_by: given.caller.actor }
  return moveTool(before, given, book, { kind: 'tool_paused', pause })
}

/** A pause that has ended by itself is none. The scope is that of a pause. */
export function resumeTool(before: Snapshot, given: Given, tool_id: string): Decision<Tool> {
  requireUnbound(given)
  const book = toolOf(before, tool_id)
  if (!isPaused(book.pause, given.now)) throw refused(tool_id, 'not paused', 'resume', ['pause'])
  return moveTool(before, given, book, { kind: 'tool_resumed', pause: null })
}

/** The scope must load the active configuration. */
export function getTool(before: Snapshot, tool_id: string, now: string): Tool {
  return shown(before.routing!, toolOf(before, tool_id), now)
}

/** The tool as the API shows it. It must be one of the configuration. */
export function shown({ router }: Pick<Routing, 'router'>, book: ToolBook, now: string): Tool {
  const place = router.places.get(book.record.tool_id)!
  return shownTool(router.apps[place]!, router, book, now)
}

function toolOf({ routing }: Snapshot, tool_id: string): ToolBook {
  if (routing?.router.places.has(tool_id) === true) return routing.tools.get(tool_id) ?? unknownTool(tool_id)
  throw new LedgerError(
    'tool_not_found',
    'The active router configuration has no app of this name. See the list at /v1/tools.',
  )
}

function moveTool(
  { system, routing }: Snapshot,
  given: Given,
  book: ToolBook,
  { kind, pause }: { kind: string; pause: ToolPause | null },
): Decision<Tool> {
  if (system === null) throw new Error('the scope must load the system chain')
  const { record, version } = book
  const after: ToolBook = { record, pause, version: version + 1 }
  const payload_text = canonicalText({ tool: { tool_id: record.tool_id, pause } })
  const draft: EventDraft = { kind, payload_text }
  const { events } = chain(null, system, [draft], given)
  return {
    changes: [{ record: 'tool', before: book, after }],
    events,
    result: () => shown(routing!, after, given.now),
  }
}

const refused = (tool_id: string, state: string, command: string, allowed_commands: string[]) =>
  new LedgerError(
    'transition_refused',
    `The tool ${tool_id} is ${state}; it takes ${allowed_commands.join()}.`,
    {
      state,
      command,
      allowed_commands,
    },
  )

const untilPassed = () =>
  new LedgerError('until_passed', 'The pause would be over already. Give a later until, or none.', {
    errors: [{ pointer: '#/until', detail: 'is not in the future' }],
  })

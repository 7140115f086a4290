import type { StepAttempt } from '../contract/step.ts'
import type { PauseTool, ResetTool, Tool, ToolPause } from '../contract/tool.ts'
import { canonicalText } from './canonical.ts'
import {
  CLOSED,
  type CircuitAttempt,
  circuitAfter,
  circuitDrafts,
  circuitReset,
  circuitWith,
} from './circuit.ts'
import type { Change, Decision, Given, Routing, Snapshot, ToolBook } from './decision.ts'
import { LedgerError } from './error.ts'
import { type EventDraft, chain } from './event-chain.ts'
import { requireUnbound } from './guard.ts'
import type { Entry } from './run-entry.ts'
import { attemptEnded, isPaused, newToolRecord, shownTool } from './tool-record.ts'

/** A tool that the ledger knows nothing of. */
export const unknownTool = (tool_id: string): ToolBook => ({
  record: newToolRecord(tool_id),
  pause: null,
  circuit: CLOSED,
  version: 0,
})

/** Attempts that have ended: they have an instant of that. `retry_after_ms` is what their worker was told. */
type Ended = Omit<StepAttempt, 'ended_at'> &
  Pick<CircuitAttempt, 'ended_at' | 'retry_after_ms'> & { is_verdict?: boolean }

/** A validator that finds fault works: to its tool that is a success. */
const outcomeOf = (attempt: Ended): Ended =>
  attempt.is_verdict === true ? { ...attempt, state: 'succeeded', error_class: null } : attempt

/** What the end of attempts says of their tools: one change for each tool, however many of its attempts end. */
export function toolsAfter(
  { tools, thresholds = null }: Pick<Snapshot, 'tools'> & Partial<Pick<Snapshot, 'thresholds'>>,
  ended: readonly Ended[],
): { changes: Change[]; system: EventDraft[] } {
  const after = new Map<string, ToolBook>()
  const system: EventDraft[] = []
  for (const attempt of ended.map(outcomeOf)) {
    const { tool_id } = attempt
    const book = after.get(tool_id) ?? tools.get(tool_id) ?? unknownTool(tool_id)
    const { circuit, moves } = circuitAfter(book.circuit, attempt, thresholds)
    const version = after.has(tool_id) ? book.version : book.version + 1
    after.set(tool_id, { ...book, record: attemptEnded(book.record, attempt), circuit, version })
    system.push(...circuitDrafts(tool_id, moves))
  }
  const changes = [...after].map(([tool_id, book]) => toolChange(tools.get(tool_id), book))
  return { changes, system }
}

/** The tools as an entry leaves them: what comes after it may move one of them once more. */
export function toolsKnown({ tools }: Pick<Snapshot, 'tools'>, { changes }: Entry): Snapshot['tools'] {
  const moved = changes.flatMap((change) => (change.record === 'tool' ? [change.after] : []))
  return new Map([...tools, ...moved.map((tool) => [tool.record.tool_id, tool] as const)])
}

/** An attempt begins. That changes a tool only if its circuit is not closed: then it is the one that is let through. */
export function attemptBegun(
  before: ToolBook,
  { step_attempt_id }: Pick<StepAttempt, 'step_attempt_id'>,
): { book: ToolBook; changes: Change[]; system: EventDraft[] } {
  const { circuit, moves } = circuitWith(before.circuit, step_attempt_id)
  if (circuit === before.circuit) return { book: before, changes: [], system: [] }
  const book = { ...before, circuit, version: before.version + 1 }
  return { book, changes: [toolChange(before, book)], system: circuitDrafts(before.record.tool_id, moves) }
}

export const toolChange = (before: ToolBook | undefined, after: ToolBook): Change => ({
  record: 'tool',
  before: before ?? unknownTool(after.record.tool_id),
  after,
})

/** The scope must load the active configuration and the end of the system chain. */
export function pauseTool(before: Snapshot, given: Given, tool_id: string, body: PauseTool): Decision<Tool> {
  requireUnbound(given)
  const book = toolOf(before, tool_id)
  const until = body.until == null ? null : instantOf(body.until)
  if (until !== null && until <= given.now) throw untilPassed()
  if (isPaused(book.pause, given.now)) throw refused(tool_id, 'paused', 'pause', ['resume'])
  const pause = { reason: body.reason, until, paused_at: given.now, paused_by: given.caller.actor }
  return moveTool(before, given, book, pausedDraft(book, 'tool_paused', pause), { pause })
}

/** A pause that has ended by itself is none. The scope is that of a pause. */
export function resumeTool(before: Snapshot, given: Given, tool_id: string): Decision<Tool> {
  requireUnbound(given)
  const book = toolOf(before, tool_id)
  if (!isPaused(book.pause, given.now)) throw refused(tool_id, 'not paused', 'resume', ['pause'])
  return moveTool(before, given, book, pausedDraft(book, 'tool_resumed', null), { pause: null })
}

/** In UTC, as instants are kept; one with a longer year could not be compared as text. */
function instantOf(until: string): string {
  const instant = new Date(until).toISOString()
  if (!instant.startsWith('+')) return instant
  throw new LedgerError(
    'validation_failed',
    'The pause would end after the year 9999. Give none, for ever.',
    {
      errors: [{ pointer: '#/until', detail: 'lies after the year 9999 in UTC' }],
    },
  )
}

const pausedDraft = ({ record }: ToolBook, kind: string, pause: ToolPause | null): EventDraft[] => [
  { kind, payload_text: canonicalText({ tool: { tool_id: record.tool_id, pause } }) },
]

/** Somebody knows that the tool works again. The scope is that of a pause. */
export function resetTool(before: Snapshot, given: Given, tool_id: string, body: ResetTool): Decision<Tool> {
  requireUnbound(given)
  const book = toolOf(before, tool_id)
  const { circuit, moves } = circuitReset(book.circuit)
  const { reason } = body
  return moveTool(before, given, book, circuitDrafts(tool_id, moves, { reason }), { circuit })
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
  drafts: EventDraft[],
  moved: Partial<Pick<ToolBook, 'pause' | 'circuit'>>,
): Decision<Tool> {
  if (system === null) throw new Error('the scope must load the system chain')
  const after: ToolBook = { ...book, ...moved, version: book.version + 1 }
  const { events } = chain(null, system, drafts, given)
  return {
    changes: [toolChange(book, after)],
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

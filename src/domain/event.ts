import type { AppendRunEvent, Event } from '../contract/event.ts'
import type { Run } from '../contract/run.ts'
import { canonicalText } from './canonical.ts'
import type { Decision, Given, RunBook, Snapshot } from './decision.ts'
import { LedgerError } from './error.ts'
import { chain, shownEvent } from './event-chain.ts'
import { requireMatch, visibleRun } from './guard.ts'
import { isOpen } from './run-machine.ts'

/** The events of clients that count something in their run. */
export const COUNTED: ReadonlyMap<string, keyof Run['counters']> = new Map([
  ['patch_created', 'patches_created'],
  ['patch_apply_succeeded', 'patches_applied'],
  ['tool_call_error', 'errors'],
])

const RESERVED = /^(run|step|task|request|lease|circuit|config|tool(?!_call_)|webhook|audit|event)_/

/** The scope must load `body.step_attempt_id`, where there is one. */
export function appendRunEvent(before: Snapshot, given: Given, body: AppendRunEvent): Decision<Event> {
  const book = visibleRun(before, given)
  requireMatch(given, book.run.version)
  requireFree(body.kind)
  requireStep(before, book, body)
  requireTaking(book, body.kind)
  const payload_text = canonicalText(body.payload ?? {})
  const draft = { kind: body.kind, payload_text, step_attempt_id: body.step_attempt_id ?? null }
  const { events, head } = chain(book.run.run_id, book, [draft], given)
  const [event] = events
  const after: RunBook = { ...book, ...head, run: counted(book.run, body.kind, given) }
  return {
    result: ([seq]) => shownEvent({ ...event!, seq: seq! }),
    changes: [{ record: 'run', before: book, after }],
    events,
  }
}

/** A counter that moves is a change of the run; what does not count leaves its version alone. */
function counted(run: Run, kind: string, given: Given): Run {
  const counter = COUNTED.get(kind)
  if (counter === undefined) return run
  const counters = { ...run.counters, [counter]: run.counters[counter] + 1 }
  return { ...run, counters, updated_at: given.now, version: run.version + 1 }
}

function requireFree(kind: string): void {
  if (!RESERVED.test(kind)) return
  throw new LedgerError('reserved_kind', `The server alone writes ${kind}. Use a word of your own.`, {
    errors: [{ pointer: '#/kind', detail: 'begins with a prefix that is reserved for the server' }],
  })
}

function requireStep({ step_attempt }: Snapshot, { run }: RunBook, body: AppendRunEvent): void {
  const id = body.step_attempt_id ?? null
  if (id === null || step_attempt?.run_id === run.run_id) return
  throw new LedgerError('unknown_reference', `The run has no step attempt ${id}.`, {
    errors: [{ pointer: '#/step_attempt_id', detail: 'names no step attempt of this run' }],
  })
}

function requireTaking({ run }: RunBook, kind: string): void {
  if (isOpen(run.state) || kind === 'note') return
  throw new LedgerError(
    'run_not_running',
    `The run is ${run.state}: it takes only events of the kind note.`,
    {
      state: run.state,
    },
  )
}

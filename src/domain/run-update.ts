import type { Run, UpdateRun } from '../contract/run.ts'
import { LIMITS } from '../contract/limits.ts'
import { canonicalText } from './canonical.ts'
import { type Decision, type Given, type Snapshot, unchanged } from './decision.ts'
import { LedgerError } from './error.ts'
import { chain } from './event-chain.ts'
import { requireMatch, visibleRun } from './guard.ts'
import { payloadText } from './payload.ts'

/** Labels and metadata may change in every state: triage happens after the failure. */
export function updateRun(before: Snapshot, given: Given, body: UpdateRun): Decision<Run> {
  const book = visibleRun(before, given)
  const { run } = book
  requireMatch(given, run.version)
  const labels = patched(run.labels, body.labels) as Run['labels']
  const metadata = patched(run.metadata, body.metadata)
  requireSize(labels, metadata)
  const texts = { labels: canonicalText(labels), metadata: canonicalText(metadata) }
  const same = texts.labels === canonicalText(run.labels) && texts.metadata === canonicalText(run.metadata)
  if (same) return unchanged(run)
  const after: Run = { ...run, labels, metadata, updated_at: given.now, version: run.version + 1 }
  const rest = JSON.stringify({ updated_at: after.updated_at, version: after.version }).slice(1)
  const text = `{"labels":${texts.labels},"metadata":${texts.metadata},${rest}`
  const draft = { kind: 'run_updated', payload_text: payloadText({ run: text }) }
  const { events, head } = chain(run.run_id, book, [draft], given)
  return {
    result: () => after,
    changes: [{ record: 'run', before: book, after: { ...book, ...head, run: after } }],
    events,
  }
}

type Members = Record<string, unknown>

/** Absent leaves as it is, null empties, an object is merged. */
const patched = (target: Members, patch: Members | null | undefined): Members =>
  patch === undefined ? target : patch === null ? {} : merge(target, patch)

/** RFC 7396 §2. The depth is bounded by that of a body. */
function merge(target: unknown, patch: Members): Members {
  const result: Members = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = isObject(value) ? merge(result[key], value) : value
  }
  return result
}

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a patch adds up to has the limits that a creation has. */
function requireSize(labels: Members, metadata: Members): void {
  if (Object.keys(labels).length > LIMITS.labels) {
    throw tooLarge('#/labels', `would have more than ${LIMITS.labels} labels`)
  }
  if (Buffer.byteLength(JSON.stringify(metadata)) > LIMITS.metadata_bytes) {
    throw tooLarge('#/metadata', `would have more than ${LIMITS.metadata_bytes} bytes as JSON`)
  }
}

const tooLarge = (pointer: string, detail: string) =>
  new LedgerError('validation_failed', `${pointer} ${detail} after the merge.`, {
    errors: [{ pointer, detail }],
  })

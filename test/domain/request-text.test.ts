import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExecutionRequest, type ExecutionRequestDocument } from '../../src/contract/execution-request.ts'
import { newProgress, newRequest } from '../../src/domain/new-request.ts'
import { requestTexts } from '../../src/domain/request-text.ts'
import { contentHash } from '../../src/domain/router-config.ts'
import { given, ulid } from '../support/given.ts'

const text = fc.string({ unit: 'binary', maxLength: 12 })
/** Names that a general object would put into another order than RFC 8785 does. */
const key = fc
  .oneof(text, fc.constantFrom('10', '9', 'é', 'z', '\u{1f600}', '\uff21'))
  .filter((each) => each !== '__proto__')
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
const texts = fc.array(text, { maxLength: 3 })
const count = fc.nat()
const ID = ulid('2026-01-05T09:30:00.000Z', 9)
const NOW = '2026-01-05T09:30:00.500Z'

/** Every field that a document may have, and the optional ones now and then. */
const document: fc.Arbitrary<ExecutionRequestDocument> = fc.record({
  request_id: fc.constant(ID),
  project_id: text,
  phase_id: text,
  workstream_id: optional(text),
  task_kind: text,
  task_id: optional(text),
  origin: fc.record({ created_by: text, created_at: fc.constant(NOW) }),
  classification: fc.record(
    {
      priority: fc.constantFrom('low', 'normal', 'critical'),
      complexity: fc.constantFrom('simple', 'complex'),
      risk_tier: fc.constantFrom('low', 'high'),
      domain: text,
    },
    { requiredKeys: ['priority'], noNullPrototype: true },
  ),
  labels: fc.dictionary(key, text, { maxKeys: 5, noNullPrototype: true }),
  resource_scope: fc.record({ read: texts, write: texts, create: texts, forbidden: texts }),
  constraints: fc.record(
    { patch_only: fc.boolean(), tests_must_pass: fc.boolean(), max_lines_changed: count },
    { requiredKeys: [], noNullPrototype: true },
  ),
  routing: fc.record(
    {
      strategy: fc.constantFrom('fixed', 'auto'),
      allowed_tools: texts,
      excluded_tools: texts,
      max_attempts: count,
      timeout_seconds: count,
      queue_timeout_seconds: optional(count),
      total_timeout_seconds: optional(count),
    },
    {
      requiredKeys: [
        'strategy',
        'excluded_tools',
        'max_attempts',
        'timeout_seconds',
        'queue_timeout_seconds',
        'total_timeout_seconds',
      ],
      noNullPrototype: true,
    },
  ),
  input: optional(
    fc.record({
      prompt: optional(text),
      files: optional(texts),
      data: optional(fc.dictionary(key, fc.jsonValue(), { maxKeys: 4, noNullPrototype: true })),
    }),
  ),
})

const around = fc.record({
  plan: optional(fc.record({ name: text, level: count, needs: texts })),
  validates: optional(
    fc.record({
      execution_request_id: fc.constant(ID),
      step_attempt_id: fc.constant(ID),
      required: fc.boolean(),
    }),
  ),
  assignment: optional(
    fc.record({
      route_decision_id: fc.constant(ID),
      tool_id: text,
      command: text,
      args: texts,
      validators: fc.array(fc.record({ tool_id: text, required: fc.boolean() }), { maxLength: 2 }),
    }),
  ),
  queue_expires_at: optional(fc.constant(NOW)),
})
const request = fc.tuple(document, around).map(([fixed, rest]) => ({
  fixed,
  made: newRequest(fixed, { run_id: ID, created_at: NOW, ...newProgress('queued', given()), ...rest }, 2),
}))

describe('the text of an execution request', () => {
  it('is RFC 8785 text, of its document and of the whole, whatever they hold', () => {
    fc.assert(
      fc.property(request, ({ fixed, made }) => {
        const { document: short, request: whole } = requestTexts(fixed)
        expect(short).toBe(canonicalize(fixed))
        expect(whole(made.request)).toBe(canonicalize(made.request))
      }),
      { numRuns: 500 },
    )
  })

  it('has every field of the contract', () => {
    fc.assert(
      fc.property(request, ({ made }) => {
        expect(Object.keys(made.request).sort()).toEqual(Object.keys(ExecutionRequest.properties).sort())
      }),
      { numRuns: 1 },
    )
  })
})

describe('a new request', () => {
  it('is hashed by its document, is kept whole, and its event tells of all of it', () => {
    fc.assert(
      fc.property(request, ({ fixed, made }) => {
        expect(made.request.content_hash).toBe(contentHash(fixed))
        expect(made.change).toEqual({
          record: 'execution_request',
          document: fixed,
          after: made.request,
          waiting_for: 2,
        })
        expect(made.draft).toEqual({
          kind: 'request_created',
          to: 'queued',
          payload_text: canonicalize({ execution_request: made.request }),
        })
      }),
      { numRuns: 100 },
    )
  })
})

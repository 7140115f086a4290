import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Run, UpdateRun } from '../../src/contract/run.ts'
import { updateRun } from '../../src/domain/run-update.ts'
import { aRun, aSnapshot } from '../support/builders.ts'
import { NOW, boundTo, given } from '../support/given.ts'
import { refusal } from '../support/refusal.ts'

type Facts = Partial<Pick<Run, 'labels' | 'metadata' | 'state'>>

const patch = (facts: Facts, body: UpdateRun) => updateRun(aSnapshot({ run: aRun(facts) }), given(), body)
const patched = (facts: Facts, body: UpdateRun): Run => patch(facts, body).result([1])

describe('a patch of labels', () => {
  it('sets, replaces and keeps', () => {
    const { labels } = patched({ labels: { team: 'core', env: 'ci' } }, { labels: { env: 'prod', new: 'x' } })
    expect(labels).toEqual({ team: 'core', env: 'prod', new: 'x' })
  })

  it('removes what is null', () => {
    expect(patched({ labels: { team: 'core', env: 'ci' } }, { labels: { env: null } }).labels).toEqual({
      team: 'core',
    })
  })

  it('removes all if it is null itself', () => {
    expect(patched({ labels: { team: 'core' } }, { labels: null }).labels).toEqual({})
  })

  it('leaves them alone if it is absent', () => {
    expect(patched({ labels: { team: 'core' } }, { metadata: { a: 1 } }).labels).toEqual({ team: 'core' })
  })

  it('may lead to 64 labels, and not to 65', () => {
    const labels = Object.fromEntries(Array.from({ length: 63 }, (_, i) => [`k${i}`, 'v']))
    expect(Object.keys(patched({ labels }, { labels: { one: 'v' } }).labels)).toHaveLength(64)
    expect(refusal(() => patch({ labels }, { labels: { one: 'v', two: 'v' } }))).toMatchObject({
      code: 'validation_failed',
      context: { errors: [{ pointer: '#/labels' }] },
    })
  })

  it('may remove one and add one where 64 are', () => {
    const labels = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`k${i}`, 'v']))
    expect(Object.keys(patched({ labels }, { labels: { k0: null, one: 'v' } }).labels)).toHaveLength(64)
  })

  it('takes a key that every object inherits like any other', () => {
    expect(patched({ labels: {} }, { labels: { constructor: 'x' } }).labels).toEqual({ constructor: 'x' })
  })
})

describe('a patch of metadata', () => {
  it('is merged into what is there, level by level', () => {
    const metadata = { build: { id: 1, log: 'a' }, list: [1, 2], keep: true }
    const body = { metadata: { build: { id: 2, url: 'u' }, list: [3] } }
    expect(patched({ metadata }, body).metadata).toEqual({
      build: { id: 2, log: 'a', url: 'u' },
      list: [3],
      keep: true,
    })
  })

  it('removes what is null, at any level, and leaves the emptied object', () => {
    const metadata = { build: { id: 1 }, gone: 1 }
    expect(patched({ metadata }, { metadata: { build: { id: null }, gone: null } }).metadata).toEqual({
      build: {},
    })
  })

  it('replaces a scalar by an object, and an object by a scalar', () => {
    const metadata = { a: 1, b: { c: 1 } }
    expect(patched({ metadata }, { metadata: { a: { x: null, y: 2 }, b: 'text' } }).metadata).toEqual({
      a: { y: 2 },
      b: 'text',
    })
  })

  it('keeps a null inside a list, which is a value there', () => {
    expect(patched({}, { metadata: { list: [null, { a: null }] } }).metadata).toEqual({
      list: [null, { a: null }],
    })
  })

  it('removes all if it is null itself', () => {
    expect(patched({ metadata: { a: 1 } }, { metadata: null }).metadata).toEqual({})
  })

  it('may lead to 64 KiB of JSON, and to no byte more', () => {
    const room = 65_536 - JSON.stringify({ a: '', b: '' }).length
    const metadata = { a: 'x'.repeat(room - 4) }
    expect(patched({ metadata }, { metadata: { b: 'éé' } }).metadata['b']).toBe('éé')
    expect(refusal(() => patch({ metadata }, { metadata: { b: 'ééx' } }))).toMatchObject({
      code: 'validation_failed',
      context: { errors: [{ pointer: '#/metadata' }] },
    })
  })

  // RFC 7396 §2, as its pseudocode has it. `__proto__` never gets this far: the parser refuses it.
  it('follows RFC 7396 for anything that JSON can say', () => {
    const isObject = (value: unknown): value is Record<string, unknown> =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
    const mergePatch = (target: unknown, patch: unknown): unknown => {
      if (!isObject(patch)) return patch
      const merged = new Map(isObject(target) ? Object.entries(target) : [])
      for (const [name, value] of Object.entries(patch)) {
        if (value === null) merged.delete(name)
        else merged.set(name, mergePatch(merged.get(name), value))
      }
      return Object.fromEntries(merged)
    }
    const { object } = fc.letrec<{ object: Record<string, unknown>; value: unknown }>((tie) => ({
      object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'constructor'), tie('value'), { maxKeys: 3 }),
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom(null, 1, 'text', true),
        fc.array(fc.constantFrom(null, 1)),
        tie('object'),
      ),
    }))
    const withoutNulls = object.map((value) => mergePatch({}, value) as Record<string, unknown>)
    fc.assert(
      fc.property(withoutNulls, object, (metadata, body) => {
        expect(patched({ metadata }, { metadata: body }).metadata).toEqual(mergePatch(metadata, body))
      }),
    )
  })
})

describe('an update', () => {
  it.each(['pending', 'running', 'succeeded', 'failed', 'quarantined', 'canceled'] as const)(
    'is taken by a run that is %s',
    (state) => {
      const { run } = aRun({ state })
      expect(patched({ state }, { labels: { triaged: 'yes' } })).toEqual({
        ...run,
        labels: { triaged: 'yes' },
        updated_at: NOW,
        version: run.version + 1,
      })
    },
  )

  it('is told by run_updated with both after-values', () => {
    const { events, changes } = patch({ metadata: { b: 1, a: 2 } }, { labels: { x: 'y' } })
    expect(events).toMatchObject([{ kind: 'run_updated', from: null, to: null, run_seq: 2 }])
    expect(events[0]?.payload_text).toBe(
      `{"run":{"labels":{"x":"y"},"metadata":{"a":2,"b":1},"updated_at":"${NOW}","version":2}}`,
    )
    expect(changes).toMatchObject([{ record: 'run', after: { event_count: 2, last_hash: events[0]?.hash } }])
  })

  it.each([
    ['an empty patch', {}],
    ['the same labels', { labels: { team: 'core' } }],
    ['the same metadata, its keys in another order', { metadata: { nested: { y: 2, x: 1 } } }],
    ['the removal of what is not there', { labels: { other: null }, metadata: { other: null } }],
  ] as [string, UpdateRun][])('that changes nothing writes nothing: %s', (_name, body) => {
    const facts = { labels: { team: 'core' }, metadata: { nested: { x: 1, y: 2 } } }
    const decided = patch(facts, body)
    expect(decided).toMatchObject({ changes: [], events: [] })
    expect(decided.result([])).toEqual(aRun(facts).run)
  })

  it('is refused at another version, even if it would change nothing', () => {
    const act = () => updateRun(aSnapshot({ run: aRun() }), given({ if_match: ['9'] }), {})
    expect(refusal(act).code).toBe('precondition_failed')
  })

  it('is refused for an id that no run has, and for a run that the key does not see', () => {
    const unknown = refusal(() => updateRun(aSnapshot(), given(), {}))
    const hidden = () => updateRun(aSnapshot({ run: aRun() }), given({ caller: boundTo('other') }), {})
    expect(unknown.code).toBe('run_not_found')
    expect(refusal(hidden)).toEqual(unknown)
  })
})

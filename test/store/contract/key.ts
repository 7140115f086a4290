import { expect, it } from 'vitest'
import type { Run } from '../../../src/contract/run.ts'
import type { Answer, Remembered } from '../../../src/domain/decision.ts'
import { LedgerError } from '../../../src/domain/error.ts'
import { once } from '../../../src/domain/idempotency.ts'
import { createRun } from '../../../src/domain/run.ts'
import type { Store } from '../../../src/store/store.ts'
import { AWKWARD, RUN_BODY } from '../../support/builders.ts'
import { ANYBODY, NOW, after, givens } from '../../support/given.ts'
import type { OpenStore } from '../../support/store.ts'

export function keys(open: OpenStore): void {
  const claim = { key: 'k', fingerprint: 'f' }
  const present = (run: Run): Answer => ({
    status: 201,
    body: JSON.stringify({ run_id: run.run_id, text: AWKWARD }),
    etag: '"1"',
    location: null,
  })
  /** A creation under a key; each has other ids, so that a second effect would show. */
  const creation = (next = givens(), now = NOW) => {
    return once({ claim, present, now }, (before) => createRun(before, next({ now }), RUN_BODY, null))
  }
  const remembered = (store: Store, key = claim.key) =>
    store.view({ claim: { ...claim, key } }, (before) => before.remembered)

  it('keeps the finished answer, byte for byte', async () => {
    const store = await open()
    expect(await remembered(store)).toBeNull()
    const outcome = await store.change({ claim }, creation())
    const { answer } = outcome as { answer: Answer }
    expect(await remembered(store)).toEqual({
      ...answer,
      fingerprint: 'f',
      created_at: NOW,
    } satisfies Remembered)
  })

  it('that comes again gets that answer, and nothing is written', async () => {
    const store = await open()
    const next = givens({ step_ms: 1 })
    const { answer } = (await store.change({ claim }, creation(next))) as { answer: Answer }
    expect(await store.change({ claim }, creation(next, after(NOW, 5)))).toEqual({ replayed: answer })
    expect((await store.listEvents({}, ANYBODY)).items).toHaveLength(1)
  })

  it('that comes twice at once has one effect, and the second gets the answer of the first', async () => {
    const store = await open()
    const next = givens({ step_ms: 1 })
    const [first, second] = await Promise.all([
      store.change({ claim }, creation(next)),
      store.change({ claim }, creation(next)),
    ])
    expect(second).toEqual({ replayed: (first as { answer: Answer }).answer })
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(1)
  })

  it('of a refused request is free again: the next one is decided afresh', async () => {
    const store = await open()
    const refused = once({ claim, present, now: NOW }, () => {
      throw new LedgerError('forbidden', 'No.')
    })
    const [first, second] = await Promise.allSettled([
      store.change({ claim }, refused),
      store.change({ claim }, creation()),
    ])
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled'])
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(1)
  })

  it('of a write that broke is free again: the record has one transaction with the effect', async () => {
    const store = await open()
    const broken = (before: Parameters<ReturnType<typeof creation>>[0]) => {
      const decision = creation()(before)
      const events = decision.events.flatMap((event) => [event, event])
      return { ...decision, events }
    }
    await expect(store.change({ claim }, broken)).rejects.toThrow()
    expect(await remembered(store)).toBeNull()
    expect((await store.listRuns({}, ANYBODY)).items).toEqual([])
  })

  it('has an answer of its own: other keys do not see it', async () => {
    const store = await open()
    await store.change({ claim }, creation())
    expect(await remembered(store, 'K')).toBeNull()
    expect(await remembered(store, 'k ')).toBeNull()
  })

  it('is forgotten when it is older, the oldest first, no more than asked for at once', async () => {
    const store = await open()
    const next = givens()
    for (const [index, key] of ['a', 'b', 'c', 'd'].entries()) {
      const now = after(NOW, index)
      const claimed = { ...claim, key }
      const decide = once({ claim: claimed, present, now }, (before) =>
        createRun(before, next({ now }), RUN_BODY, null),
      )
      await store.change({ claim: claimed }, decide)
    }
    const kept = async () => {
      const found = await Promise.all(
        ['a', 'b', 'c', 'd'].map(async (key) => (await remembered(store, key)) && key),
      )
      return found.filter((key) => key !== null)
    }
    expect(await store.forgetKeys(NOW, 10)).toBe(0)
    expect(await store.forgetKeys(after(NOW, 3), 2)).toBe(2)
    expect(await kept()).toEqual(['c', 'd'])
    expect(await store.forgetKeys(after(NOW, 3), 2)).toBe(1)
    expect(await kept()).toEqual(['d'])
    expect(await store.forgetKeys(after(NOW, 3), 2)).toBe(0)
  })

  it('that was forgotten is a new one', async () => {
    const store = await open()
    const next = givens({ step_ms: 1 })
    await store.change({ claim }, creation(next))
    await store.forgetKeys(after(NOW, 1), 10)
    expect(await store.change({ claim }, creation(next, after(NOW, 2)))).toHaveProperty('record')
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(2)
  })
}

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Run, RunState, type RunsQuery } from '../../../src/contract/run.ts'
import { AWKWARD } from '../../support/builders.ts'
import { ANYBODY, after } from '../../support/given.ts'
import { type OpenStore, ledgerOf, pagesOf } from '../../support/store.ts'
import { bulk, ids, manyRuns, passes } from './many-runs.ts'

export function runLists(open: OpenStore): void {
  it('is empty in an empty store', async () => {
    expect(await (await open()).listRuns({}, ANYBODY)).toEqual({ items: [], next_cursor: null })
  })

  it('begins with the newest, or with the oldest if asked to', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const made = [await ledger.createRun(), await ledger.createRun(), await ledger.createRun()]
    expect((await store.listRuns({}, ANYBODY)).items).toEqual(made.toReversed())
    expect((await store.listRuns({ order: 'desc' }, ANYBODY)).items).toEqual(made.toReversed())
    expect((await store.listRuns({ order: 'asc' }, ANYBODY)).items).toEqual(made)
  })

  it('has fifty runs on a page unless asked for another number', async () => {
    const store = await open()
    await bulk(store, 60)
    expect((await store.listRuns({}, ANYBODY)).items).toHaveLength(50)
    expect((await store.listRuns({ limit: 7 }, ANYBODY)).items).toHaveLength(7)
  })

  it('has a cursor exactly where there is more', async () => {
    const store = await open()
    await bulk(store, 4)
    const cursorAt = async (limit: number) => (await store.listRuns({ limit }, ANYBODY)).next_cursor
    expect([await cursorAt(3), await cursorAt(4), await cursorAt(5)]).toEqual([
      expect.any(String),
      null,
      null,
    ])
  })

  it.each([
    ['project_id', { project_id: ['bank'] }],
    ['project_id, one that begins alike', { project_id: ['bank2'] }],
    ['project_id, repeated', { project_id: ['bank', 'shop'] }],
    ['phase_id', { phase_id: ['test'] }],
    ['phase_id, repeated', { phase_id: ['test', 'build'] }],
    ['workstream_id', { workstream_id: ['w1'] }],
    ['workstream_id, repeated', { workstream_id: ['w1', 'w2'] }],
    ['state', { state: ['failed'] }],
    ['state, repeated', { state: ['failed', 'running'] }],
    ['trigger_type', { trigger_type: ['ci'] }],
    ['trigger_type, repeated', { trigger_type: ['ci', 'other'] }],
    ['label', { label: ['team:core'] }],
    ['label, repeated: one of them is enough', { label: ['team:core', 'url:a:b:c'] }],
    ['label, the same one twice', { label: ['team:core', 'team:core'] }],
    ['label, with colons in its value', { label: ['url:a:b:c'] }],
    ['project_id and state', { project_id: ['bank'], state: ['failed'] }],
    ['label and state', { label: ['team:core'], state: ['running'] }],
    [
      'everything',
      { project_id: ['shop'], phase_id: ['build'], state: ['pending'], trigger_type: ['manual'] },
    ],
  ] as [string, RunsQuery][])('is filtered by %s', async (_name, query) => {
    const store = await open()
    const all = await manyRuns(store)
    const expected = all.filter((run) => passes(run, query))
    expect(expected.length).toBeGreaterThan(0)
    expect(expected.length <= all.length).toBe(true)
    expect(ids((await store.listRuns(query, ANYBODY)).items)).toEqual(ids(expected))
  })

  it.each([
    ['a project', { project_id: ['nobody'] }],
    ['a project that only begins alike', { project_id: ['ban'] }],
    ['a label with another value', { label: ['team:cor'] }],
    ['a label without a value', { label: ['team:'] }],
    ['SQL', { project_id: ["' OR 1=1 --"] }],
    ['a pattern', { project_id: ['%'] }],
  ] as [string, RunsQuery][])('is empty for %s that no run has', async (_name, query) => {
    const store = await open()
    await manyRuns(store)
    expect(await store.listRuns(query, ANYBODY)).toEqual({ items: [], next_cursor: null })
  })

  it.each([
    ['one value', (word: string) => [word]],
    ['several', (word: string) => [word, 'other']],
  ])('is filtered by the awkwardest words too, exactly: %s', async (_name, values) => {
    const store = await open()
    const ledger = ledgerOf(store)
    const words = [AWKWARD, AWKWARD.normalize('NFC'), AWKWARD.toLowerCase(), `${AWKWARD} `]
    for (const word of words) {
      await ledger.createRun({ project_id: word, workstream_id: word, labels: { key: word } })
    }
    for (const word of words) {
      const queries = [
        { project_id: values(word) },
        { workstream_id: values(word) },
        { label: values(`key:${word}`) },
      ]
      for (const query of queries) {
        const { items } = await store.listRuns(query, ANYBODY)
        expect(items.map(({ project_id }) => project_id)).toEqual([word])
      }
    }
  })

  it('is what the filters say, all of them in any combination, in both orders, page by page', async () => {
    const store = await open()
    const all = await manyRuns(store)
    const some = <T>(...values: T[]) =>
      fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }), {
        nil: undefined,
      })
    const instant = fc.option(
      fc.constantFrom(...all.map((run) => run.created_at), after(all[20]!.created_at, 1)),
      { nil: undefined },
    )
    const query = fc.record({
      project_id: some('shop', 'bank', 'bank2'),
      phase_id: some('build', 'test', 'nothing'),
      workstream_id: some('w1', 'w2'),
      state: some(...(RunState.enum as readonly Run['state'][])),
      trigger_type: some('ci' as const, 'manual' as const),
      label: some('team:core', 'team:web', 'url:a:b:c'),
      created_after: instant,
      created_before: instant,
      order: fc.constantFrom('asc' as const, 'desc' as const),
      limit: fc.integer({ min: 1, max: 20 }),
    })
    const property = fc.asyncProperty(query, async ({ limit, order, ...rest }) => {
      const filters = Object.fromEntries(
        Object.entries(rest).filter(([, value]) => value !== undefined),
      ) as RunsQuery
      const pages = await pagesOf((cursor) =>
        store.listRuns({ ...filters, order, limit, ...cursor }, ANYBODY),
      )
      const expected = all.filter((run) => passes(run, filters))
      expect(ids(pages.flat())).toEqual(ids(order === 'desc' ? expected : expected.toReversed()))
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit)
    })
    await fc.assert(property, { numRuns: 300 })
  })

  it('has created_after inclusive and created_before exclusive, to the millisecond', async () => {
    const store = await open()
    const ledger = ledgerOf(store, { step_ms: 1 })
    const [one, two, three] = [await ledger.createRun(), await ledger.createRun(), await ledger.createRun()]
    const from = async (query: RunsQuery) =>
      ids((await store.listRuns({ order: 'asc', ...query }, ANYBODY)).items)
    expect(await from({ created_after: two.created_at })).toEqual(ids([two, three]))
    expect(await from({ created_before: two.created_at })).toEqual(ids([one]))
    expect(await from({ created_after: two.created_at, created_before: three.created_at })).toEqual(
      ids([two]),
    )
    expect(await from({ created_after: two.created_at, created_before: two.created_at })).toEqual([])
  })

  it.each([
    ['another zone', { created_after: '2026-01-05T10:30:00+01:00' }, 2],
    ['the year 1', { created_after: '0001-01-01T00:00:00Z' }, 2],
    ['the year 9999', { created_before: '9999-12-31T23:59:59.999Z' }, 2],
    ['before 1970', { created_before: '1969-12-31T23:59:59Z' }, 0],
  ])('takes instants of %s', async (_name, query, expected) => {
    const store = await open()
    const ledger = ledgerOf(store, { start: '2026-01-05T09:30:00.000Z', step_ms: 1 })
    await ledger.createRun()
    await ledger.createRun()
    expect((await store.listRuns(query, ANYBODY)).items).toHaveLength(expected)
  })

  it('finds a run by the labels that it has now', async () => {
    const store = await open()
    const ledger = ledgerOf(store)
    const { run_id } = await ledger.createRun({ labels: { team: 'core', env: 'ci' } })
    const found = async (label: string) => (await store.listRuns({ label: [label] }, ANYBODY)).items.length
    await ledger.updateRun(run_id, { labels: { team: 'web', env: null, new: '' } })
    expect(await Promise.all(['team:core', 'env:ci', 'team:web', 'new:'].map(found))).toEqual([0, 0, 1, 1])
    await ledger.updateRun(run_id, { labels: null })
    expect(await found('team:web')).toBe(0)
  })

  it.each([
    ['every project', null, ['shop', 'bank', 'bank2']],
    ['one', ['bank'], ['bank']],
    ['several', ['bank', 'shop'], ['bank', 'shop']],
    ['none', [], []],
  ])('has what a key sees that is bound to %s', async (_name, projects, expected) => {
    const store = await open()
    const all = await manyRuns(store)
    const { items } = await store.listRuns({ limit: 500 }, { projects })
    expect(ids(items)).toEqual(ids(all.filter((run) => expected.includes(run.project_id))))
  })

  it.each([
    { project_id: ['shop'] },
    { project_id: ['bank', 'shop'] },
    { label: ['team:core'] },
    { state: ['failed'] },
  ] as RunsQuery[])('shows a bound key no more if it filters: %j', async (query) => {
    const store = await open()
    const all = await manyRuns(store)
    const { items } = await store.listRuns({ limit: 500, ...query }, { projects: ['bank'] })
    expect(ids(items)).toEqual(ids(all.filter((run) => run.project_id === 'bank' && passes(run, query))))
  })
}
